"""A program that runs the agent, or serves its broker, in processes that are killed with SIGKILL.

Importing the agent's libraries takes seconds, so they are imported once, a first run warms everything up, and each job
that is read from stdin, one a line, is done by a fork of this process. It has one thread and no event loop of its own.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer
import uvicorn
from sqlalchemy import Engine, Insert, event
from sqlalchemy.pool import Pool

from brokers.protocol import Broker, OrderRequest
from cli.brokers import Market, simulated_broker
from cli.exit_codes import exit_code
from cli.options import sole_use
from cli.wiring import Start, Timing, run_over
from config.home import Home
from config.load import load_settings
from portfolio.models import BrokerOrder
from tests.simulators.crash_job import DAYS, RULES, TEMPERS, Death, Ended, Holds, Job, prices_in
from tests.simulators.delegating_broker import DelegatingBroker
from tools.server import build_server

FASTER = 25
"""A run's pauses between two looks at an order are that much shorter."""


class Reaper:
    """Counts the moments a process goes through, and kills when it is time.

    The first byte on `told` says that the run has started, the second that an order is about to be sent.
    """

    def __init__(self, death: Death | None, told: int) -> None:
        self._death = death
        self._told = told
        self._reached: Counter[str] = Counter()

    def tell(self, moment: str) -> None:
        self._reached[moment] += 1
        if moment == "started" or (moment == "after SUBMITTING" and self._reached[moment] == 1):
            os.write(self._told, b".")
        if self._death and (moment, self._reached[moment]) == (self._death.moment, self._death.nth):
            victim = self._death.victim
            os.kill(int(victim.read_text()) if victim else os.getpid(), signal.SIGKILL)


def watch_journal(reaper: Reaper) -> None:
    """Tell the reaper of every state that is committed to the journal, before and after."""
    written: list[str] = []

    @event.listens_for(Engine, "after_execute")
    def _(_connection: Any, statement: Any, *_rest: Any) -> None:
        if isinstance(statement, Insert) and statement.table.name == "order_changes":
            written.append(statement.compile().params["state"])

    @event.listens_for(Engine, "commit")
    def _(_connection: Any) -> None:
        for state in written:
            reaper.tell(f"before {state}")

    @event.listens_for(Engine, "rollback")
    def _(_connection: Any) -> None:
        written.clear()

    @event.listens_for(Pool, "checkin")
    def _(*_connection: Any) -> None:
        done, written[:] = written[:], []
        for state in done:
            reaper.tell(f"after {state}")


class Watched(DelegatingBroker):
    """Tells the reaper what happens at the broker."""

    def __init__(self, inner: Broker, reaper: Reaper) -> None:
        super().__init__(inner)
        self._reaper = reaper

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self._reaper.tell("arrived")
        placed = await super().place(order)
        self._reaper.tell("accepted")
        return placed

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        cancelled = await super().cancel(account_id, order_id)
        self._reaper.tell("cancelled")
        return cancelled


def broker_of(job: Job, reaper: Reaper) -> Broker:
    broker: Broker = simulated_broker(Home(job.home), Market(job.prices, job.day))
    if job.temper == "holds":
        return Watched(Holds(broker, job.home / "hold"), reaper)
    return TEMPERS[job.temper](Watched(broker, reaper))


async def run(job: Job, reaper: Reaper) -> int:
    """The exit code of one run, as the command has it."""
    home = Home(job.home)
    settings = load_settings(file=None, environ={}, overrides={"trading_rules": RULES, **job.settings})
    ahead = timedelta(minutes=job.minutes_ahead)
    timing = Timing(clock=lambda: datetime.now(UTC) + ahead, pause=lambda seconds: asyncio.sleep(seconds / FASTER))
    start = Start(timing=timing)
    async with AsyncExitStack() as stack:
        if job.url:
            one = await stack.enter_async_context(run_over(job.url, settings, home, start))
        else:
            broker = broker_of(job, reaper)
            stack.push_async_callback(broker.close)
            one = await stack.enter_async_context(run_over(build_server(broker), settings, home, start))
        async for _ in one.start():
            pass
        return int(exit_code((await one.record()).outcome))


def be_run(job: Job, reaper: Reaper) -> int:
    Home(job.home).create()
    job.pid_file.write_text(str(os.getpid()))
    os.environ["XDG_DATA_HOME"] = str(job.home / "data")  # where a claim on the account is kept
    watch_journal(reaper)
    reaper.tell("started")
    try:
        with sole_use(Home(job.home)):
            return asyncio.run(run(job, reaper))
    except typer.Exit as busy:
        return busy.exit_code


def be_server(job: Job, reaper: Reaper, listening: socket.socket) -> int:
    Home(job.home).create()
    app = build_server(broker_of(job, reaper)).streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
    return 0


def forked(job: Job, listening: socket.socket | None) -> tuple[int, int]:
    """The id of a process that does the job, and where it tells how far it is."""
    heard, told = os.pipe()
    pid = os.fork()
    if pid:
        os.close(told)
        return pid, heard
    code = 1
    try:
        os.close(0)
        reaper = Reaper(job.death, told)
        code = be_server(job, reaper, listening) if listening else be_run(job, reaper)
    except BaseException:  # noqa: BLE001 - whatever it was, the copy must not go on as the original
        traceback.print_exc()
    os._exit(code)


def kill_by_chance(job: Job, run_id: int, heard: int) -> None:
    if job.chance is None:
        return
    for _ in range(1 if job.chance.since == "started" else 2):
        if not os.read(heard, 1):
            return  # it ended before
    select.select([], [], [], job.chance.delay)
    with suppress(ProcessLookupError):
        os.kill(job.chance.victim or run_id, signal.SIGKILL)


def do(job: Job, servers: set[int]) -> Ended:
    listening = socket.create_server(("127.0.0.1", 0)) if job.serve else None
    pid, heard = forked(job, listening)
    try:
        if listening:
            servers.add(pid)
            return Ended(pid=pid, url=f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
        kill_by_chance(job, pid, heard)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(heard)
        if listening:
            listening.close()  # else the kernel would take connections for a server that is dead
    if os.WIFSIGNALED(status):
        return Ended(signal=os.WTERMSIG(status), pid=pid)
    return Ended(code=os.WEXITSTATUS(status), pid=pid)


def stop(servers: set[int]) -> None:
    for pid in servers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    servers.clear()


def warm_up() -> None:
    """One run in a home that is thrown away; it must leave no thread behind, as a fork would not have it."""
    with TemporaryDirectory() as folder:
        Home(Path(folder)).create()
        prices = prices_in(Path(folder) / "prices.csv", price=50, volume=100_000_000)
        job = Job(home=Path(folder), day=DAYS[0], prices=prices)
        asyncio.run(run(job, Reaper(None, os.open(os.devnull, os.O_WRONLY))))
    deadline = time.monotonic() + 5
    while len(list(Path("/proc/self/task").iterdir())) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)


def main() -> None:
    warm_up()
    servers: set[int] = set()
    try:
        for line in sys.stdin:
            done = Ended() if line == "stop\n" else do(Job.model_validate_json(line), servers)
            if line == "stop\n":
                stop(servers)
            sys.stdout.write(done.model_dump_json() + "\n")
            sys.stdout.flush()
    finally:
        stop(servers)


if __name__ == "__main__":
    main()
