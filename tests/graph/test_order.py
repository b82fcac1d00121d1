"""The order node: what is made smaller, priced again, stopped half-way, and what is never sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.protocol import Broker, OrderRequest
from cli.wiring import Start
from config.home import Home
from graph.journal import OrderState
from graph.record import Outcome
from portfolio.models import AccountSummary, BrokerOrder, OrderStatus, Position, Quote, Side
from tests.graph.conftest import TRADING_DAY, RunOnce, drain, opened, settings_with
from tests.permits import journal_in
from tests.simulators.delegating_broker import DelegatingBroker

CENT = Decimal("0.01")


class NobodyBuysFromUs(DelegatingBroker):
    """Sales rest in the book at a price that nobody pays."""

    async def place(self, order: OrderRequest) -> BrokerOrder:
        if order.side is Side.SELL and order.limit_price is not None:
            order = order.model_copy(update={"limit_price": 2 * order.limit_price})
        return await super().place(order)


async def test_a_purchase_is_made_smaller_where_the_sales_brought_too_little(run_once: RunOnce, home: Home) -> None:
    """The cash that is there still buys something; min_cash is kept to the cent."""
    wanted = {"min_cash": 8.0, "max_portfolio_change": 20.0, "min_order_value": Decimal(1), "fill_timeout_seconds": 1}
    record = await run_once(faulty=NobodyBuysFromUs, **wanted)
    assert record.snapshot is not None
    assert record.plan is not None
    planned = {trade.symbol: trade.quantity for trade in record.plan.trades if trade.side is Side.BUY}
    bought = [order for order in record.orders if order.side is Side.BUY and order.filled_quantity]
    assert any(order.quantity < planned[order.symbol] for order in bought)
    spent = sum(order.filled_quantity * (order.average_price or 0) + (order.commission or 0) for order in bought)
    assert record.snapshot.cash - spent >= record.snapshot.net_liquidation * 8 / 100
    with journal_in(home.root) as journal:
        for order in bought:
            verdict = journal.orders.verdicts(order.client_order_id)[-1]
            assert (verdict.quantity, verdict.passed) == (order.quantity, True)


class QuotesLagBehind(DelegatingBroker):
    """Before the first order of a symbol leaves, its quote is half a percent behind the market, to our harm."""

    def __init__(self, inner: Broker) -> None:
        super().__init__(inner)
        self.seen: list[OrderRequest] = []

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.seen.append(order)
        return await super().place(order)

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        tried = {order.conid for order in self.seen}
        return [quote if quote.conid in tried else behind(quote) for quote in await super().quotes(conids)]


def behind(quote: Quote) -> Quote:
    """Asks lower and bids higher than anybody in the market does; the mid stays."""
    return quote.model_copy(
        update={
            "ask": (quote.mid * Decimal("0.996")).quantize(CENT) if quote.mid else None,
            "bid": (quote.mid * Decimal("0.995")).quantize(CENT) if quote.mid else None,
        }
    )


async def test_what_does_not_fill_is_ordered_once_more_where_the_market_has_moved_away(
    run_once: RunOnce, home: Home
) -> None:
    brokers: list[QuotesLagBehind] = []

    def lagging(inner: Broker) -> QuotesLagBehind:
        brokers.append(QuotesLagBehind(inner))
        return brokers[-1]

    record = await run_once(faulty=lagging, fill_timeout_seconds=1, max_portfolio_change=100.0)
    purchases = [order for order in record.orders if order.side is Side.BUY]
    first, again = purchases[0], purchases[1]
    assert again.client_order_id == f"{first.client_order_id}-again"
    assert (first.status, again.status) == (OrderStatus.CANCELLED, OrderStatus.FILLED)
    assert again.limit_price > first.limit_price
    assert again.quantity == first.quantity
    with journal_in(home.root) as journal:
        states = [change.state.value for change in journal.orders.changes(again.client_order_id)]
        assert states == ["PLANNED", "APPROVED", "SUBMITTING", "SUBMITTED", "FILLED"]
        assert journal.orders.verdicts(again.client_order_id)[0].passed
    tries = [order.client_order_id for order in brokers[0].seen]
    assert len(tries) == len(set(tries))


class NeverFills(DelegatingBroker):
    """The order rests far from the market, whose quotes stay as they are."""

    placed = 0

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.placed += 1
        away = Decimal("0.50") if order.side == "BUY" else Decimal("1.50")
        price = ((order.limit_price or Decimal(0)) * away).quantize(CENT)
        return await super().place(order.model_copy(update={"limit_price": price}))


async def test_where_the_market_has_not_moved_nothing_is_ordered_again(run_once: RunOnce) -> None:
    brokers: list[NeverFills] = []

    def resting(inner: Broker) -> NeverFills:
        brokers.append(NeverFills(inner))
        return brokers[-1]

    record = await run_once(faulty=resting, fill_timeout_seconds=1)
    assert record.plan is not None
    sent = [order for order in record.orders if order.broker_order_id]
    assert len(sent) == brokers[0].placed
    assert not [order for order in record.orders if order.client_order_id.endswith("-again")]


async def test_a_run_that_is_asked_to_stop_finishes_the_order_under_way_and_sends_no_more(home: Home) -> None:
    stop = asyncio.Event()

    class Stops(DelegatingBroker):
        async def place(self, order: OrderRequest) -> BrokerOrder:
            stop.set()
            return await super().place(order)

    async with opened(home, settings_with(), TRADING_DAY, Stops, Start(stop=stop)) as run:
        await drain(run.start())
        record = await run.record()
    first, *rest = record.orders
    assert first.status is OrderStatus.FILLED
    assert rest
    assert all("the run was asked to stop" in (order.message or "") for order in rest)
    assert record.outcome is Outcome.INTERRUPTED
    assert record.reflection is not None
    with journal_in(home.root) as journal:
        states = {order.state for order in journal.orders.of_run(record.run_id)}
        assert states == {OrderState.FILLED, OrderState.CANCELLED}


async def test_a_halt_in_the_middle_of_a_batch_stops_the_next_order(home: Home) -> None:
    """Promise 9: another process halts, and the order that is approved already does not leave."""

    class HaltsMeanwhile(DelegatingBroker):
        placed = 0

        async def place(self, order: OrderRequest) -> BrokerOrder:
            self.placed += 1
            with journal_in(home.root) as journal:
                journal.halts.halt("a person saw it coming", datetime.now(UTC))
            return await super().place(order)

    brokers: list[HaltsMeanwhile] = []

    def halting(inner: Broker) -> HaltsMeanwhile:
        brokers.append(HaltsMeanwhile(inner))
        return brokers[-1]

    async with opened(home, settings_with(), TRADING_DAY, halting) as run:
        await drain(run.start())
        record = await run.record()
    assert brokers[0].placed == 1
    assert record.outcome is Outcome.HALTED
    assert "a person saw it coming" in record.message
    assert record.orders[0].status is OrderStatus.FILLED


async def test_while_halted_a_run_looks_and_plans_nothing(run_once: RunOnce, home: Home) -> None:
    with journal_in(home.root) as journal:
        journal.halts.halt("on holiday", datetime.now(UTC))
    record = await run_once()
    assert record.outcome is Outcome.HALTED
    assert record.snapshot is not None
    assert record.plan is None
    with journal_in(home.root) as journal:
        journal.halts.resume("back", datetime.now(UTC))
    assert (await run_once()).outcome is Outcome.TRADED


class FillsTwice(DelegatingBroker):
    """Something between us and the exchange sends every order a second time."""

    placed = 0

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.placed += 1
        known = await super().place(order)
        await super().place(order.model_copy(update={"client_order_id": f"{order.client_order_id}-twin"}))
        return known


async def test_more_shares_than_were_ordered_halt_everything(run_once: RunOnce) -> None:
    brokers: list[FillsTwice] = []

    def twice(inner: Broker) -> FillsTwice:
        brokers.append(FillsTwice(inner))
        return brokers[-1]

    record = await run_once(faulty=twice)
    assert record.outcome is Outcome.HALTED
    assert "something sent the order more than once" in record.message
    assert brokers[0].placed == 1
    assert (await run_once()).outcome is Outcome.HALTED


@pytest.mark.parametrize("policy", ["marketable", "mid", "passive"])
async def test_each_price_policy_is_what_the_guard_and_the_broker_see(run_once: RunOnce, policy: str) -> None:
    record = await run_once(price_policy=policy, fill_timeout_seconds=1)
    assert record.orders
    assert all(verdict.passed for verdict in record.verdicts)
    filled = {order.status for order in record.orders if order.broker_order_id}
    assert filled == ({OrderStatus.FILLED} if policy == "marketable" else {OrderStatus.CANCELLED})


class TellsOfNoFill(DelegatingBroker):
    """The order fills, and its status says that it was cancelled with nothing filled."""

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        known = await super().order_status(account_id, client_order_id)
        nothing = {"status": OrderStatus.CANCELLED, "filled_quantity": Decimal(0), "average_price": None}
        return known.model_copy(update=nothing) if known else None


async def test_an_order_whose_shares_changed_hands_is_not_ordered_again(run_once: RunOnce) -> None:
    """Books that contradict themselves: believed, the run would buy twice."""
    record = await run_once(faulty=TellsOfNoFill)
    assert record.outcome is Outcome.ORDER_UNKNOWN
    first, *rest = record.orders
    assert first.status is OrderStatus.UNKNOWN
    assert "changed hands" in (first.message or "")
    assert all(order.broker_order_id is None for order in rest)


class SpentMeanwhile(DelegatingBroker):
    """After the first order of the run somebody spends nearly all the cash by hand."""

    placed = 0

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.placed += 1
        return await super().place(order)

    async def summary(self, account_id: str) -> AccountSummary:
        known = await super().summary(account_id)
        return known.model_copy(update={"total_cash": Decimal(600)}) if self.placed else known


async def test_cash_that_others_spend_meanwhile_is_not_spent_again(run_once: RunOnce) -> None:
    brokers: list[SpentMeanwhile] = []

    def spent(inner: Broker) -> SpentMeanwhile:
        brokers.append(SpentMeanwhile(inner))
        return brokers[-1]

    record = await run_once(faulty=spent)
    bought = [order for order in record.orders if order.side is Side.BUY]
    assert bought
    assert all(order.filled_quantity == 0 for order in bought[1:])
    assert all("too little cash" in (order.message or "") for order in bought[1:])


class FrozenBooks(DelegatingBroker):
    """Positions and balances stand still, while orders fill: a cache that nobody refreshes."""

    def __init__(self, inner: Broker) -> None:
        super().__init__(inner)
        self.held: list[Position] | None = None
        self.balances: AccountSummary | None = None

    async def positions(self, account_id: str) -> list[Position]:
        if self.held is None:
            self.held = await super().positions(account_id)
        return self.held

    async def summary(self, account_id: str) -> AccountSummary:
        if self.balances is None:
            self.balances = await super().summary(account_id)
        return self.balances


async def test_positions_that_do_not_show_todays_fills_are_not_traded_on(home: Home) -> None:
    """Else each run of the day would do the same again."""
    frozen: list[FrozenBooks] = []

    def freezing(inner: Broker) -> FrozenBooks:
        frozen.append(FrozenBooks(inner))
        frozen[-1].held, frozen[-1].balances = frozen[0].held, frozen[0].balances
        return frozen[-1]

    records = []
    for _ in range(2):
        async with opened(home, settings_with(), TRADING_DAY, freezing) as run:
            await drain(run.start())
            records.append(await run.record())
    assert any(order.filled_quantity for order in records[0].orders)
    assert records[1].outcome is Outcome.DATA_UNFIT
    assert "do not show yet what was traded today" in records[1].message
    assert records[1].orders == ()
