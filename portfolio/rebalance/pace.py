"""How many runs a bucket needs to come back into its band, and which limit makes them so many."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

from config.settings import Settings
from portfolio.drift import BucketDrift
from portfolio.exposure import ZERO
from portfolio.limits import Limit
from portfolio.models import Fact
from portfolio.percent import exact, share_of


class Pace(Fact):
    """`bucket` needs about so many `runs` at unchanged prices, as `limit` lets only `each` USD be traded in one.

    `gap` is what is to be traded until the bucket is within its band, in USD.
    """

    bucket: str
    limit: Limit
    gap: Decimal
    each: Decimal
    runs: int


def paces(buckets: Iterable[BucketDrift], net_liquidation: Decimal, settings: Settings) -> tuple[Pace, ...]:
    """For every bucket outside its band that one run cannot bring back into it."""
    off = [bucket for bucket in buckets if bucket.is_outside(settings.rebalance_threshold)]
    gaps = {bucket.name: _gap(bucket, net_liquidation, settings) for bucket in off}
    every = sum(gaps.values(), ZERO)
    turnover = share_of(net_liquidation, settings.max_portfolio_change)
    found = []
    for bucket in off:
        gap, count = gaps[bucket.name], _symbols(bucket.name, settings)
        by_limit = {
            Limit.RISK_THRESHOLD: settings.risk_threshold * count,
            # Every bucket that is off has its part of what may be turned over.
            Limit.MAX_PORTFOLIO_CHANGE: turnover * gap / every if every else ZERO,
        }
        limit = min(by_limit, key=lambda name: by_limit[name])
        if 0 < by_limit[limit] < gap:
            runs = int((gap / by_limit[limit]).to_integral_value(ROUND_CEILING))
            found.append(Pace(bucket=bucket.name, limit=limit, gap=gap, each=by_limit[limit], runs=runs))
    return tuple(found)


def _gap(bucket: BucketDrift, net_liquidation: Decimal, settings: Settings) -> Decimal:
    """From the bucket to the edge of its band."""
    drift, band = abs(exact(bucket.drift)), exact(settings.rebalance_threshold)
    return net_liquidation * (drift - band) / 100


def _symbols(bucket: str, settings: Settings) -> int:
    return next((len(rule.symbols) for rule in settings.rules if rule.name == bucket), 0)
