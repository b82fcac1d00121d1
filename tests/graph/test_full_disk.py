"""The disk takes no more at some point of a run: whatever was sent is in the journal and told, and the next run trades.

A trigger in the file of the checkpoints makes the real SQLite fail there, and only there, from a given row on; a limit
on the size of files makes it fail everywhere, as a full disk does.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from brokers.simulated import open_simulated
from cli.exit_codes import ExitCode, exit_code
from config.home import Home
from graph.checkpoints import open_checkpoints
from graph.journal import Journal
from graph.record import Outcome, RunRecord
from tests.graph.conftest import TRADING_DAY, Faulty, opened, settings_with
from tests.graph.crash_audit import BrokerBooks, assert_in_agreement, broker_books
from tests.simulators.crash_job import Forgets

SMART_AGENT = Path(sys.executable).with_name("smart-agent")
FULL = """
CREATE TRIGGER full_{table} BEFORE INSERT ON {table} WHEN (SELECT count(*) FROM taken) >= {rows}
BEGIN SELECT abs(-9223372036854775808); END
"""
COUNT = "CREATE TRIGGER count_{table} AFTER INSERT ON {table} BEGIN INSERT INTO taken VALUES (1); END"
NOT_KEPT = "The steps of the run cannot be kept in checkpoints.db"
FROM_BEFORE_SENSE_TO_BEHIND_REFLECT = range(1, 62, 4)
"""Rows that the checkpoints take; a run has some fifty."""
SIZES = (100_000, 200_000, 300_000, 400_000, 450_000, 500_000, 550_000)
"""Bytes a file may have; those of a first run need between 24 and 600 thousand."""


@pytest.fixture
def opening(tmp_path: Path) -> BrokerBooks:
    open_simulated(tmp_path / "opening" / "simulated", as_of=TRADING_DAY)._books.close()
    return broker_books(tmp_path / "opening")


async def fill_after(home: Home, rows: int) -> None:
    """From so many rows on, the checkpoints' database fails."""
    async with open_checkpoints(home.checkpoints) as saver:
        await saver.setup()
    with closing(sqlite3.connect(home.checkpoints)) as database:
        database.execute("CREATE TABLE taken (one)")
        for table in ("checkpoints", "writes"):
            database.execute(FULL.format(table=table, rows=rows))
            database.execute(COUNT.format(table=table))
        database.commit()


def make_room(home: Home) -> None:
    with closing(sqlite3.connect(home.checkpoints)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")


async def run_once(home: Home, faulty: Faulty | None = None, **settings: str) -> RunRecord:
    async with opened(home, settings_with(**settings), TRADING_DAY, faulty) as run:
        async for _ in run.start():
            pass
        return await run.record()


@pytest.mark.slow
async def test_a_run_whose_steps_cannot_be_kept_tells_what_it_sent_and_the_next_one_trades(
    tmp_path: Path, opening: BrokerBooks
) -> None:
    seen = set()
    for rows in FROM_BEFORE_SENSE_TO_BEHIND_REFLECT:
        home = Home(tmp_path / str(rows))
        home.create()
        await fill_after(home, rows)
        record = await run_once(home)
        sent = broker_books(home.root).orders
        assert {order.client_order_id for order in record.orders} == {order.client_order_id for order in sent}
        is_told = NOT_KEPT in " ".join((record.message, *record.notes))
        seen.add((record.outcome, len(sent), is_told))
        if record.outcome is Outcome.FAILED:
            assert record.message.startswith(NOT_KEPT)
            assert record.reflection is not None
            assert len(list(home.reflections.iterdir())) == 1
        make_room(home)
        again = await run_once(home)
        assert sent or again.outcome is Outcome.TRADED
        await asyncio.to_thread(assert_in_agreement, home.root, home.root, opening)
    assert seen == {
        (Outcome.FAILED, 0, True),
        (Outcome.FAILED, 3, True),
        (Outcome.TRADED, 3, True),
        (Outcome.TRADED, 3, False),
    }


@pytest.mark.slow
async def test_an_order_that_may_be_out_outranks_that_the_steps_cannot_be_kept(tmp_path: Path) -> None:
    seen = set()
    for rows in FROM_BEFORE_SENSE_TO_BEHIND_REFLECT:
        home = Home(tmp_path / str(rows))
        home.create()
        await fill_after(home, rows)
        record = await run_once(home, Forgets)
        with closing(Journal(home.database)) as journal:
            out = journal.orders.unsettled()
        assert (record.outcome is Outcome.ORDER_UNKNOWN) is (len(out) > 0)
        assert all(order.client_order_id in record.message for order in out)
        seen.add(exit_code(record.outcome))
    assert seen == {ExitCode.FAILED, ExitCode.ORDER_UNKNOWN}


@pytest.mark.slow
async def test_a_run_waits_for_a_person_only_where_the_answer_will_find_it(tmp_path: Path) -> None:
    seen = set()
    for rows in FROM_BEFORE_SENSE_TO_BEHIND_REFLECT:
        home = Home(tmp_path / str(rows))
        home.create()
        await fill_after(home, rows)
        record = await run_once(home, require_approval="always")
        with closing(Journal(home.database)) as journal:
            asked = journal.questions.open()
        assert len(asked) == (record.outcome is Outcome.WAITING_FOR_APPROVAL)
        assert broker_books(home.root).orders == ()
        seen.add(record.outcome)
    assert seen == {Outcome.FAILED, Outcome.WAITING_FOR_APPROVAL}


def process(home: Home, most_bytes: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[str]:
    """A run that can write files of so many bytes."""

    def shrink() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(
        [SMART_AGENT, "run", "--home", home.root, "--as-of", str(TRADING_DAY)],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")},
        timeout=120,
        check=False,
        preexec_fn=shrink,
    )


@pytest.mark.slow
@pytest.mark.parametrize("most_bytes", SIZES)
def test_a_full_disk_leaves_no_order_untold_and_the_next_run_recovers(
    home: Home, opening: BrokerBooks, most_bytes: int
) -> None:
    done = process(home, most_bytes)
    told = " ".join((done.stdout + done.stderr).split())
    with closing(Journal(home.database)) as journal:
        out = journal.orders.unsettled()
        known = {order.client_order_id for order in broker_books(home.root).orders}
        assert all(journal.orders.find(str(name)) for name in known)
    assert out or done.returncode != ExitCode.ORDER_UNKNOWN, told
    for order in out:  # one that was filled, and could only not be written down, is known
        name = f"{order.side} {order.quantity} {order.symbol}"
        assert name in told
        assert done.returncode == ExitCode.ORDER_UNKNOWN or f"TRADE FILLED {name}" in told
    assert "Traceback" not in told
    again = process(home)
    assert again.returncode == ExitCode.DONE, again.stdout + again.stderr
    assert_in_agreement(home.root, home.root, opening)
    assert known or "Completed 3 of 3 trades" in again.stdout
