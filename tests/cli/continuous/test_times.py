"""When runs are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from brokers.market_moment import MarketMoment
from cli.continuous.times import is_missed, next_time, retry_after, told

BEGAN = datetime(2026, 11, 26, 9, 7, 13, 250_000, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "took", [timedelta(0), timedelta(microseconds=1), timedelta(minutes=3), 6 * HOUR - timedelta(seconds=1)]
)
def test_the_next_run_is_one_interval_after_the_last_began_however_long_that_took(took: timedelta) -> None:
    assert next_time(BEGAN, 6, BEGAN + took) == BEGAN + 6 * HOUR


def test_a_thousand_runs_later_the_times_have_not_drifted() -> None:
    due = BEGAN
    for number in range(1000):
        due = next_time(due, 0.1, due + timedelta(seconds=number % 300))
    assert due == BEGAN + 100 * HOUR


def test_times_that_a_long_run_or_a_sleeping_computer_missed_are_not_made_up_for() -> None:
    assert next_time(BEGAN, 6, BEGAN + 20 * HOUR) == BEGAN + 24 * HOUR


def test_a_time_that_is_to_come_stands_while_a_failure_is_tried_again() -> None:
    assert next_time(BEGAN, 6, BEGAN - HOUR) == BEGAN


def test_each_failure_in_a_row_doubles_the_wait() -> None:
    assert [retry_after(count) // timedelta(minutes=1) for count in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert retry_after(10**9) < timedelta(days=15)


@pytest.mark.parametrize(
    ("text", "begins", "late", "missed"),
    [
        ("open", "2026-11-25T14:30", timedelta(minutes=119), False),
        ("open", "2026-11-25T14:30", timedelta(minutes=120), True),
        ("close-30m", "2026-11-27T17:30", timedelta(minutes=29), False),
        ("close-30m", "2026-11-27T17:30", timedelta(minutes=30), True),
    ],
)
def test_a_moment_is_over_after_two_hours_or_at_the_bell(
    text: str, begins: str, late: timedelta, *, missed: bool
) -> None:
    at = datetime.fromisoformat(begins).replace(tzinfo=UTC)
    assert is_missed(at, MarketMoment.parse(text), at + late) is missed


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (6 * HOUR - timedelta(seconds=40), "5 h 59 min"),
        (timedelta(minutes=5), "(in 5 min)"),
        (25 * HOUR, "25 h 0 min"),
    ],
)
def test_a_time_is_told_with_how_far_away_it_is(away: timedelta, words: str) -> None:
    assert words in told(BEGAN + away, BEGAN)
