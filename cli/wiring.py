"""The one composition root: settings and a home folder in, a run that is ready to start out.

Everything heavy is imported by importing this module, so commands import it when they run, not before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from langgraph.store.sqlite.aio import AsyncSqliteStore
from mcp.server.fastmcp import FastMCP

from brokers.errors import BrokerError
from brokers.simulated import SimulatedBroker, open_simulated
from config.home import Home
from config.settings import Settings
from graph.checkpoints import open_checkpoints
from graph.journal import Journal
from graph.runner import Run, new_run_id
from graph.state import Context
from graph.wiring import build_graph
from tools.account import AccountReader
from tools.client import NoTools, Tools, open_toolbox
from tools.desk import OrderDesk
from tools.server import build_server


@dataclass(frozen=True)
class Market:
    """Which market the embedded simulated broker trades on; all None: synthetic prices, today."""

    prices: Path | None = None
    as_of: date | None = None


def simulated_broker(home: Home, market: Market, required: tuple[str, ...] = ()) -> SimulatedBroker:
    return open_simulated(home.simulated, prices=market.prices, as_of=market.as_of, required=required)


@asynccontextmanager
async def open_run(settings: Settings, home: Home, market: Market) -> AsyncIterator[Run]:
    """A run over the server the settings name, or over the embedded simulated broker.

    Raises:
        brokers.simulated.MarketError: nothing can be traded on that day, or with that price file.
    """
    async with AsyncExitStack() as stack:
        if settings.mcp_url:
            yield await stack.enter_async_context(run_over(settings.mcp_url, settings, home))
        else:
            broker = simulated_broker(home, market, required=settings.symbols)
            stack.push_async_callback(broker.close)
            yield await stack.enter_async_context(run_over(build_server(broker), settings, home))


@asynccontextmanager
async def run_over(server: FastMCP[object] | str, settings: Settings, home: Home) -> AsyncIterator[Run]:
    """A run over an MCP server: one in this process, or the one at a URL."""
    async with AsyncExitStack() as stack:
        journal = Journal(home.database)
        stack.callback(journal.close)
        checkpointer = await stack.enter_async_context(open_checkpoints(home.checkpoints))
        store = await stack.enter_async_context(AsyncSqliteStore.from_conn_string(str(home.memory)))
        await store.setup()
        read, order = await _tools(stack, server)
        context = Context(
            settings=settings,
            reader=AccountReader(read),
            desk=OrderDesk(order),
            journal=journal,
            reflections=home.reflections,
            clock=lambda: datetime.now(UTC),
            pause=asyncio.sleep,
        )
        yield Run(build_graph(checkpointer, store), context, new_run_id(context.clock()))


async def _tools(stack: AsyncExitStack, server: FastMCP[object] | str) -> tuple[Tools, Tools]:
    """The reading and the ordering tools; where no server answers the run begins all the same, and sense says so."""
    try:
        toolbox = await stack.enter_async_context(open_toolbox(server))
    except BrokerError as error:
        return NoTools(error), NoTools(error)
    return toolbox.read, toolbox.order
