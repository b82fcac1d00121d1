"""The halt: a flag that stops every order, survives restarts, and needs a person to lift.

A new journal starts free. A last entry that is neither a halt nor a release means halted.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from graph.journal.database import HALTS, Database
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
        self._write(HALT, why, now)

    def resume(self, why: str, now: datetime) -> None:
        self._write(RESUME, why, now)

    def _write(self, action: str, why: str, now: datetime) -> None:
        with self._database.change() as connection:
            connection.execute(HALTS.insert().values(at=now.isoformat(), action=action, why=why))


def halt_in_force(connection: Connection) -> Halt | None:
    """The same question within a transaction of somebody else."""
    last = connection.execute(select(HALTS).order_by(HALTS.c.number.desc()).limit(1)).one_or_none()
    if last is None or last.action == RESUME:
        return None
    if last.action != HALT:
        return Halt(since=None, why=f"the last entry of the halt list is {last.action!r}, which nobody knows")
    return Halt(since=datetime.fromisoformat(last.at), why=last.why)
