"""What a run says adds to a lesson once, its contrary halves it once, and what is kept is bounded whatever is found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from graph.memory import Finding, Merged, Refuted, id_of, merged
from graph.memory.merging import FORGOTTEN_AFTER, MOST_LESSONS, MOST_OCCASIONS, MOST_WEIGHT
from graph.record import Lesson, Occasion, Scope
from tests.graph.lessons import lesson
from tests.portfolio.cases import NOW

DEAR = id_of("SPY was dear.")
"""The id of the lesson that `lesson()` makes."""
A_DAY = timedelta(days=1)


def finding(lesson_id: str = DEAR, **changes: Any) -> Finding:
    values = {"scope": Scope.SYMBOL, "about": "SPY", "statement": "SPY was dear again.", "figures": {"slippage": "2 %"}}
    return Finding(**{"id": lesson_id, **values, **changes})


def the_only(told: Merged) -> Lesson:
    (one,) = told.lessons
    return one


def test_what_nobody_knew_becomes_a_lesson_of_weight_one() -> None:
    told = merged((), [finding()], "run-1", NOW)
    made = the_only(told)
    assert (made.id, made.source, made.about, made.statement) == (DEAR, "rules", "SPY", "SPY was dear again.")
    assert (made.times, made.weight, made.learned_at, made.seen_at) == (1, 1, NOW, NOW)
    assert made.occasions == (Occasion(run_id="run-1", at=NOW, figures={"slippage": "2 %"}),)
    assert (told.changed, told.gone) == ((made,), frozenset())


def test_the_same_from_another_run_adds_evidence_and_takes_over_its_figures() -> None:
    before = lesson(seen_at=NOW - A_DAY)
    after = the_only(merged([before], [finding()], "run-2", NOW))
    assert (after.times, after.weight) == (2, 2)
    assert (after.learned_at, after.seen_at) == (NOW - A_DAY, NOW)
    assert after.statement == "SPY was dear again."
    assert [one.run_id for one in after.occasions] == ["an earlier run", "run-2"]


@pytest.mark.parametrize(("weight", "left"), [(8, 4), (5, 2), (3, 1), (2, 1)])
def test_its_contrary_halves_it_and_leaves_what_it_says(weight: int, left: int) -> None:
    before = lesson(weight=weight, times=9)
    after = the_only(merged([before], [Refuted(id=DEAR)], "run-2", NOW))
    assert after == before.model_copy(update={"weight": left, "contradicted_by": "run-2"})


def test_at_no_weight_it_is_gone() -> None:
    told = merged([lesson(), lesson("VTI rose.")], [Refuted(id=DEAR)], "run-2", NOW)
    assert [one.statement for one in told.lessons] == ["VTI rose."]
    assert (told.changed, told.gone) == ((), frozenset({DEAR}))


def test_three_runs_without_it_outlive_the_strongest_lesson_by_a_fourth() -> None:
    """8, 4, 2, 1, gone: and every one of them has to be another run."""
    known = merged([lesson(weight=MOST_WEIGHT)], (), "run-0", NOW).lessons
    for number in range(4):
        assert known
        for _ in range(3):
            known = merged(known, [Refuted(id=DEAR)], f"run-{number}", NOW).lessons
    assert known == ()


def test_a_contrary_of_what_nobody_knows_is_nothing() -> None:
    assert merged((), [Refuted(id=DEAR)], "run-1", NOW) == Merged((), (), frozenset())


def test_what_is_untouched_is_not_written_again() -> None:
    kept = lesson("VTI rose.")
    told = merged([kept], [finding()], "run-1", NOW)
    assert [one.statement for one in told.changed] == ["SPY was dear again."]
    assert kept in told.lessons


def test_a_run_that_says_it_twice_counts_once_and_the_last_figures_stand() -> None:
    again = finding(figures={"slippage": "3 %"})
    after = the_only(merged([lesson()], [finding(), again], "run-2", NOW))
    assert (after.times, after.weight) == (2, 2)
    assert [one.figures for one in after.occasions] == [{}, {"slippage": "3 %"}]


@pytest.mark.parametrize("known", [(), (lesson(),)])
def test_what_a_run_both_finds_and_finds_refuted_it_has_found(known: tuple[Lesson, ...]) -> None:
    found = merged(known, [finding()], "run-2", NOW)
    assert merged(known, [Refuted(id=DEAR), finding()], "run-2", NOW) == found
    assert merged(known, [finding(), Refuted(id=DEAR)], "run-2", NOW) == found


def test_weight_and_occasions_are_bounded_and_the_count_goes_on() -> None:
    known: tuple[Lesson, ...] = (lesson(),)
    for number in range(20):
        known = merged(known, [finding()], f"run-{number}", NOW + number * A_DAY).lessons
    (after,) = known
    assert (after.times, after.weight) == (21, 8)
    assert [one.run_id for one in after.occasions] == [f"run-{number}" for number in range(15, 20)]


def test_it_is_forgotten_when_ninety_days_brought_nothing_for_it() -> None:
    strong = lesson(weight=8, times=30)
    assert merged([strong], (), "run-2", NOW + FORGOTTEN_AFTER - timedelta(seconds=1)).lessons == (strong,)
    assert merged([strong], (), "run-2", NOW + FORGOTTEN_AFTER) == Merged((), (), frozenset({DEAR}))
    assert timedelta(days=90) == FORGOTTEN_AFTER


def test_borne_out_on_its_last_day_it_stays() -> None:
    late = NOW + FORGOTTEN_AFTER + A_DAY
    assert the_only(merged([lesson()], [finding()], "run-2", late)).seen_at == late


def test_one_that_binds_stays_whatever_contradicts_it_and_goes_when_that_is_over() -> None:
    known: tuple[Lesson, ...] = (lesson(),)
    for number in range(4):
        known = merged(known, [Refuted(id=DEAR)], f"run-{number}", NOW, {DEAR}).lessons
    assert [one.weight for one in known] == [0]
    assert merged(known, (), "run-5", NOW, {DEAR}).lessons == known
    assert merged(known, (), "run-6", NOW).gone == {DEAR}


def test_one_that_binds_outlives_the_ninety_days() -> None:
    late = NOW + FORGOTTEN_AFTER
    bound = lesson()
    assert merged([bound], (), "run-2", late, {DEAR}).lessons == (bound,)


def test_beyond_sixty_the_least_worth_goes_first() -> None:
    """What binds, then the heavier, then the newer, is kept."""
    bound = lesson("binds", weight=0, seen_at=NOW - 80 * A_DAY)
    heavy = [lesson(f"heavy {number}", weight=2, seen_at=NOW - 50 * A_DAY) for number in range(57)]
    newer, older = (lesson(f"{days} days", seen_at=NOW - days * A_DAY) for days in (3, 4))
    told = merged([older, newer, *heavy, bound], [finding()], "run-1", NOW, {bound.id})
    assert len(told.lessons) == MOST_LESSONS == 60
    assert {one.statement for one in told.lessons} == {"binds", "SPY was dear again.", "3 days"} | {
        one.statement for one in heavy
    }
    assert told.gone == {older.id}


def test_where_there_is_room_for_two_of_five_that_are_worth_the_same_the_same_two_stay() -> None:
    heavy = [lesson(f"heavy {number}", weight=2) for number in range(58)]
    found = [finding(id_of(f"new {number}")) for number in range(5)]
    once = merged(heavy, found, "run-1", NOW)
    assert merged(once.lessons, found, "run-1", NOW) == Merged(once.lessons, (), frozenset())


# --- always --------------------------------------------------------------------------------------------------------

NAMES = [f"subject {number}" for number in range(70)]
TIMES = st.integers(0, 100).map(lambda days: NOW - days * A_DAY)


@st.composite
def any_lesson(draw: st.DrawFn, name: str) -> Lesson:
    seen_at = draw(TIMES)
    runs = draw(st.lists(st.sampled_from(["run", "r1", "r2"]), min_size=1, max_size=MOST_OCCASIONS, unique=True))
    return lesson(
        name,
        seen_at=seen_at,
        times=draw(st.integers(len(runs), 40)),
        weight=draw(st.integers(1, MOST_WEIGHT)),
        occasions=tuple(Occasion(run_id=run, at=seen_at, figures={}) for run in runs),
        contradicted_by=draw(st.sampled_from([None, "run", "r1"])),
    )


@st.composite
def memories(draw: st.DrawFn) -> tuple[Lesson, ...]:
    """None, a few, or as many as there is room for, of which most are worth the same."""
    few = draw(st.lists(st.sampled_from(NAMES), max_size=6, unique=True))
    told = [draw(any_lesson(name)) for name in few]
    full = draw(st.booleans())
    return (*told, *(lesson(name) for name in NAMES[: MOST_LESSONS - len(few)] if full and name not in few))


FOUND = st.lists(
    st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([finding(id_of(name)), Refuted(id=id_of(name))])),
    max_size=70,
)


BOUND = st.sets(st.sampled_from(NAMES).map(id_of), max_size=5)


@examples(max_examples=200, deadline=None)
@given(memories(), FOUND, BOUND)
def test_a_run_that_is_learned_from_again_changes_nothing(
    known: tuple[Lesson, ...], found: list[Finding | Refuted], bound: set[str]
) -> None:
    once = merged(known, found, "run", NOW, bound)
    assert merged(once.lessons, found, "run", NOW, bound) == Merged(once.lessons, (), frozenset())


@examples(max_examples=200, deadline=None)
@given(memories(), FOUND, BOUND)
def test_whatever_is_found_what_is_kept_is_bounded_and_sound(
    known: tuple[Lesson, ...], found: list[Finding | Refuted], bound: set[str]
) -> None:
    told = merged(known, found, "run", NOW, bound)
    before = {one.id: one for one in known}
    assert len(told.lessons) == len({one.id for one in told.lessons}) <= MOST_LESSONS
    assert told.changed == tuple(one for one in told.lessons if before.get(one.id) != one)
    assert told.gone == before.keys() - {one.id for one in told.lessons}
    for one in told.lessons:
        assert Lesson.model_validate(one.model_dump()) == one
        assert one.weight <= MOST_WEIGHT
        assert len(one.occasions) <= MOST_OCCASIONS
        assert one.id in bound or one.weight > 0
    assert before.keys() & bound <= {one.id for one in told.lessons}
