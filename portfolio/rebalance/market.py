"""What could be ordered now, how much of it and at which limit price: the account as the rebalancer sees it.

Whether a symbol may be traded at all is asked of the guard's own rules, about an order of one share, so that the plan
and the guard cannot disagree. How much of it may be traded is worked out here, exactly, from the limits that bind one
order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TypeVar

from config.rules import ticker
from config.settings import Settings, TradingRule
from portfolio.drift import BucketDrift, value_in_dollars
from portfolio.exposure import ZERO, held_value
from portfolio.limits import Case, TradingDay
from portfolio.limits.eligibility import contract_resolved, no_open_order, no_unresolved_order
from portfolio.limits.history import day_trades, max_daily_loss, reversal_cooldown
from portfolio.limits.prices import price_collar, quote_quality
from portfolio.models import BrokerOrder, Check, PortfolioSnapshot, Position, ProposedTrade, Side
from portfolio.percent import share_of
from portfolio.pricing import limit_price_of

OF_THE_SYMBOL = (contract_resolved, no_open_order, no_unresolved_order, quote_quality)
OF_THE_SIDE = (price_collar, reversal_cooldown, day_trades)
OF_THE_ACCOUNT = (max_daily_loss,)
LARGEST = 10**12
"""Shares and USD beyond this are not of this world, and products of them not of any float."""
NO_LIMIT_PRICE = "there is no limit price on its tick within limit_offset"

DOWN, UP = Context(rounding=ROUND_FLOOR), Context(rounding=ROUND_CEILING)

Row = TypeVar("Row", Position, BrokerOrder)


@dataclass(frozen=True)
class Room:
    """Orders of one side: from `least` to `most` shares, at a limit of `price` USD a share."""

    price: Decimal
    least: int
    most: int


@dataclass(frozen=True)
class Tradable:
    """A symbol of an enabled rule that could be ordered now.

    `value` is what is held of it, `share` what should be, both in USD; `last` is the last trade in USD a share. `buy`
    and `sell` are None where no order of that side is possible.
    """

    symbol: str
    bucket: int
    share: Decimal
    value: Decimal
    last: Decimal
    is_held: bool
    buy: Room | None
    sell: Room | None


@dataclass(frozen=True)
class Market:
    """Everything that can be traded; and a sentence on every symbol that cannot be."""

    tradable: tuple[Tradable, ...]
    frozen: tuple[str, ...]


class Rows:
    """The positions and open orders of a snapshot, found by symbol without looking through all of them."""

    def __init__(self, snapshot: PortfolioSnapshot) -> None:
        self._snapshot = snapshot
        self._positions = _indexed(snapshot.positions)
        self._orders = _indexed(snapshot.open_orders)

    def about(self, symbol: str) -> PortfolioSnapshot:
        """The same snapshot with no rows but those about `symbol` or its contract."""
        contract = self._snapshot.contracts.get(symbol)
        keys: list[str | int] = [ticker(symbol), *([contract.conid] if contract else [])]
        rows = {"positions": _found(keys, self._positions), "open_orders": _found(keys, self._orders)}
        return self._snapshot.model_copy(update=rows)


def _indexed(rows: Iterable[Row]) -> Mapping[str | int, list[Row]]:
    index: defaultdict[str | int, list[Row]] = defaultdict(list)
    for row in rows:
        index[ticker(row.symbol)].append(row)
        index[row.conid].append(row)
    return index


def _found(keys: Iterable[str | int], index: Mapping[str | int, list[Row]]) -> tuple[Row, ...]:
    return tuple({id(row): row for key in keys for row in index.get(key, ())}.values())


def open_market(
    snapshot: PortfolioSnapshot,
    settings: Settings,
    day: TradingDay,
    buckets: Sequence[BucketDrift],
    left_alone: frozenset[str],
) -> Market:
    """What can be traded besides the symbols in `left_alone`, as protective exits are due in them, or somebody says so.

    A bucket that holds something of unknown value is frozen as a whole: nobody can tell how far off target it is.
    """
    barred = {
        side: why
        for side in Side
        if (why := _why_not(one_share("any", side, snapshot, settings, day), OF_THE_ACCOUNT)) is not None
    }
    rows, limits = Rows(snapshot), _OrderLimits(snapshot, settings, day, barred)
    tradable: list[Tradable] = []
    frozen = [f"Nothing is bought: {barred[Side.BUY]}."] if Side.BUY in barred else []
    names: dict[int, str] = {}
    for number, (rule, bucket) in enumerate(zip(settings.rules, buckets, strict=True)):
        if bucket.unvalued:
            unknown = ", ".join(bucket.unvalued)
            frozen.append(f"{rule.name}: what {unknown} is worth in USD is not known; the bucket is not traded.")
            continue
        for symbol in rule.symbols:
            contract = snapshot.contracts.get(symbol)
            known_as = names.setdefault(contract.conid, symbol) if contract else symbol
            if symbol in left_alone:
                continue
            if known_as == symbol:
                found = limits.of(symbol, number, rule, rows.about(symbol))
            else:
                found = f"it is the same contract as {known_as}"
            if isinstance(found, str):
                named = found if found.startswith(symbol) else f"{symbol}: {found}"
                frozen.append(f"{named}; not traded.")
            elif found.buy or found.sell:
                tradable.append(found)
    return Market(tuple(tradable), tuple(frozen))


@dataclass(frozen=True)
class _OrderLimits:
    """What the limits allow one order to be, symbol by symbol; `barred` says why there is none at all of a side."""

    snapshot: PortfolioSnapshot
    settings: Settings
    day: TradingDay
    barred: Mapping[Side, str]

    def of(self, symbol: str, bucket: int, rule: TradingRule, about: PortfolioSnapshot) -> Tradable | str:
        """The symbol with room on at least one side, or why there is none; `about` has its rows alone."""
        held = about.held(symbol)
        if held < 0:
            return "it is sold short"
        quote = about.quotes.get(symbol)
        cases = {side: one_share(symbol, side, about, self.settings, self.day) for side in Side}
        if (why := _why_not(cases[Side.BUY], OF_THE_SYMBOL)) is not None:
            return why
        refused: dict[Side, str] = {}
        rooms: dict[Side, Room] = {}
        for side, case in cases.items():
            why = self.barred.get(side) or _why_not(case, OF_THE_SIDE)
            if why is not None or case.limit_price is None:
                refused[side] = why or NO_LIMIT_PRICE
            else:
                rooms[side] = self._room(case, case.limit_price, rule, held)
        if quote is None or quote.last is None or not rooms:
            return refused[Side.BUY]
        value = sum((value_in_dollars(row) or ZERO for row in about.positions_in(symbol)), ZERO)
        if max(quote.last, abs(value)) > LARGEST or any(room.most > LARGEST for room in rooms.values()):
            return "its price or its amounts are not to be believed"
        net = self.snapshot.summary.net_liquidation
        return Tradable(
            symbol=symbol,
            bucket=bucket,
            share=share_of(net, rule.share_of(symbol)),
            value=value,
            last=quote.last,
            is_held=held > 0,
            buy=_possible(rooms.get(Side.BUY)),
            sell=_possible(rooms.get(Side.SELL)),
        )

    def _room(self, case: Case, price: Decimal, rule: TradingRule, held: Decimal) -> Room:
        """Whole shares that the order limits, the position cap and what is held leave; `most` may be below `least`."""
        worth = min(self.settings.risk_threshold, self.settings.max_trade_value)
        least = max(whole(self.settings.min_order_value, price, UP), 1)
        if case.trade.side is Side.BUY:
            cap = share_of(self.snapshot.summary.net_liquidation, rule.max_position_size)
            free = cap - held_value(case.trade.symbol, price, case.snapshot)
            return Room(price, least, whole(min(worth, free), price, DOWN))
        most = min(whole(worth, price, DOWN), int(held))
        is_dust = most == held and most * price < self.settings.min_order_value
        return Room(price, max(most, 1) if is_dust else least, most)


def one_share(
    symbol: str,
    side: Side,
    snapshot: PortfolioSnapshot,
    settings: Settings,
    day: TradingDay,
) -> Case:
    """The smallest order there is in `symbol`, as the guard would be asked about it."""
    quote, contract = snapshot.quotes.get(symbol), snapshot.contracts.get(symbol)
    return Case(
        trade=ProposedTrade(symbol=symbol, side=side, quantity=1, reason="may it be traded?"),
        limit_price=limit_price_of(side, quote, contract, settings) if quote and contract else None,
        batch=(),
        discretionary_value=ZERO,
        snapshot=snapshot,
        settings=settings,
        day=day,
        what_if=None,
    )


def _why_not(case: Case, rules: Iterable[Callable[[Case], Check]]) -> str | None:
    """Why an order in this symbol would be refused by one of `rules` however small it is; None if it would not be."""
    return next((check.why for rule in rules if not (check := rule(case)).passed), None)


def _possible(room: Room | None) -> Room | None:
    return room if room and room.most >= room.least else None


def whole(amount: Decimal, price: Decimal, rounded: Context) -> int:
    """Shares at `price` that make up `amount` USD, never below 0, rounded the one way that keeps the limit."""
    # The quotient itself must be rounded so too, or it could be one share too many.
    return max(int(rounded.to_integral_value(rounded.divide(amount, price))), 0)
