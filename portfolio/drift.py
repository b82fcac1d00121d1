"""How far the portfolio is from its targets: the table that the plan, the trace and the reflection share."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from config.rules import ticker
from config.settings import Settings, TradingRule
from portfolio.models import Fact, PortfolioSnapshot

DRIFT_PLACES = 9
"""A difference of binary fractions is off by less than this many places can show: 20.1 less 15.1 is 5, not more."""


class BucketDrift(Fact):
    """One enabled rule: `value` in USD; `weight`, `target` in % of net liquidation; `drift` in % points."""

    name: str
    value: Decimal
    weight: float
    target: float

    @property
    def drift(self) -> float:
        """Positive: the bucket holds too much."""
        return round(self.weight - self.target, DRIFT_PLACES)


class DriftTable(Fact):
    """Every enabled bucket, the cash, and what no rule names; weights in % of net liquidation."""

    buckets: tuple[BucketDrift, ...]
    cash: Decimal
    cash_weight: float
    unassigned: Decimal
    unassigned_weight: float


def weight_of(value: Decimal, net_liquidation: Decimal) -> float:
    """`value` in % of `net_liquidation`; 0 for an account that is worth nothing."""
    return float(100 * value / net_liquidation) if net_liquidation > 0 else 0.0


def value_of(symbols: Iterable[str], snapshot: PortfolioSnapshot) -> Decimal:
    """Market value in USD of the positions in `symbols`, tickers as the configuration spells them."""
    wanted = set(symbols)
    values = (held.market_value for held in snapshot.positions if ticker(held.symbol) in wanted)
    return sum((value for value in values if value is not None), Decimal(0))


def bucket_drift(rule: TradingRule, snapshot: PortfolioSnapshot) -> BucketDrift:
    value = value_of(rule.symbols, snapshot)
    return BucketDrift(
        name=rule.name,
        value=value,
        weight=weight_of(value, snapshot.summary.net_liquidation),
        target=float(rule.target_allocation),
    )


def drift_table(snapshot: PortfolioSnapshot, settings: Settings) -> DriftTable:
    summary = snapshot.summary
    named = set(settings.symbols)
    unassigned = value_of({ticker(held.symbol) for held in snapshot.positions} - named, snapshot)
    return DriftTable(
        buckets=tuple(bucket_drift(rule, snapshot) for rule in settings.rules),
        cash=summary.total_cash,
        cash_weight=weight_of(summary.total_cash, summary.net_liquidation),
        unassigned=unassigned,
        unassigned_weight=weight_of(unassigned, summary.net_liquidation),
    )
