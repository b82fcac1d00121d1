"""Tightenings in the journal: in force for a while, lifted by a person, and never loosened by another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from config.home import Home
from graph.journal import Journal, JournalUnusable
from graph.journal.tightenings import REST
from portfolio.limits import Limit, Tightening
from tests.permits import journal_in
from tests.portfolio.cases import NOW, PAPER

A_DAY = timedelta(days=1)


@pytest.fixture
def journal(home: Home) -> Iterator[Journal]:
    with journal_in(home.root) as opened:
        yield opened


def tight(value: int = 500, since: datetime = NOW, limit: Limit = Limit.RISK_THRESHOLD) -> Tightening:
    return Tightening(limit=limit, value=Decimal(value), expires_at=since + 30 * A_DAY)


def in_force(journal: Journal, now: datetime = NOW, account: str = PAPER) -> tuple[Tightening, ...]:
    """As the guard gets to know them."""
    return journal.trading_day(account, now, A_DAY).tightenings


def test_it_is_in_force_from_its_first_moment_to_its_last_and_for_its_account_alone(journal: Journal) -> None:
    assert journal.tightenings.keep(PAPER, "a1b2c3", tight(), NOW) == tight()
    assert in_force(journal) == (tight(),)
    assert in_force(journal, NOW + 30 * A_DAY - timedelta(seconds=1)) == (tight(),)
    assert in_force(journal, NOW + 30 * A_DAY) == ()
    assert in_force(journal, NOW - timedelta(seconds=1)) == ()
    assert in_force(journal, account="DU9") == ()
    assert journal.tightenings.by_lesson(PAPER, NOW) == {"a1b2c3": (tight(),)}


def test_made_again_it_lasts_longer_and_keeps_the_smaller_value(journal: Journal) -> None:
    journal.tightenings.keep(PAPER, "a1b2c3", tight(500), NOW)
    later = NOW + 10 * A_DAY
    expected = tight(500, later)
    assert journal.tightenings.keep(PAPER, "a1b2c3", tight(700, later), later) == expected
    assert in_force(journal, later) == (expected,)
    assert journal.tightenings.keep(PAPER, "a1b2c3", tight(300, later), later) == tight(300, later)


def test_once_it_is_over_a_larger_value_counts(journal: Journal) -> None:
    journal.tightenings.keep(PAPER, "a1b2c3", tight(500), NOW)
    later = NOW + 30 * A_DAY
    assert journal.tightenings.keep(PAPER, "a1b2c3", tight(700, later), later) == tight(700, later)


def test_of_two_lessons_on_one_limit_each_has_its_own(journal: Journal) -> None:
    journal.tightenings.keep(PAPER, "a1b2c3", tight(500), NOW)
    journal.tightenings.keep(PAPER, "d4e5f6", tight(300), NOW)
    journal.tightenings.lift(PAPER, "d4e5f6", NOW)
    assert in_force(journal) == (tight(500),)


def test_what_a_person_lifted_is_not_made_again_by_any_lesson_for_thirty_days(journal: Journal) -> None:
    journal.tightenings.keep(PAPER, "a1b2c3", tight(), NOW)
    lifted = NOW + A_DAY
    journal.tightenings.lift(PAPER, "a1b2c3", lifted)
    assert in_force(journal, lifted) == ()
    last = lifted + REST - timedelta(seconds=1)
    for lesson in ("a1b2c3", "d4e5f6"):
        assert journal.tightenings.keep(PAPER, lesson, tight(since=last), last) is None
    assert in_force(journal, last) == ()
    other = tight(20, last, Limit.MAX_POSITIONS)
    assert journal.tightenings.keep(PAPER, "d4e5f6", other, last) == other
    again = tight(since=lifted + REST)
    assert journal.tightenings.keep(PAPER, "a1b2c3", again, lifted + REST) == again


def test_another_lessons_in_force_goes_on_as_it_was(journal: Journal) -> None:
    """A person lifted one of the same limit: it is not made longer, and its lesson still says what it does."""
    journal.tightenings.keep(PAPER, "a1b2c3", tight(500), NOW)
    journal.tightenings.keep(PAPER, "d4e5f6", tight(300), NOW)
    journal.tightenings.lift(PAPER, "d4e5f6", NOW)
    later = NOW + A_DAY
    assert journal.tightenings.keep(PAPER, "a1b2c3", tight(200, later), later) == tight(500)
    assert in_force(journal, later) == (tight(500),)


def test_dropping_what_was_over_or_lifted_before_leaves_no_limit_alone_for_longer(journal: Journal) -> None:
    journal.tightenings.keep(PAPER, "a1b2c3", tight(), NOW)
    over = NOW + 30 * A_DAY
    journal.tightenings.lift(PAPER, "a1b2c3", over)
    assert journal.tightenings.keep(PAPER, "d4e5f6", tight(since=over), over) == tight(since=over)
    journal.tightenings.lift(PAPER, "d4e5f6", over)
    journal.tightenings.lift(PAPER, "d4e5f6", over + 29 * A_DAY)
    again = tight(since=over + REST)
    assert journal.tightenings.keep(PAPER, "d4e5f6", again, over + REST) == again


def test_on_a_clock_that_was_set_back_it_becomes_neither_larger_nor_shorter(journal: Journal) -> None:
    later = NOW + 5 * A_DAY
    journal.tightenings.keep(PAPER, "a1b2c3", tight(250, later), later)
    stands = tight(250, later)
    assert journal.tightenings.keep(PAPER, "a1b2c3", tight(500), NOW) == stands
    assert in_force(journal) == in_force(journal, later) == (stands,)


@pytest.mark.parametrize(
    ("column", "damage"),
    [
        ("made_at", b"1"),
        ("value", b"500"),
        ("limit", "max_trade_value"),
        ("value", "abc"),
        ("value", "0"),
        ("value", "-5"),
        ("value", "NaN"),
        ("value", "Infinity"),
        ("value", "1e99"),
        ("expires_at", "soon"),
        ("expires_at", "2026-04-02T17:00:00"),
        ("made_at", "2026-03-03T17:00:00"),
        ("made_at", "yesterday"),
    ],
)
def test_where_a_row_cannot_be_read_trading_is_halted(
    journal: Journal, home: Home, column: str, damage: object
) -> None:
    """What it was to make smaller nobody can tell, so nothing is sent as if it were not there."""
    journal.tightenings.keep(PAPER, "a1b2c3", tight(), NOW)
    with closing(sqlite3.connect(home.root / "agent.db")) as damaged, damaged:
        damaged.execute(f'UPDATE tightenings SET "{column}" = ?', (damage,))  # noqa: S608  (names of ours)
    with pytest.raises(JournalUnusable, match="counts as halted"):
        in_force(journal)
