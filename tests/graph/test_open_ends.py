"""Orders that might trade on unseen: words nobody knows, books that shrink, looks that fail, a clock that errs."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import OutcomeUnknown, Retryable, Terminal, Unreachable
from brokers.protocol import Broker, OrderRequest
from config.home import Home
from graph.emergency import Cancelled, cancel_open_orders
from graph.journal import OrderState
from graph.reconcile import settle_earlier_orders
from graph.record import Outcome, RunRecord
from graph.runner import Run
from graph.sightings import settled_by_a_person
from portfolio.models import BrokerOrder, Execution, OrderStatus, Session
from tests.graph.conftest import TRADING_DAY, RunOnce, drain, opened, settings_with
from tests.permits import journal_in, now
from tests.simulators.delegating_broker import DelegatingBroker
from tests.simulators.slow_broker import SlowBroker

SECONDS = {"fill_timeout_seconds": 1}


class Resting(SlowBroker):
    """Every order rests; how often its cancellation was asked for, and which were placed, is counted."""

    def __init__(self, inner: Broker) -> None:
        super().__init__(inner)
        self.placed: list[OrderRequest] = []
        self.cancels = 0

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.placed.append(order)
        return await super().place(order)

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        self.cancels += 1
        return await super().cancel(account_id, order_id)


async def run_with(
    home: Home, broker: type[Resting], afterwards: Callable[[Run, Any], Awaitable[None]] | None = None
) -> tuple[RunRecord, Any]:
    made: list[Resting] = []

    def faulty(inner: Broker) -> Broker:
        made.append(broker(inner))
        return made[-1]

    async with opened(home, settings_with(**SECONDS), TRADING_DAY, faulty) as run:
        await drain(run.start())
        record = await run.record()
        if afterwards:
            await afterwards(run, made[0])
    return record, made[0]


def state_of(home: Home, client_order_id: str) -> OrderState:
    with journal_in(home.root) as journal:
        order = journal.orders.find(client_order_id)
    assert order is not None
    return order.state


# --- a state whose word nobody knows ------------------------------------------------------------------------------


class OddWord(Resting):
    """What works is in a state that the agent does not know."""

    async def _shown(self, order_id: str, order: OrderRequest) -> BrokerOrder:
        return (await super()._shown(order_id, order)).model_copy(update={"status": OrderStatus.UNKNOWN})


async def test_an_order_in_a_state_that_nobody_knows_is_cancelled_at_the_deadline(home: Home) -> None:
    record, broker = await run_with(home, OddWord)
    assert broker.cancels == len(record.orders)
    assert not broker._resting
    assert {order.status for order in record.orders} == {OrderStatus.CANCELLED}


class DeafAtFirst(OddWord):
    """The cancellation of a run goes lost, a later one is heard."""

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        if not self.cancels:
            self.cancels += 1
            raise Terminal("the cancellation was lost")
        return await super().cancel(account_id, order_id)


async def test_an_emergency_stop_cancels_an_order_in_a_state_that_nobody_knows(home: Home) -> None:
    told: list[Cancelled] = []

    async def stop(run: Run, _broker: DeafAtFirst) -> None:
        told.extend(await cancel_open_orders(run.context))

    record, broker = await run_with(home, DeafAtFirst, stop)
    assert record.outcome is Outcome.ORDER_UNKNOWN
    assert not broker._resting
    assert [one.done for one in told] == [True]
    assert "it is CANCELLED now" in told[0].words


async def test_the_next_run_cancels_an_order_in_a_state_that_nobody_knows(home: Home) -> None:
    async def settle(run: Run, _broker: DeafAtFirst) -> None:
        (account,) = await run.context.reader.accounts()
        await settle_earlier_orders(account.account_id, run.context)

    record, broker = await run_with(home, DeafAtFirst, settle)
    assert not broker._resting
    assert state_of(home, record.orders[0].client_order_id) is OrderState.CANCELLED


class NeverCancels(OddWord):
    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:  # noqa: ARG002
        self.cancels += 1
        return await self._shown(order_id, self.placed[0])


async def test_an_order_that_nobody_can_say_to_be_over_is_not_called_over_by_an_emergency_stop(home: Home) -> None:
    told: list[Cancelled] = []

    async def stop(run: Run, _broker: NeverCancels) -> None:
        told.extend(await cancel_open_orders(run.context))

    record, broker = await run_with(home, NeverCancels, stop)
    assert record.outcome is Outcome.ORDER_UNKNOWN
    assert "in a state that nobody knows" in record.message
    assert broker.cancels >= 2
    assert told
    assert not any(one.done for one in told)


async def test_an_entry_that_makes_no_sense_does_not_keep_an_emergency_stop_from_the_other_orders(home: Home) -> None:
    told: list[Cancelled] = []

    async def stop(run: Run, broker: DeafAtFirst) -> None:
        (sent,) = broker.placed
        with closing(sqlite3.connect(home.database)) as database, database:
            database.execute(
                "INSERT INTO orders (client_order_id, run_id, account_id, symbol, side, quantity, state, "
                "submitting_at) VALUES ('odd', 'odd', ?, 'ODD', 'BUY', '1', 'SUBMITTED', '2020-01-01T00:00:00+00:00')",
                (sent.account_id,),
            )
        told.extend(await cancel_open_orders(run.context))

    _, broker = await run_with(home, DeafAtFirst, stop)
    assert not broker._resting
    assert [one.done for one in told] == [False, True]
    assert "BUY 1 ODD (odd): it could not be cancelled" in told[0].words


# --- executions that no order can come to -------------------------------------------------------------------------


class OddFills(Resting):
    """Lists no status; the executions of each order are what `fills` says, shares and price."""

    fills: tuple[tuple[str, str], ...] = (("5", "10"), ("-5", "10"))

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:  # noqa: ARG002
        over = (order for order in self._cancelled.values() if order.client_order_id == client_order_id)
        return next(over, None)

    async def executions(self, account_id: str, since: datetime) -> list[Execution]:  # noqa: ARG002
        return [
            Execution(
                execution_id=str(number),
                order_id=order_id,
                client_order_id=order.client_order_id,
                account_id=account_id,
                conid=order.conid,
                symbol="X",
                side=order.side,
                quantity=Decimal(quantity),
                price=Decimal(price),
                commission=Decimal(1),
                executed_at=now(),
            )
            for order_id, (_, order) in self._resting.items()
            for number, (quantity, price) in enumerate(self.fills)
        ]


class AbsurdFills(OddFills):
    fills = (("1e15", "1e15"), ("-999999999999999", "1"))


@pytest.mark.parametrize("broker", [OddFills, AbsurdFills])
async def test_executions_that_no_order_can_come_to_leave_it_unknown_and_it_is_cancelled(
    home: Home, broker: type[OddFills]
) -> None:
    record, made = await run_with(home, broker)
    assert not made._resting
    assert made.cancels == len(record.orders)
    assert {order.status for order in record.orders} == {OrderStatus.CANCELLED}


class TakenBack(OddFills):
    """No order of it is ever shown as over, and its first cancellation goes lost."""

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:  # noqa: ARG002
        return None

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        if not self.cancels:
            self.cancels += 1
            raise Unreachable("the connection is gone")
        return await super().cancel(account_id, order_id)


async def test_an_emergency_stop_goes_on_after_an_order_whose_executions_cannot_be(home: Home) -> None:
    told: list[Cancelled] = []

    async def stop(run: Run, _broker: TakenBack) -> None:
        told.extend(await cancel_open_orders(run.context))

    record, broker = await run_with(home, TakenBack, stop)
    assert record.outcome is Outcome.ORDER_UNKNOWN
    assert "add up to 0 of" in record.message
    assert not broker._resting
    assert [one.done for one in told] == [False]


# --- books that shrink --------------------------------------------------------------------------------------------


class Shrinks(Resting):
    """Shows a part as filled until the cancellation, and afterwards `after` with nothing filled."""

    after = OrderStatus.CANCELLED

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        known = await super().order_status(account_id, client_order_id)
        if known is None or known.order_id.startswith("slow") is False:
            return known
        if known.status is OrderStatus.CANCELLED:
            return known.model_copy(update={"status": self.after})
        part = {"status": OrderStatus.PARTIAL, "filled_quantity": Decimal(1), "average_price": known.limit_price}
        return known.model_copy(update=part)


class ShrinksToNothing(Shrinks):
    after = OrderStatus.REJECTED


@pytest.mark.parametrize("broker", [Shrinks, ShrinksToNothing])
async def test_what_has_filled_cannot_unfill_and_is_never_ordered_again(home: Home, broker: type[Shrinks]) -> None:
    async def settle(run: Run, _broker: Shrinks) -> None:
        (account,) = await run.context.reader.accounts()
        for _ in range(2):
            await settle_earlier_orders(account.account_id, run.context)

    record, made = await run_with(home, broker, settle)
    first, *rest = record.orders
    assert (first.status, first.filled_quantity) == (OrderStatus.UNKNOWN, Decimal(1))
    assert f"shown as {made.after}, 0 filled where 1 had filled already" in (first.message or "")
    assert len(made.placed) == 1
    assert all(order.broker_order_id is None for order in rest)
    with journal_in(home.root) as journal:
        (lost,) = journal.orders.unsettled()
        assert lost.record is not None
        assert (lost.state, lost.record.filled_quantity) == (OrderState.UNKNOWN, Decimal(1))
        journal.orders.settle(settled_by_a_person(lost, filled=False), now())
        assert journal.orders.unsettled() == ()


# --- looks that fail ----------------------------------------------------------------------------------------------


class Blinks(Resting):
    """The second look at an order fails, once."""

    looks = 0

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        self.looks += 1
        if self.looks == 2:
            return await self.fail()
        return await super().order_status(account_id, client_order_id)

    async def fail(self) -> BrokerOrder | None:
        raise Retryable("a time-out, once")


class LooksAway(Blinks):
    """The second look shows nothing, once."""

    async def fail(self) -> BrokerOrder | None:
        return None


@pytest.mark.parametrize("broker", [Blinks, LooksAway])
async def test_one_look_that_fails_does_not_end_the_following_of_an_order(home: Home, broker: type[Blinks]) -> None:
    record, made = await run_with(home, broker)
    assert made.looks > 2
    assert not made._resting
    assert {order.status for order in record.orders} == {OrderStatus.CANCELLED}


class Blind(Resting):
    """Takes orders and cancellations, and never tells what became of an order."""

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        if self.placed:
            raise Retryable("the books do not answer")
        return await super().order_status(account_id, client_order_id)


async def test_an_order_that_is_never_seen_is_cancelled_by_its_receipt_and_stays_unknown(home: Home) -> None:
    record, made = await run_with(home, Blind)
    assert record.outcome is Outcome.ORDER_UNKNOWN
    assert not made._resting
    assert (made.cancels, len(made.placed)) == (1, 1)
    assert record.orders[0].broker_order_id == "slow-1"
    assert "the books do not answer" in record.message


# --- a clock that errs --------------------------------------------------------------------------------------------


class OutOfSight(Resting):
    """Nothing of ours is shown, and its clock may be `ahead`."""

    ahead = timedelta(0)

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:  # noqa: ARG002
        return None

    async def session(self, symbol: str) -> Session:
        told = await super().session(symbol)
        later = {name: getattr(told, name) + self.ahead for name in ("now", "opens_at", "closes_at")}
        return told.model_copy(update=later)


# --- a broker that shows the orders of its own day alone ------------------------------------------------------------


class OfToday(DelegatingBroker):
    """Every order is placed and none is ever told of: as on the day after the agent died over it."""

    async def place(self, order: OrderRequest) -> BrokerOrder:
        await super().place(order)
        raise OutcomeUnknown("the connection broke")

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:  # noqa: ARG002
        return None

    async def executions(self, account_id: str, since: datetime) -> list[Execution]:  # noqa: ARG002
        return []


class WithoutIt(DelegatingBroker):
    """One order is not told of."""

    def __init__(self, inner: Broker, hidden: str) -> None:
        super().__init__(inner)
        self._hidden = hidden

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        return None if client_order_id == self._hidden else await super().order_status(account_id, client_order_id)

    async def executions(self, account_id: str, since: datetime) -> list[Execution]:
        fills = await super().executions(account_id, since)
        return [fill for fill in fills if fill.client_order_id != self._hidden]


async def test_what_filled_yesterday_and_is_shown_no_more_is_told_by_the_shares(run_once: RunOnce, home: Home) -> None:
    first = await run_once(faulty=OfToday, **SECONDS)
    assert first.outcome is Outcome.ORDER_UNKNOWN
    (lost,) = [order for order in first.orders if order.status is OrderStatus.UNKNOWN]
    again = await run_once(faulty=OfToday, **SECONDS)
    assert state_of(home, lost.client_order_id) is OrderState.UNKNOWN, "today it may still trade"
    assert lost.symbol not in {order.symbol for order in again.orders}
    tomorrow = TRADING_DAY + timedelta(days=1)
    await run_once(day=tomorrow, faulty=lambda inner: WithoutIt(inner, lost.client_order_id))
    assert state_of(home, lost.client_order_id) is OrderState.FILLED
    with journal_in(home.root) as journal:
        settled = journal.orders.find(lost.client_order_id)
    assert settled is not None
    assert settled.record is not None
    assert settled.record.filled_quantity == lost.quantity
    assert "the limit is given" in (settled.record.message or "")
