from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from brokers.session import ExchangeCalendar


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


def test_a_session_is_open_from_the_bell_to_just_before_the_bell(calendar: ExchangeCalendar) -> None:
    opens_at, closes_at = utc("2020-03-23T13:30"), utc("2020-03-23T20:00")
    for now, is_open in (
        ("2020-03-23T13:29:59", False),
        ("2020-03-23T13:30:00", True),
        ("2020-03-23T19:59:59", True),
    ):
        session = calendar.session_at(utc(now))
        assert session.is_open is is_open
        assert (session.opens_at, session.closes_at) == (opens_at, closes_at)


def test_after_the_close_the_next_session_is_told(calendar: ExchangeCalendar) -> None:
    session = calendar.session_at(utc("2020-03-20T20:00:00"))
    assert not session.is_open
    assert session.opens_at == utc("2020-03-23T13:30")


@pytest.mark.parametrize("day", ["2020-03-22", "2020-12-25", "2001-09-12", "2012-10-29", "2025-01-09", "2026-07-03"])
def test_weekends_holidays_and_emergencies_have_no_session(calendar: ExchangeCalendar, day: str) -> None:
    assert not calendar.is_session(date.fromisoformat(day))
    assert calendar.before_the_bell(date.fromisoformat(day)) is None
    assert not calendar.session_at(utc(f"{day}T16:00")).is_open


@pytest.mark.parametrize(
    ("day", "bell"),
    [
        ("2020-03-23", "2020-03-23T19:55"),  # summer time in New York
        ("2020-02-19", "2020-02-19T20:55"),
        ("2026-11-27", "2026-11-27T17:55"),  # half day after Thanksgiving
        ("2019-12-24", "2019-12-24T17:55"),
        ("1990-01-02", "1990-01-02T20:55"),
    ],
)
def test_the_bell_is_that_of_the_day_half_days_included(calendar: ExchangeCalendar, day: str, bell: str) -> None:
    assert calendar.before_the_bell(date.fromisoformat(day)) == utc(bell)


@pytest.mark.parametrize(
    ("now", "noon"),
    [
        ("2020-03-22T16:00", "2020-03-20T16:00"),  # a Sunday
        ("2020-03-23T13:00", "2020-03-20T16:00"),  # before the Monday bell
        ("2020-03-23T21:00", "2020-03-23T16:00"),  # after it
        ("2026-11-26T18:00", "2026-11-25T17:00"),  # Thanksgiving
        ("2026-11-28T18:00", "2026-11-27T17:00"),  # after a half day
    ],
)
def test_noon_of_the_last_session_is_always_open(calendar: ExchangeCalendar, now: str, noon: str) -> None:
    assert calendar.last_session_noon(utc(now)) == utc(noon)
    assert calendar.session_at(utc(noon)).is_open


def test_sessions_of_a_week_leave_out_its_holiday(calendar: ExchangeCalendar) -> None:
    days = calendar.sessions(date(2026, 11, 23), date(2026, 11, 29))
    assert [day.day for day in days] == [23, 24, 25, 27]


def test_a_year_from_now_is_known(calendar: ExchangeCalendar) -> None:
    next_year = datetime.now(UTC).year + 1
    assert 248 <= len(calendar.sessions(date(next_year, 1, 1), date(next_year, 12, 31))) <= 253


@pytest.mark.parametrize("day", [date(1899, 12, 29), date(9999, 12, 31)])
def test_a_day_beyond_what_is_known_is_refused(calendar: ExchangeCalendar, day: date) -> None:
    with pytest.raises(ValueError, match="sessions are known from 1962-01-02 to 2100-12-31"):
        calendar.is_session(day)
