"""The folder of the agent, the databases in it, and what they say."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from cli.checkup.finding import Finding, Stage, bad, doubt, good, note, unseen
from cli.exit_codes import ExitCode
from config.home import Home
from config.problems import ConfigError
from graph.journal import Journal, JournalError
from graph.journal.halts import flag_raised
from tools.wire.foreign_text import one_line

MOST_LISTED = 4
MOST_SECONDS = 10.0
STEPS = 10_000
"""Of SQLite's machine, between two looks at the clock."""
WHOLE = "ok"
TOO_LARGE = f"not looked through within {MOST_SECONDS:g} s"


def of_the_home(home: Home, log_file: str) -> Iterator[Finding]:
    """The folder and the databases in it, whether trading is halted, and what is still open."""
    why = _why_not_writable(home, home.log_file(log_file))
    if why:
        yield bad("home", *why, ExitCode.BAD_USAGE, Stage.START)
        yield unseen("databases", "the home cannot be used")
        return
    yield good("home", f"{home.root} can be written")
    said = {file: unsound(file) for file in (home.database, home.checkpoints, home.memory) if file.exists()}
    yield from _of_the_databases(said, home)
    if said.get(home.database) not in (None, TOO_LARGE):
        yield unseen("halt", "the journal cannot be read, which counts as halted")
    else:
        yield from _of_the_journal(home)
    if is_busy(home):
        yield note("other runs", "a run is at work in this home; another one would wait for its end")


def is_busy(home: Home) -> bool:
    """Whether a run is at work in this home."""
    if not home.lock.exists():
        return False
    try:
        with FileLock(home.lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _why_not_writable(home: Home, log: Path) -> tuple[str, str] | None:
    """What is in the way, and what to do; a folder that is not there yet is tried out in a place of its own."""
    try:
        if home.root.exists():
            home.create()
            with tempfile.TemporaryFile(dir=home.root) as probe:
                probe.write(b"?")
        else:
            there = next(folder for folder in home.root.absolute().parents if folder.exists())
            with tempfile.TemporaryDirectory(dir=there) as tried:
                (Path(tried) / home.root.name).mkdir()
    except ConfigError as error:
        return f"{home.root}: {error.problems[0].why}", error.problems[0].instead
    except OSError as error:
        return f"{home.root} cannot be written ({error.strerror})", "Make room there, or give --home another folder"
    if log.is_dir() or (log.exists() and not os.access(log, os.W_OK)):
        return f"{log} cannot be written", "Move it away, or name another log_file"
    return None


def _of_the_databases(said: dict[Path, str | None], home: Home) -> Iterator[Finding]:
    """`said` is why each of them cannot be relied on."""
    broken = {file: why for file, why in said.items() if why and why != TOO_LARGE}
    for file, why in broken.items():
        yield _broken(file, why, home)
    if not broken:
        large = "".join(f"; {file.name} {why}" for file, why in said.items() if why)
        names = ", ".join(file.name for file in said)
        yield good("databases", f"{names}: whole{large}" if names else "there are none yet; the first run makes them")


def _broken(file: Path, why: str, home: Home) -> Finding:
    if file == home.database:
        todo = "Restore it from a backup. Without the journal, look for open orders in the broker's own screens first"
        return bad("databases", f"{file.name}: {why}", todo, ExitCode.HALTED, Stage.JOURNAL)
    lost = "lessons are" if file == home.memory else "runs that wait for approval are"
    todo = f"Move it away: {lost} lost, and nothing else"
    return bad("databases", f"{file.name}: {why}", todo, ExitCode.FAILED, Stage.BOOKS)


def unsound(file: Path) -> str | None:
    """Why the database cannot be relied on, None where it can."""
    ends_at = time.monotonic() + MOST_SECONDS
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > ends_at, STEPS)
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return TOO_LARGE if time.monotonic() > ends_at else one_line(str(error), 120)
    return None if said == WHOLE else one_line(str(said), 120)


def _of_the_journal(home: Home) -> Iterator[Finding]:
    halted, unsettled, waiting = flag_raised(home.database), [], []
    if home.database.exists():
        try:
            with closing(Journal(home.database)) as journal:
                halted = journal.halts.current()
                unsettled = [order.client_order_id for order in journal.orders.unsettled()]
                waiting = [question.run_id for question in journal.questions.open()]
        except JournalError as error:
            yield bad("journal", one_line(str(error)), "", ExitCode.HALTED, Stage.JOURNAL)
            return
    if halted:
        since = f" since {halted.since:%Y-%m-%d %H:%M} UTC" if halted.since else ""
        todo = "Once the reason is settled, `smart-agent resume` lets it go on"
        yield bad("halt", f"trading is halted{since}: {halted.why}", todo, ExitCode.HALTED, Stage.HALT)
    else:
        yield good("halt", "trading is not halted")
    if unsettled:
        todo = "The next run looks them up first; what it cannot tell, `smart-agent orders resolve` settles"
        yield doubt("earlier orders", f"{_listed(unsettled)}: what became of it is not known yet", todo)
    if waiting:
        todo = "Answer with `smart-agent approve` or `reject`; a new run closes the question"
        yield doubt("approvals", f"{_listed(waiting)} waits for a person's answer", todo)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
