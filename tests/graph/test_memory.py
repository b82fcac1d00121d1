"""The file of lessons is there whole or not at all, and what is in it is told only as far as it is sound and past."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from config.home import Home
from graph.memory import forget, lessons_of, open_memory, search
from graph.record import Outcome
from tests.graph.conftest import TRADING_DAY, RunOnce
from tests.graph.lessons import lesson, teach
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
    told = [lesson(words, seen_at=NOW - timedelta(hours=number)) for number, words in enumerate(statements)]
    await teach(store, PAPER, *told)
    return store


async def found(store: BaseStore, query: str) -> list[str]:
    return [one.statement for one in await search(store, PAPER, NOW, query)]


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


async def test_what_will_be_learned_later_is_not_found() -> None:
    """A simulated clock may be set back."""
    store = await taught("SPY rose.", "SPY fell.")
    before = NOW - timedelta(minutes=1)
    assert [one.statement for one in await search(store, PAPER, before, "SPY")] == ["SPY fell."]
    assert await search(store, "DU9", NOW, "SPY") == ()


async def test_what_is_no_lesson_is_passed_over_and_swept_out_with_the_next_run() -> None:
    store = await taught("SPY rose.")
    namespace = (PAPER, "lessons")
    (whole,) = (item.value for item in await store.asearch(namespace))
    damages: list[dict[str, Any]] = [
        {},
        {"statement": "SPY"},
        {**whole, "seen_at": "soon"},
        {**whole, "seen_at": "2026-01-01"},
        {**whole, "x": 1},
        {**whole, "id": "another"},
        {**whole, "occasions": []},
        {**whole, "weight": -2},
        {**whole, "weight": 10**30},
        {**whole, "times": 0},
        {**whole, "tightening": {"limit": "max_trade_value", "value": "9", "expires_at": NOW.isoformat()}},
    ]
    for number, damage in enumerate(damages):
        await store.aput(namespace, f"bad-{number}", damage)
    assert [one.statement for one in await lessons_of(store, PAPER)] == ["SPY rose."]
    await teach(store, PAPER, lesson("VTI rose."))
    assert {item.value["statement"] for item in await store.asearch(namespace, limit=100)} == {"SPY rose.", "VTI rose."}


async def test_a_memory_that_is_no_json_stops_no_run_and_the_run_says_so(run_once: RunOnce, home: Home) -> None:
    first = await run_once()
    with closing(sqlite3.connect(home.memory)) as damaged, damaged:
        damaged.execute("INSERT INTO store (prefix, key, value) VALUES (?, 'bad', '{')", (f"{first.account}.lessons",))
    second = await run_once(day=TRADING_DAY + timedelta(days=1))
    assert (second.outcome, second.lessons) == (Outcome.TRADED, ())
    assert any(note.startswith("What earlier runs taught could not be read") for note in second.notes)


async def test_an_account_may_have_a_dot_in_its_id() -> None:
    store = InMemoryStore()
    await teach(store, "F.1", lesson("SPY rose."))
    assert [one.statement for one in await lessons_of(store, "F.1")] == ["SPY rose."]


async def test_a_lesson_is_forgotten_by_its_id_and_of_its_account_alone() -> None:
    store = await taught("SPY rose.", "SPY fell.")
    await teach(store, "DU9", lesson("SPY rose."))
    await forget(store, PAPER, lesson("SPY rose.").id)
    assert [one.statement for one in await lessons_of(store, PAPER)] == ["SPY fell."]
    assert [one.statement for one in await lessons_of(store, "DU9")] == ["SPY rose."]
