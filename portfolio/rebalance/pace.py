"""How many runs a bucket needs at least to come back into its band, and which can never be bought back into it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

from config.settings import Settings
from portfolio.drift import BucketDrift, DriftTable
from portfolio.limits import Limit
from portfolio.models import Fact
from portfolio.percent import exact, share_of


class Pace(Fact):
    """`bucket` needs at least so many `runs` at unchanged prices, as `limit` lets only `each` USD of it trade in one.

    `gap` is what is to be traded until the bucket is within its band, in USD.
    """

    bucket: str
    limit: Limit
    gap: Decimal
    each: Decimal
    runs: int


def paces(buckets: Iterable[BucketDrift], net_liquidation: Decimal, settings: Settings) -> tuple[Pace, ...]:
    """For every bucket outside its band that one run cannot bring back into it."""
    turnover = share_of(net_liquidation, settings.max_portfolio_change)
    found = []
    for bucket in (one for one in buckets if one.is_outside(settings.rebalance_threshold)):
        gap = _gap(bucket, net_liquidation, settings)
        by_limit = {
            Limit.RISK_THRESHOLD: settings.risk_threshold * _symbols(bucket.name, settings),
            Limit.MAX_PORTFOLIO_CHANGE: turnover,
        }
        limit = min(by_limit, key=lambda name: by_limit[name])
        if 0 < by_limit[limit] < gap:
            runs = int((gap / by_limit[limit]).to_integral_value(ROUND_CEILING))
            found.append(Pace(bucket=bucket.name, limit=limit, gap=gap, each=by_limit[limit], runs=runs))
    return tuple(found)


def out_of_reach(table: DriftTable, net_liquidation: Decimal, settings: Settings) -> tuple[BucketDrift, ...]:
    """Buckets below their bands that no number of runs can fill, as holdings that no rule names keep the money.

    What buys is the cash above `min_cash`, and what the other buckets hold above their targets.
    """
    if table.unassigned <= 0:
        return ()
    spare = table.cash - share_of(net_liquidation, settings.min_cash)
    above = sum((share_of(net_liquidation, one.drift) for one in table.buckets if one.drift > 0), Decimal(0))
    return tuple(
        bucket
        for bucket in table.buckets
        if bucket.drift < 0
        and bucket.is_outside(settings.rebalance_threshold)
        and _gap(bucket, net_liquidation, settings) > max(spare + above, Decimal(0))
    )


def _gap(bucket: BucketDrift, net_liquidation: Decimal, settings: Settings) -> Decimal:
    """From the bucket to the edge of its band."""
    drift, band = abs(exact(bucket.drift)), exact(settings.rebalance_threshold)
    return net_liquidation * (drift - band) / 100


def _symbols(bucket: str, settings: Settings) -> int:
    return next((len(rule.symbols) for rule in settings.rules if rule.name == bucket), 0)
