"""Halting, approving, explaining, resolving: the commands a person reaches for, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from config.home import Home
from graph.journal import OrderState
from portfolio.models import OrderRecord, OrderStatus, Side
from tests.cli.test_command import DAY, SMART_AGENT, smart_agent
from tests.permits import RUN, journal_in, now, permit
from tests.portfolio.cases import terms

LOST = terms("SPY", Side.BUY, 5, client_order_id=f"{RUN}-1")


def run(home: Home, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return smart_agent("run", "--home", home.root, "--as-of", DAY, *arguments, **environment)


def waiting(home: Home) -> dict[str, Any]:
    """A run that asks for approval with nobody there, as the list of what waits shows it."""
    assert run(home, SMART_AGENT_REQUIRE_APPROVAL="always").returncode == 5
    listed = smart_agent("pending", "--home", home.root, "--json")
    assert listed.returncode == 5
    (question,) = json.loads(listed.stdout)
    return dict(question)


@pytest.mark.slow
def test_a_halted_agent_sends_nothing_until_a_person_lifts_the_halt(home: Home) -> None:
    halted = smart_agent("halt", "--home", home.root, "--why", "on holiday")
    assert (halted.returncode, "No order is sent" in halted.stdout) == (0, True)
    done = run(home, "--json")
    assert done.returncode == 6
    record = json.loads(done.stdout)
    assert record["orders"] == []
    assert "on holiday" in record["message"]
    lifted = smart_agent("resume", "--home", home.root)
    assert "on holiday" in lifted.stdout
    assert "was not halted" in smart_agent("resume", "--home", home.root).stdout
    assert run(home).returncode == 0


def test_a_halt_gets_through_a_configuration_that_nothing_starts_with(home: Home) -> None:
    home.config_file.write_text("{ this is no JSON", encoding="utf-8")
    done = smart_agent("halt", "--home", home.root)
    assert done.returncode == 0
    with journal_in(home.root) as journal:
        assert journal.halts.current() is not None


@pytest.mark.parametrize("command", ["resume", "pending", "run"])
def test_a_journal_that_cannot_be_read_counts_as_halted(home: Home, command: str) -> None:
    home.database.write_bytes(b"no database" * 500)
    done = smart_agent(command, "--home", home.root)
    assert done.returncode == 6
    assert "counts as halted" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_halt_that_the_journal_cannot_keep_is_kept_in_a_file_beside_it(home: Home) -> None:
    """Also once the journal is back from a backup, which knows nothing of the halt."""
    home.database.write_bytes(b"no database" * 500)
    done = smart_agent("halt", "--home", home.root, "--why", "on holiday")
    assert (done.returncode, "Trading is halted" in done.stdout) == (0, True)
    assert "the journal of orders cannot be used" in done.stderr
    home.database.unlink()
    after = run(home, "--json")
    assert after.returncode == 6
    assert "on holiday" in json.loads(after.stdout)["message"]
    assert "on holiday" in smart_agent("resume", "--home", home.root).stdout
    assert run(home).returncode == 0


def test_a_home_in_which_not_everything_can_be_made_is_halted_all_the_same(home: Home) -> None:
    home.simulated.rmdir()
    home.simulated.write_text("in the way")
    done = CliRunner().invoke(app, ["halt", "--home", str(home.root), "--why", "on holiday"])
    assert done.exit_code == 0, done.output
    assert "Trading is halted" in done.output
    with journal_in(home.root) as journal:
        assert journal.halts.current() is not None


@pytest.mark.slow
def test_a_halt_is_in_force_at_once_though_somebody_holds_the_journal(home: Home) -> None:
    with journal_in(home.root):
        pass
    holder = sqlite3.connect(home.database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    command = [str(SMART_AGENT), "halt", "--home", str(home.root), "--why", "on holiday"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Trading is halted" in process.stdout.readline()
        assert "on holiday" in (home.root / "HALTED").read_text()
        assert process.poll() is None, "it waits for the journal still"
        holder.close()
        assert process.wait(60) == 0
    (home.root / "HALTED").unlink()
    assert run(home).returncode == 6, "the journal knows it, too"


def test_a_halt_of_a_home_that_cannot_be_says_that_nothing_is_halted() -> None:
    done = smart_agent("halt", "--home", "/dev/null/home")
    assert done.returncode == 2
    assert "NOT halted" in done.stderr


@pytest.mark.slow
def test_what_waits_is_listed_approved_in_another_process_and_explained(home: Home) -> None:
    question = waiting(home)
    shown = smart_agent("pending", "--home", home.root)
    assert question["run_id"] in shown.stdout
    assert "every run is to be approved" in shown.stdout
    done = smart_agent("approve", question["run_id"], "--home", home.root, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["outcome"] == "traded"
    assert [order["symbol"] for order in record["orders"]] == [order["symbol"] for order in question["orders"]]
    assert smart_agent("pending", "--home", home.root).stdout == "Nothing waits for approval.\n"
    again = smart_agent("approve", question["run_id"], "--home", home.root)
    assert (again.returncode, "its question is closed: approved" in again.stderr) == (2, True)

    order_id = record["orders"][0]["client_order_id"]
    facts = json.loads(smart_agent("explain", order_id, "--home", home.root, "--json").stdout)
    (told,) = facts["orders"]
    assert facts["run"] is None
    assert [change["state"] for change in told["changes"]] == [
        "PLANNED",
        "APPROVED",
        "SUBMITTING",
        "SUBMITTED",
        "FILLED",
    ]
    assert all(check["passed"] for verdict in told["verdicts"] for check in verdict["checks"])
    page = smart_agent("explain", order_id, "--home", home.root).stdout
    assert all(check["rule"] in page for check in told["verdicts"][0]["checks"])
    in_short = smart_agent("explain", "--home", home.root).stdout
    assert question["run_id"] in in_short, "the last run, where none is named"
    assert f"smart-agent explain {order_id} --home" in in_short
    assert "max_trade_value" not in in_short, "a rule that was kept says nothing"
    assert in_short.count("FILLED") >= len(record["orders"])


@pytest.mark.slow
def test_a_run_whose_checkpoints_are_gone_is_said_to_be_over(home: Home) -> None:
    question = waiting(home)
    for file in home.root.glob("checkpoints.db*"):
        file.unlink()
    done = smart_agent("approve", question["run_id"], "--home", home.root)
    assert done.returncode == 2
    assert "the checkpoints it waited in are gone" in done.stderr
    assert "KeyError" not in done.stderr
    assert smart_agent("pending", "--home", home.root).stdout == "Nothing waits for approval.\n"
    with journal_in(home.root) as journal:
        assert journal.orders.unsettled() == ()


@pytest.mark.slow
def test_a_rejected_run_sends_nothing_and_a_part_of_one_sends_that_part(home: Home) -> None:
    question = waiting(home)
    done = smart_agent("reject", question["run_id"], "--home", home.root, "--why", "not now", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["outcome"] == "declined"
    question = waiting(home)
    symbol = question["orders"][0]["symbol"]
    stranger = smart_agent("approve", question["run_id"], "--home", home.root, "--only", "XYZ")
    assert (stranger.returncode, "no order of run" in stranger.stderr) == (2, True)
    done = smart_agent("approve", question["run_id"], "--home", home.root, "--only", symbol, "--json")
    assert [order["symbol"] for order in json.loads(done.stdout)["orders"]] == [symbol]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["approve"], ["reject"], ["explain"]])
def test_a_run_nobody_knows_is_named_and_nothing_happens(home: Home, command: list[str]) -> None:
    done = smart_agent(*command, "20200101-000000-ffffff", "--home", home.root)
    assert done.returncode == 2
    assert "20200101-000000-ffffff" in done.stderr
    assert "Traceback" not in done.stderr


def lose_an_order(home: Home) -> None:
    with journal_in(home.root) as journal:
        journal.orders.burn(permit(journal, LOST), now())
        lost = OrderRecord(
            client_order_id=LOST.client_order_id,
            broker_order_id=None,
            symbol=LOST.symbol,
            side=LOST.side,
            quantity=LOST.quantity,
            limit_price=LOST.limit_price,
            status=OrderStatus.UNKNOWN,
            message="SPY: the order may have been placed",
        )
        journal.orders.settle(lost, datetime.now(UTC))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "state", "filled"), [("filled", OrderState.FILLED, 5), ("not-sent", OrderState.CANCELLED, 0)]
)
def test_a_persons_word_settles_an_order_nobody_can_account_for(
    home: Home, word: str, state: OrderState, filled: int
) -> None:
    lose_an_order(home)
    listed = smart_agent("orders", "list", "--home", home.root)
    assert listed.returncode == 7
    assert LOST.client_order_id in listed.stdout
    done = smart_agent("orders", "resolve", LOST.client_order_id, "--as", word, "--home", home.root)
    assert done.returncode == 0, done.stderr
    with journal_in(home.root) as journal:
        order = journal.orders.find(LOST.client_order_id)
        assert order is not None
        assert order.record is not None
        assert (order.state, order.record.filled_quantity) == (state, Decimal(filled))
        assert "a person says" in journal.orders.changes(LOST.client_order_id)[-1].why
    assert smart_agent("orders", "list", "--home", home.root).returncode == 0
    again = smart_agent("orders", "resolve", LOST.client_order_id, "--as", "filled", "--home", home.root)
    assert (again.returncode, "needs no word from you" in again.stderr) == (2, True)


@pytest.mark.slow
def test_an_emergency_stop_halts_first_and_reports_what_it_cannot_account_for(home: Home) -> None:
    lose_an_order(home)
    done = smart_agent("emergency-stop", "--home", home.root, "--as-of", DAY)
    assert done.returncode == 7
    assert "Trading is halted" in done.stdout
    assert f"({LOST.client_order_id}): it could not be cancelled" in done.stdout
    with journal_in(home.root) as journal:
        assert journal.halts.current() is not None


@pytest.mark.slow
def test_an_emergency_stop_without_a_broker_has_halted_all_the_same(home: Home) -> None:
    lose_an_order(home)
    done = smart_agent("emergency-stop", "--home", home.root, MCP_URL="http://127.0.0.1:9/mcp")
    assert done.returncode == 3
    assert "Trading is halted, and open orders may still work" in done.stderr
    with journal_in(home.root) as journal:
        assert journal.halts.current() is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {"mcp_url": "http://127.0.0.1:9/mcp", "paper_trading": False, "live_accounts": ["U1234567"]},
        {"mcp_url": "http://127.0.0.1:9/mcp", "max_positons": 5},
    ],
    ids=["live", "typo"],
)
def test_an_emergency_stop_asks_the_broker_though_no_run_would_be_started(home: Home, config: dict[str, Any]) -> None:
    home.config_file.write_text(json.dumps(config), encoding="utf-8")
    assert run(home).returncode == 2
    done = smart_agent("emergency-stop", "--home", home.root)
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr
    assert "Trading is halted, and open orders may still work" in done.stderr


@pytest.mark.slow
def test_an_emergency_stop_that_is_told_of_no_broker_says_what_is_left_to_do(home: Home) -> None:
    home.config_file.write_text("{ this is no JSON", encoding="utf-8")
    done = smart_agent("emergency-stop", "--home", home.root)
    assert done.returncode == 2
    assert "Trading is halted, and open orders may still work: look in the broker's own screens." in done.stderr
    assert "config.json" in done.stderr
    with journal_in(home.root) as journal:
        assert journal.halts.current() is not None
    named = smart_agent("emergency-stop", "--home", home.root, "--mcp-url", "http://127.0.0.1:9/mcp")
    assert named.returncode == 3


@contextmanager
def run_that_rests(home: Home, seconds: int) -> Iterator[subprocess.Popen[str]]:
    """A run whose first order is out, at a price that nobody pays, for so many seconds."""
    command = [str(SMART_AGENT), "run", "--home", str(home.root), "--as-of", DAY, "--json"]
    environment = {"PATH": os.environ["PATH"], "SMART_AGENT_PRICE_POLICY": "passive"}
    environment |= {"SMART_AGENT_FILL_TIMEOUT_SECONDS": str(seconds)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        wait_until_sent(home.root)
        yield process


@pytest.mark.slow
def test_an_emergency_stop_cancels_the_order_of_a_run_that_died(home: Home) -> None:
    with run_that_rests(home, 60) as process:
        process.kill()
    done = smart_agent("emergency-stop", "--home", home.root, "--as-of", DAY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it is CANCELLED now" in done.stdout
    with journal_in(home.root) as journal:
        assert journal.orders.unsettled() == ()


@pytest.mark.slow
def test_a_run_that_is_under_way_cancels_its_order_once_trading_is_halted(home: Home) -> None:
    with run_that_rests(home, 300) as process:
        done = smart_agent("halt", "--home", home.root)
        stdout, _ = process.communicate(timeout=60)
    assert done.returncode == 0
    assert process.returncode == 6
    first, *rest = json.loads(stdout)["orders"]
    assert (first["status"], first["filled_quantity"]) == ("CANCELLED", "0")
    assert all("not sent" in order["message"] for order in rest)
    with journal_in(home.root) as journal:
        assert journal.orders.unsettled() == ()


@pytest.mark.slow
def test_an_emergency_stop_cancels_orders_by_their_names_where_the_journal_is_lost(home: Home) -> None:
    with run_that_rests(home, 60) as process:
        process.kill()
    for file in home.root.glob("agent.db*"):
        file.unlink()
    home.database.write_bytes(b"no database" * 500)
    done = smart_agent("emergency-stop", "--home", home.root, "--as-of", DAY)
    assert done.returncode == 7
    assert ": cancelled." in done.stdout
    assert "The journal cannot be read" in done.stdout
    assert "Trading is halted" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGINT, signal.SIGHUP))]
)
def test_a_signal_in_the_middle_of_a_batch_lets_the_order_finish_and_sends_no_more(home: Home, number: int) -> None:
    """At a price that nobody pays an order takes its whole time: there is enough of it to be stopped in."""
    with run_that_rests(home, 3) as process:
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "Stopping after the order that is under way" in stderr
    record = json.loads(stdout)
    assert record["outcome"] == "interrupted"
    assert record["reflection"] is not None
    first, *rest = record["orders"]
    assert first["broker_order_id"]
    assert rest
    assert all("asked to stop" in order["message"] for order in rest)
    with journal_in(home.root) as journal:
        assert {order.state for order in journal.orders.of_run(record["run_id"])} == {OrderState.CANCELLED}


def wait_until_sent(folder: Path) -> None:
    """Until the broker has confirmed an order that is not over; before, it may or may not have reached the broker."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "agent.db").exists():
            with journal_in(folder) as journal:
                if any(order.state is not OrderState.SUBMITTING for order in journal.orders.unsettled()):
                    return
        time.sleep(0.1)
    raise AssertionError("no order was sent")
