"""A run is told what is in play, borne out often and lately, and never more than there is room for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from graph.memory import in_play, in_words, of_now, relevant
from graph.memory.relevance import MOST_CHARACTERS, worth_telling
from graph.record import Lesson, Scope
from portfolio.models import Side, TradePlan
from tests.graph.lessons import lesson
from tests.portfolio.cases import NOW, make_settings, make_snapshot, position, trade

A_DAY = timedelta(days=1)
SPY = frozenset({"SPY"})


def told(*lessons: Lesson, subjects: frozenset[str] = SPY) -> list[str]:
    return [one.statement for one in relevant(lessons, subjects, NOW)]


# --- what is in play -----------------------------------------------------------------------------------------------


def test_in_play_is_what_the_plan_trades_with_its_bucket_and_every_bucket_off_target() -> None:
    """Core is at 60 % of its 60, Growth at 25 % of its 40; GME belongs to no rule."""
    plan = TradePlan(source="rules", trades=(trade("BRK.B", Side.BUY, 1), trade("GME", Side.SELL, 1)))
    assert in_play(make_snapshot(), plan, make_settings()) == {"BRK B", "GME", "Growth"}


def test_nothing_is_in_play_where_all_is_on_target_and_nothing_is_planned() -> None:
    on_target = make_snapshot(cash=Decimal(0), positions=(position("SPY", 600), position("AAPL", 400)))
    assert in_play(on_target, TradePlan(source="rules", trades=()), make_settings()) == frozenset()
    core = in_play(on_target, TradePlan(source="rules", trades=(trade("VTI", Side.BUY, 1),)), make_settings())
    assert core == {"VTI", "Core"}


# --- what there is no longer ---------------------------------------------------------------------------------------


def test_what_the_rules_no_longer_name_and_nobody_holds_is_not_told() -> None:
    """GME is held, and belongs to no rule."""
    held = make_snapshot(positions=(position("GME", 10),))
    lessons = (
        lesson("of a rule", about="BRK B"),
        lesson("held", about="GME"),
        lesson("gone", about="TSLA"),
        lesson("gone bucket", about="Bonds", scope=Scope.BUCKET, source="a model"),
        lesson("of the order", about="TSLA", scope=Scope.EXECUTION),
    )
    told_now = [one.statement for one in of_now(lessons, held, make_settings())]
    assert told_now == ["of a rule", "held", "of the order"]


def test_a_bucket_on_target_again_needs_no_word_of_the_rules_that_it_is_off() -> None:
    """Core is at 60 % of its 60, Growth at 25 % of its 40."""
    about = [
        lesson(f"{source}: {bucket}", about=bucket, scope=Scope.BUCKET, source=source)
        for source in ("rules", "a model")
        for bucket in ("Core", "Growth")
    ]
    told_now = [one.statement for one in of_now(about, make_snapshot(), make_settings())]
    assert told_now == ["rules: Growth", "a model: Core", "a model: Growth"]


# --- by worth ------------------------------------------------------------------------------------------------------


def test_worth_by_hand() -> None:
    """In play 3, by 1 run today log2(2) = 1; by 7 runs 30 days ago log2(8) / 2 = 1.5."""
    assert worth_telling(lesson(), SPY, NOW) == pytest.approx(4)
    assert worth_telling(lesson(weight=7, seen_at=NOW - 30 * A_DAY), SPY, NOW) == pytest.approx(4.5)
    assert worth_telling(lesson(about="VTI"), SPY, NOW) == pytest.approx(1)
    assert worth_telling(lesson(about="VTI", scope=Scope.EXECUTION), SPY, NOW) == pytest.approx(2)
    assert worth_telling(lesson(about="max_positions", scope=Scope.LIMIT), SPY, NOW) == pytest.approx(2)


def test_what_is_in_play_comes_first_then_what_weighs() -> None:
    lessons = (
        lesson("lighter", about="AAPL"),
        lesson("heavier", about="AAPL", weight=2),
        lesson("in play", about="SPY"),
    )
    assert told(*lessons) == ["in play", "heavier", "lighter"]


def test_an_old_lesson_gives_way_to_one_of_today() -> None:
    assert told(lesson("old", weight=3, seen_at=NOW - 60 * A_DAY), lesson("new")) == ["new", "old"]


def test_what_is_learned_later_is_not_told() -> None:
    """A simulated clock may be set back."""
    later = lesson("tomorrow", seen_at=NOW + timedelta(seconds=1))
    assert told(later, lesson("now"), subjects=frozenset()) == ["now"]


def test_one_line_says_when_how_often_and_what() -> None:
    assert in_words(lesson()) == "2026-03-03: SPY was dear."
    assert in_words(lesson(times=4)) == "2026-03-03, 4 runs: SPY was dear."


# --- within a budget -----------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_passed_over_and_what_still_fits_is_told() -> None:
    """A line has 12 characters before its statement: 640 hold 588 and, of what is left, 28 more."""
    long, longer, short = "l" * 588, "m" * 29, "s" * 28
    lessons = (lesson(long, weight=3), lesson(longer, weight=2), lesson(short, weight=1))
    assert told(*lessons) == [long, short]
    assert sum(len(in_words(one)) for one in relevant(lessons, SPY, NOW)) == MOST_CHARACTERS == 640


@st.composite
def any_lesson(draw: st.DrawFn) -> Lesson:
    return lesson(
        draw(st.text(max_size=700)),
        about=draw(st.sampled_from(["SPY", "VTI", "Core", ""])),
        scope=draw(st.sampled_from(Scope)),
        seen_at=NOW + draw(st.integers(-10_000, 20)) * A_DAY,
        times=draw(st.integers(1, 10**18)),
        weight=draw(st.integers(0, 10**18)),
    )


@examples(max_examples=200, deadline=None)
@given(st.lists(any_lesson(), max_size=30, unique_by=lambda one: one.id), st.randoms(use_true_random=False))
def test_whatever_is_remembered_there_is_room_for_it_and_the_order_it_lies_in_is_nothing(
    lessons: list[Lesson], random: Random
) -> None:
    found = relevant(lessons, SPY, NOW)
    assert sum(len(in_words(one)) for one in found) <= MOST_CHARACTERS
    assert all(one.seen_at <= NOW and one in lessons for one in found)
    others = list(lessons)
    random.shuffle(others)
    assert relevant(others, SPY, NOW) == found
