"""Commands over a Gateway, each in a process of its own: what one says another must not contradict."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from brokers.simulated import open_simulated
from brokers.tws import Address, open_tws
from cli.exit_codes import ExitCode
from cli.main import app
from config.home import Home
from graph.journal.history import Observation
from portfolio.performance import Observed
from tests.cli.test_command import SMART_AGENT
from tests.graph.conftest import TRADING_DAY
from tests.permits import journal_in
from tests.simulators.gateway import Gateway, gateway
from tests.simulators.ib_async_client import until


@asynccontextmanager
async def at_gateway(folder: Path, **login: Any) -> AsyncIterator[Gateway]:
    books = open_simulated(folder / "books", as_of=TRADING_DAY)
    async with gateway(books, **login) as running:
        yield running
    await books.close()


async def started(
    home: Home, running: Gateway, command: str, *arguments: str, **variables: str
) -> asyncio.subprocess.Process:
    there = ("--home", str(home.root), "--broker", "tws", "--port", str(running.port))
    words = (str(SMART_AGENT), *command.split(), *there, *arguments)
    pipe = asyncio.subprocess.PIPE
    environment = {"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(home.root.parent), **variables}
    return await asyncio.create_subprocess_exec(*words, env=environment, stdout=pipe, stderr=pipe)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), " ".join(err.decode().split())


async def done(home: Home, running: Gateway, command: str, *arguments: str) -> tuple[int | None, str, str]:
    return await ended(await started(home, running, command, *arguments))


@pytest.mark.slow
async def test_an_emergency_stop_ends_a_run_that_has_the_only_connection(home: Home, tmp_path: Path) -> None:
    """The run cancels its own order once it sees the halt, long before the time it would give the order."""
    async with at_gateway(tmp_path) as running:
        running.faults.hold_orders = True
        run = await started(home, running, "run --json", SMART_AGENT_FILL_TIMEOUT_SECONDS="300")
        await until(lambda: bool(running.orders()), 60)
        stopped, run_ended = await asyncio.gather(done(home, running, "emergency-stop"), ended(run))
        code, out, err = stopped
        assert code == 0, (out, err)
        assert "A run is at work" in out
        assert f"No order of ours is open at TWS or IB Gateway at 127.0.0.1:{running.port}." in " ".join(out.split())
        code, out, err = run_ended
        assert code == ExitCode.HALTED, (out, err)
        record = json.loads(out)
        assert "Trading was halted: emergency stop. SELL" in record["message"]
        assert "is CANCELLED; nothing more was sent" in record["message"]
        first, *rest = record["orders"]
        assert (first["status"], first["message"]) == ("CANCELLED", "trading was halted; what was left is cancelled")
        assert all("not sent" in order["message"] for order in rest)
        assert [(order.status, order.filled) for order in running.orders()] == [("Cancelled", Decimal(0))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ("id in use", ExitCode.UNREACHABLE, "Client id 17 is in use"),
        ("wrong account", ExitCode.DATA_UNFIT, "--account (tws_account)"),
        ("several accounts", ExitCode.DATA_UNFIT, "--account (tws_account)"),
        ("nobody there", ExitCode.UNREACHABLE, "Nobody listens at"),
    ],
)
async def test_every_command_ends_alike_where_no_account_can_be_reached(
    home: Home, tmp_path: Path, wrong: str, code: ExitCode, words: str
) -> None:
    others = ("DU9000001",) if wrong == "several accounts" else ()
    async with at_gateway(tmp_path, others=others) as running:
        holder = open_tws(Address(port=running.port), tmp_path / "history")
        if wrong == "id in use":
            await holder.accounts()
        arguments = {"wrong account": ("--account", "DU1111111"), "nobody there": ("--port", "9")}.get(wrong, ())
        for command in ("run", "doctor", "prompt think"):
            ending, out, err = await done(home, running, command, *arguments)
            assert (ending, words in " ".join(out.split()) + err) == (code, True), (command, out, err)
        await holder.close()


@pytest.mark.parametrize(
    "command",
    [
        "run --port 4002",
        "doctor --account DU7654321",
        "emergency-stop --host 10.0.0.1",
        "server --client-id 5 --tws-port 4002",
    ],
)
def test_where_tws_is_makes_no_sense_without_it(home: Home, command: str) -> None:
    """A port that nobody reads would let somebody believe that his account was traded, or his orders cancelled."""
    ended = CliRunner().invoke(app, [*command.split(), "--home", str(home.root)], env={"MCP_URL": ""})
    assert ended.exit_code == ExitCode.BAD_USAGE
    assert "would be about TWS or IB Gateway" in " ".join(ended.output.split())


def test_a_server_over_stdio_has_no_port(home: Home) -> None:
    ended = CliRunner().invoke(app, ["server", "--broker", "tws", "--port", "4002", "--home", str(home.root)])
    assert ended.exit_code == ExitCode.BAD_USAGE
    assert "--tws-port" in ended.output


def test_a_server_whose_port_is_taken_says_so_and_does_not_say_that_it_serves(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ["server", "--transport", "http", "--port", port, "--home", str(home.root), "--as-of", "2026-06-15"]
        ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == ExitCode.BAD_USAGE
    assert f"Port {port} of 127.0.0.1 cannot be served" in ended.output
    assert "Serving" not in ended.output


@pytest.mark.slow
async def test_a_server_says_whether_the_broker_is_there_and_serves_all_the_same(home: Home, tmp_path: Path) -> None:
    async with at_gateway(tmp_path) as running:
        for port, words in ((running.port, f"The broker shows {running.account}."), (9, "Nobody listens at")):
            process = await asyncio.create_subprocess_exec(
                str(SMART_AGENT), "server", "--broker", "TWS", "--tws-port", str(port), "--home", str(home.root),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.environ["PATH"]},
            )  # fmt: skip
            assert process.stderr is not None
            line = await asyncio.wait_for(process.stderr.readline(), 60)
            assert words in line.decode()
            process.terminate()
            out, err = await asyncio.wait_for(process.communicate(), 60)
            assert (out, b"Traceback" in err) == (b"", False)


@pytest.mark.slow
async def test_a_read_only_api_is_no_place_to_trade_for_doctor_and_for_a_run(home: Home, tmp_path: Path) -> None:
    async with at_gateway(tmp_path) as running:
        running.faults.read_only = True
        for command in ("doctor", "run"):
            code, out, err = await done(home, running, command)
            assert (code, "Read-Only API" in out + err) == (ExitCode.DATA_UNFIT, True), (command, out, err)
        assert running.orders() == []


def test_an_emergency_stop_at_another_broker_than_the_last_run_was_at_does_not_reassure(home: Home) -> None:
    seen = Observed(at=datetime(2026, 6, 15, tzinfo=UTC), cash=Decimal(1), shares={}, prices={})
    with journal_in(home.root) as journal:
        look = Observation(run_id="r", net_liquidation=Decimal(1), seen=seen, costs={})
        journal.history.keep("DU9999999", look)
    arguments = ["emergency-stop", "--home", str(home.root), "--as-of", "2026-06-15"]
    ended = CliRunner().invoke(app, arguments, env={"MCP_URL": ""})
    assert ended.exit_code == ExitCode.ORDER_UNKNOWN
    assert "The last run was at account DU9999999" in ended.output
    assert "No order of ours is open" not in ended.output
