"""Lessons from run to run, in a LangGraph store, kept apart by account."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from langgraph.store.base import BaseStore
from pydantic import ValidationError

from graph.record import Lesson

MOST_LESSONS = 5
MOST_SEARCHED = 50


def _namespace(account_id: str) -> tuple[str, ...]:
    return (account_id, "lessons")


async def remember(store: BaseStore, account_id: str, lesson: Lesson) -> None:
    """Keep the lesson of a run; the same run's lesson again replaces it."""
    await store.aput(_namespace(account_id), lesson.run_id, lesson.model_dump(mode="json"))


async def recall(store: BaseStore, account_id: str, now: datetime) -> tuple[Lesson, ...]:
    """The newest lessons learned until `now`, newest first; a bounded number however many there are.

    On a simulated clock that was set back, later lessons would tell the future.
    """
    items = await store.asearch(_namespace(account_id), limit=MOST_SEARCHED)
    lessons = [lesson for item in items if (lesson := _read(item.value))]
    known = [lesson for lesson in lessons if lesson.learned_at <= now]
    return tuple(sorted(known, key=lambda lesson: lesson.learned_at, reverse=True)[:MOST_LESSONS])


def _read(value: dict[str, Any]) -> Lesson | None:
    """A lesson; None for what is none, since a damaged memory must never stop a run."""
    try:
        return Lesson.model_validate(value)
    except ValidationError:
        return None
