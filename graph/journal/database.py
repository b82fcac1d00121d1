"""The database behind the journal: its tables, its durability, and the one error it raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Boolean,
    Column,
    Connection,
    Date,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import SQLAlchemyError

from graph.journal.schema import bring_up_to_date

TABLES = MetaData()
PATIENCE = 5.0
"""Seconds."""

ORDERS = Table(
    "orders",
    TABLES,
    Column("client_order_id", String, primary_key=True),
    Column("run_id", String, nullable=False, index=True),
    Column("account_id", String, nullable=False),
    Column("symbol", String, nullable=False),
    Column("side", String, nullable=False),
    Column("quantity", String, nullable=False),  # of a hostile plan, larger than any integer of a database
    Column("state", String, nullable=False, index=True),
    Column("approved", String),  # the ApprovedOrder, once there is one
    Column("judged_as_of", String),  # by the broker's clock, as the next two
    Column("sent_at", String),
    Column("trading_day", Date),  # of the attempt to send it, in New York
    Column("submitting_at", String),  # by the agent's own clock
    Column("held_before", String),  # shares, before it was sent
    Column("record", String),  # the OrderRecord: what is known since
    Index("ix_orders_account_state", "account_id", "state"),
    Index("ix_orders_account_sent", "account_id", "sent_at"),
    Index("ix_orders_account_day", "account_id", "trading_day"),
)
CHANGES = Table(
    "order_changes",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("client_order_id", String, nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("at", String, nullable=False),
    Column("why", String, nullable=False),
)
VERDICTS = Table(
    "verdicts",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("run_id", String, nullable=False, index=True),
    Column("client_order_id", String, nullable=False, index=True),
    Column("evidence", String, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("verdict", String, nullable=False),
)
DAYS = Table(
    "days",
    TABLES,
    Column("account_id", String, primary_key=True),
    Column("trading_day", Date, primary_key=True),
    Column("first_net_liquidation", String, nullable=False),
    Column("lowest_net_liquidation", String, nullable=False),
)
RUNS = Table(
    "runs",
    TABLES,
    Column("run_id", String, primary_key=True),
    Column("account_id", String, index=True),
    Column("started_at", String, nullable=False, index=True),
    Column("outcome", String, nullable=False),
    Column("record", String, nullable=False),
)
QUESTIONS = Table(
    "questions",
    TABLES,
    Column("run_id", String, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("asked_at", String, nullable=False),
    Column("expires_at", String, nullable=False),
    Column("question", String, nullable=False),
    Column("answer", String, index=True),
    Column("answered_at", String),
    Column("why", String),
)
HALTS = Table(
    "halts",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("action", String, nullable=False),
    Column("why", String, nullable=False),
)
OBSERVATIONS = Table(
    "observations",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("run_id", String, nullable=False, index=True),
    Column("at", String, nullable=False),  # by the broker's clock
    Column("value", String, nullable=False),  # cash and holdings, in USD
    Column("net_liquidation", String, nullable=False),  # as the broker has it
    Column("account", String, nullable=False),  # the Observation
    Column("last_change", Integer, nullable=False),  # of orders, that is booked with this one or before
    Index("ix_observations_account", "account_id", "number"),
)
SURROUNDINGS = Table(
    "surroundings",
    TABLES,
    Column("observation", Integer, primary_key=True),
    Column("prices", String, nullable=False),  # JSON: USD by symbol
    Column("targets", String, nullable=False),  # JSON: % of the account by symbol
    Column("buckets", String, nullable=False),  # JSON: weight and target in % by bucket
)
EVENTS = Table(
    "events",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("observation", Integer, nullable=False, index=True),  # that it was found by
    Column("kind", String, nullable=False),
    Column("client_order_id", String, index=True),  # of a trade of ours
    Column("event", String, nullable=False),
    Column("confirmed", Boolean, nullable=False),  # by a person
    Index("ix_events_account", "account_id", "number"),
    Index("ix_events_account_kind", "account_id", "kind"),
)
MARKS = Table(
    "marks",
    TABLES,
    Column("conid", Integer, primary_key=True),
    Column("trading_day", Date, primary_key=True),
    Column("price", String, nullable=False),  # the last that a run saw that day, in USD
    Index("ix_marks_day", "trading_day"),
)
DECISIONS = Table(
    "decisions",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("run_id", String, nullable=False, index=True),
    Column("source", String, nullable=False),
    Column("decision", String, nullable=False),
)
SCORES = Table(
    "scores",
    TABLES,
    Column("decision", Integer, primary_key=True),
    Column("horizon", Integer, primary_key=True),
    Column("due", Date, nullable=False),
    Column("later", String),  # None until it is scored, as the next
    Column("effect", String),
    Index("ix_scores_open", "effect", "due"),
    Index("ix_scores_due", "due"),
)
TIGHTENINGS = Table(
    "tightenings",
    TABLES,
    Column("account_id", String, primary_key=True),
    Column("lesson", String, primary_key=True),  # its id
    Column("limit", String, primary_key=True),
    Column("value", String, nullable=False),
    Column("made_at", String, nullable=False),  # by the broker's clock, as the next two
    Column("expires_at", String, nullable=False),
    Column("lifted_at", String),  # by a person
)


class JournalError(Exception):
    """Nothing may be sent that the journal does not know of and allow."""


class JournalUnusable(JournalError):
    """It cannot be read or written; since nobody can tell whether trading is halted, it counts as halted."""


UNREADABLE = (
    SQLAlchemyError, ModuleNotFoundError, ValueError, ArithmeticError, TypeError, LookupError, AttributeError,
)  # fmt: skip
"""What the libraries raise, and what comes of a row that is not what the program wrote."""


class Database:
    """Transactions on the tables above; what cannot be done is one `JournalUnusable`.

    `where` is a file, or an address as SQLAlchemy writes it; `file` is that file, None for a database of another kind.
    A locked one is waited for as many seconds as `patience` says.
    """

    def __init__(self, where: str | Path, patience: float = PATIENCE) -> None:
        self._shown = "the journal"
        with self.told():
            parsed = URL.create("sqlite", database=str(where)) if isinstance(where, Path) else make_url(where)
            self._shown = parsed.database or parsed.render_as_string()
            self.file = file_of(parsed)
            self._engine: Engine = create_engine(parsed)
            if parsed.get_backend_name() == "sqlite":
                event.listen(self._engine, "connect", lambda connection, _: _durable(connection, patience))
                event.listen(self._engine, "begin", _write_lock_first)
            with self._engine.begin() as connection:
                bring_up_to_date(connection, TABLES)

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """One transaction, on disk when the block has ended; undone if it raises."""
        with self.told(), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Whatever cannot be done under it, or be read, is one `JournalUnusable`."""
        try:
            yield
        except UNREADABLE as error:
            why = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise JournalUnusable(
                f"{self._shown}: the journal of orders cannot be used ({why}); which counts as halted. "
                "Close whatever else uses it, or restore it from a backup."
            ) from error


def file_of(url: URL) -> Path | None:
    """The file a database is kept in, if it is one."""
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if is_file else None


def put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Write `row` in place of the one with its primary key, or beside the others where there is none."""
    same = and_(*(column == row[column.name] for column in table.primary_key.columns))
    if connection.execute(table.update().where(same).values(**row)).rowcount == 0:
        connection.execute(table.insert().values(**row))


def _durable(connection: Any, patience: float) -> None:
    """Each commit reaches the disk before an order leaves; transactions begin where the house says so."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={patience * 1000:.0f}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _write_lock_first(connection: Connection) -> None:
    """What a transaction reads cannot change before it writes."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
