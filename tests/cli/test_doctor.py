"""What `doctor` finds, and that it finds it whatever else is broken. It must leave no trace at the broker."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from brokers.errors import Terminal
from brokers.protocol import Broker, OrderRequest
from brokers.simulated import SimulatedBroker, open_simulated
from cli.checkup import Finding, Mark, examine
from cli.checkup.broker import of_the_broker
from cli.checkup.finding import Stage, bad
from cli.checkup.home import of_the_home, unsound
from cli.checkup.model import of_the_model
from cli.doctor import verdict_on
from cli.exit_codes import ExitCode
from cli.main import app
from cli.run_command import RunCommand
from cli.wiring import Timing
from config.home import Home
from graph.halt_flag import raise_flag
from portfolio.models import Account, AccountSummary, BrokerOrder, OrderTerms, Quote, Session, Side, WhatIf
from tests.cli.test_model import smart_agent
from tests.graph.conftest import TRADING_DAY, settings_with
from tests.permits import journal_in, now, permit
from tests.simulators.delegating_broker import DelegatingBroker
from tests.simulators.gateway import gateway
from tests.simulators.model_server import Fail, Reply, Say, Script, Silence, model_server

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


def the(findings: Iterable[Finding], name: str) -> Finding:
    return next(one for one in findings if one.name == name)


def unseen(findings: Iterable[Finding]) -> set[str]:
    return {one.name for one in findings if one.mark is Mark.UNSEEN}


def files_in(folder: Path) -> dict[Path, bytes]:
    """What a look could have changed; a lock that nobody holds is nothing."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock"]
    return {file: file.read_bytes() for file in files}


def made_in(folder: Path) -> list[Path]:
    return [*folder.iterdir()]


# --- all is well, or not there --------------------------------------------------------------------------------------


async def test_where_all_is_well_a_run_could_trade_and_nothing_is_left_behind(home: Home) -> None:
    findings = await found(home)
    assert worst(findings) == []
    assert unseen(findings) == set()
    assert "DU7683409 is a paper account" in about(findings, "account")
    assert "rules only: OPENAI_API_KEY is not set" in about(findings, "model")
    assert "all 18 symbols of the rules can be traded" in about(findings, "market data")
    assert "8 of 8 listed, worth" in about(findings, "positions")
    assert "1 SPY at" in about(findings, "what-if")
    assert "simulated market stands at" in about(findings, "clock")
    assert verdict_on(findings) == (ExitCode.DONE, True, "A run could trade now.")
    assert files_in(home.root) == {}


async def test_a_home_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    findings = await found(Home(tmp_path / "new" / "home"))
    assert verdict_on(findings) == (ExitCode.DONE, True, "A run could trade now.")
    assert made_in(tmp_path) == []


def doctor(home: Home, *arguments: str) -> tuple[int, str]:
    """The command in this process: its exit code, and its screen as one line."""
    done = CliRunner().invoke(app, ["doctor", "--home", str(home.root), *arguments])
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.exit_code, " ".join(done.output.split())


def test_the_json_of_the_command_is_data_and_nothing_else(home: Home) -> None:
    done = CliRunner().invoke(app, ["doctor", "--json", "--as-of", "2026-06-15", "--home", str(home.root)])
    told = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, told["could_trade"], told["exit_code"]) == (0, "", True, 0)
    assert {row.keys() == {"check", "mark", "found", "todo"} for row in told["rows"]} == {True}


def test_a_halt_ends_it_as_it_would_end_a_run_and_nothing_is_changed(home: Home) -> None:
    with journal_in(home.root) as journal:
        journal.halts.halt("on holiday", now())
    before = files_in(home.root)
    code, screen = doctor(home, "--as-of", "2026-06-15")
    assert code == ExitCode.HALTED
    assert "trading is halted since" in screen
    assert "on holiday" in screen
    assert "would end with exit code 6" in screen
    assert files_in(home.root) == before


def test_a_server_that_is_not_there_costs_the_rows_that_need_it(home: Home) -> None:
    code, screen = doctor(home, "--mcp-url", "http://127.0.0.1:9/mcp")
    assert code == ExitCode.UNREACHABLE
    for words in ("http://127.0.0.1:9/mcp: the connection to the MCP server broke", "not looked at", "rules only"):
        assert words in screen


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["nothing", "halt", "server", "config", "home", "journal"])
async def test_the_command_in_a_process_of_its_own_ends_as_a_run_there(home: Home, wrong: str) -> None:
    """The same home, twice: looked at, and then run."""
    arguments = ["--as-of", "2026-06-15"]
    match wrong:
        case "halt":
            with journal_in(home.root) as journal:
                journal.halts.halt("on holiday", now())
        case "server":
            arguments = ["--mcp-url", "http://127.0.0.1:9/mcp"]
        case "config":
            home.config_file.write_text('{"risk_threshold": -1}', encoding="utf-8")
        case "home":
            (home.root / "file").touch()
            home = Home(home.root / "file" / "home")
        case "journal":
            home.database.write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    looked, _, err = await smart_agent(home, "doctor", *arguments)
    ran, _, _ = await smart_agent(home, "run", *arguments)
    assert (looked, err) == (ran, "")


async def test_a_closed_market_is_no_fault_and_nothing_could_be_traded(home: Home) -> None:
    findings = await found(home, RunCommand(as_of="2026-06-14"))
    assert worst(findings) == []
    code, could_trade, sentence = verdict_on(findings)
    assert (code, could_trade) == (ExitCode.FAILED, False)
    assert "closed until Mon 2026-06-15 09:30 New York" in sentence


async def test_a_day_that_nobody_knows_is_bad_usage(home: Home) -> None:
    findings = await found(home, RunCommand(as_of="1800-01-01"))
    assert worst(findings) == [("broker", ExitCode.BAD_USAGE)]
    assert "market data" in unseen(findings)


# --- configuration and home -----------------------------------------------------------------------------------------


async def test_a_broken_configuration_is_a_row_for_each_problem_and_what_can_be_used_of_it_is(home: Home) -> None:
    rules = [{"name": "All", "target_allocation": 100, "symbols": ["SPY", "KO"], "max_position_size": 60}]
    text = json.dumps({"risk_threshold": -1, "max_positons": 3, "trading_rules": rules})
    home.config_file.write_text(text, encoding="utf-8")
    findings = await found(home)
    assert worst(findings) == [("configuration", ExitCode.BAD_USAGE)] * 2
    assert "max_positions" in about(findings, "configuration")
    assert "all 2 symbols" in about(findings, "market data")
    assert verdict_on(findings)[0] == ExitCode.BAD_USAGE


async def test_no_other_broker_is_asked_where_the_configuration_names_one_badly(home: Home) -> None:
    home.config_file.write_text('{"mcp_url": "127.0.0.1:8001"}', encoding="utf-8")
    findings = await found(home, RunCommand())
    assert {"broker", "account", "positions"} <= unseen(findings)
    assert verdict_on(findings)[0] == ExitCode.BAD_USAGE


async def test_options_that_contradict_each_other_are_a_row(home: Home) -> None:
    findings = await found(home, RunCommand(as_of="2026-06-15", mcp_url="http://127.0.0.1:9/mcp"))
    assert worst(findings)[0] == ("configuration", ExitCode.BAD_USAGE)
    assert "keeps its own time" in about(findings, "configuration")


async def test_a_home_that_cannot_be_written_is_a_row_and_the_broker_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = await found(Home(tmp_path / "file" / "home"))
    assert worst(findings) == [("home", ExitCode.BAD_USAGE)]
    assert unseen(findings) == {"databases"}
    assert the(findings, "positions").mark is Mark.GOOD


async def test_a_log_that_cannot_be_written_is_found(home: Home) -> None:
    (home.root / "trading_log.log").mkdir()
    assert worst(await found(home)) == [("home", ExitCode.BAD_USAGE)]


# --- the databases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [("agent.db", ExitCode.HALTED), ("checkpoints.db", ExitCode.FAILED), ("memory.db", ExitCode.FAILED)],
)
def test_a_broken_database_is_named(home: Home, name: str, code: ExitCode) -> None:
    (home.root / name).write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    findings = list(of_the_home(home, "trading_log.log"))
    assert worst(findings) == [("databases", code)]
    assert name in about(findings, "databases")
    assert ("halt" in unseen(findings)) == (name == "agent.db")


def test_a_journal_whose_pages_are_mixed_up_is_found(home: Home) -> None:
    with journal_in(home.root) as journal:
        journal.halts.halt("to have something in it", now())
    data = bytearray(home.database.read_bytes())
    data[-4096:] = bytes(4096)
    home.database.write_bytes(data)
    assert worst(of_the_home(home, "trading_log.log")) == [("databases", ExitCode.HALTED)]


def test_a_halt_by_file_is_told_without_a_journal(home: Home) -> None:
    raise_flag(home.database, "the disk was full", now())
    findings = list(of_the_home(home, "trading_log.log"))
    assert worst(findings) == [("halt", ExitCode.HALTED)]
    assert "the disk was full" in about(findings, "halt")
    assert "smart-agent resume" in about(findings, "halt")
    assert not home.database.exists()


def test_an_order_nobody_can_account_for_is_told(home: Home) -> None:
    with journal_in(home.root) as journal:
        terms = OrderTerms(
            client_order_id="lost",
            account_id="DU1",
            conid=1,
            symbol="SPY",
            side=Side.BUY,
            quantity=1,
            limit_price=Decimal(1),
        )
        journal.orders.burn(permit(journal, terms), now())
    findings = list(of_the_home(home, "trading_log.log"))
    assert the(findings, "earlier orders").mark is Mark.DOUBT
    assert "smart-agent orders resolve" in about(findings, "earlier orders")


async def test_a_run_that_is_under_way_is_told_and_left_alone(home: Home) -> None:
    with FileLock(home.lock):
        findings = await found(home)
        tws = [one async for one in of_the_broker(settings_with(broker="tws"), home, RunCommand(), Timing())]
    assert "a run is at work" in about(findings, "other runs")
    assert worst(findings) == []
    assert the(tws, "broker").mark is Mark.NOTE
    assert "what-if" in unseen(tws)
    assert verdict_on(tws)[0] == ExitCode.DONE


# --- the broker -----------------------------------------------------------------------------------------------------


class Odd(DelegatingBroker):
    """A broker with one thing wrong; `what_ifs` are those it was asked."""

    def __init__(self, inner: Broker, wrong: str) -> None:
        super().__init__(inner)
        self.wrong = wrong
        self.what_ifs: list[OrderRequest] = []

    async def close(self) -> None:
        """The books are closed by whoever opened them."""

    async def accounts(self) -> list[Account]:
        shown = await super().accounts()
        return shown * 2 if self.wrong == "two accounts" else shown

    async def summary(self, account_id: str) -> AccountSummary:
        summary = await super().summary(account_id)
        wrong = {"gross": {"gross_position_value": 0}, "no money": {"available_funds": 0}}
        return summary.model_copy(update=wrong.get(self.wrong, {}))

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        quotes = await super().quotes(conids)
        if self.wrong == "quotes":
            raise Terminal("no market data today")
        if self.wrong == "wide":
            return [quote.model_copy(update={"bid": quote.bid and quote.bid / 2}) for quote in quotes]
        return quotes[1:] if self.wrong == "one quote" else quotes

    async def session(self, symbol: str) -> Session:
        session = await super().session(symbol)
        early = session.closes_at - timedelta(minutes=2)
        return session.model_copy(update={"closes_at": early}) if self.wrong == "hours" else session

    async def what_if(self, order: OrderRequest) -> WhatIf:
        self.what_ifs.append(order)
        if self.wrong == "hangs":
            await asyncio.sleep(60)
        if self.wrong in ("read-only", "no money") or (self.wrong == "one refusal" and len(self.what_ifs) == 1):
            return WhatIf(error="YOUR ORDER IS NOT ACCEPTED")
        return await super().what_if(order)

    async def place(self, order: OrderRequest) -> BrokerOrder:
        raise AssertionError(order)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedBroker]:
    broker = open_simulated(tmp_path_factory.mktemp("books"), as_of=TRADING_DAY)
    yield broker
    broker._books.close()


async def rows_of(
    books: SimulatedBroker, home: Home, wrong: str, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> list[Finding]:
    """The rows over our own server before that broker, as if it were the embedded one."""
    odd = Odd(books, wrong)
    monkeypatch.setattr("cli.wiring.broker_of", lambda *_args, **_kwargs: odd)
    monkeypatch.setattr("cli.checkup.readings.LIMIT_SECONDS", 0.3 if wrong == "hangs" else 20.0)
    rules = [{"name": "All", "target_allocation": 100.0, "symbols": ["SPY", "KO"], "max_position_size": 60.0}]
    settings = settings_with(**{"trading_rules": rules, **changes})
    findings = [one async for one in of_the_broker(settings, home, AS_OF, Timing())]
    assert all(order.quantity == 1 for order in odd.what_ifs)
    return findings


@pytest.mark.parametrize(
    ("wrong", "row", "mark", "words"),
    [
        ("", "what-if", Mark.GOOD, "figures that can be true"),
        ("two accounts", "account", Mark.BAD, "2 accounts"),
        ("gross", "positions", Mark.BAD, "the account says 0.00 USD"),
        ("quotes", "market data", Mark.BAD, "no market data today"),
        ("wide", "market data", Mark.BAD, "none of 2 symbols can be traded"),
        ("hours", "trading hours", Mark.DOUBT, "in the calendar"),
        ("hangs", "what-if", Mark.BAD, "no answer within 0.3 s"),
        ("no money", "what-if", Mark.DOUBT, "YOUR ORDER IS NOT ACCEPTED"),
        ("read-only", "what-if", Mark.BAD, "YOUR ORDER IS NOT ACCEPTED"),
        ("one refusal", "what-if", Mark.DOUBT, "YOUR ORDER IS NOT ACCEPTED"),
    ],
)
async def test_one_thing_that_is_wrong_is_one_row(
    books: SimulatedBroker,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
    row: str,
    mark: Mark,
    words: str,
) -> None:
    """The others are looked at all the same."""
    findings = await rows_of(books, home, wrong, monkeypatch)
    found = the(findings, row)
    assert (found.mark, words in found.found) == (mark, True), found
    assert {one.name for one in findings if one.mark is Mark.BAD} <= {row}
    assert found.mark is Mark.GOOD or found.todo or "--account" in found.found
    assert {"broker", "market data", "positions", "trading hours", "clock", "what-if"} <= {one.name for one in findings}


async def test_symbols_that_cannot_be_traded_are_named_with_the_guards_reason(
    books: SimulatedBroker, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"name": "All", "target_allocation": 100.0, "symbols": ["SPY", "NOSUCH"], "max_position_size": 60.0}
    findings = await rows_of(books, home, "", monkeypatch, trading_rules=[rule])
    row = the(findings, "market data")
    assert row.mark is Mark.DOUBT
    assert row.found.splitlines() == ["1 of 2 symbols can be traded", "NOSUCH: was not resolved to a contract"]


async def test_a_live_account_with_paper_wanted_is_in_the_way(home: Home, tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=TRADING_DAY)
    async with gateway(broker, shown="U1234567") as running:
        findings = await found(home, RunCommand(broker="tws", tws_port=str(running.port)))
    await broker.close()
    assert worst(findings) == [("account", ExitCode.DATA_UNFIT)]
    assert running.orders() == []


@pytest.mark.slow
async def test_a_gateway_is_looked_at_and_nothing_is_sent_there(home: Home, tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=TRADING_DAY)
    async with gateway(broker) as running:
        command = RunCommand(broker="tws", tws_port=str(running.port))
        findings = await found(home, command)
        assert worst(findings) == []
        assert running.orders() == []
        running.faults.not_subscribed = True
        findings = await found(home, command)
        assert worst(findings) == [("market data", ExitCode.DATA_UNFIT)]
        assert "subscribe to the market data" in about(findings, "market data")
    await broker.close()


# --- the model ------------------------------------------------------------------------------------------------------


async def of_model(script: Script, home: Home, **changes: Any) -> tuple[Finding, int]:
    async with model_server(script) as server:
        settings = settings_with(openai_base_url=server.url, model="scripted", model_retries=0, **changes)
        return await of_the_model(settings, home, now()), len(server.requests)


async def test_a_model_that_answers_is_told_with_the_form_it_takes(home: Home) -> None:
    finding, requests = await of_model(lambda _body, _number: Say('{"summary": "ready"}'), home)
    assert (finding.mark, requests) == (Mark.GOOD, 1)
    assert "scripted at 127.0.0.1" in finding.found
    assert "takes json_schema; asking cost 1 request" in finding.found


@pytest.mark.parametrize(("status", "words"), [(401, "refused the key"), (404, "does not know"), (500, "out of order")])
async def test_a_model_that_does_not_answer_is_no_obstacle_to_a_run(home: Home, status: int, words: str) -> None:
    script = lambda _body, _number: Fail(status, "no such model")  # noqa: E731
    finding, _ = await of_model(script, home, openai_api_key="sk-test-0123456789")
    assert finding.mark is Mark.DOUBT
    assert words in finding.found
    assert "sk-test" not in finding.found


@pytest.mark.parametrize(
    ("think_mode", "words"),
    [("model", "A run goes on by the rules until it answers"), ("shadow", "Runs go by the rules as always")],
)
async def test_what_a_run_does_without_an_answer_is_told_as_it_is(home: Home, think_mode: str, words: str) -> None:
    """Where the model is only watched, the rules trade also when it answers."""
    finding, _ = await of_model(lambda _body, _number: Fail(500), home, think_mode=think_mode)
    assert finding.mark is Mark.DOUBT
    assert words in finding.todo


async def test_a_server_that_knows_no_schemas_is_asked_otherwise_as_a_run_would(home: Home) -> None:
    def script(body: dict[str, Any], _number: int) -> Reply:
        return Fail(400, "response_format is not supported") if "response_format" in body else Say("{}")

    finding, requests = await of_model(script, home)
    assert ("takes function_calling" in finding.found, requests) == (True, 2)


async def test_a_model_that_says_nothing_is_not_waited_for_for_ever(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.checkup.MODEL_SECONDS", 0.3)
    async with model_server(lambda _body, _number: Silence(5)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        findings = await found(home)
    assert the(findings, "model").mark is Mark.DOUBT
    assert "did not answer within 0.3 s" in about(findings, "model")
    assert worst(findings) == []


async def test_rules_only_is_one_quiet_row(home: Home) -> None:
    finding = await of_the_model(settings_with(think_mode="rules", openai_api_key="sk-test-0123456789"), home, now())
    assert (finding.mark, finding.found) == (Mark.NOTE, "rules only: think_mode is rules")


# --- what breaks ----------------------------------------------------------------------------------------------------


async def test_a_check_that_breaks_off_is_a_row_and_the_others_stand(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> Finding:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("cli.checkup.broker.of_the_account", broken)
    findings = await found(home)
    assert worst(findings) == [("account", ExitCode.FAILED)]
    assert "a mistake of ours" in about(findings, "account")
    assert the(findings, "positions").mark is Mark.GOOD


def test_a_run_ends_over_the_first_thing_in_its_way() -> None:
    halted = bad("halt", "halted", "", ExitCode.HALTED, Stage.HALT)
    unfit = bad("positions", "they do not add up", "")
    gone = bad("broker", "nobody there", "", ExitCode.UNREACHABLE, Stage.READING)
    assert verdict_on([halted, unfit])[0] == ExitCode.HALTED
    assert verdict_on([halted, unfit, gone])[0] == ExitCode.UNREACHABLE


def test_looking_at_a_database_does_not_make_one(tmp_path: Path) -> None:
    assert unsound(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    with sqlite3.connect(tmp_path / "one.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert unsound(tmp_path / "one.db") is None
