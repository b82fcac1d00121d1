"""Lessons from run to run, in a LangGraph store, kept apart by account.

The library makes its file in several commits, and cannot go on where a process died between two of them. So a new file
is made beside its place, and moved there when it is whole.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from pydantic import ValidationError

from graph.memory.merging import Merged
from graph.record import Lesson

UNREADABLE = (sqlite3.Error, OSError, ValueError)
"""What a memory raises that is locked, out of reach or damaged; of a row that is no JSON, the library a ValueError."""
MOST_ITEMS = 200
"""More than there are lessons; what is beyond them is damage."""


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
    # The library allows no dots in a namespace.
    return (account_id.replace(".", "%2E"), "lessons")


async def lessons_of(store: BaseStore, account_id: str) -> tuple[Lesson, ...]:
    """Every lesson that is kept of the account; what is none is passed over, as a damaged memory must stop no run."""
    items = await store.asearch(_namespace(account_id), limit=MOST_ITEMS)
    return tuple(lesson for item in items if (lesson := _read(item.key, item.value)))


async def keep_lessons(store: BaseStore, account_id: str, merged: Merged) -> None:
    """Keep what a run has changed, and forget what is gone or cannot be read."""
    kept = {lesson.id for lesson in merged.lessons}
    items = await store.asearch(_namespace(account_id), limit=MOST_ITEMS)
    for key in {item.key for item in items} - kept | merged.gone:
        await store.adelete(_namespace(account_id), key)
    for lesson in merged.changed:
        await store.aput(_namespace(account_id), lesson.id, lesson.model_dump(mode="json"))


async def forget(store: BaseStore, account_id: str, lesson_id: str) -> bool:
    """Forget one lesson; whether there was one."""
    known = await store.aget(_namespace(account_id), lesson_id)
    await store.adelete(_namespace(account_id), lesson_id)
    return known is not None


async def search(store: BaseStore, account_id: str, now: datetime, query: str) -> tuple[Lesson, ...]:
    """Lessons borne out until `now` that hold a word of `query`, those with most of them first, newer before older."""
    words = set(_words(query))
    past = [lesson for lesson in await lessons_of(store, account_id) if lesson.seen_at <= now]
    counted = [(len(words & set(_words(lesson.statement))), lesson) for lesson in past]
    ordered = sorted(counted, key=lambda pair: (pair[0], pair[1].seen_at), reverse=True)
    return tuple(lesson for count, lesson in ordered if count)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.-]\w+)*", text.lower())


def _read(key: str, value: dict[str, Any]) -> Lesson | None:
    try:
        lesson = Lesson.model_validate(value)
    except ValidationError:
        return None
    return lesson if lesson.id == key else None
