"""A loop in a process of its own, between others and in front of signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import jsonschema
import pytest
from typer.testing import CliRunner

from cli.main import app
from config.home import Home
from graph.journal import OrderState
from tests.cli.test_command import DAY, SCHEMA, SMART_AGENT
from tests.cli.test_safety_commands import wait_until_sent
from tests.permits import journal_in

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def loop_in(home: Home, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(SMART_AGENT), "run", "--continuous", "--home", str(home.root), "--json", *arguments]
    environment = {"PATH": os.environ["PATH"], **variables}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(stream: IO[str] | None, words: str) -> str:
    assert stream is not None
    shown = ""
    for line in stream:
        shown += line
        if words in line:
            return shown
    raise AssertionError(f"{words!r} is not in {shown}")


def invoke(home: Home, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*arguments, "--home", str(home.root)])
    return done.exit_code, " ".join(done.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_between_runs_others_find_their_turn_and_a_signal_ends_the_loop_at_once(home: Home, number: int) -> None:
    with loop_in(home, "--as-of", DAY) as loop:
        told = read_until(loop.stderr, "Next run at")
        code, words = invoke(home, "run", "--continuous")
        assert (code, "Another process runs continuously" in words) == (1, True)
        assert invoke(home, "run", "--once", "--as-of", DAY)[0] == 0
        assert invoke(home, "halt")[0] == 0
        loop.send_signal(number)
        stdout, stderr = loop.communicate(timeout=20)
    assert loop.returncode == 0
    assert "(in 24 h 0 min)" in told
    assert "The loop ends; it began 1 run." in stderr
    (line,) = stdout.splitlines()
    jsonschema.validate(json.loads(line), SCHEMA)
    assert invoke(home, "run", "--continuous", "--max-runs", "1", "--as-of", DAY)[0] == 6


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_the_middle_of_a_batch_lets_the_order_finish_and_ends_the_loop(home: Home, number: int) -> None:
    """At a price that nobody pays an order takes its whole time: there is enough of it to be stopped in."""
    slow = {"SMART_AGENT_PRICE_POLICY": "passive", "SMART_AGENT_FILL_TIMEOUT_SECONDS": "3"}
    with loop_in(home, "--as-of", DAY, **slow) as loop:
        wait_until_sent(home.root)
        loop.send_signal(number)
        stdout, stderr = loop.communicate(timeout=60)
    assert loop.returncode == 1, stderr
    assert "Stopping after the order that is under way" in stderr
    assert "Next run at" not in stderr
    assert stderr.endswith("The loop ends; it began 1 run.\n")
    (line,) = stdout.splitlines()
    record = json.loads(line)
    assert record["outcome"] == "interrupted"
    assert record["reflection"] is not None
    first, *rest = record["orders"]
    assert first["broker_order_id"]
    assert rest
    assert all("asked to stop" in order["message"] for order in rest)
    with journal_in(home.root) as journal:
        assert journal.orders.unsettled() == ()
        assert {order.state for order in journal.orders.of_run(record["run_id"])} == {OrderState.CANCELLED}


@pytest.mark.slow
def test_a_signal_before_anything_was_sent_ends_run_and_loop_at_once(home: Home) -> None:
    with loop_in(home, MCP_URL="stdio:sleep 600") as loop:
        read_until(loop.stderr, "Running every")
        loop.send_signal(signal.SIGTERM)
        _, stderr = loop.communicate(timeout=30)
    assert loop.returncode == 1
    assert "Interrupted. Nothing was sent." in stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--interval", "6"], "Add --continuous"),
        (["--max-runs", "2"], "Add --continuous"),
        (["--once", "--interval", "6"], "Add --continuous"),
        (["--continuous", "--interval", "0.01"], "(--interval)"),
        (["--continuous", "--interval", "nan"], "(--interval)"),
        (["--continuous", "--market", "noon"], "no moment of a session"),
        (["--continuous", "--market", "open", "--interval", "6"], "--market and --interval"),
        (["--continuous", "--market", "open", "--as-of", DAY], "--market goes by the clock"),
        (["--continuous", "--live-trading"], "simulated one has only paper"),
    ],
)
def test_what_makes_no_sense_starts_nothing(home: Home, arguments: list[str], words: str) -> None:
    code, told = invoke(home, "run", *arguments)
    assert code == 2
    assert words in told


@pytest.mark.parametrize("name", ["continuous.lock", "trading_log.log"])
def test_a_folder_that_cannot_hold_the_lock_or_the_log_starts_nothing(home: Home, name: str) -> None:
    (home.root / name).mkdir()
    code, told = invoke(home, "run", "--continuous")
    assert code == 2
    assert str(home.root / name) in told
    assert "nothing was started" in told
