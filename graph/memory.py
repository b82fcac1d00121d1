"""Lessons from run to run, in a LangGraph store, kept apart by account.

The library makes its file in several commits, and cannot go on where a process died between two of them. So a new file
is made beside its place, and moved there when it is whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from pydantic import TypeAdapter, ValidationError

from graph.record import Lesson
from graph.think.mind import Manner, Mind

MOST_LESSONS = 5
MOST_SEARCHED = 50
MANNER = "manner"
MANNER_LASTS = timedelta(days=7)
"""A server may learn a stricter manner with its next version."""


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


def _of_servers(mind: Mind) -> tuple[str, ...]:
    # The library allows no dots in a namespace.
    return ("models", hashlib.sha256(f"{mind.server} {mind.name}".encode()).hexdigest())


async def keep_manner(store: BaseStore, mind: Mind, manner: Manner, now: datetime) -> None:
    """Remember how the model's server takes to be asked for the form of its answer."""
    await store.aput(_of_servers(mind), MANNER, {"manner": manner.value, "learned_at": now.isoformat()})


async def known_manner(store: BaseStore, mind: Mind, now: datetime) -> Manner | None:
    """What is remembered of it; None where nothing is, or nothing so new that it could be relied on."""
    item = await store.aget(_of_servers(mind), MANNER)
    try:
        kept = TypeAdapter(dict[str, str]).validate_python(item.value if item else {})
        learned_at = datetime.fromisoformat(kept["learned_at"])
        return Manner(kept["manner"]) if now - learned_at < MANNER_LASTS else None
    except (ValidationError, LookupError, ValueError, TypeError):
        return None


async def remember(store: BaseStore, account_id: str, lesson: Lesson) -> None:
    """Keep the lesson of a run; the same run's lesson again replaces it."""
    await store.aput(_namespace(account_id), lesson.run_id, lesson.model_dump(mode="json"))


async def recall(store: BaseStore, account_id: str, now: datetime) -> tuple[Lesson, ...]:
    """The newest lessons learned until `now`, newest first; a bounded number however many there are.

    On a simulated clock that was set back, later lessons would tell the future.
    """
    return (await _known(store, account_id, now))[:MOST_LESSONS]


async def search(store: BaseStore, account_id: str, now: datetime, query: str) -> tuple[Lesson, ...]:
    """Lessons learned until `now` that hold a word of `query`, those with most of them first, newer ones before older.

    Of all that are kept, only the newest are looked through.
    """
    words = set(_words(query))
    counted = [(len(words & set(_words(lesson.statement))), lesson) for lesson in await _known(store, account_id, now)]
    return tuple(lesson for count, lesson in sorted(counted, key=lambda pair: -pair[0]) if count)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.-]\w+)*", text.lower())


async def _known(store: BaseStore, account_id: str, now: datetime) -> tuple[Lesson, ...]:
    items = await store.asearch(_namespace(account_id), limit=MOST_SEARCHED)
    lessons = [lesson for item in items if (lesson := _read(item.value))]
    known = [lesson for lesson in lessons if lesson.learned_at <= now]
    return tuple(sorted(known, key=lambda lesson: lesson.learned_at, reverse=True))


def _read(value: dict[str, Any]) -> Lesson | None:
    """A lesson; None for what is none, since a damaged memory must never stop a run."""
    try:
        return Lesson.model_validate(value)
    except ValidationError:
        return None
