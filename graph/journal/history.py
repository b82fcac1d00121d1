"""What an account was worth at each look at it, and everything that changed it between two looks.

Our own trades are taken from the orders, as far as they have filled since the look before; what they leave unexplained
is put down to splits, to trades of others and to cash that came or went (`portfolio.performance.changes`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from math import prod

from sqlalchemy import Connection, RowMapping, func, select

from graph.journal.database import CHANGES, EVENTS, OBSERVATIONS, ORDERS, Database, JournalError
from portfolio.models import Amount, Fact, OrderRecord
from portfolio.performance import (
    Books,
    Event,
    Holding,
    Observed,
    Payment,
    PaymentKind,
    Split,
    Trade,
    Valuation,
    explained,
)

ZERO = Decimal(0)


class Observation(Fact):
    """A look at an account by a run: what it holds, and `costs`, the broker's average cost per share, by symbol."""

    run_id: str
    net_liquidation: Amount
    seen: Observed
    costs: dict[str, Amount]


class Entry(Fact):
    """One event as it is kept; `confirmed` says that a person said what it was."""

    number: int
    observation: int
    event: Event
    confirmed: bool


class Period(Fact):
    """What became of an account: `books` at the `first` look, and the events and valuations from then to the `last`.

    The first of the `valuations` is that of the first look.
    """

    books: Books
    first: Observation
    entries: tuple[Entry, ...]
    valuations: tuple[Valuation, ...]
    last: Observation


class History:
    """Every method raises `JournalError` when the database cannot be used, and commits before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, account_id: str, observation: Observation) -> None:
        """Keep a look at the account, and what happened since the one before; an older one is left out."""
        with self._database.change() as connection:
            last = _last(connection, account_id)
            if last and observation.seen.at < datetime.fromisoformat(last["at"]):
                return
            number = _next(connection)
            changed = connection.execute(select(func.coalesce(func.max(CHANGES.c.number), 0))).scalar_one()
            if last:
                before = Observation.model_validate_json(last["account"]).seen
                trades = _trades_since(connection, account_id, last["last_change"], observation.seen.at)
                _book(connection, account_id, number, explained(before, observation.seen, trades))
            row = {
                "number": number,
                "account_id": account_id,
                "run_id": observation.run_id,
                "at": observation.seen.at.isoformat(),
                "value": str(observation.seen.value),
                "net_liquidation": str(observation.net_liquidation),
                "account": observation.model_dump_json(),
                "last_change": changed,
            }
            connection.execute(OBSERVATIONS.insert().values(row))

    def accounts(self) -> tuple[str, ...]:
        """Those that were looked at, the one of the last look first."""
        query = select(OBSERVATIONS.c.account_id).group_by(OBSERVATIONS.c.account_id)
        with self._database.change() as connection:
            return tuple(connection.scalars(query.order_by(func.max(OBSERVATIONS.c.number).desc())))

    def last_look(self, account_id: str) -> datetime | None:
        """When a run last looked at the account, by the broker's clock."""
        with self._database.change() as connection:
            last = _last(connection, account_id)
        return datetime.fromisoformat(last["at"]) if last else None

    def period(self, account_id: str, since: datetime | None = None) -> Period | None:
        """What became of the account from the last look before `since` on, or from the first; None without a look."""
        of_account = OBSERVATIONS.c.account_id == account_id
        query = select(OBSERVATIONS).where(of_account).order_by(OBSERVATIONS.c.number)
        with self._database.change() as connection:
            opening = connection.execute(query.limit(1)).mappings().one_or_none()
            if opening is None:
                return None
            earlier = None
            if since:
                until = query.where(OBSERVATIONS.c.at <= since.isoformat()).order_by(None)
                until = until.order_by(OBSERVATIONS.c.number.desc()).limit(1)
                earlier = connection.execute(until).mappings().one_or_none()
            last = _last(connection, account_id)
        first, start = Observation.model_validate_json(opening["account"]), earlier or opening
        entries = self.entries(account_id)
        before = [entry.event for entry in entries if entry.observation <= start["number"]]
        return Period(
            books=_opened(first).after(*before),
            first=Observation.model_validate_json(start["account"]),
            entries=tuple(entry for entry in entries if entry.observation > start["number"]),
            valuations=self.valuations(account_id, start["number"]),
            last=Observation.model_validate_json(last["account"]) if last else first,
        )

    def entries(self, account_id: str) -> tuple[Entry, ...]:
        """Every event, oldest first."""
        query = select(EVENTS).where(EVENTS.c.account_id == account_id).order_by(EVENTS.c.number)
        with self._database.change() as connection:
            return tuple(map(_entry, connection.execute(query).mappings()))

    def valuations(self, account_id: str, first: int = 1) -> tuple[Valuation, ...]:
        """What the account was worth at each look from that number on, with what the investor paid in before it."""
        flows = self._flows(account_id)
        query = select(OBSERVATIONS.c.number, OBSERVATIONS.c.at, OBSERVATIONS.c.value)
        query = query.where(OBSERVATIONS.c.account_id == account_id, OBSERVATIONS.c.number >= first)
        query = query.order_by(OBSERVATIONS.c.number)
        with self._database.change() as connection:
            return tuple(
                Valuation(at=datetime.fromisoformat(at), value=Decimal(value), flow=flows.get(number, ZERO))
                for number, at, value in connection.execute(query)
            )

    def split_ratio(self, account_id: str, symbol: str, since: datetime) -> Decimal:
        """What one share of then has become by splits, in shares."""
        query = select(EVENTS.c.event).where(EVENTS.c.account_id == account_id, EVENTS.c.kind == "split")
        with self._database.change() as connection:
            splits = [Split.model_validate_json(text) for text in connection.scalars(query)]
        return prod((split.ratio for split in splits if split.symbol == symbol and split.at > since), start=Decimal(1))

    def confirm(self, number: int, kind: PaymentKind) -> Payment:
        """Take a person's word for what a payment was.

        Raises:
            JournalError: there is no such payment, or cash that came was none that goes.
        """
        with self._database.change() as connection:
            row = connection.execute(select(EVENTS).where(EVENTS.c.number == number)).mappings().one_or_none()
            event = _event(row["kind"], row["event"]) if row else None
            if not isinstance(event, Payment):
                raise JournalError(f"{number}: there is no such payment; nothing has changed.")
            goes = kind in (PaymentKind.WITHDRAWAL, PaymentKind.FEE)
            if kind is not PaymentKind.INTEREST and goes != (event.amount < 0):
                way = "went" if event.amount < 0 else "came"
                raise JournalError(
                    f"{number}: {abs(event.amount)} USD {way}, so it was no {kind}; nothing has changed."
                )
            known = event.model_copy(update={"kind": kind})
            change = EVENTS.update().where(EVENTS.c.number == number)
            connection.execute(change.values(event=known.model_dump_json(), kind=kind.value, confirmed=True))
            return known

    def _flows(self, account_id: str) -> dict[int, Decimal]:
        """By the look that found it."""
        kinds = [kind.value for kind in PaymentKind if kind.is_flow]
        query = select(EVENTS.c.observation, EVENTS.c.event)
        query = query.where(EVENTS.c.account_id == account_id, EVENTS.c.kind.in_(kinds))
        flows: dict[int, Decimal] = {}
        with self._database.change() as connection:
            for observation, text in connection.execute(query):
                flows[observation] = flows.get(observation, ZERO) + Payment.model_validate_json(text).amount
        return flows


def _opened(first: Observation) -> Books:
    """The books at the very first look: what was held then cost what the broker says."""
    holdings = {
        symbol: Holding(quantity=shares, cost=shares * first.costs.get(symbol, ZERO))
        for symbol, shares in first.seen.shares.items()
    }
    return Books(cash=first.seen.cash, holdings=holdings)


def _last(connection: Connection, account_id: str) -> RowMapping | None:
    query = select(OBSERVATIONS).where(OBSERVATIONS.c.account_id == account_id)
    return connection.execute(query.order_by(OBSERVATIONS.c.number.desc()).limit(1)).mappings().one_or_none()


def _next(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(OBSERVATIONS.c.number), 0))).scalar_one()) + 1


def _trades_since(connection: Connection, account_id: str, change: int, at: datetime) -> list[Trade]:
    """What our orders traded that is not booked yet: only those that changed since can have."""
    touched = select(CHANGES.c.client_order_id).where(CHANGES.c.number > change)
    query = select(ORDERS.c.record).where(
        ORDERS.c.account_id == account_id, ORDERS.c.record.is_not(None), ORDERS.c.client_order_id.in_(touched)
    )
    records = [OrderRecord.model_validate_json(text) for text in connection.scalars(query.order_by(ORDERS.c.sent_at))]
    return [trade for record in records if (trade := _not_booked(connection, record, at))]


def _not_booked(connection: Connection, record: OrderRecord, at: datetime) -> Trade | None:
    """The part of an order's fills that is not among the events: all of them, or what came since."""
    query = select(EVENTS.c.event).where(EVENTS.c.client_order_id == record.client_order_id)
    booked = [Trade.model_validate_json(text) for text in connection.scalars(query)]
    quantity = record.filled_quantity - sum((trade.quantity for trade in booked), ZERO)
    if quantity <= 0 or record.average_price is None:
        return None
    paid = sum((trade.quantity * trade.price for trade in booked), ZERO)
    return Trade(
        at=at,
        symbol=record.symbol,
        side=record.side,
        quantity=quantity,
        price=(record.filled_quantity * record.average_price - paid) / quantity,
        commission=(record.commission or ZERO) - sum((trade.commission for trade in booked), ZERO),
        client_order_id=record.client_order_id,
    )


def _book(connection: Connection, account_id: str, observation: int, events: Iterable[Event]) -> None:
    for event in events:
        row = {
            "account_id": account_id,
            "observation": observation,
            "kind": _kind(event),
            "client_order_id": event.client_order_id if isinstance(event, Trade) else None,
            "event": event.model_dump_json(),
            "confirmed": False,
        }
        connection.execute(EVENTS.insert().values(row))


def _kind(event: Event) -> str:
    match event:
        case Trade():
            return "trade"
        case Split():
            return "split"
        case Payment():
            return event.kind.value


def _event(kind: str, text: str) -> Event:
    match kind:
        case "trade":
            return Trade.model_validate_json(text)
        case "split":
            return Split.model_validate_json(text)
        case _:
            return Payment.model_validate_json(text)


def _entry(row: RowMapping) -> Entry:
    return Entry(
        number=row["number"],
        observation=row["observation"],
        event=_event(row["kind"], row["event"]),
        confirmed=row["confirmed"],
    )
