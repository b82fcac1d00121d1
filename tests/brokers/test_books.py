"""The books between processes: killed in the middle, shared by two, removed, damaged."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO

import pytest

from brokers.errors import Terminal
from brokers.protocol import OrderRequest
from brokers.simulated import copy_books, open_simulated, reset
from portfolio.models import Execution, OrderStatus, Side
from tests.brokers.price_files import MONDAY, three_days

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

# Buys and sells one share in turn from when it is told to go, telling each id once it is acknowledged.
TRADER = """
import asyncio, sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from brokers.protocol import OrderRequest
from brokers.simulated import open_simulated
from portfolio.models import Side

folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

async def trade():
    broker = open_simulated(folder, prices=folder / "prices.csv", as_of=date(2020, 3, 23))
    (account,) = await broker.accounts()
    conid = (await broker.find_contract("KO")).conid
    sys.stdin.readline()
    for number in range(count):
        side = Side.SELL if number % 2 else Side.BUY
        for client_order_id in (f"{name}-{number}", f"shared-{number}"):
            await broker.place(OrderRequest(account_id=account.account_id, conid=conid, side=side,
                quantity=Decimal(1), order_type="MKT", client_order_id=client_order_id))
            print(client_order_id, flush=True)
    await broker.close()

asyncio.run(trade())
"""


def trader(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TRADER, str(folder), name, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(child: subprocess.Popen[str]) -> IO[str]:
    """Let a waiting trader begin; what it tells comes back."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("go\n")
    child.stdin.close()
    return child.stdout


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def spent(executions: list[Execution]) -> Decimal:
    return sum(
        (fill.side.sign * fill.quantity * fill.price + (fill.commission or 0) for fill in executions), Decimal(0)
    )


async def books_of(folder: Path) -> tuple[Decimal, Decimal, list[Execution], dict[str | None, OrderStatus]]:
    """Cash, shares of KO, executions, and the status of each order that executed."""
    broker = open_simulated(folder, prices=folder / "prices.csv", as_of=date.fromisoformat(MONDAY))
    account_id = (await broker.accounts())[0].account_id
    executions = await broker.executions(account_id, LONG_AGO)
    cash = (await broker.summary(account_id)).total_cash
    (shares,) = [row.quantity for row in await broker.positions(account_id) if row.symbol == "KO"]
    statuses = {}
    for execution in executions:
        order = await broker.order_status(account_id, execution.client_order_id or "")
        assert order is not None
        statuses[execution.client_order_id] = order.status
    await broker.close()
    return cash, shares, executions, statuses


async def test_a_killed_process_leaves_every_acknowledged_order_and_nothing_half_done(tmp_path: Path) -> None:
    """The agent trusts these books after a crash: an order is in them wholly, or it never was."""
    three_days(tmp_path / "prices.csv")
    cash, shares, _, _ = await books_of(tmp_path)
    children = [trader(tmp_path, f"run{number}", 10_000) for number in range(3)]
    acknowledged: list[str] = []
    for child, patience in zip(children, (1, 12, 31), strict=True):
        with go(child) as told:
            acknowledged += [told.readline() for _ in range(patience)]
            child.kill()
            acknowledged += told.readlines()
        assert child.wait() == -signal.SIGKILL
    after, held, executions, statuses = await books_of(tmp_path)
    assert {line.strip() for line in acknowledged if line.endswith("\n")} <= set(statuses)
    assert set(statuses.values()) == {OrderStatus.FILLED}
    assert len(statuses) == len(executions) >= 22
    assert held == shares + sum(fill.side.sign for fill in executions)
    assert after == cash - spent(executions)


@pytest.mark.slow
async def test_two_processes_share_the_books_and_an_id_is_used_once(tmp_path: Path) -> None:
    three_days(tmp_path / "prices.csv")
    cash, shares, _, _ = await books_of(tmp_path)
    children = [trader(tmp_path, name, 20) for name in ("one", "two")]
    for child, told in [(child, go(child)) for child in children]:
        with told:
            assert len(told.readlines()) == 40
        assert child.wait() == 0
    after, held, executions, _ = await books_of(tmp_path)
    wanted = {f"{name}-{number}" for name in ("one", "two", "shared") for number in range(20)}
    assert sorted(fill.client_order_id or "" for fill in executions) == sorted(wanted)
    assert held == shares
    assert after == cash - spent(executions)


async def test_reset_removes_the_books_and_nothing_else(tmp_path: Path) -> None:
    prices = three_days(tmp_path / "prices.csv")
    for file in (None, prices):
        broker = open_simulated(tmp_path, prices=file, as_of=date.fromisoformat(MONDAY))
        await broker.close()
    kept = [tmp_path / name for name in ("agent.db", "simulated-notes.txt", "simulated-mine.db", "prices.csv")]
    for path in kept[:-1]:
        path.write_text("mine")
    removed = reset(tmp_path)
    assert {path.suffix for path in removed} == {".db"}
    assert len(removed) == 2
    assert entries(tmp_path) == sorted([*kept, tmp_path / "simulated-resets"])
    assert reset(tmp_path) == reset(tmp_path / "nowhere") == []


async def test_after_a_reset_the_account_begins_again(tmp_path: Path) -> None:
    three_days(tmp_path / "prices.csv")
    fresh = await books_of(tmp_path)
    broker = open_simulated(tmp_path, prices=tmp_path / "prices.csv", as_of=date.fromisoformat(MONDAY))
    (account,) = await broker.accounts()
    conid = (await broker.find_contract("KO")).conid
    await broker.place(
        OrderRequest(account_id=account.account_id, conid=conid, side=Side.BUY, quantity=Decimal(1), order_type="MKT")
    )
    await broker.close()
    reset(tmp_path)
    assert await books_of(tmp_path) == fresh


async def test_what_happens_in_a_copy_of_the_books_does_not_happen_in_them(tmp_path: Path) -> None:
    """Also after a reset, which gives the account another id."""
    folder, aside = tmp_path / "books", tmp_path / "aside"
    aside.mkdir()
    open_simulated(folder, as_of=date(2026, 3, 3))._books.close()
    reset(folder)
    ours = open_simulated(folder, as_of=date(2026, 3, 3))
    (account,) = await ours.accounts()
    copy_books(folder, aside)
    copied = open_simulated(aside, as_of=date(2026, 3, 3))
    assert await copied.accounts() == [account]
    assert await copied.positions(account.account_id) == await ours.positions(account.account_id)
    with copied._books.change():
        copied._books.add_cash(Decimal(1))
    before = (await ours.summary(account.account_id)).total_cash
    assert (await copied.summary(account.account_id)).total_cash == before + 1
    await ours.close()
    await copied.close()


def test_there_is_nothing_to_copy_where_there_are_no_books_and_damaged_ones_are_named(tmp_path: Path) -> None:
    copy_books(tmp_path / "nowhere", tmp_path)
    assert list(tmp_path.iterdir()) == []
    damaged = tmp_path / "simulated-synthetic-1.db"
    damaged.write_bytes(b"rubbish" * 1000)
    (tmp_path / "aside").mkdir()
    with pytest.raises(Terminal, match=r"simulated-synthetic-1\.db.*sim reset"):
        copy_books(tmp_path, tmp_path / "aside")


async def test_after_each_reset_the_account_has_another_id(tmp_path: Path) -> None:
    """What the agent remembers of the old account must not be held against the new one."""
    seen = []
    for _ in range(3):
        broker = open_simulated(tmp_path, as_of=date(2026, 3, 3))
        seen.append((await broker.accounts())[0].account_id)
        await broker.close()
        again = open_simulated(tmp_path, as_of=date(2026, 3, 4))
        assert (await again.accounts())[0].account_id == seen[-1]
        await again.close()
        reset(tmp_path)
    assert len(set(seen)) == 3
    assert all(account_id.startswith("DU") for account_id in seen)


def test_damaged_books_say_how_to_start_over(tmp_path: Path) -> None:
    (tmp_path / "simulated-synthetic-1.db").write_bytes(b"not a database, " * 100)
    with pytest.raises(Terminal, match="smart-agent sim reset"):
        open_simulated(tmp_path)


def test_books_of_another_format_are_not_touched(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "simulated-synthetic-1.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(Terminal, match="have format 99"):
        open_simulated(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Terminal, match="cannot be made"):
        open_simulated(tmp_path / "file" / "books")
