"""The drift of a bucket from look to look."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from portfolio.performance import Stand
from portfolio.performance.drifting import Drifting, DriftOfDay, drift_by_day, drifting

FIRST = datetime(2026, 6, 15, 19, tzinfo=UTC)
TIMES = [FIRST, FIRST + timedelta(minutes=1), FIRST + timedelta(days=1), FIRST + timedelta(days=2)]
LOOKS: list[dict[str, Stand]] = [
    {"Core": Stand(40, 60), "Old": Stand(10, 0)},
    {"Core": Stand(45, 60), "Old": Stand(0, 0)},
    {},
    {"Core": Stand(61.5, 60), "New": Stand(2, 1)},
]


def test_now_is_the_last_look_and_the_largest_drift_is_of_any() -> None:
    core, new = drifting(TIMES, LOOKS)
    assert core == Drifting(
        name="Core", target=60, weight=61.5, drift=1.5, largest=-20, largest_on=date(2026, 6, 15)
    )  # fmt: skip
    assert (new.name, new.drift, new.largest, new.largest_on) == ("New", 1, 1, date(2026, 6, 17))
    assert drifting(TIMES[:3], LOOKS[:3]) == ()


def test_the_series_has_the_last_look_of_each_day_and_every_bucket_there_was() -> None:
    assert drift_by_day(TIMES, LOOKS) == {
        "Core": [
            DriftOfDay(day=date(2026, 6, 15), weight=45, target=60, drift=-15),
            DriftOfDay(day=date(2026, 6, 17), weight=61.5, target=60, drift=1.5),
        ],
        "Old": [DriftOfDay(day=date(2026, 6, 15), weight=0, target=0, drift=0)],
        "New": [DriftOfDay(day=date(2026, 6, 17), weight=2, target=1, drift=1)],
    }
