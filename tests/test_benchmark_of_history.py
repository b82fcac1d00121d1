"""The benchmark of a long history does what it says, with a short one; how long it takes is not asked."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks.history import WIDTH, measured


@pytest.mark.slow
async def test_it_keeps_so_many_runs_and_prints_a_line_for_each_size() -> None:
    console = Console(file=io.StringIO(), width=WIDTH)
    console.print(await measured((2, 14), times=1))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    (few,) = [line for line in lines if line[:1] == ["2"]]
    (many,) = [line for line in lines if line[:1] == ["14"]]
    assert len(few) == len(many) == 12
    assert few[2::2] == ["1.00"] * 5
