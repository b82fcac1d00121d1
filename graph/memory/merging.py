"""From one run's findings to the lessons that are kept: the same again adds evidence, its contrary takes it away.

Pure, and the same when it is done twice: a run that is learned from again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from graph.memory.finding import Finding, Refuted
from graph.record import Lesson, Occasion

MOST_LESSONS = 60
MOST_OCCASIONS = 5
MOST_WEIGHT = 8
FORGOTTEN_AFTER = timedelta(days=90)
"""Without another run that bears it out."""


@dataclass(frozen=True)
class Merged:
    """What is remembered now: `lessons` in full, of which `changed` differ from before, and the ids of those `gone`."""

    lessons: tuple[Lesson, ...]
    changed: tuple[Lesson, ...]
    gone: frozenset[str]


def merged(known: Iterable[Lesson], found: Iterable[Finding | Refuted], run_id: str, now: datetime) -> Merged:
    """The lessons after the run; `now` by the broker's clock.

    One that has a tightening in force stays until that is over, whatever contradicts it. What the run has found in one
    place and found refuted in another, such as in two orders of one symbol, it has found.
    """
    before = {lesson.id: lesson for lesson in known}
    after = dict(before)
    said: dict[str, Finding | Refuted] = {}
    for one in found:
        if isinstance(one, Finding) or one.id not in said:
            said[one.id] = one
    for one in said.values():
        lesson = after.get(one.id)
        if isinstance(one, Finding):
            after[one.id] = _borne_out(lesson, one, run_id, now) if lesson else _new(one, run_id, now)
        elif lesson:
            after[one.id] = _contradicted(lesson, run_id)
    # Of two that are worth the same, the same one has to go whenever this is done again.
    staying = (lesson for lesson in after.values() if _stays(lesson, now))
    kept = sorted(staying, key=lambda one: (worth(one, now), one.id))
    lessons = tuple(kept[-MOST_LESSONS:])
    changed = tuple(lesson for lesson in lessons if before.get(lesson.id) != lesson)
    return Merged(lessons, changed, frozenset(before.keys() - {lesson.id for lesson in lessons}))


def worth(lesson: Lesson, now: datetime) -> tuple[bool, int, datetime]:
    """Which of two lessons to keep where there is room for one: what binds, then what weighs more, then the newer."""
    return binds(lesson, now), lesson.weight, lesson.seen_at


def binds(lesson: Lesson, now: datetime) -> bool:
    """Whether it has tightened a limit, and that is not over."""
    return lesson.tightening is not None and now < lesson.tightening.expires_at


def _new(finding: Finding, run_id: str, now: datetime) -> Lesson:
    return Lesson(
        id=finding.id,
        source=finding.source,
        scope=finding.scope,
        about=finding.about,
        statement=finding.statement,
        learned_at=now,
        seen_at=now,
        times=1,
        weight=1,
        occasions=(_occasion(finding, run_id, now),),
    )


def _borne_out(lesson: Lesson, finding: Finding, run_id: str, now: datetime) -> Lesson:
    is_again = lesson.occasions[-1].run_id == run_id
    earlier = lesson.occasions[:-1] if is_again else lesson.occasions
    return lesson.model_copy(
        update={
            "statement": finding.statement,
            "seen_at": now,
            "times": lesson.times + (not is_again),
            "weight": min(lesson.weight + (not is_again), MOST_WEIGHT),
            "occasions": (*earlier, _occasion(finding, run_id, now))[-MOST_OCCASIONS:],
        }
    )


def _contradicted(lesson: Lesson, run_id: str) -> Lesson:
    if lesson.contradicted_by == run_id:
        return lesson
    return lesson.model_copy(update={"weight": lesson.weight // 2, "contradicted_by": run_id})


def _occasion(finding: Finding, run_id: str, now: datetime) -> Occasion:
    return Occasion(run_id=run_id, at=now, figures=finding.figures)


def _stays(lesson: Lesson, now: datetime) -> bool:
    return binds(lesson, now) or (lesson.weight > 0 and now - lesson.seen_at < FORGOTTEN_AFTER)
