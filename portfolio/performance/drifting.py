"""How far each bucket was from its target, from look to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from portfolio.models import Fact
from portfolio.performance.surroundings import Stand

Stands = Mapping[str, Stand]
"""The buckets of known value at one look, by name."""
PLACES = 4
"""Of a percent; what is shown has one or two."""


class Drifting(Fact):
    """A bucket at the last look: `target` and `weight` in % of the account, `drift` in % points, above 0 for too much.

    `largest` is its largest drift of the stretch, signs aside, with its sign; `largest_on` the day (UTC) of it.
    """

    name: str
    target: float
    weight: float
    drift: float
    largest: float
    largest_on: date


class DriftOfDay(Fact):
    """A bucket at the last look of a day, in % of the account; `drift` in % points."""

    day: date
    weight: float
    target: float
    drift: float


def drifting(times: Sequence[datetime], stands: Sequence[Stands]) -> tuple[Drifting, ...]:
    """Each bucket of the last look, by those looks where its value was known; `times` are when the looks were."""
    return tuple(_drifting(name, times, stands) for name in (stands[-1] if stands else ()))


def drift_by_day(times: Sequence[datetime], stands: Sequence[Stands]) -> dict[str, list[DriftOfDay]]:
    """Every bucket there was in the stretch, day by day."""
    last = {at.date(): buckets for at, buckets in zip(times, stands, strict=True)}
    series: dict[str, list[DriftOfDay]] = {}
    for day, buckets in last.items():
        for name, (weight, target) in buckets.items():
            drift = round(weight - target, PLACES)
            row = DriftOfDay(day=day, weight=round(weight, PLACES), target=target, drift=drift)
            series.setdefault(name, []).append(row)
    return series


def _drifting(name: str, times: Sequence[datetime], stands: Sequence[Stands]) -> Drifting:
    now = stands[-1][name]
    known = ((buckets[name], at) for at, buckets in zip(times, stands, strict=True) if name in buckets)
    largest, at = max(known, key=lambda stand: abs(stand[0].drift))
    return Drifting(
        name=name,
        target=now.target,
        weight=round(now.weight, PLACES),
        drift=round(now.drift, PLACES),
        largest=round(largest.drift, PLACES),
        largest_on=at.date(),
    )
