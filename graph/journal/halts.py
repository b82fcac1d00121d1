"""The halt: a flag that stops every order, survives restarts, and needs a person to lift.

A new journal starts free. A last entry that is neither a halt nor a release means halted, and so does the file beside
the database.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, func, select

from graph.halt_flag import flag_beside, lower_flag, raise_flag, words_of_flag
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

    def halt(self, why: str, now: datetime) -> Halt | None:
        """Halt; in a file beside the database where that cannot be written. Gives back the halt there was before."""
        try:
            with self._database.change() as connection:
                before = _last_entered(connection)
                connection.execute(HALTS.insert().values(at=now.isoformat(), action=HALT, why=why))
        except JournalUnusable as error:
            if self._database.file is None:
                raise
            try:
                raise_flag(self._database.file, why, now)
            except OSError:
                raise error from None
            return None
        return before

    def resume(self, why: str, now: datetime) -> Halt | None:
        """Lift the halt in force, which is given back; None where there was none. One that comes meanwhile stays.

        The file goes last: where the journal cannot take it down that trading is resumed, it is not.
        """
        file = self._database.file
        words = words_of_flag(file) if file else None
        with self._database.change() as connection:
            halt = halt_in_force(connection)
            if halt is not None:
                connection.execute(HALTS.insert().values(at=now.isoformat(), action=RESUME, why=why))
        if halt is not None and file:
            _lower(file, words)
        return halt


def halt_in_force(connection: Connection) -> Halt | None:
    """The same question within a transaction of somebody else."""
    entered, file = _last_entered(connection), file_of(connection.engine.url)
    return entered or (flag_raised(file) if file else None)


def _last_entered(connection: Connection) -> Halt | None:
    """The halt that the list ends with, since the first of those in a row, and why that and the last were."""
    last = connection.execute(select(HALTS).order_by(HALTS.c.number.desc()).limit(1)).one_or_none()
    if last is None or last.action == RESUME:
        return None
    if last.action != HALT:
        return Halt(since=None, why=f"the last entry of the halt list is {last.action!r}, which nobody knows")
    lifted = select(func.max(HALTS.c.number)).where(HALTS.c.action == RESUME).scalar_subquery()
    row = (
        select(HALTS)
        .where(HALTS.c.action == HALT, HALTS.c.number > func.coalesce(lifted, 0))
        .order_by(HALTS.c.number)
        .limit(1)
    )
    first = connection.execute(row).one()
    why = last.why if first.why == last.why else f"{first.why}; then {last.why}"
    return Halt(since=datetime.fromisoformat(first.at), why=why)


def flag_raised(database: Path) -> Halt | None:
    """The halt that the file stands for; None only where it is certain that there is no such file."""
    words = words_of_flag(database)
    if words is None:
        return None
    since, _, why = words.partition("\n")
    with suppress(ValueError):
        return Halt(since=datetime.fromisoformat(since), why=why.strip())
    return Halt(since=None, why=f"the file {flag_beside(database)} is there, which means halted")


def _lower(database: Path, words: str | None) -> None:
    try:
        lower_flag(database, words)
    except OSError as error:
        raise JournalUnusable(
            f"{flag_beside(database)}: this file halts trading and could not be removed ({error.strerror}); trading "
            "stays halted. Remove it by hand."
        ) from error
