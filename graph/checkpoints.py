"""How a run's state is kept on disk between steps: a checkpoint can bring back facts, and no other type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph import record
from portfolio import models
from portfolio.limits import tightening
from portfolio.models import Fact


def _kinds(base: type[Fact]) -> Iterator[type]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def serializer() -> JsonPlusSerializer:
    """Reads back the house's facts and their enums; any other type in a checkpoint is refused."""
    named = [*vars(models).values(), *vars(record).values(), *vars(tightening).values()]
    enums = {kind for kind in named if isinstance(kind, type) and issubclass(kind, Enum)}
    return JsonPlusSerializer(allowed_msgpack_modules=[*_kinds(Fact), *enums])


@asynccontextmanager
async def open_checkpoints(file: Path) -> AsyncIterator[AsyncSqliteSaver]:
    async with aiosqlite.connect(file) as connection:
        yield AsyncSqliteSaver(connection, serde=serializer())
