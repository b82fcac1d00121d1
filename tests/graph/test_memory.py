"""The file of lessons is there whole or not at all, and what is in it is told only as far as it is sound and past."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from config.home import Home
from graph.memory import MANNER_LASTS, keep_manner, known_manner, open_memory, recall, remember, search
from graph.record import Lesson
from graph.think.mind import Manner, Question
from tests.portfolio.cases import NOW, PAPER


async def test_a_process_that_died_while_it_made_the_file_does_not_stop_the_next(home: Home) -> None:
    """The library adds a column and writes that down in two commits; dying between them it fails for ever."""
    async with open_memory(home.memory):
        pass
    draft = home.memory.replace(home.memory.with_suffix(".draft"))
    with closing(sqlite3.connect(draft)) as half_made, half_made:
        half_made.execute("DELETE FROM store_migrations WHERE v >= 3")
    async with open_memory(home.memory) as store:
        await store.aput(("a",), "b", {"c": 1})
    async with open_memory(home.memory) as store:
        assert await store.aget(("a",), "b") is not None
    assert [file.name for file in home.root.glob("memory*")] == ["memory.db"]


# --- lessons -------------------------------------------------------------------------------------------------------


async def taught(*statements: str) -> InMemoryStore:
    """A store of lessons, each an hour older than the one before it, the first learned now."""
    store = InMemoryStore()
    for number, statement in enumerate(statements):
        learned_at = NOW - timedelta(hours=number)
        await remember(
            store, PAPER, Lesson(run_id=f"run-{number}", learned_at=learned_at, statement=statement, evidence={})
        )
    return store


async def found(store: BaseStore, query: str) -> list[str]:
    return [lesson.statement for lesson in await search(store, PAPER, NOW, query)]


@pytest.mark.parametrize("query", ["vti", "VTI", "what of VTI", "  VTI\n", "VTI?", "(VTI)", "VTI, and why"])
async def test_a_search_finds_the_lessons_that_hold_a_word_of_it(query: str) -> None:
    store = await taught("Orders in VTI, filled late.", "VTIX is another.", "Nothing was traded.")
    assert await found(store, query) == ["Orders in VTI, filled late."]


async def test_a_word_may_have_a_dot_or_a_dash_in_it() -> None:
    store = await taught("BRK.B was dear.", "stop-loss sold T.")
    assert await found(store, "brk.b") == ["BRK.B was dear."]
    assert await found(store, "stop-loss") == ["stop-loss sold T."]


async def test_lessons_with_more_of_the_words_come_first_and_newer_before_older() -> None:
    store = await taught("SPY rose.", "SPY fell late.", "Nothing.", "SPY filled late.")
    assert await found(store, "SPY late") == ["SPY fell late.", "SPY filled late.", "SPY rose."]


async def test_a_query_of_no_word_finds_nothing() -> None:
    store = await taught("SPY rose.")
    assert await found(store, " ?! ") == []


async def test_what_will_be_learned_later_is_not_told() -> None:
    """A simulated clock may be set back."""
    store = await taught("SPY rose.", "SPY fell.")
    before = NOW - timedelta(minutes=1)
    assert [one.statement for one in await search(store, PAPER, before, "SPY")] == ["SPY fell."]
    assert [one.statement for one in await recall(store, PAPER, before)] == ["SPY fell."]
    assert await search(store, "DU9", NOW, "SPY") == ()


async def test_the_newest_few_are_recalled_newest_first() -> None:
    store = await taught(*(f"Lesson {number}." for number in range(9)))
    assert [one.statement for one in await recall(store, PAPER, NOW)] == [f"Lesson {number}." for number in range(5)]


async def test_a_damaged_lesson_is_none() -> None:
    store = await taught("SPY rose.")
    whole = (await store.asearch((PAPER, "lessons")))[0].value
    for number, damage in enumerate(
        [
            {},
            {"statement": "SPY"},
            {**whole, "learned_at": "soon"},
            {**whole, "learned_at": "2026-01-01"},
            {**whole, "x": 1},
        ]
    ):
        await store.aput((PAPER, "lessons"), f"bad-{number}", damage)
    assert await found(store, "SPY") == ["SPY rose."]
    assert len(await recall(store, PAPER, NOW)) == 1


# --- how a server takes to be asked --------------------------------------------------------------------------------


@dataclass(frozen=True)
class NamedMind:
    """A model that is never asked."""

    name: str = "a model"
    server: str = "localhost:1"

    async def answer(self, question: Question) -> AsyncIterator[AIMessageChunk]:
        yield AIMessageChunk(content=f"{self.name} on {question}")

    def request(self, question: Question) -> dict[str, Any]:
        return {"model": self.name, "messages": question.messages}


@pytest.mark.parametrize("manner", Manner)
async def test_the_manner_of_a_model_is_kept_for_it_and_its_server_alone(home: Home, manner: Manner) -> None:
    async with open_memory(home.memory) as store:
        await keep_manner(store, NamedMind(), manner, NOW)
    async with open_memory(home.memory) as store:
        assert await known_manner(store, NamedMind(), NOW) is manner
        assert await known_manner(store, NamedMind(name="another"), NOW) is None
        assert await known_manner(store, NamedMind(server="localhost:2"), NOW) is None


async def test_a_manner_is_good_for_seven_days_and_the_last_kept_counts() -> None:
    store = InMemoryStore()
    await keep_manner(store, NamedMind(), Manner.JSON, NOW)
    assert timedelta(days=7) == MANNER_LASTS
    assert await known_manner(store, NamedMind(), NOW + MANNER_LASTS) is None
    assert await known_manner(store, NamedMind(), NOW + MANNER_LASTS - timedelta(seconds=1)) is Manner.JSON
    await keep_manner(store, NamedMind(), Manner.FUNCTION_CALLING, NOW)
    assert await known_manner(store, NamedMind(), NOW) is Manner.FUNCTION_CALLING


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"manner": "json"},
        {"learned_at": NOW.isoformat()},
        {"manner": "yaml", "learned_at": NOW.isoformat()},
        {"manner": ["json"], "learned_at": NOW.isoformat()},
        {"manner": "json", "learned_at": "soon"},
        {"manner": "json", "learned_at": "2026-03-03T17:00:00"},
        {"manner": "json", "learned_at": 1},
    ],
)
async def test_a_damaged_entry_is_no_manner(damage: dict[str, Any]) -> None:
    store = InMemoryStore()
    await keep_manner(store, NamedMind(), Manner.JSON, NOW)
    namespace = (await store.alist_namespaces())[0]
    await store.aput(namespace, "manner", damage)
    assert await known_manner(store, NamedMind(), NOW) is None
