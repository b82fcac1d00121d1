"""An account's own books, by average cost: what is held, what it cost, and what was gained by parting with it.

Average cost is the method Interactive Brokers shows positions by: a purchase adds what was paid for it, commission
included; a sale takes that share of the cost with it, and what it brings above that, less its commission, is realised.
A short position is the same with the signs turned. At any time

    value = opening value + deposits - withdrawals + income + realised gains + change of unrealised gains

and this holds exactly, not to a rounding: what a sale takes from the cost is worked out once, and booked on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from portfolio.models import Amount, Fact, Side, Utc

ZERO = Decimal(0)
FINEST = Decimal("1e-8")
"""Of a dollar or a share; a sale's part of the cost is worked out to this."""


class Trade(Fact):
    """Shares that changed hands. `quantity` in shares, above 0; `price` per share and `commission` in USD.

    `client_order_id` is that of the order, where it was one of ours.
    """

    at: Utc
    symbol: str
    side: Side
    quantity: Amount
    price: Amount
    commission: Amount = ZERO
    client_order_id: str | None = None

    @property
    def cash(self) -> Decimal:
        """What it changed the cash by, in USD."""
        return -self.side.sign * self.quantity * self.price - self.commission


class Split(Fact):
    """`ratio` new shares for each old one; 0.1 is a reverse split of ten into one."""

    at: Utc
    symbol: str
    ratio: Amount


class PaymentKind(StrEnum):
    """Money of the investor's own, in or out, which is no gain; or what the account earned or was charged."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"

    @property
    def is_flow(self) -> bool:
        """Whether it is the investor's own money."""
        return self in (PaymentKind.DEPOSIT, PaymentKind.WITHDRAWAL)


class Payment(Fact):
    """Cash that came (above 0) or went (below), in USD, other than by a trade; `symbol` is what paid it."""

    at: Utc
    amount: Amount
    kind: PaymentKind
    symbol: str | None = None


Event = Trade | Split | Payment


class Holding(Fact):
    """`quantity` in shares (negative: short); `cost` is what all of it cost, in USD (negative: what it brought)."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def average_cost(self) -> Decimal | None:
        """Per share, in USD; None where nothing is held."""
        return self.cost / self.quantity if self.quantity else None

    def unrealised(self, price: Decimal) -> Decimal:
        """What parting with it at `price` would gain, in USD, commission aside."""
        return self.quantity * price - self.cost


NOTHING = Holding()


class Books(Fact):
    """The account after some events. `realised` by symbol; all in USD. `flows` are deposits less withdrawals."""

    cash: Decimal
    holdings: Mapping[str, Holding] = {}
    realised: Mapping[str, Decimal] = {}
    commissions: Decimal = ZERO
    income: Decimal = ZERO
    flows: Decimal = ZERO

    def held(self, symbol: str) -> Holding:
        return self.holdings.get(symbol, NOTHING)

    def after(self, *events: Event) -> Books:
        """The books once these have happened too, in that order."""
        draft = _Draft(self.cash, dict(self.holdings), dict(self.realised), self.commissions, self.income, self.flows)
        for event in events:
            draft.book(event)
        return Books(**vars(draft))

    @property
    def realised_total(self) -> Decimal:
        return sum(self.realised.values(), ZERO)

    def value(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Cash and holdings in USD; raises `KeyError` for a holding without a price."""
        return self.cash + sum((held.quantity * prices[symbol] for symbol, held in self._open()), ZERO)

    def unrealised(self, prices: Mapping[str, Decimal]) -> Decimal:
        """In USD; raises `KeyError` for a holding without a price."""
        return sum((held.unrealised(prices[symbol]) for symbol, held in self._open()), ZERO)

    def _open(self) -> Iterable[tuple[str, Holding]]:
        return ((symbol, held) for symbol, held in self.holdings.items() if held.quantity)


@dataclass
class _Draft:
    """Books under way: thousands of events are booked in a moment."""

    cash: Decimal
    holdings: dict[str, Holding]
    realised: dict[str, Decimal]
    commissions: Decimal
    income: Decimal
    flows: Decimal

    def book(self, event: Event) -> None:
        match event:
            case Trade():
                self._trade(event)
            case Split():
                held = self.holdings.get(event.symbol, NOTHING)
                self.holdings[event.symbol] = Holding(quantity=held.quantity * event.ratio, cost=held.cost)
            case Payment():
                self.cash += event.amount
                if event.kind.is_flow:
                    self.flows += event.amount
                else:
                    self.income += event.amount

    def _trade(self, trade: Trade) -> None:
        """A trade that goes through zero closes what there was, and opens the rest at the same price."""
        held, change, cash = self.holdings.get(trade.symbol, NOTHING), trade.side.sign * trade.quantity, trade.cash
        closed = min(trade.quantity, abs(held.quantity)) if held.quantity * change < 0 else ZERO
        of_closing = _part(cash, closed, trade.quantity)
        released = _part(held.cost, closed, abs(held.quantity))
        self.holdings[trade.symbol] = Holding(
            quantity=held.quantity + change, cost=held.cost - released - (cash - of_closing)
        )
        self.realised[trade.symbol] = self.realised.get(trade.symbol, ZERO) + of_closing - released
        self.cash += cash
        self.commissions += trade.commission


def _part(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """`amount` in the proportion of `part` to `whole`."""
    if not part:
        return ZERO
    return amount if part == whole else (amount * part / whole).quantize(FINEST)
