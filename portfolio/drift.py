"""How far the portfolio is from its targets: the table that the plan, the trace and the reflection share.

What cannot be valued in USD is never taken for 0: the bucket that holds it says so, and is left alone by the plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

from config.rules import ticker
from config.settings import Settings, TradingRule
from portfolio.models import Fact, PortfolioSnapshot, Position, ProposedTrade

DRIFT_PLACES = 9
"""A difference of binary fractions is off by less than this many places can show: 20.1 less 15.1 is 5, not more."""


class Oddity(StrEnum):
    """What makes a holding other than whole USD shares with a price."""

    SHORT = "sold short"
    FRACTION = "a fraction of a share"
    NO_PRICE = "no price"
    FOREIGN = "not in USD"


class OddHolding(Fact):
    """A position that is not simply whole shares owned; `value` in USD, None where nobody can tell it."""

    symbol: str
    oddity: Oddity
    quantity: Decimal
    value: Decimal | None


class BucketDrift(Fact):
    """One enabled rule: `value` in USD; `weight`, `target` in % of net liquidation; `drift` in % points.

    `unvalued` are its symbols whose value in USD nobody can tell; they are missing from `value`.
    """

    name: str
    value: Decimal
    weight: float
    target: float
    unvalued: tuple[str, ...] = ()

    @property
    def drift(self) -> float:
        """Positive: the bucket holds too much."""
        return round(self.weight - self.target, DRIFT_PLACES)

    @property
    def in_words(self) -> str:
        direction = "above" if self.drift > 0 else "below"
        return (
            f"{self.name} is at {self.weight:.1f} %, {abs(self.drift):.1f} points {direction} "
            f"its target of {self.target:g} %"
        )

    def is_outside(self, band: float) -> bool:
        """Whether it is known to be more than `band` % points off target."""
        return not self.unvalued and abs(self.drift) > band


class DriftTable(Fact):
    """Every enabled bucket, the cash, and what no rule names; weights in % of net liquidation."""

    buckets: tuple[BucketDrift, ...]
    cash: Decimal
    cash_weight: float
    unassigned: Decimal
    unassigned_weight: float
    odd_holdings: tuple[OddHolding, ...] = ()

    @property
    def total(self) -> float:
        """Drift of all buckets of known value together, signs aside, in % points."""
        return sum(abs(bucket.drift) for bucket in self.buckets if not bucket.unvalued)


def weight_of(value: Decimal, net_liquidation: Decimal) -> float:
    """`value` in % of `net_liquidation`; 0 for an account that is worth nothing."""
    return float(100 * value / net_liquidation) if net_liquidation > 0 else 0.0


def value_in_dollars(held: Position) -> Decimal | None:
    return held.market_value if held.currency == "USD" else None


def drift_table(snapshot: PortfolioSnapshot, settings: Settings) -> DriftTable:
    """The account as it stands in `snapshot`."""
    return _table(snapshot, settings, values_by_ticker(snapshot), snapshot.summary.total_cash)


def drift_after(snapshot: PortfolioSnapshot, settings: Settings, trades: Iterable[ProposedTrade]) -> DriftTable:
    """The account as it would stand if `trades` filled at the last price, commissions aside."""
    values, cash = values_by_ticker(snapshot), snapshot.summary.total_cash
    for trade in trades:
        quote = snapshot.quotes.get(trade.symbol)
        price = quote.last if quote else None
        before = values.get(ticker(trade.symbol), Decimal(0))
        change = None if price is None else trade.side.sign * trade.quantity * price
        values[ticker(trade.symbol)] = None if before is None or change is None else before + change
        cash -= change or 0
    return _table(snapshot, settings, values, cash)


def values_by_ticker(snapshot: PortfolioSnapshot) -> dict[str, Decimal | None]:
    """Market value in USD of each ticker held, spelt as the configuration spells it; None where unknown.

    The contract says which ticker a holding is, whatever the broker calls it; its name only where no symbol is
    resolved to that contract.
    """
    named = {contract.conid: symbol for symbol, contract in reversed(snapshot.contracts.items())}
    parts: dict[str, list[Decimal | None]] = defaultdict(list)
    for held in snapshot.positions:
        if held.quantity != 0:
            parts[ticker(named.get(held.conid, held.symbol))].append(value_in_dollars(held))
    return {symbol: _sum_if_known(values) for symbol, values in parts.items()}


def _sum_if_known(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None


def _table(
    snapshot: PortfolioSnapshot, settings: Settings, values: Mapping[str, Decimal | None], cash: Decimal
) -> DriftTable:
    net = snapshot.summary.net_liquidation
    unassigned = _known(values, values.keys() - set(settings.symbols))
    return DriftTable(
        buckets=tuple(_bucket(rule, values, net) for rule in settings.rules),
        cash=cash,
        cash_weight=weight_of(cash, net),
        unassigned=unassigned,
        unassigned_weight=weight_of(unassigned, net),
        odd_holdings=tuple(odd for held in snapshot.positions for odd in _oddities(held)),
    )


def _bucket(rule: TradingRule, values: Mapping[str, Decimal | None], net: Decimal) -> BucketDrift:
    value = _known(values, rule.symbols)
    return BucketDrift(
        name=rule.name,
        value=value,
        weight=weight_of(value, net),
        target=float(rule.target_allocation),
        unvalued=tuple(symbol for symbol in rule.symbols if symbol in values and values[symbol] is None),
    )


def _known(values: Mapping[str, Decimal | None], symbols: Iterable[str]) -> Decimal:
    return sum((value for symbol in symbols if (value := values.get(symbol)) is not None), Decimal(0))


def _oddities(held: Position) -> Iterable[OddHolding]:
    found = {
        Oddity.SHORT: held.quantity < 0,
        Oddity.FRACTION: held.quantity != held.quantity.to_integral_value(),
        Oddity.NO_PRICE: held.quantity != 0 and held.market_value is None,
        Oddity.FOREIGN: held.currency != "USD",
    }
    value = value_in_dollars(held)
    return [
        OddHolding(symbol=held.symbol, oddity=oddity, quantity=held.quantity, value=value)
        for oddity, is_odd in found.items()
        if is_odd
    ]
