"""The file of lessons is there whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from config.home import Home
from graph.memory import open_memory


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
