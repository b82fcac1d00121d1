"""The fingerprint of the server that investors already run, over HTTP, with each of its faults, and of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mcp.server.fastmcp import FastMCP

from brokers.simulated import SimulatedBroker, open_simulated
from cli.checkup.broker import of_the_broker
from cli.checkup.finding import Finding, Mark
from cli.run_command import RunCommand
from cli.wiring import Timing
from config.home import Home
from tests.graph.conftest import TRADING_DAY, settings_with
from tests.simulators.client_portal_server import ClientPortalServer, Fault
from tests.simulators.http_server import over_http
from tools.server import build_server

OPEN = datetime(2026, 6, 15, 19, 55, tzinfo=UTC)
RULE = {"name": "All", "target_allocation": 100.0, "symbols": ["SPY", "KO"], "max_position_size": 60.0}
ALWAYS = {
    ("server", "its tools do not say whether they only read"),
    ("server", "its answers have no promised form"),
    ("server", "no find_contracts"),
    ("server", "no get_market_snapshots"),
    ("server", "no get_executions"),
    ("server", "no get_trading_schedule"),
    ("fault 3", "no get_order_status, and open orders may not be listed"),
    ("fault 4", "a receipt may be empty, and orders carry no id of ours"),
    ("fault 5", "an order may be sent twice, as it carries no id of ours"),
    ("fault 6", "any word passes for a side, and what is not BUY may be sold"),
    ("fault 1", "what-if: its commission is missing"),
    ("fault 8", "snapshots have no time, and a delay is not told"),
}
"""What can be seen of that server without any fault."""

SEEN = {
    Fault.WHATIF_GARBLED: ("fault 1", "looks like three figures run together and more"),
    Fault.POSITIONS_LOOK_EMPTY: ("fault 2", "the positions cannot be believed"),
    Fault.PNL_AND_LEDGER_NULL: ("fault 7", "get_ledger tells nothing"),
    Fault.SNAPSHOT_FIELDS_ODD: ("fault 8", "`close` is -1234.56, which is no price"),
    Fault.FIRST_SNAPSHOTS_NULL: ("fault 8", "the first snapshot has no prices"),
    Fault.FIRST_HIT_OTHER_SYMBOL: ("fault 9", "asked for SPY it tells of SPYX on"),
    Fault.FIRST_HIT_OTHER_LISTING: ("fault 9", "asked for SPY it tells of SPY on MEXI"),
    Fault.EXCHANGE_UNKNOWN: ("fault 9", "contracts name no exchange"),
    Fault.SUMMARY_FAILS: ("fault 10", "the balances cannot be read"),
}
IN_AN_ORDER_ALONE = set(Fault) - SEEN.keys() - {Fault.PRIOR_CLOSE_UNMARKED}
"""Nothing that only reads can meet these; what they follow from is always seen."""


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedBroker]:
    broker = open_simulated(tmp_path_factory.mktemp("books"), as_of=TRADING_DAY)
    yield broker
    broker._books.close()


@asynccontextmanager
async def looked(server: FastMCP[object], folder: Path) -> AsyncIterator[list[Finding]]:
    async def pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    timing = Timing(clock=lambda: OPEN, pause=pause)
    async with over_http(server) as url:
        settings = settings_with(mcp_url=url, trading_rules=[RULE])
        yield [one async for one in of_the_broker(settings, Home(folder), RunCommand(), timing)]


def traits(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(one.name, one.found) for one in findings if one.name == "server" or one.name.startswith("fault")}


def test_every_fault_is_seen_or_shows_in_an_order_alone() -> None:
    assert {fault.value[0] for fault in IN_AN_ORDER_ALONE} == set("3456")


async def test_our_own_server_has_none_of_it(books: SimulatedBroker, tmp_path: Path) -> None:
    async with looked(build_server(books), tmp_path) as findings:
        assert traits(findings) == set()
        (row,) = [one for one in findings if one.name == "fingerprint"]
        assert row.mark is Mark.GOOD
        server = next(one for one in findings if one.name == "MCP server")
        assert "smart-trading-agent" in server.found
        assert "25 of the contract's 25 tools" in server.found


async def test_what_an_order_alone_would_meet_is_told_by_what_it_follows_from(
    books: SimulatedBroker, tmp_path: Path
) -> None:
    for faults in (set[Fault](), IN_AN_ORDER_ALONE):
        async with looked(ClientPortalServer(books, faults), tmp_path) as findings:
            assert traits(findings) == ALWAYS
            assert [one for one in findings if one.mark is Mark.BAD] == []


@pytest.mark.parametrize("fault", SEEN)
async def test_each_fault_is_seen_where_it_is(books: SimulatedBroker, tmp_path: Path, fault: Fault) -> None:
    """And what is done about it is told beside it."""
    name, words = SEEN[fault]
    async with looked(ClientPortalServer(books, {fault}), tmp_path) as findings:
        found = [one for one in findings if one.name == name and words in one.found]
        assert len(found) == 1, traits(findings)
        assert (found[0].mark, found[0].todo != "") == (Mark.NOTE, True)
        others = traits(findings) - ALWAYS
        assert all(other.startswith(name) or fault is Fault.PNL_AND_LEDGER_NULL for other, _ in others)


async def test_a_price_of_yesterday_is_not_one_that_could_be_traded_on(books: SimulatedBroker, tmp_path: Path) -> None:
    async with looked(ClientPortalServer(books, {Fault.PRIOR_CLOSE_UNMARKED}), tmp_path) as findings:
        (row,) = [one for one in findings if one.name == "market data"]
        assert row.mark is Mark.BAD
        assert "has a quote of the last 900 s" in row.found
