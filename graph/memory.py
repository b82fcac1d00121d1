"""Lessons from run to run, in a LangGraph store, kept apart by account.

The library makes its file in several commits, and cannot go on where a process died between two of them. So a new file
is made beside its place, and moved there when it is whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from pydantic import ValidationError

from graph.record import Lesson

MOST_LESSONS = 5
MOST_SEARCHED = 50


@asynccontextmanager
async def open_memory(file: Path) -> AsyncIterator[AsyncSqliteStore]:
    draft = _fresh_draft(file)
    if draft:
        async with AsyncSqliteStore.from_conn_string(str(draft)) as store:
            await store.setup()
        draft.replace(file)
    async with AsyncSqliteStore.from_conn_string(str(file)) as store:
        await store.setup()
        yield store


def _fresh_draft(file: Path) -> Path | None:
    """Where a new file is made, what a dead process left there removed; None where there is a file already."""
    draft = file.with_suffix(".draft")
    for left_over in file.parent.glob(f"{draft.name}*"):
        left_over.unlink()
    return None if file.exists() else draft


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
