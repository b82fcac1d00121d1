"""How a model's server takes to be asked is remembered for that model alone, for a week, and only where it is sound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.store.memory import InMemoryStore

from config.home import Home
from graph.memory import open_memory
from graph.think.manners import MANNER_LASTS, keep_manner, known_manner
from graph.think.mind import Manner, Question
from tests.portfolio.cases import NOW


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
