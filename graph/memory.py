"""Lessons from run to run, in a LangGraph store, kept apart by account."""

from __future__ import annotations

from langgraph.store.base import BaseStore

from graph.record import Lesson

MOST_LESSONS = 5


def _namespace(account_id: str) -> tuple[str, ...]:
    return (account_id, "lessons")


async def remember(store: BaseStore, account_id: str, lesson: Lesson) -> None:
    """Keep the lesson of a run; the same run's lesson again replaces it."""
    await store.aput(_namespace(account_id), lesson.run_id, lesson.model_dump(mode="json"))


async def recall(store: BaseStore, account_id: str) -> tuple[Lesson, ...]:
    """The newest lessons, newest first; a bounded number however many there are."""
    items = await store.asearch(_namespace(account_id), limit=MOST_LESSONS)
    lessons = [Lesson.model_validate(item.value) for item in items]
    return tuple(sorted(lessons, key=lambda lesson: lesson.learned_at, reverse=True))
