"""How a run's state is kept on disk between steps: a checkpoint can bring back facts, and no other type."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph import record
from portfolio import models
from portfolio.limits import tightening
from portfolio.models import Fact


class StepsNotKept(Exception):
    """The disk does not take the steps of a run; what it has sent is in the journal all the same."""


class Checkpoints(AsyncSqliteSaver):
    """Says in a sentence that a step cannot be kept."""

    async def setup(self) -> None:
        with _told():
            await super().setup()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with _told():
            return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        with _told():
            await super().aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        with _told():
            await super().adelete_thread(thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Forget all but the last step of each thread; the library leaves this to whoever needs it."""
        if strategy != "keep_latest":
            raise NotImplementedError(strategy)
        with _told():
            await self.setup()
            for table in ("writes", "checkpoints"):
                last = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?"
                older = f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < ({last})"  # noqa: S608  (ours)
                await self.conn.executemany(older, [(thread, thread) for thread in thread_ids])
            await self.conn.commit()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StepsNotKept(
            f"The steps of the run cannot be kept in checkpoints.db ({error}), so nothing more is sent. "
            "Make room on the disk of the home folder, close what else uses that file, and run again."
        ) from error


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
async def open_checkpoints(file: Path) -> AsyncIterator[Checkpoints]:
    async with aiosqlite.connect(file) as connection:
        yield Checkpoints(connection, serde=serializer())
