"""Lessons for tests, and a way to have them learned before a run."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import BaseStore

from graph.memory import Merged, id_of, keep_lessons, lessons_of
from graph.record import Lesson, Occasion, Scope
from tests.portfolio.cases import NOW


def lesson(statement: str = "SPY was dear.", **changes: Any) -> Lesson:
    """A lesson of one run, learned now, unless `changes` say otherwise; its id goes by its words."""
    seen_at = changes.get("seen_at", NOW)
    values: dict[str, Any] = {
        "id": id_of(statement),
        "source": "rules",
        "scope": Scope.SYMBOL,
        "about": "SPY",
        "statement": statement,
        "learned_at": seen_at,
        "seen_at": seen_at,
        "times": 1,
        "weight": 1,
        "occasions": (Occasion(run_id="an earlier run", at=seen_at, figures={}),),
    }
    return Lesson(**{**values, **changes})


async def teach(store: BaseStore, account_id: str, *lessons: Lesson) -> None:
    """Have them remembered beside what is remembered already."""
    known = await lessons_of(store, account_id)
    await keep_lessons(store, account_id, Merged((*known, *lessons), lessons, frozenset()))
