"""What `doctor` finds, and that it finds it whatever else is broken. It must leave no trace at the broker."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from brokers.simulated import open_simulated
from cli.checkup import Finding, Mark, examine
from cli.checkup.home import unsound
from cli.checkup.model import of_the_model
from cli.exit_codes import ExitCode
from cli.run_command import RunCommand
from cli.wiring import Timing
from config.home import Home
from tests.cli.test_model import smart_agent
from tests.graph.conftest import TRADING_DAY, settings_with
from tests.permits import journal_in, now
from tests.simulators.client_portal_server import ClientPortalServer, Fault
from tests.simulators.gateway import gateway
from tests.simulators.http_server import over_http
from tests.simulators.model_server import Fail, Reply, Say, model_server

OPEN = datetime(2026, 6, 15, 19, 55, tzinfo=UTC)
"""When the market is open, for servers that do not tell."""
AS_OF = RunCommand(as_of=TRADING_DAY.isoformat())


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MCP_URL"):
        monkeypatch.delenv(name, raising=False)


async def found(home: Home, command: RunCommand = AS_OF) -> list[Finding]:
    findings: list[Finding] = []

    async def tell(finding: Finding) -> None:
        findings.append(finding)

    await examine(home, command, tell, Timing(clock=lambda: OPEN))
    return findings


def worst(findings: Iterable[Finding]) -> list[tuple[str, ExitCode]]:
    return [(one.name, one.code) for one in findings if one.mark is Mark.BAD]


def about(findings: Iterable[Finding], name: str) -> str:
    return " | ".join(f"{one.found} {one.todo}" for one in findings if one.name == name)


async def test_where_all_is_well_a_run_could_trade(home: Home) -> None:
    findings = await found(home)
    assert worst(findings) == []
    assert "DU" in about(findings, "account")
    assert "OPENAI_API_KEY is not set" in about(findings, "model")
    assert "18 of 18 could be traded" in about(findings, "symbols")
    assert "for one share" in about(findings, "what-if")


async def test_the_command_exits_with_what_a_run_would_and_its_json_is_data(home: Home) -> None:
    code, out, err = await smart_agent(home, "doctor", "--json", "--as-of", "2026-06-15")
    told = json.loads(out)
    assert (code, err, told["could_trade"]) == (0, "", True)
    with journal_in(home.root) as journal:
        journal.halts.halt("on holiday", now())
    code, out, _ = await smart_agent(home, "doctor", "--broker", "tws", "--port", "1")
    assert code == ExitCode.HALTED
    assert "on holiday" in out
    assert "Nobody listens" in " ".join(out.split())


async def test_a_broken_configuration_is_one_row_for_each_problem_and_the_rest_is_looked_at(home: Home) -> None:
    home.config_file.write_text('{"risk_threshold": -1, "max_positons": 3}', encoding="utf-8")
    findings = await found(home, RunCommand())
    assert worst(findings)[:2] == [("configuration", ExitCode.BAD_USAGE)] * 2
    assert "max_positions" in about(findings, "configuration")
    assert about(findings, "home")
    assert about(findings, "broker")


async def test_a_halt_and_an_open_order_are_told(home: Home) -> None:
    with journal_in(home.root) as journal:
        journal.halts.halt("emergency stop", now())
    findings = await found(home)
    assert ("halt", ExitCode.HALTED) in worst(findings)
    assert "smart-agent resume" in about(findings, "halt")


@pytest.mark.parametrize("name", ["agent.db", "checkpoints.db", "memory.db"])
async def test_a_broken_database_is_named(home: Home, name: str) -> None:
    (home.root / name).write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    findings = await found(home)
    assert ("databases", ExitCode.HALTED) in worst(findings)
    assert name in about(findings, "databases")
    assert about(findings, "broker")


async def test_a_run_that_is_under_way_is_told_and_left_alone(home: Home) -> None:
    with FileLock(home.lock):
        findings = await found(home)
    assert "a run is at work" in about(findings, "other runs")
    assert worst(findings) == []


async def test_a_day_without_a_session_could_not_trade(home: Home) -> None:
    findings = await found(home, RunCommand(as_of="2026-06-14"))
    assert worst(findings) == [("trading hours", ExitCode.DATA_UNFIT)]


@asynccontextmanager
async def existing_server(folder: Path, *faults: Fault) -> AsyncIterator[str]:
    broker = open_simulated(folder / "books", as_of=TRADING_DAY)
    async with over_http(ClientPortalServer(broker, faults)) as address:
        yield address
    await broker.close()


async def test_what_the_existing_server_lacks_is_told_with_what_is_done_about_it(home: Home, tmp_path: Path) -> None:
    async with existing_server(tmp_path) as address:
        findings = await found(home, RunCommand(mcp_url=address))
    told = about(findings, "server")
    for words in ("no get_order_status", "no get_trading_schedule", "exchange calendar", "no client order id"):
        assert words in told


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.WHATIF_GARBLED, "what-if figures are not to be believed"),
        (Fault.PNL_AND_LEDGER_NULL, "the day's profit is not told"),
        (Fault.EXCHANGE_UNKNOWN, "no exchange is named"),
    ],
)
async def test_a_fault_that_is_seen_is_in_the_fingerprint_and_is_not_where_it_is_not(
    home: Home, tmp_path: Path, fault: Fault, words: str
) -> None:
    async with existing_server(tmp_path) as address:
        assert words not in about(await found(home, RunCommand(mcp_url=address)), "server fault")
    async with existing_server(tmp_path, fault) as address:
        assert words in about(await found(home, RunCommand(mcp_url=address)), "server fault")


async def test_a_gateway_is_looked_at_and_nothing_is_sent_there(home: Home, tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=TRADING_DAY)
    async with gateway(broker) as running:
        command = RunCommand(broker="tws", tws_port=str(running.port))
        findings = await found(home, command)
        assert worst(findings) == []
        assert running.orders() == []
        running.faults.not_subscribed = True
        findings = await found(home, command)
        assert ("symbols", ExitCode.DATA_UNFIT) in worst(findings)
        assert "subscribe to the market data" in about(findings, "quotes")
    await broker.close()


async def test_a_live_account_with_paper_wanted_is_in_the_way(home: Home, tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=TRADING_DAY)
    async with gateway(broker, shown="U1234567") as running:
        findings = await found(home, RunCommand(broker="tws", tws_port=str(running.port)))
    await broker.close()
    assert ("account", ExitCode.DATA_UNFIT) in worst(findings)


# --- the model -----------------------------------------------------------------------------------------------------


async def of_model(answer: Reply, **changes: Any) -> Finding:
    async with model_server(lambda _body, _number: answer) as server:
        settings = settings_with(openai_base_url=server.url, model="scripted", model_retries=0, **changes)
        (finding,) = [one async for one in of_the_model(settings)]
    return finding


async def test_a_model_that_answers_is_told_with_the_form_it_knows() -> None:
    finding = await of_model(Say('{"summary": "ready"}'))
    assert (finding.mark, "json_schema" in finding.found) == (Mark.GOOD, True)


@pytest.mark.parametrize(("status", "words"), [(401, "refused the key"), (404, "does not know"), (500, "out of order")])
async def test_a_model_that_does_not_answer_is_no_obstacle_to_a_run(status: int, words: str) -> None:
    finding = await of_model(Fail(status, "no such model"), openai_api_key="sk-test-0123456789")
    assert finding.mark is Mark.NOTE
    assert words in finding.found
    assert "sk-test" not in finding.found


async def test_a_server_that_knows_no_schemas_is_asked_otherwise() -> None:
    def script(body: dict[str, Any], _number: int) -> Reply:
        return Fail(400, "response_format is not supported") if "response_format" in body else Say("{}")

    async with model_server(script) as server:
        settings = settings_with(openai_base_url=server.url, model="scripted", model_retries=0)
        (finding,) = [one async for one in of_the_model(settings)]
    assert "function_calling" in finding.found


def test_looking_at_a_database_does_not_make_one(tmp_path: Path) -> None:
    assert unsound(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    with sqlite3.connect(tmp_path / "one.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert unsound(tmp_path / "one.db") is None
