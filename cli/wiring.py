"""The one composition root: settings and a home folder in, a run that is ready to start out.

Everything heavy is imported by importing this module, so commands import it when they run, not before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from filelock import FileLock, Timeout
from mcp.server.fastmcp import FastMCP

from brokers.errors import BrokerError
from cli.brokers import Market, broker_of
from cli.run_command import RunCommand
from config.home import Home, account_lock
from config.settings import Settings
from graph.checkpoints import open_checkpoints
from graph.failure import AccountBusy
from graph.journal import Journal
from graph.memory import open_memory
from graph.runner import Run, new_run_id
from graph.state import Context
from graph.think.mind import Mind, NoMind
from graph.wiring import build_graph
from portfolio.models import TradePlan
from tools.account import AccountReader, utc_now
from tools.client import LIMIT_SECONDS, NoTools, Tools, open_toolbox
from tools.desk import OrderDesk
from tools.server import build_server
from tools.wire.foreign_text import one_line


@dataclass(frozen=True)
class Timing:
    """The time a run lives by: `clock` gives it in UTC, `pause` waits that many seconds.

    An answer of the server is waited for at most `limit_seconds`.
    """

    clock: Callable[[], datetime] = utc_now
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    limit_seconds: float = LIMIT_SECONDS


@dataclass(frozen=True)
class Start:
    """How a run begins: a new one, or the one called `run_id` goes on.

    `command` is what a person wrote to start it, `stop` is set when it is asked to end; `heard` says that whoever
    starts it listens for signals already. `wanted` is its plan where it is to think of none. `journal` is the address
    of another journal than the home's.
    """

    run_id: str | None = None
    command: RunCommand = field(default_factory=RunCommand)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    heard: bool = False
    timing: Timing = field(default_factory=Timing)
    journal: str | None = None
    wanted: TradePlan | None = None


@asynccontextmanager
async def open_context(settings: Settings, home: Home, start: Start) -> AsyncIterator[Context]:
    """The handles of a run over the MCP server the settings name, or over one in this process.

    Raises:
        brokers.simulated.MarketError: nothing can be traded on that day, or with that price file.
    """
    async with (
        open_server(settings, home, start.command, start.timing.clock) as server,
        context_over(server, settings, home, start) as context,
    ):
        yield context


@asynccontextmanager
async def open_server(
    settings: Settings, home: Home, command: RunCommand, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator[FastMCP[object] | str]:
    """The address of the MCP server the settings name, or one in this process.

    Raises:
        brokers.simulated.MarketError: nothing can be traded on that day, or with that price file.
    """
    if settings.mcp_url:
        yield settings.mcp_url
        return
    broker = broker_of(settings, home, Market.of(command), settings.symbols, clock)
    try:
        yield build_server(broker)
    finally:
        await broker.close()


@asynccontextmanager
async def open_run(settings: Settings, home: Home, start: Start) -> AsyncIterator[Run]:
    """A run with the handles of `open_context`, which raises what that does."""
    async with open_context(settings, home, start) as context, run_in(context, home, start) as run:
        yield run


@asynccontextmanager
async def run_over(
    server: FastMCP[object] | str, settings: Settings, home: Home, start: Start | None = None
) -> AsyncIterator[Run]:
    """A run over an MCP server: one in this process, or the one at a URL."""
    start = start or Start()
    async with context_over(server, settings, home, start) as context, run_in(context, home, start) as run:
        yield run


@asynccontextmanager
async def run_in(context: Context, home: Home, start: Start) -> AsyncIterator[Run]:
    """A run that remembers its steps and its lessons in the home."""
    async with open_checkpoints(home.checkpoints) as checkpointer, open_memory(home.memory) as store:
        yield Run(build_graph(checkpointer, store), context, start.run_id or new_run_id(context.clock()))


@asynccontextmanager
async def context_over(
    server: FastMCP[object] | str, settings: Settings, home: Home, start: Start
) -> AsyncIterator[Context]:
    timing = start.timing
    # The simulated broker in this process is nobody else's, and dies with it.
    is_alone = not isinstance(server, str) and settings.broker == "simulated"
    async with AsyncExitStack() as stack:
        journal = Journal(start.journal or home.database)
        stack.callback(journal.close)
        read, order = await _tools(stack, server, settings, timing.limit_seconds)
        mind = await _mind(stack, settings)
        yield Context(
            settings=settings,
            reader=AccountReader(read, clock=timing.clock, pause=timing.pause),
            desk=OrderDesk(order, journal.orders, timing.clock),
            journal=journal,
            reflections=home.reflections,
            clock=timing.clock,
            pause=timing.pause,
            alone=is_alone,
            claim=_is_alone if is_alone else _Claims(stack).claim,
            stopping=start.stop.is_set,
            command=start.command.as_facts(),
            mind=mind,
        )


async def _mind(stack: AsyncExitStack, settings: Settings) -> Mind | None:
    if not settings.has_model:
        return None
    from graph.think.openai_mind import open_mind  # noqa: PLC0415  (its libraries cost a second)

    try:
        return await stack.enter_async_context(open_mind(settings))
    except (ImportError, OSError, ValueError) as error:  # proxies and certificates come from variables of all kinds
        words = one_line(str(error), 160)
        return NoMind(settings.model, f"the model's client cannot be set up ({words}): look at proxy and SSL variables")


def _is_alone(_account_id: str) -> None:
    """Nobody else can be at that account."""


class _Claims:
    """The accounts this process has made its own until `stack` is closed; a dead process holds nothing."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._mine: set[str] = set()

    def claim(self, account_id: str) -> None:
        """Make the account this process's own; once more changes nothing.

        Raises:
            AccountBusy: another run has it.
        """
        if account_id in self._mine:
            return
        file = account_lock(account_id)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._stack.enter_context(FileLock(file, timeout=0))
        except Timeout:
            raise AccountBusy(
                f"{account_id}: another run is at work on this account; this one did nothing. Wait for it to end."
            ) from None
        self._mine.add(account_id)


async def _tools(
    stack: AsyncExitStack, server: FastMCP[object] | str, settings: Settings, limit_seconds: float
) -> tuple[Tools, Tools]:
    """The reading and the ordering tools; where no server answers the run begins all the same, and sense says so."""
    try:
        toolbox = await stack.enter_async_context(
            open_toolbox(
                server,
                limit_seconds=limit_seconds,
                most_at_once=settings.mcp_max_concurrency,
                names=settings.mcp_tool_names,
            )
        )
    except BrokerError as error:
        return NoTools(error), NoTools(error)
    return toolbox.read, toolbox.order
