"""No question that a run asks the journal leads through all there is: the ten thousandth is as quick as the tenth.

That is asked of the database's own plans, and not of a clock.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, event

from config.home import Home
from tests.graph.conftest import RunOnce

Asked = dict[str, tuple[Any, ...]]
LEADS_THROUGH_ALL = re.compile(r"SCAN (?!.*COVERING INDEX)|SEARCH (orders|decisions) USING INDEX \w+ \(account_id=\?\)")
FEW = ("halts", "alembic_version", "sqlite_master")
"""These do not grow with runs."""


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Every statement about rows that reaches a database, with the last of its parameters."""
    statements: Asked = {}

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: tuple[Any, ...], *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            statements[statement] = parameters

    event.listen(Engine, "before_cursor_execute", hear)
    yield statements
    event.remove(Engine, "before_cursor_execute", hear)


async def test_every_lookup_of_a_run_goes_by_an_index(run_once: RunOnce, home: Home, asked: Asked) -> None:
    for day in (15, 16, 17):
        record = await run_once(day=date(2026, 6, day))
        assert record.orders
    lookups = {statement: parameters for statement, parameters in asked.items() if not _is_about_few(statement)}
    assert len(lookups) > 20
    with closing(sqlite3.connect(home.database)) as database:
        for statement, parameters in lookups.items():
            plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not any(map(LEADS_THROUGH_ALL.match, plan)), f"{statement}: {plan}"


def _is_about_few(statement: str) -> bool:
    return any(name in statement for name in FEW)
