"""The halt: a flag that stops every order, survives restarts, and needs a person to lift.

A new journal starts free. A last entry that is neither a halt nor a release means halted, and so does the file beside
the database.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from graph.halt_flag import flag_beside, raise_flag
from graph.journal.database import HALTS, Database, JournalUnusable, file_of
from portfolio.models import Fact, Utc

HALT, RESUME = "halt", "resume"


class Halt(Fact):
    """Why and since when no order is sent."""

    since: Utc | None
    why: str


class Halts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> Halt | None:
        """The halt in force; None where orders may be sent."""
        with self._database.change() as connection:
            return halt_in_force(connection)

    def halt(self, why: str, now: datetime) -> None:
        """Halt; in a file beside the database where that cannot be written."""
        try:
            self._write(HALT, why, now)
        except JournalUnusable as error:
            if self._database.file is None:
                raise
            try:
                raise_flag(self._database.file, why, now)
            except OSError:
                raise error from None

    def resume(self, why: str, now: datetime) -> None:
        self._write(RESUME, why, now)
        if self._database.file is None:
            return
        flag = flag_beside(self._database.file)
        try:
            flag.unlink(missing_ok=True)
        except OSError as error:
            raise JournalUnusable(
                f"{flag}: this file halts trading and could not be removed ({error.strerror}); trading stays halted. "
                "Remove it by hand."
            ) from error

    def _write(self, action: str, why: str, now: datetime) -> None:
        with self._database.change() as connection:
            connection.execute(HALTS.insert().values(at=now.isoformat(), action=action, why=why))


def halt_in_force(connection: Connection) -> Halt | None:
    """The same question within a transaction of somebody else."""
    last = connection.execute(select(HALTS).order_by(HALTS.c.number.desc()).limit(1)).one_or_none()
    if last is None or last.action == RESUME:
        file = file_of(connection.engine.url)
        return flag_raised(file) if file else None
    if last.action != HALT:
        return Halt(since=None, why=f"the last entry of the halt list is {last.action!r}, which nobody knows")
    return Halt(since=datetime.fromisoformat(last.at), why=last.why)


def flag_raised(database: Path) -> Halt | None:
    """The halt that the file stands for; None only where it is certain that there is no such file."""
    flag = flag_beside(database)
    try:
        flag.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Halt(since=None, why=f"nobody can tell whether {flag} is there ({error.strerror})")
    with suppress(OSError, ValueError):
        since, _, why = flag.read_text(encoding="utf-8").partition("\n")
        return Halt(since=datetime.fromisoformat(since), why=why.strip())
    return Halt(since=None, why=f"the file {flag} is there, which means halted")
