"""Turns: never more than so many at a time, nobody forgotten, the lower rank first."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.turns import Turns


class Calls:
    """Calls that take a moment each, and who began when."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.begun: list[str] = []
        self.under_way = self.most_under_way = 0

    async def one(self, name: str, rank: int) -> None:
        async with self.turns.turn(rank):
            self.begun.append(name)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            finally:
                self.under_way -= 1


async def test_who_waits_goes_by_rank_and_then_in_the_order_of_coming() -> None:
    calls = Calls(1)
    await asyncio.gather(*(calls.one(name, rank) for name, rank in [("a", 1), ("b", 1), ("c", 0), ("d", 1), ("e", 0)]))
    assert calls.begun == ["a", "c", "e", "b", "d"]


async def test_a_turn_is_given_on_though_its_call_fails() -> None:
    calls = Calls(1)
    with pytest.raises(ZeroDivisionError):
        async with calls.turns.turn(0):
            raise ZeroDivisionError
    await calls.one("next", 0)
    assert calls.begun == ["next"]


@settings(deadline=None)
@given(
    most=st.integers(1, 4),
    ranks=st.lists(st.integers(0, 1), max_size=20),
    given_up=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 6)), max_size=10),
)
async def test_whoever_is_given_up_no_turn_is_lost_and_no_more_are_taken(
    most: int, ranks: list[int], given_up: list[tuple[int, int]]
) -> None:
    calls = Calls(most)
    tasks = [asyncio.create_task(calls.one(str(place), rank)) for place, rank in enumerate(ranks)]
    for place, after in given_up:
        for _ in range(after):
            await asyncio.sleep(0)
        if place < len(tasks):
            tasks[place].cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert calls.most_under_way <= most
    before = len(calls.begun)
    async with asyncio.timeout(5):  # every turn is free again
        await asyncio.gather(*(calls.one("again", 0) for _ in range(most)))
    assert len(calls.begun) == before + most
