"""From one run's findings to the lessons that are kept: the same again adds evidence, its contrary takes it away.

Pure, and the same when it is done twice: a run that is learned from again changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


def merged(
    known: Iterable[Lesson],
    found: Iterable[Finding | Refuted],
    run_id: str,
    now: datetime,
    bound: Collection[str] = (),
) -> Merged:
    """The lessons after the run; `now` by the broker's clock.

    Those with an id in `bound` have made a limit smaller, and stay whatever contradicts them. What the run has found in
    one place and found refuted in another, such as in two orders of one symbol, it has found.
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
    staying = (lesson for lesson in after.values() if lesson.id in bound or _stays(lesson, now))
    kept = sorted(staying, key=lambda one: (one.id in bound, one.weight, one.seen_at, one.id))
    lessons = tuple(kept[-MOST_LESSONS:])
    changed = tuple(lesson for lesson in lessons if before.get(lesson.id) != lesson)
    return Merged(lessons, changed, frozenset(before.keys() - {lesson.id for lesson in lessons}))


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
    wants = finding.tighten.limit if finding.tighten else None
    return Occasion(run_id=run_id, at=now, figures=finding.figures, wants=wants)


def _stays(lesson: Lesson, now: datetime) -> bool:
    return lesson.weight > 0 and now - lesson.seen_at < FORGOTTEN_AFTER
