"""Every order a run thought of, from its plan to its end, each change with its time and reason.

A permission to send is burned here: one transaction checks the halt, the permission and its age, and writes SUBMITTING,
before the first byte leaves. It is the attempt that consumes it, not the success.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, func, select

from graph.journal.database import CHANGES, ORDERS, VERDICTS, Database, JournalError
from graph.journal.halts import halt_in_force
from graph.journal.history import runs_from
from graph.journal.states import FINAL, MAY_FOLLOW, UNSENT, OrderState
from portfolio.models import ApprovedOrder, Fact, OrderRecord, PortfolioSnapshot, ProposedTrade, Side, Utc, Verdict
from portfolio.performance.execution import Ends

NEW_YORK = ZoneInfo("America/New_York")


class ApprovalVoid(JournalError):
    """The permission to send is not the one on record, was used before, or is too old; nothing was sent."""


class Halted(JournalError):
    """Trading is halted; nothing was sent."""


class Change(Fact):
    """One step in the life of an order."""

    state: OrderState
    at: Utc
    why: str


class JournalledOrder(Fact):
    """An order as the journal knows it.

    `sent_at` and `trading_day` are the broker's, in New York for the day; `submitting_at` is the agent's own clock.
    `held_before` is in shares. All of them and `record` are None before it was about to be sent.
    """

    client_order_id: str
    run_id: str
    account_id: str
    symbol: str
    side: Side
    quantity: int
    state: OrderState
    approved: ApprovedOrder | None
    sent_at: Utc | None
    trading_day: date | None
    submitting_at: Utc | None
    held_before: Decimal | None
    record: OrderRecord | None


def trading_day(moment: datetime) -> date:
    """The day in New York, where the session is."""
    return moment.astimezone(NEW_YORK).date()


class Orders:
    """Every method raises `JournalError` when the database cannot be used, and commits before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- before an order is sent --------------------------------------------------------------------------------

    def plan(self, run_id: str, account_id: str, planned: Iterable[tuple[str, ProposedTrade]], now: datetime) -> None:
        """Write down what a run wants to do; what is there already stays as it is."""
        with self._database.change() as connection:
            for client_order_id, trade in planned:
                if _row(connection, client_order_id) is not None:
                    continue
                values = {
                    "client_order_id": client_order_id,
                    "run_id": run_id,
                    "account_id": account_id,
                    "symbol": trade.symbol,
                    "side": trade.side.value,
                    "quantity": str(trade.quantity),
                    "state": OrderState.PLANNED.value,
                }
                connection.execute(ORDERS.insert().values(values))
                _note(connection, client_order_id, OrderState.PLANNED, trade.reason, now)

    def keep(self, verdict: Verdict, run_id: str) -> None:
        """Keep a verdict that changes nothing yet, since a person is asked first."""
        with self._database.change() as connection:
            _keep(connection, verdict, run_id)

    def refuse(self, verdict: Verdict, run_id: str) -> None:
        """Keep a verdict that did not pass; the order is at its end."""
        why = "; ".join(f"{check.rule}: {check.why}" for check in verdict.failures)
        with self._database.change() as connection:
            _keep(connection, verdict, run_id)
            _change(
                connection,
                verdict.client_order_id,
                OrderState.REJECTED,
                f"refused by the guard: {why}",
                verdict.judged_at,
            )

    def approve(self, verdict: Verdict, approved: ApprovedOrder, run_id: str, snapshot: PortfolioSnapshot) -> None:
        """Keep a verdict that passed with the permission it gives; an earlier permission of the order is void."""
        terms = approved.terms
        with self._database.change() as connection:
            _keep(connection, verdict, run_id)
            _change(
                connection,
                terms.client_order_id,
                OrderState.APPROVED,
                f"passed the guard at limit {terms.limit_price}",
                verdict.judged_at,
                quantity=str(terms.quantity),
                approved=approved.model_dump_json(),
                judged_as_of=snapshot.as_of.isoformat(),
                held_before=str(snapshot.held(terms.symbol)),
            )

    def withdraw(self, client_order_id: str, why: str, now: datetime) -> None:
        """The order will not be sent, and never was."""
        with self._database.change() as connection:
            _change(connection, client_order_id, OrderState.CANCELLED, f"not sent: {why}", now)

    def burn(self, approved: ApprovedOrder, now: datetime) -> None:
        """Use up the permission to send: afterwards the order counts as one that may have been sent.

        Raises:
            Halted: trading is halted.
            ApprovalVoid: the permission is not the one on record, was used before, or is older than it may be.
        """
        terms = approved.terms
        with self._database.change() as connection:
            halt = halt_in_force(connection)
            if halt is not None:
                raise Halted(f"{terms.symbol}: not sent, since trading is halted: {halt.why}.")
            row = _row(connection, terms.client_order_id)
            why = _why_void(connection, row, approved, now)
            if row is None or why is not None:
                raise ApprovalVoid(f"{terms.symbol}: not sent, since its approval is void: {why}.")
            _change(
                connection,
                terms.client_order_id,
                OrderState.SUBMITTING,
                "about to be sent",
                now,
                sent_at=row["judged_as_of"],
                trading_day=trading_day(datetime.fromisoformat(row["judged_as_of"])),
                submitting_at=now.isoformat(),
            )

    # --- afterwards ---------------------------------------------------------------------------------------------

    def settle(self, record: OrderRecord, now: datetime) -> None:
        """Write down what is now known of an order that was about to be sent; the same once more changes nothing."""
        filled = f"{record.filled_quantity:f} of {record.quantity} filled"
        with self._database.change() as connection:
            row = _row(connection, record.client_order_id)
            if row is not None and row["record"] is not None and _same_end(row["record"], record):
                return
            _change(
                connection,
                record.client_order_id,
                OrderState.of(record.status),
                record.message or filled,
                now,
                record=record.model_dump_json(),
            )

    # --- what is known ------------------------------------------------------------------------------------------

    def find(self, client_order_id: str) -> JournalledOrder | None:
        with self._database.change() as connection:
            row = _row(connection, client_order_id)
            return None if row is None else _read(row)

    def of_run(self, run_id: str) -> tuple[JournalledOrder, ...]:
        return self._select(ORDERS.c.run_id == run_id)

    def unsettled(self, account_id: str | None = None) -> tuple[JournalledOrder, ...]:
        """Orders that may have reached the broker and may still trade, oldest first."""
        of_account = () if account_id is None else (ORDERS.c.account_id == account_id,)
        # Of the few states there are, so that the orders that are over need not be read.
        neither = select(ORDERS.c.state).where(ORDERS.c.state.not_in(FINAL | UNSENT)).distinct()
        return self._select(ORDERS.c.state.in_(neither), *of_account)

    def latest(self, most: int) -> tuple[JournalledOrder, ...]:
        """The last so many that were to be sent, the newest first."""
        query = select(ORDERS).where(ORDERS.c.submitting_at.is_not(None))
        with self._database.change() as connection:
            rows = connection.execute(query.order_by(ORDERS.c.submitting_at.desc()).limit(most)).mappings()
            return tuple(_read(row) for row in rows)

    def filled_on(self, account_id: str, day: date) -> tuple[JournalledOrder, ...]:
        """Orders of that day of which anything has filled, as far as is known, in the order they were sent."""
        sent = self._select(ORDERS.c.account_id == account_id, ORDERS.c.trading_day == day)
        return tuple(order for order in sent if order.record and order.record.filled_quantity > 0)

    def unsent(self, account_id: str) -> tuple[JournalledOrder, ...]:
        """Orders that were planned or approved, and neither sent nor given up."""
        return self._select(ORDERS.c.account_id == account_id, ORDERS.c.state.in_(UNSENT))

    def _select(self, *conditions: Any) -> tuple[JournalledOrder, ...]:
        query = select(ORDERS).where(*conditions).order_by(ORDERS.c.submitting_at, ORDERS.c.client_order_id)
        with self._database.change() as connection:
            return tuple(map(_read, connection.execute(query).mappings()))

    def ends(self, account_id: str, first: int) -> Ends:
        """What became of the orders of the account's runs that began with the look of that number, or later."""
        is_sent = ORDERS.c.sent_at.is_not(None)
        query = select(ORDERS.c.state, is_sent.label("is_sent"), func.count().label("count"))
        query = query.where(ORDERS.c.account_id == account_id, ORDERS.c.run_id.in_(runs_from(account_id, first)))
        with self._database.change() as connection:
            rows = connection.execute(query.group_by(ORDERS.c.state, is_sent)).all()
        sent = {OrderState(row.state): row.count for row in rows if row.is_sent}
        return Ends(
            filled=sent.pop(OrderState.FILLED, 0),
            rejected=sent.pop(OrderState.REJECTED, 0),
            cancelled=sent.pop(OrderState.CANCELLED, 0),
            open=sum(sent.values()),
            not_sent=sum(row.count for row in rows if not row.is_sent),
        )

    def changes(self, client_order_id: str) -> tuple[Change, ...]:
        query = select(CHANGES).where(CHANGES.c.client_order_id == client_order_id).order_by(CHANGES.c.number)
        with self._database.change() as connection:
            return tuple(Change(state=row.state, at=row.at, why=row.why) for row in connection.execute(query))

    def verdicts(self, client_order_id: str) -> tuple[Verdict, ...]:
        """Every verdict on an order, oldest first."""
        query = select(VERDICTS.c.verdict).where(VERDICTS.c.client_order_id == client_order_id)
        with self._database.change() as connection:
            texts = connection.scalars(query.order_by(VERDICTS.c.number)).all()
            return tuple(map(Verdict.model_validate_json, texts))

    def last_sent_at(self, account_id: str) -> datetime | None:
        """By the broker's clock; None before the first order."""
        query = select(func.max(ORDERS.c.sent_at)).where(ORDERS.c.account_id == account_id)
        with self._database.change() as connection:
            last = connection.execute(query).scalar_one_or_none()
        return None if last is None else datetime.fromisoformat(last)


def sent_on(connection: Connection, account_id: str, day: date) -> int:
    """How many orders of the account were about to be sent on that day."""
    query = select(func.count()).where(ORDERS.c.account_id == account_id, ORDERS.c.trading_day == day)
    return int(connection.execute(query).scalar_one())


def filled_since(connection: Connection, account_id: str, since: datetime) -> tuple[tuple[OrderRecord, datetime], ...]:
    """The orders that traded and were sent since then, each with its time, both by the broker's clock."""
    query = select(ORDERS.c.record, ORDERS.c.sent_at).where(
        ORDERS.c.account_id == account_id, ORDERS.c.sent_at >= since.isoformat(), ORDERS.c.record.is_not(None)
    )
    told = [
        (OrderRecord.model_validate_json(text), datetime.fromisoformat(sent_at))
        for text, sent_at in connection.execute(query)
    ]
    return tuple((record, sent_at) for record, sent_at in told if record.filled_quantity > 0)


def _row(connection: Connection, client_order_id: str) -> RowMapping | None:
    query = select(ORDERS).where(ORDERS.c.client_order_id == client_order_id)
    return connection.execute(query).mappings().one_or_none()


def _why_void(connection: Connection, row: RowMapping | None, approved: ApprovedOrder, now: datetime) -> str | None:
    terms = approved.terms
    if row is None:
        return f"the journal does not know {terms.client_order_id}"
    if row["state"] != OrderState.APPROVED:
        return f"{terms.client_order_id} is {row['state']} in the journal"
    if row["approved"] != approved.model_dump_json():
        return "it is not the one on record"
    if not approved.approved_at <= now < approved.expires_at:
        return f"it held from {approved.approved_at:%H:%M:%S} to {approved.expires_at:%H:%M:%S} UTC"
    verdict = select(VERDICTS.c.number).where(
        VERDICTS.c.client_order_id == terms.client_order_id,
        VERDICTS.c.evidence == approved.evidence,
        VERDICTS.c.passed.is_(True),
    )
    return None if connection.execute(verdict).first() else "no verdict on record let it through"


def _keep(connection: Connection, verdict: Verdict, run_id: str) -> None:
    values = {
        "run_id": run_id,
        "client_order_id": verdict.client_order_id,
        "evidence": verdict.evidence,
        "passed": verdict.passed,
        "verdict": verdict.model_dump_json(),
    }
    connection.execute(VERDICTS.insert().values(values))


def _change(
    connection: Connection, client_order_id: str, state: OrderState, why: str, now: datetime, **values: Any
) -> None:
    row = _row(connection, client_order_id)
    if row is None:
        raise JournalError(f"{client_order_id}: the journal does not know this order, so it cannot become {state}.")
    before = OrderState(row["state"])
    if state not in MAY_FOLLOW[before]:
        raise JournalError(f"{client_order_id}: an order that is {before} cannot become {state}; it stays as it is.")
    same = ORDERS.c.client_order_id == client_order_id
    connection.execute(ORDERS.update().where(same).values(state=state.value, **values))
    _note(connection, client_order_id, state, why, now)


def _same_end(known: str, record: OrderRecord) -> bool:
    """Whether the order is at its end already, and this one: two may have looked."""
    before = OrderRecord.model_validate_json(known)
    ends = (before.status, before.filled_quantity) == (record.status, record.filled_quantity)
    return before == record or (ends and OrderState.of(record.status).is_final)


def _note(connection: Connection, client_order_id: str, state: OrderState, why: str, now: datetime) -> None:
    values = {"client_order_id": client_order_id, "state": state.value, "at": now.isoformat(), "why": why}
    connection.execute(CHANGES.insert().values(values))


def _read(row: RowMapping) -> JournalledOrder:
    approved, record = row["approved"], row["record"]
    return JournalledOrder(
        client_order_id=row["client_order_id"],
        run_id=row["run_id"],
        account_id=row["account_id"],
        symbol=row["symbol"],
        side=row["side"],
        quantity=int(row["quantity"]),
        state=row["state"],
        approved=None if approved is None else ApprovedOrder.model_validate_json(approved),
        sent_at=row["sent_at"],
        trading_day=row["trading_day"],
        submitting_at=row["submitting_at"],
        held_before=row["held_before"],
        record=None if record is None else OrderRecord.model_validate_json(record),
    )
