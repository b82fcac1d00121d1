"""The same facts over every way to the server: in memory, as a child process, and over HTTP."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.simulated import open_simulated
from graph.journal import Journal
from portfolio.models import OrderTerms, Side
from tests.permits import journal_in, now, permit
from tests.simulators.http_server import over_http
from tools.account import AccountReader
from tools.client import Toolbox, open_toolbox
from tools.desk import OrderDesk
from tools.server import build_server

FRIDAY = date(2026, 1, 16)
SYMBOLS = ("SPY", "AAPL", "GLD")


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[Toolbox]:
    broker = open_simulated(folder, as_of=FRIDAY)
    async with open_toolbox(build_server(broker)) as box:
        yield box
    await broker.close()


@asynccontextmanager
async def over_stdio(folder: Path) -> AsyncIterator[Toolbox]:
    command = [str(Path(sys.executable).with_name("smart-agent")), "server", "--transport", "stdio"]
    where = ["--home", str(folder), "--as-of", FRIDAY.isoformat()]
    async with open_toolbox(f"stdio:{shlex.join([*command, *where])}") as box:
        yield box


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Toolbox]:
    broker = open_simulated(folder, as_of=FRIDAY)
    async with over_http(build_server(broker)) as address, open_toolbox(address) as box:
        yield box
    await broker.close()


TRANSPORTS = {"memory": in_memory, "stdio": over_stdio, "http": served}


async def facts(box: Toolbox, journal: Journal) -> dict[str, object]:
    """Everything the graph asks, before and after one order that fills and one that rests."""
    reader, desk = AccountReader(box.read), OrderDesk(box.order, journal.orders, now)
    (account,) = await reader.accounts()
    contracts = [await reader.find_contract(symbol) for symbol in SYMBOLS]
    quotes = await reader.quotes(contract.conid for contract in contracts)
    spy = contracts[0]
    ask = quotes[spy.conid].ask
    assert ask is not None
    fills = OrderTerms(
        client_order_id="fills",
        account_id=account.account_id,
        conid=spy.conid,
        symbol="SPY",
        side=Side.BUY,
        quantity=2,
        limit_price=ask,
    )
    rests = fills.model_copy(update={"client_order_id": "rests", "limit_price": Decimal("1.01")})
    return {
        "tools": sorted(tool.name for tool in (*box.read.tools, *box.order.tools)),
        "account": account,
        "contracts": contracts,
        "quotes": quotes,
        "session": await reader.session("SPY"),
        "before": (await reader.summary(account.account_id), await reader.positions(account.account_id)),
        "what_if": await reader.what_if(fills),
        "receipts": [await desk.place(permit(journal, order)) for order in (fills, rests)],
        "statuses": [await reader.order_status(account.account_id, sent) for sent in ("fills", "rests", "never")],
        "open": await reader.open_orders(account.account_id),
        "after": (await reader.summary(account.account_id), await reader.positions(account.account_id)),
    }


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_the_same_facts_come_over_every_transport(transport: str, tmp_path: Path) -> None:
    """The nodes of the graph cannot tell which one they use."""
    async with in_memory(tmp_path / "memory") as box:
        with journal_in(tmp_path / "a") as journal:
            expected = await facts(box, journal)
    async with TRANSPORTS[transport](tmp_path / transport) as box:
        with journal_in(tmp_path / "b") as journal:
            assert await facts(box, journal) == expected
    statuses = expected["statuses"]
    assert isinstance(statuses, list)
    assert [status and status.status.value for status in statuses] == ["FILLED", "SUBMITTED", None]


@pytest.mark.parametrize("transport", ["memory", "http"])
async def test_many_questions_at_once_are_all_answered(transport: str, tmp_path: Path) -> None:
    async with TRANSPORTS[transport](tmp_path) as box:
        reader = AccountReader(box.read)
        sessions = await asyncio.gather(*(reader.session("SPY") for _ in range(20)))
    assert len(set(sessions)) == 1
