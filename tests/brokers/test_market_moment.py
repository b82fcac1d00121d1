"""Moments of a session, around holidays, half days and both changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.market_moment import MarketMoment

MOMENTS = ("open", "open+30m", "open+3h", "open+6h29m", "close-1m", "close-1h30m")


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("open", date(2026, 11, 25), "14:30"),
        ("open+30m", date(2026, 11, 25), "15:00"),
        ("OPEN+30M ", date(2026, 11, 25), "15:00"),
        ("open+1h15m", date(2026, 11, 25), "15:45"),
        ("close-1h", date(2026, 11, 25), "20:00"),
        ("close-1h", date(2026, 11, 27), "17:00"),  # a half day: it closes at 13:00 in New York
        ("open+3h29m", date(2026, 11, 27), "17:59"),
        ("open+3h30m", date(2026, 11, 27), None),
        ("close-4h", date(2026, 12, 24), None),
        ("open", date(2026, 11, 26), None),  # Thanksgiving
        ("open", date(2026, 11, 28), None),  # a Saturday
        ("open", date(2026, 3, 6), "14:30"),
        ("open", date(2026, 3, 9), "13:30"),  # New York has summer time, Europe not yet
        ("open", date(2026, 10, 26), "13:30"),  # Europe no longer
        ("open", date(2026, 11, 2), "14:30"),
    ],
)
def test_a_moment_follows_the_sessions_of_the_exchange(text: str, day: date, expected: str | None) -> None:
    moment = MarketMoment.parse(text).of(day)
    assert (f"{moment:%H:%M}" if moment else None) == expected


@pytest.mark.parametrize(
    "text",
    ["", "noon", "open-30m", "close+1h", "close", "open+", "open+0m", "open+7h", "open+30", "open+30m+1h", "12:00"],
)
def test_what_is_no_moment_within_a_session_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no moment of a session: write such as"):
        MarketMoment.parse(text)


def test_the_next_moment_passes_over_a_holiday_a_half_day_too_short_and_a_weekend() -> None:
    moment = MarketMoment.parse("open+4h")
    assert moment.next(datetime(2026, 11, 25, 18, 30, tzinfo=UTC)) == datetime(2026, 11, 30, 18, 30, tzinfo=UTC)


@settings(deadline=None)
@given(
    st.sampled_from(MOMENTS),
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2040, 1, 1)),  # noqa: DTZ001  (a zone is given)
)
def test_the_next_moment_is_later_in_a_session_and_the_first_such(text: str, after: datetime) -> None:
    moment, after = MarketMoment.parse(text), after.replace(tzinfo=UTC)
    found = moment.next(after)
    assert found > after
    assert moment.calendar.session_at(found).is_open
    days = [after.date() + timedelta(days=number) for number in range(-1, (found - after).days + 2)]
    assert not [one for day in days if (one := moment.of(day)) and after < one < found]
