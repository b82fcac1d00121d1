"""Limits that experience has made smaller, for how long, and which of them a person has lifted.

They stand here, and not with the lessons, since the guard goes by them: where this cannot be read, trading is halted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, select

from graph.journal.database import TIGHTENINGS, Database, put
from portfolio.limits import Limit, Tightening

REST = timedelta(days=30)
"""How long a limit is left alone that a person has loosened again."""


class Tightenings:
    """Every method raises `JournalError` when the database cannot be used, and commits before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, account_id: str, lesson: str, tightening: Tightening, now: datetime) -> Tightening | None:
        """Put a tightening in force for a lesson by its id, and give it as it stands then.

        One of the same lesson that is in force goes on, at the smaller value. Nothing is kept where a person lifted one
        of that limit in the last 30 days: then it is the one in force, as it was, or None.
        """
        with self._database.change() as connection:
            last = _not_over(connection, account_id, now).get((lesson, tightening.limit))
            if _was_lifted(connection, account_id, tightening.limit, now - REST):
                return last[0] if last else None
            row = {"account_id": account_id, "lesson": lesson, "limit": tightening.limit.value}
            if last:
                # On a clock that was set back the other may have been made later.
                tightening = Tightening(
                    limit=tightening.limit,
                    value=min(last[0].value, tightening.value),
                    expires_at=max(last[0].expires_at, tightening.expires_at),
                )
            values = {
                "value": str(tightening.value),
                "made_at": now.isoformat(),
                "expires_at": tightening.expires_at.isoformat(),
                "lifted_at": None,
            }
            put(connection, TIGHTENINGS, {**row, **values})
            return tightening

    def by_lesson(self, account_id: str, now: datetime) -> dict[str, tuple[Tightening, ...]]:
        """Those in force, by the id of the lesson that led to them."""
        found: dict[str, tuple[Tightening, ...]] = {}
        with self._database.change() as connection:
            for (lesson, _), tightening in _in_force(connection, account_id, now).items():
                found[lesson] = (*found.get(lesson, ()), tightening)
        return found

    def lift(self, account_id: str, lesson: str, now: datetime) -> None:
        """End what the lesson has tightened and is in force, as a person says so."""
        of_lesson = and_(TIGHTENINGS.c.account_id == account_id, TIGHTENINGS.c.lesson == lesson)
        with self._database.change() as connection:
            for name, limit in _in_force(connection, account_id, now):
                if name == lesson:
                    row = and_(of_lesson, TIGHTENINGS.c.limit == limit.value)
                    connection.execute(TIGHTENINGS.update().where(row).values(lifted_at=now.isoformat()))


def in_force(connection: Connection, account_id: str, now: datetime) -> tuple[Tightening, ...]:
    """Those in force at a moment by the broker's clock, in a transaction of somebody else."""
    return tuple(_in_force(connection, account_id, now).values())


def _in_force(connection: Connection, account_id: str, now: datetime) -> Mapping[tuple[str, Limit], Tightening]:
    """By lesson and limit; a row that is none raises, which makes the journal unusable."""
    found = _not_over(connection, account_id, now)
    return {key: tightening for key, (tightening, made_at) in found.items() if made_at <= now}


def _not_over(
    connection: Connection, account_id: str, now: datetime
) -> Mapping[tuple[str, Limit], tuple[Tightening, datetime]]:
    """Those that nobody has lifted and that end after `now`, and when they were made."""
    query = select(TIGHTENINGS).where(TIGHTENINGS.c.account_id == account_id, TIGHTENINGS.c.lifted_at.is_(None))
    found = {}
    for row in connection.execute(query).mappings():
        one, made_at = Tightening.model_validate({name: row[name] for name in Tightening.model_fields}), row["made_at"]
        if now < one.expires_at:
            found[row["lesson"], one.limit] = one, _time(made_at)
    return found


def _was_lifted(connection: Connection, account_id: str, limit: Limit, since: datetime) -> bool:
    query = select(TIGHTENINGS.c.lifted_at).where(
        TIGHTENINGS.c.account_id == account_id,
        TIGHTENINGS.c.limit == limit.value,
        TIGHTENINGS.c.lifted_at.is_not(None),
    )
    return any(_time(at) > since for at in connection.scalars(query))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} is no time of a known zone")
    return time
