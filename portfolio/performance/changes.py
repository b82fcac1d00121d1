"""Why an account changed between two looks at it: our own trades, and what else must have happened.

What the trades leave unexplained is, in this order: a split, where shares and price jump against each other; a trade of
somebody else's, where shares changed and cash answers for them; and cash that came or went. Of that a large amount is
taken for a deposit or a withdrawal, a small one for a dividend or a fee, until a person says what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from portfolio.models import Amount, Fact, Side, Utc
from portfolio.percent import in_percent, share_of
from portfolio.performance.books import ZERO, Event, Payment, PaymentKind, Split, Trade

CENT = Decimal("0.01")
LARGE = 1.0
"""In % of the account: no dividend or fee of a day comes to as much."""
JUMP, ASIDE = Decimal(20), Decimal(15)
"""A split moves a price by at least so many %, and the value of what is held by less than so many."""
MOST_PARTS = 50
"""No split is finer than one of fifty."""


class Observed(Fact):
    """An account at one moment: cash in USD, shares and price by symbol."""

    at: Utc
    cash: Amount
    shares: Mapping[str, Amount]
    prices: Mapping[str, Amount]

    @property
    def value(self) -> Decimal:
        """In USD; what has no price counts as nothing."""
        return self.cash + sum((held * self.prices.get(name, ZERO) for name, held in self.shares.items()), ZERO)


def explained(before: Observed, now: Observed, trades: Sequence[Trade]) -> tuple[Event, ...]:
    """Everything that leads from `before` to `now`: splits, `trades`, those of others, and cash, in that order."""
    symbols = sorted({*before.shares, *now.shares, *(trade.symbol for trade in trades)})
    splits = [split for symbol in symbols if (split := _split(symbol, before, now, trades))]
    whole = {split.symbol for split in splits}
    others = _of_others([symbol for symbol in symbols if symbol not in whole], before, now, trades)
    cash = now.cash - before.cash - sum((trade.cash for trade in (*trades, *others)), ZERO)
    if len(others) == 1 and (priced := _priced(others[0], cash)):
        others, cash = [priced], cash - priced.cash + others[0].cash
    return (*splits, *trades, *others, *_payment(before, now, cash))


def _own(symbol: str, trades: Iterable[Trade]) -> Decimal:
    return sum((trade.side.sign * trade.quantity for trade in trades if trade.symbol == symbol), ZERO)


def _split(symbol: str, before: Observed, now: Observed, trades: Sequence[Trade]) -> Split | None:
    held, left = before.shares.get(symbol, ZERO), now.shares.get(symbol, ZERO) - _own(symbol, trades)
    old, new = before.prices.get(symbol), now.prices.get(symbol)
    if not held or not old or not new or left / held <= 0 or left == held:
        return None
    ratio = left / held
    moved, worth = in_percent(abs(new - old), old), in_percent(abs(left * new - held * old), abs(held * old))
    if moved < JUMP or worth >= ASIDE:
        return None
    simple = Fraction(ratio).limit_denominator(MOST_PARTS)
    as_split = Decimal(simple.numerator) / simple.denominator
    # A fraction of a share that a split leaves is paid out in cash.
    return Split(at=now.at, symbol=symbol, ratio=ratio if abs(held * as_split - left) < 1 else as_split)


def _of_others(symbols: Iterable[str], before: Observed, now: Observed, trades: Sequence[Trade]) -> list[Trade]:
    """Trades that are not ours, at the prices of now; shares that came by a transfer look like cash and a purchase."""
    found = []
    for symbol in symbols:
        change = now.shares.get(symbol, ZERO) - before.shares.get(symbol, ZERO) - _own(symbol, trades)
        price = now.prices.get(symbol) or before.prices.get(symbol)
        if change and price:
            side = Side.BUY if change > 0 else Side.SELL
            found.append(Trade(at=now.at, symbol=symbol, side=side, quantity=abs(change), price=price))
    return found


def _priced(other: Trade, unexplained: Decimal) -> Trade | None:
    """The trade at the price that leaves no cash unexplained, if it can be that; None otherwise."""
    price = -other.side.sign * (other.cash + unexplained) / other.quantity
    is_near = price > 0 and in_percent(abs(price - other.price), other.price) < JUMP
    return other.model_copy(update={"price": price}) if is_near else None


def _payment(before: Observed, now: Observed, cash: Decimal) -> tuple[Payment, ...]:
    if abs(cash) < CENT:
        return ()
    is_large = abs(cash) >= share_of(abs(before.value), LARGE)
    came = PaymentKind.DEPOSIT if is_large else PaymentKind.DIVIDEND
    went = PaymentKind.WITHDRAWAL if is_large else PaymentKind.FEE
    return (Payment(at=now.at, amount=cash, kind=came if cash > 0 else went),)
