"""Whether the broker is there, and what it, its market and its server are like.

Only the reading half of the server's tools is held here. The simulated broker of this process is looked at in a copy of
its books: a look at an account there moves on what works in it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from brokers.errors import BrokerError, Unreachable
from brokers.simulated import MarketError, copy_books
from cli.checkup.account import of_other_runs, of_the_account, of_the_positions
from cli.checkup.finding import Finding, Stage, bad, good, note, unread, unseen
from cli.checkup.market import of_the_clock, of_the_hours, of_the_symbols
from cli.checkup.preview import preview
from cli.checkup.readings import LIMIT_SECONDS, PieceByPiece, Readings
from cli.checkup.server import of_the_server, of_the_traits
from cli.exit_codes import ExitCode
from cli.naming import broker_named
from cli.run_command import RunCommand
from cli.wiring import Timing, open_server
from config.home import Home
from config.settings import Settings
from graph.journal import Journal, JournalError
from graph.sense import held_to_journal
from portfolio.limits import TradingDay
from portfolio.models import PortfolioSnapshot
from tools.account import AccountReader
from tools.client import Toolbox, open_toolbox
from tools.contract import Tool
from tools.fingerprint import Reading, fingerprint
from tools.looks import found_for, look, snapshot_of
from tools.rows.market import FoundContract
from tools.wire.foreign_text import one_line

SCREENS = "Look at the broker's own screens, and run this again"
NEED_IT = ("MCP server", "account", "market data", "positions", "trading hours", "clock", "what-if")


async def of_the_broker(settings: Settings, home: Home, command: RunCommand, timing: Timing) -> AsyncIterator[Finding]:
    """Every row that needs an answer of the broker."""
    began = time.perf_counter()
    async with AsyncExitStack() as stack:
        try:
            toolbox = await _opened(stack, settings, home, command)
            reader = AccountReader(toolbox.read, clock=timing.clock, pause=timing.pause)
            pieces = PieceByPiece(reader, settings, timing.clock)
            account = await pieces.begin()
        except Timeout:
            yield note("broker", "it is not asked, as a run is at work in this home and has the line to it")
        except MarketError as error:
            yield bad("broker", str(error), "Take another --as-of or --prices", ExitCode.BAD_USAGE, Stage.START)
        except BrokerError as error:
            yield unread("broker", error, "")
        else:
            yield good("broker", f"{broker_named(settings)} answered in {time.perf_counter() - began:.1f} s")
            for finding in looked_at("MCP server", lambda: of_the_server(toolbox.offer, reader.missing)):
                yield finding
            if account.error:
                yield unread("account", account.error, "")
                for name in NEED_IT[2:]:
                    yield unseen(name, "there is no account to look at")
                return
            await pieces.go_on()
            async for finding in _of_the_answers(toolbox, reader, pieces, settings, home):
                yield finding
            return
    for name in NEED_IT:
        yield unseen(name, "the broker was not reached")


async def _opened(stack: AsyncExitStack, settings: Settings, home: Home, command: RunCommand) -> Toolbox:
    """The tools of a server before the broker.

    Raises:
        Timeout: a run is at work over a line that only one may have.
        MarketError, BrokerError: there is none.
    """
    if not settings.mcp_url and settings.broker == "simulated":
        folder = stack.enter_context(TemporaryDirectory(prefix="smart-agent-"))
        aside = Home(Path(folder))
        aside.simulated.mkdir()
        copy_books(home.simulated, aside.simulated)
        home = aside
    elif not settings.mcp_url and home.root.is_dir():
        stack.enter_context(FileLock(home.lock, timeout=0))
    server = await stack.enter_async_context(open_server(settings, home, command))
    return await stack.enter_async_context(
        open_toolbox(
            server,
            limit_seconds=LIMIT_SECONDS,
            most_at_once=settings.mcp_max_concurrency,
            names=settings.mcp_tool_names,
        )
    )


async def _of_the_answers(
    toolbox: Toolbox, reader: AccountReader, pieces: PieceByPiece, settings: Settings, home: Home
) -> AsyncIterator[Finding]:
    account, conid = pieces.account.get(), pieces.first_contract.conid if pieces.first_contract else None
    looks = await look(toolbox.read, account.account_id, conid)
    readings = await pieces.finish()
    looks = replace(looks, snapshot=await snapshot_of(toolbox.read, conid))
    is_alone = not settings.mcp_url and settings.broker == "simulated"
    is_told = reader.offers(Tool.GET_TRADING_SCHEDULE)
    snapshot, day = _as_a_run_would(readings, settings, home)
    rows: dict[str, Callable[[], Iterable[Finding]]] = {
        "account": lambda: (of_the_account(account, settings),),
        "other runs": lambda: () if is_alone else of_other_runs(account),
        "market data": lambda: of_the_symbols(readings, snapshot, settings, day),
        "positions": lambda: of_the_positions(readings, snapshot, settings),
        "trading hours": lambda: (of_the_hours(readings.session.get(), is_told=is_told),),
        "clock": lambda: (of_the_clock(readings, snapshot, is_own=is_alone, is_told=is_told),),
    }
    for name, row in rows.items():
        for finding in looked_at(name, row):
            yield finding
    previewed = await preview(snapshot, settings, day, reader)
    yield previewed.finding
    reading = Reading(
        summary=readings.summary.answer or readings.summary.error,
        positions=readings.positions.answer if readings.positions.error is None else readings.positions.error,
        contracts=readings.contracts.answer,
        misfit=await _misfit(toolbox, readings, settings),
        doubts=previewed.doubts,
    )
    for finding in looked_at("fingerprint", lambda: of_the_traits(fingerprint(toolbox.offer, looks, reading))):
        yield finding


def looked_at(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The rows of one look; of one that breaks, the row that says so."""
    try:
        yield from look()
    except BrokerError as error:
        yield unread(name, error, "" if isinstance(error, Unreachable) else SCREENS)
    except Exception as error:  # noqa: BLE001  (one look that breaks must not end the others)
        yield broke_off(name, error)


def broke_off(name: str, error: Exception) -> Finding:
    found = f"this check broke off: {type(error).__name__}: {one_line(str(error))}"
    return bad(name, found, "Report this sentence; the other rows stand", ExitCode.FAILED, Stage.READING)


def _as_a_run_would(
    readings: Readings, settings: Settings, home: Home
) -> tuple[PortfolioSnapshot | None, TradingDay | None]:
    """What a run would decide on, and the account's day so far; None where a piece is missing."""
    try:
        snapshot = readings.snapshot(settings)
    except BrokerError:
        return None, None
    first = TradingDay(first_net_liquidation=snapshot.summary.net_liquidation, orders_sent=0, past_trades=())
    if not home.database.exists():
        return snapshot, first
    try:
        with closing(Journal(home.database)) as journal:
            day = journal.trading_day(snapshot.account.account_id, snapshot.as_of, timedelta(days=1))
            return held_to_journal(snapshot, journal), day
    except JournalError:
        return snapshot, first


async def _misfit(toolbox: Toolbox, readings: Readings, settings: Settings) -> tuple[str, FoundContract] | None:
    """A symbol that has no contract, and the one that the server names for it all the same."""
    found = readings.contracts.answer
    lacking = [] if found is None else [symbol for symbol in settings.symbols if symbol not in found]
    answer = await found_for(toolbox.read, lacking[0]) if lacking else None
    return (lacking[0], answer) if answer else None
