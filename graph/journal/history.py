"""What an account was worth at each look at it, and everything that changed it between two looks.

Our own trades are taken from the orders, as far as they have filled since the look before; what they leave unexplained
is put down to splits, to trades of others and to cash that came or went (`portfolio.performance.changes`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from math import prod
from typing import Annotated

from pydantic import Field, TypeAdapter
from sqlalchemy import Connection, RowMapping, Select, func, select

from graph.journal.database import CHANGES, EVENTS, OBSERVATIONS, ORDERS, SURROUNDINGS, Database, JournalError
from portfolio.models import Amount, Fact, OrderRecord
from portfolio.performance import (
    Books,
    Event,
    Holding,
    Observed,
    Payment,
    PaymentKind,
    Split,
    Stand,
    Surroundings,
    Trade,
    Valuation,
    explained,
)
from portfolio.performance.benchmarks import Marked

ZERO = Decimal(0)
AROUND = OBSERVATIONS.c.number == SURROUNDINGS.c.observation
NOT_KNOWN = Surroundings()
MANY = TypeAdapter(list[Annotated[Event, Field(union_mode="left_to_right")]])
"""Reads many events at once, which takes a fraction of the time that one by one takes."""


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


@dataclass(frozen=True)
class Period:
    """What became of an account: `books` at the `first` look, and the events and valuations from then to the `last`.

    `start` is the number of the first look. The first of the `valuations` is of that, and `buckets` says for each where
    they stood. `marked` are those that benchmarks are reckoned at.
    """

    start: int
    books: Books
    first: Observation
    entries: tuple[Entry, ...]
    valuations: tuple[Valuation, ...]
    buckets: tuple[Mapping[str, Stand], ...]
    marked: tuple[Marked, ...]
    last: Observation


class History:
    """Every method raises `JournalError` when the database cannot be used, and commits before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, account_id: str, observation: Observation, around: Surroundings = NOT_KNOWN) -> None:
        """Keep a look at the account, and what happened since the one before; an older one is left out.

        What is held counts at the price that the account's value rests on, whatever price is `around`.
        """
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
            prices = {**around.prices, **observation.seen.prices}
            connection.execute(SURROUNDINGS.insert().values(observation=number, **_written(prices, around)))

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
        with self._database.told():
            return self._period(account_id, since)

    def _period(self, account_id: str, since: datetime | None) -> Period | None:
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
        entries, valuations = self.entries(account_id), self._valuations(account_id, start["number"])
        before = [entry.event for entry in entries if entry.observation <= start["number"]]
        return Period(
            start=start["number"],
            books=_opened(first).after(*before),
            first=Observation.model_validate_json(start["account"]),
            entries=tuple(entry for entry in entries if entry.observation > start["number"]),
            valuations=tuple(valuations.values()),
            buckets=self._buckets(account_id, start["number"]),
            marked=self._marked(account_id, valuations),
            last=Observation.model_validate_json(last["account"]) if last else first,
        )

    def entries(self, account_id: str) -> tuple[Entry, ...]:
        """Every event, oldest first."""
        query = select(EVENTS).where(EVENTS.c.account_id == account_id).order_by(EVENTS.c.number)
        with self._database.change() as connection:
            rows = connection.execute(query).all()
            events = MANY.validate_json(f"[{','.join(row.event for row in rows)}]")
            return tuple(
                Entry(number=row.number, observation=row.observation, event=event, confirmed=row.confirmed)
                for row, event in zip(rows, events, strict=True)
            )

    def valuations(self, account_id: str) -> tuple[Valuation, ...]:
        """What the account was worth at each look, with what the investor paid in before it."""
        return tuple(self._valuations(account_id, 1).values())

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

    def _valuations(self, account_id: str, first: int) -> dict[int, Valuation]:
        """By number, from the look `first` on."""
        flows = self._flows(account_id)
        query = select(OBSERVATIONS.c.number, OBSERVATIONS.c.at, OBSERVATIONS.c.value)
        query = query.where(OBSERVATIONS.c.account_id == account_id, OBSERVATIONS.c.number >= first)
        query = query.order_by(OBSERVATIONS.c.number)
        with self._database.change() as connection:
            return {
                number: Valuation(at=datetime.fromisoformat(at), value=Decimal(value), flow=flows.get(number, ZERO))
                for number, at, value in connection.execute(query)
            }

    def _buckets(self, account_id: str, first: int) -> tuple[dict[str, Stand], ...]:
        """Of each look from that number on; nothing where they are not known."""
        query = select(SURROUNDINGS.c.buckets).select_from(OBSERVATIONS).outerjoin(SURROUNDINGS, AROUND)
        query = query.where(OBSERVATIONS.c.account_id == account_id, OBSERVATIONS.c.number >= first)
        with self._database.change() as connection:
            texts = connection.scalars(query.order_by(OBSERVATIONS.c.number)).all()
        return tuple({name: Stand(*stand) for name, stand in json.loads(text or "{}").items()} for text in texts)

    def _marked(self, account_id: str, valuations: Mapping[int, Valuation]) -> tuple[Marked, ...]:
        """The first of them, each day's last, and those that money came at; reading prices is what takes long."""
        last = {look.at.date(): number for number, look in valuations.items()}
        wanted = {min(valuations), *last.values(), *(number for number, look in valuations.items() if look.flow)}
        columns = OBSERVATIONS.c.number, SURROUNDINGS.c.prices, SURROUNDINGS.c.targets
        query = select(*columns).select_from(OBSERVATIONS).outerjoin(SURROUNDINGS, AROUND)
        query = query.where(OBSERVATIONS.c.account_id == account_id, OBSERVATIONS.c.number >= min(valuations))
        with self._database.change() as connection:
            return tuple(
                Marked(valuations[number], _prices(prices or "{}"), _targets(targets or "{}"))
                for number, prices, targets in connection.execute(query.order_by(OBSERVATIONS.c.number))
                if number in wanted
            )

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


def runs_from(account_id: str, first: int) -> Select[tuple[str]]:
    """The ids of the account's runs that began with the look of that number, or later."""
    query = select(OBSERVATIONS.c.run_id).where(OBSERVATIONS.c.account_id == account_id)
    return query.group_by(OBSERVATIONS.c.run_id).having(func.min(OBSERVATIONS.c.number) >= first)


def _opened(first: Observation) -> Books:
    """The books at the very first look: what was held then cost what the broker says."""
    holdings = {
        symbol: Holding(quantity=shares, cost=shares * first.costs.get(symbol, ZERO))
        for symbol, shares in first.seen.shares.items()
    }
    return Books(cash=first.seen.cash, holdings=holdings)


def _written(prices: Mapping[str, Decimal], around: Surroundings) -> dict[str, str]:
    """The columns of a look's surroundings."""
    return {
        "prices": json.dumps({symbol: str(price) for symbol, price in prices.items()}),
        "targets": json.dumps(around.targets),
        "buckets": json.dumps(around.buckets),
    }


def _prices(text: str) -> dict[str, Decimal]:
    return {symbol: Decimal(price) for symbol, price in json.loads(text).items()}


@lru_cache(maxsize=8)
def _targets(text: str) -> dict[str, float]:
    """Targets rarely change from look to look."""
    return {symbol: float(target) for symbol, target in json.loads(text).items()}


def _last(connection: Connection, account_id: str) -> RowMapping | None:
    query = select(OBSERVATIONS).where(OBSERVATIONS.c.account_id == account_id)
    return connection.execute(query.order_by(OBSERVATIONS.c.number.desc()).limit(1)).mappings().one_or_none()


def _next(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(OBSERVATIONS.c.number), 0))).scalar_one()) + 1


def _trades_since(connection: Connection, account_id: str, change: int, at: datetime) -> list[Trade]:
    """What our orders traded that is not booked yet: only those that changed since can have."""
    touched = select(CHANGES.c.client_order_id).where(CHANGES.c.number > change)
    # By their ids alone, as an index by account would lead through all of its orders.
    query = select(ORDERS.c.account_id, ORDERS.c.record).where(
        ORDERS.c.client_order_id.in_(touched), ORDERS.c.record.is_not(None)
    )
    rows = connection.execute(query.order_by(ORDERS.c.sent_at)).all()
    records = [OrderRecord.model_validate_json(text) for account, text in rows if account == account_id]
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
