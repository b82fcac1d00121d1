"""The durable memory of orders and runs, in SQLite through SQLAlchemy.

An order's intent is committed here before it is sent, under the id the broker gets with it, so that after any crash the
next run knows what may be out there. Nothing is ever deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import URL, Column, Date, MetaData, String, Table, create_engine, event, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from graph.record import RunRecord
from portfolio.limits import PastTrade, TradingDay
from portfolio.models import ApprovedOrder, OrderRecord, OrderStatus

NEW_YORK = ZoneInfo("America/New_York")
UNSETTLED = [status.value for status in OrderStatus if status.is_unresolved]

TABLES = MetaData()
ORDERS = Table(
    "orders",
    TABLES,
    Column("client_order_id", String, primary_key=True),
    Column("run_id", String, nullable=False, index=True),
    Column("account_id", String, nullable=False, index=True),
    Column("trading_day", Date, nullable=False, index=True),
    Column("sent_at", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("approved", String, nullable=False),
    Column("record", String, nullable=False),
)
DAYS = Table(
    "days",
    TABLES,
    Column("account_id", String, primary_key=True),
    Column("trading_day", Date, primary_key=True),
    Column("first_net_liquidation", String, nullable=False),
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


def trading_day(moment: datetime) -> date:
    """The day in New York, where the session is."""
    return moment.astimezone(NEW_YORK).date()


class JournalError(Exception):
    """The journal cannot be read or written; nothing may be sent that it would not know of."""


class SentOrder(NamedTuple):
    """An order that was about to be sent, and the New York day of its session."""

    order: ApprovedOrder
    trading_day: date


class Journal:
    """Orders, days and runs of one home folder; every write is committed before the call returns.

    Every method raises `JournalError` when the database cannot be used.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._engine = create_engine(URL.create("sqlite", database=str(database)))
        event.listen(self._engine, "connect", _durable)
        with self._told():
            TABLES.create_all(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def last_order_sent_at(self, account_id: str) -> datetime | None:
        """By the broker's clock; None before the first order."""
        query = select(func.max(ORDERS.c.sent_at)).where(ORDERS.c.account_id == account_id)
        with self._told(), self._engine.connect() as connection:
            last = connection.execute(query).scalar_one_or_none()
            return None if last is None else datetime.fromisoformat(last)

    def open_day(self, account_id: str, now: datetime, net_liquidation: Decimal) -> None:
        """Keep the day's first net liquidation, in USD; later calls of the same day change nothing."""
        row = {
            "account_id": account_id,
            "trading_day": trading_day(now),
            "first_net_liquidation": str(net_liquidation),
        }
        with self._told(), self._engine.begin() as connection:
            connection.execute(insert(DAYS).values(row).on_conflict_do_nothing())

    def intend(self, run_id: str, order: ApprovedOrder, now: datetime) -> None:
        """Write down, before it is sent, that `order` may be sent; the same id a second time is a `JournalError`."""
        record = OrderRecord(**_terms(order), broker_order_id=None, status=OrderStatus.UNKNOWN)
        with self._told(), self._engine.begin() as connection:
            connection.execute(
                ORDERS.insert().values(
                    client_order_id=order.client_order_id,
                    run_id=run_id,
                    account_id=order.account_id,
                    trading_day=trading_day(now),
                    sent_at=now.isoformat(),
                    status=record.status.value,
                    approved=order.model_dump_json(),
                    record=record.model_dump_json(),
                )
            )

    def settle(self, record: OrderRecord) -> None:
        """Write down what is now known of an order."""
        change = ORDERS.update().where(ORDERS.c.client_order_id == record.client_order_id)
        with self._told(), self._engine.begin() as connection:
            connection.execute(change.values(status=record.status.value, record=record.model_dump_json()))

    def unsettled(self, account_id: str) -> tuple[SentOrder, ...]:
        """Orders that may still be out there, oldest first."""
        query = (
            select(ORDERS.c.approved, ORDERS.c.trading_day)
            .where(ORDERS.c.account_id == account_id, ORDERS.c.status.in_(UNSETTLED))
            .order_by(ORDERS.c.sent_at)
        )
        with self._told(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
            return tuple(SentOrder(ApprovedOrder.model_validate_json(text), day) for text, day in rows)

    def trading_day(self, account_id: str, now: datetime, lookback: timedelta) -> TradingDay:
        """What the guard needs to know of the account's past at `now`; trades as far back as `lookback`."""
        today = trading_day(now)
        first = select(DAYS.c.first_net_liquidation).where(DAYS.c.account_id == account_id, DAYS.c.trading_day == today)
        sent = select(func.count()).where(ORDERS.c.account_id == account_id, ORDERS.c.trading_day == today)
        with self._told(), self._engine.connect() as connection:
            value = connection.execute(first).scalar_one_or_none()
            count = connection.execute(sent).scalar_one()
        return TradingDay(
            first_net_liquidation=None if value is None else Decimal(value),
            orders_sent=count,
            past_trades=self._past_trades(account_id, now - lookback),
            unresolved=tuple(sent.order for sent in self.unsettled(account_id)),
        )

    def _past_trades(self, account_id: str, since: datetime) -> tuple[PastTrade, ...]:
        query = select(ORDERS.c.sent_at, ORDERS.c.record).where(
            ORDERS.c.account_id == account_id, ORDERS.c.sent_at >= since.isoformat()
        )
        with self._told(), self._engine.connect() as connection:
            rows = [(sent_at, OrderRecord.model_validate_json(text)) for sent_at, text in connection.execute(query)]
        return tuple(
            PastTrade(symbol=order.symbol, side=order.side, traded_at=datetime.fromisoformat(sent_at))
            for sent_at, order in rows
            if order.filled_quantity > 0
        )

    def save_run(self, record: RunRecord) -> None:
        row = {
            "run_id": record.run_id,
            "account_id": record.account,
            "started_at": record.started_at.isoformat(),
            "outcome": record.outcome.value,
            "record": record.model_dump_json(),
        }
        statement = insert(RUNS).values(row)
        with self._told(), self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["run_id"], set_=row))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, ValueError) as error:
            why = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise JournalError(
                f"{self._database}: the journal of orders cannot be used ({why}); no order is sent without it. "
                "Close whatever else uses the file, or restore it from a backup."
            ) from error


def _terms(order: ApprovedOrder) -> dict[str, object]:
    return order.model_dump(include={"client_order_id", "symbol", "side", "quantity", "limit_price"})


def _durable(connection: object, _record: object) -> None:
    """Each commit reaches the disk before an order leaves, and a second reader never waits."""
    cursor = connection.cursor()  # type: ignore[attr-defined]  # the driver's own connection
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()
