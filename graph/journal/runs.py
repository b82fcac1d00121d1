"""Runs as they ended, and the net liquidation each day began with."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from graph.journal.database import DAYS, RUNS, Database, put
from graph.record import RunRecord


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: RunRecord) -> None:
        """Keep the record, in place of an earlier one of the same run."""
        row = {
            "run_id": record.run_id,
            "account_id": record.account,
            "started_at": record.started_at.isoformat(),
            "outcome": record.outcome.value,
            "record": record.model_dump_json(),
        }
        with self._database.change() as connection:
            put(connection, RUNS, row)

    def find(self, run_id: str) -> RunRecord | None:
        with self._database.change() as connection:
            text = connection.execute(select(RUNS.c.record).where(RUNS.c.run_id == run_id)).scalar_one_or_none()
            return None if text is None else RunRecord.model_validate_json(text)

    def latest(self, account_id: str | None = None, since: datetime | None = None, most: int = 60) -> list[RunRecord]:
        """The records of at most so many runs, of that account, begun since then; the newest first."""
        query = select(RUNS.c.record).order_by(RUNS.c.started_at.desc()).limit(most)
        if account_id is not None:
            query = query.where(RUNS.c.account_id == account_id)
        if since is not None:
            query = query.where(RUNS.c.started_at >= since.isoformat())
        with self._database.change() as connection:
            return [RunRecord.model_validate_json(text) for text in connection.execute(query).scalars()]

    def see_day(self, account_id: str, day: date, net_liquidation: Decimal) -> None:
        """Keep the day's first net liquidation, in USD, and the lowest that a run has seen."""
        with self._database.change() as connection:
            known = values_of_day(connection, account_id, day)
            first, lowest = known or (net_liquidation, net_liquidation)
            row = {
                "account_id": account_id,
                "trading_day": day,
                "first_net_liquidation": str(first),
                "lowest_net_liquidation": str(min(lowest, net_liquidation)),
            }
            put(connection, DAYS, row)


def values_of_day(connection: Connection, account_id: str, day: date) -> tuple[Decimal, Decimal] | None:
    """The day's first net liquidation and its lowest, in USD; None before the first."""
    query = select(DAYS.c.first_net_liquidation, DAYS.c.lowest_net_liquidation)
    row = connection.execute(query.where(DAYS.c.account_id == account_id, DAYS.c.trading_day == day)).one_or_none()
    return None if row is None else (Decimal(row[0]), Decimal(row[1]))
