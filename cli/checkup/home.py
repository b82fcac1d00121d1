"""The folder of the agent, the databases in it, and what they say."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from cli.checkup.finding import Finding, bad, good, note
from cli.exit_codes import ExitCode
from config.home import Home
from graph.journal import Journal, JournalError
from tools.wire.foreign_text import one_line

MOST_LISTED = 4


def of_the_home(home: Home) -> Iterator[Finding]:
    """The folder and the databases in it, whether trading is halted, and what is still open."""
    if os.access(home.root, os.W_OK | os.X_OK):
        yield good("home", f"{home.root} can be written")
    else:
        yield bad(
            "home", f"{home.root} cannot be written", "Give --home another folder, or its owner the right to write"
        )
    broken = [f"{file.name}: {why}" for file in _databases(home) if (why := unsound(file))]
    if broken:
        todo = "Move that file away and keep it; without the journal, look at the broker's own screens first"
        yield bad("databases", "; ".join(broken), todo, ExitCode.HALTED)
    else:
        names = ", ".join(file.name for file in _databases(home))
        yield good("databases", f"{names}: whole" if names else "there are none yet")
    yield from _of_the_journal(home)
    try:
        with FileLock(home.lock, timeout=0):
            pass
    except Timeout:
        yield note("other runs", "a run is at work in this home", "It is left alone; another one waits for its end")
    except OSError as error:
        yield bad("other runs", f"{home.lock} cannot be used ({error.strerror})", "Look at the folder's permissions")


def _databases(home: Home) -> list[Path]:
    return [file for file in (home.database, home.checkpoints, home.memory) if file.exists()]


def unsound(file: Path) -> str | None:
    """Why the database cannot be relied on, None where it can."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return one_line(str(error), 120)
    return None if said == "ok" else one_line(str(said), 120)


def _of_the_journal(home: Home) -> Iterator[Finding]:
    try:
        journal = Journal(home.database)
        with closing(journal):
            halted, unsettled = journal.halts.current(), journal.orders.unsettled()
    except JournalError as error:
        yield bad("journal", str(error), "Look at the file", ExitCode.HALTED)
        return
    if halted:
        todo = "`smart-agent resume` lets it go on"
        yield bad("halt", f"trading is halted: {halted.why}", todo, ExitCode.HALTED)
    else:
        yield good("halt", "trading is not halted")
    if unsettled:
        named = ", ".join(order.client_order_id for order in unsettled[:MOST_LISTED])
        todo = "The next run looks them up first; `smart-agent orders` settles what nobody can tell"
        yield note("open orders", f"{len(unsettled)} of earlier runs are not settled: {named}", todo)
