"""What goes wrong at the broker, and what the run makes of it: never a wrong order, always a reflection."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest

from brokers.errors import OutcomeUnknown, Terminal, Unreachable
from brokers.protocol import Broker, OrderRequest
from cli.exit_codes import ExitCode, exit_code
from config.home import Home
from graph.record import Outcome, RunRecord
from portfolio.models import (
    Account,
    AccountSummary,
    BrokerOrder,
    Contract,
    OrderStatus,
    Position,
    Quote,
    Side,
    WhatIf,
)
from tests.graph.conftest import RunOnce
from tests.simulators.delegating_broker import DelegatingBroker


class Recording(DelegatingBroker):
    """Counts the orders that reach the broker."""

    placed = 0

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.placed += 1
        return await super().place(order)


class Down(DelegatingBroker):
    async def accounts(self) -> list[Account]:
        raise Unreachable("The gateway is not logged in.")


class LiveAccount(Recording):
    """The same account under the id of a live one."""

    LIVE = "U7654321"

    async def accounts(self) -> list[Account]:
        return [Account(account_id=self.LIVE)]

    async def _paper(self) -> str:
        return (await self.inner.accounts())[0].account_id

    async def summary(self, account_id: str) -> AccountSummary:
        return (await self.inner.summary(await self._paper())).model_copy(update={"account_id": account_id})

    async def positions(self, account_id: str) -> list[Position]:
        held = await self.inner.positions(await self._paper())
        return [position.model_copy(update={"account_id": account_id}) for position in held]

    async def open_orders(self, account_id: str) -> list[BrokerOrder]:  # noqa: ARG002
        return []

    async def what_if(self, order: OrderRequest) -> WhatIf:
        return await self.inner.what_if(order.model_copy(update={"account_id": await self._paper()}))


class WhatIfSaysNo(Recording):
    async def what_if(self, order: OrderRequest) -> WhatIf:  # noqa: ARG002
        return WhatIf(error="201: the order is not acceptable")


class WhatIfFails(Recording):
    async def what_if(self, order: OrderRequest) -> WhatIf:  # noqa: ARG002
        raise Terminal("the what-if service is down")


class NoQuotes(Recording):
    async def quotes(self, conids: Sequence[int]) -> list[Quote]:  # noqa: ARG002
        return []


class SummaryContradictsPositions(Recording):
    async def positions(self, account_id: str) -> list[Position]:  # noqa: ARG002
        return []


class LooksEmpty(Recording):
    async def positions(self, account_id: str) -> list[Position]:  # noqa: ARG002
        return []

    async def summary(self, account_id: str) -> AccountSummary:
        return (await super().summary(account_id)).model_copy(update={"gross_position_value": Decimal(0)})


class QuotesATenth(Recording):
    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        fields = ("bid", "ask", "last")
        return [
            quote.model_copy(update={field: (getattr(quote, field) / 10).quantize(Decimal("0.01")) for field in fields})
            for quote in await super().quotes(conids)
        ]


class MarksOfNothing(Recording):
    """What some brokers say instead of a price they do not have."""

    async def positions(self, account_id: str) -> list[Position]:
        held = await super().positions(account_id)
        return [position.model_copy(update={"market_price": Decimal(0)}) for position in held]


class NobodyBuysFromUs(Recording):
    """Sales rest in the book at a price that nobody pays."""

    async def place(self, order: OrderRequest) -> BrokerOrder:
        if order.side is Side.SELL and order.limit_price is not None:
            order = order.model_copy(update={"limit_price": 2 * order.limit_price})
        return await super().place(order)


class LocksTheJournal(Recording):
    """From the what-if on, or once an order is placed, somebody else holds the journal, a backup say."""

    after_placing = False

    def __init__(self, inner: Broker, home: Home) -> None:
        super().__init__(inner)
        self._home = home
        self._holder: sqlite3.Connection | None = None

    def _hold(self) -> None:
        if self._holder is None:
            self._holder = sqlite3.connect(self._home.database, isolation_level=None)
            self._holder.execute("BEGIN EXCLUSIVE")

    async def what_if(self, order: OrderRequest) -> WhatIf:
        if not self.after_placing:
            self._hold()
        return await super().what_if(order)

    async def place(self, order: OrderRequest) -> BrokerOrder:
        placed = await super().place(order)
        self._hold()
        return placed

    async def close(self) -> None:
        if self._holder is not None:
            self._holder.close()
        await super().close()


class AcceptsAndFallsSilent(Recording):
    """Takes the order, and fails before it says so; its books know."""

    async def place(self, order: OrderRequest) -> BrokerOrder:
        await super().place(order)
        raise OutcomeUnknown("the connection broke after the order was sent")


class AcceptsAndForgets(AcceptsAndFallsSilent):
    """The same, and then its books cannot be asked either."""

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        if self.placed:
            raise Unreachable("the connection is gone")
        return await super().order_status(account_id, client_order_id)


class ChangesHands(Recording):
    """After the what-if another user is logged in."""

    changed = False

    async def what_if(self, order: OrderRequest) -> WhatIf:
        answer = await super().what_if(order)
        self.changed = True
        return answer

    async def accounts(self) -> list[Account]:
        return [Account(account_id="DU9999999")] if self.changed else await super().accounts()


def assert_only_the_first_was_sent(record: RunRecord) -> None:
    first, *rest = record.orders
    assert first.status.is_unresolved
    assert rest
    assert all("not sent, since nobody can tell" in (order.message or "") for order in rest)


async def test_an_unreachable_broker_ends_the_run_with_a_reflection(run_once: RunOnce, home: Home) -> None:
    record = await run_once(faulty=Down)
    assert record.outcome is Outcome.UNREACHABLE
    assert "not logged in" in record.message
    assert record.reflection is not None
    assert len(list(home.reflections.iterdir())) == 1


async def test_a_live_account_with_paper_wanted_is_planned_for_and_never_sent_to(run_once: RunOnce) -> None:
    """Promise 3: the wrong login must not cost a cent."""
    brokers: list[LiveAccount] = []

    def live(inner: object) -> LiveAccount:
        brokers.append(LiveAccount(inner))  # type: ignore[arg-type]  # the simulated broker, as the fixture gives it
        return brokers[0]

    record = await run_once(faulty=live)
    assert (record.outcome, exit_code(record.outcome)) == (Outcome.REFUSED, ExitCode.DATA_UNFIT)
    assert "is a live account and paper_trading is on" in record.message
    assert record.reflection is not None
    assert record.reflection.next_actions == ("Mend what the message names, then run again.",)
    assert brokers[0].placed == 0
    assert record.verdicts
    for verdict in record.verdicts:
        assert [check.rule for check in verdict.failures] == ["account_kind"]


@pytest.mark.parametrize("faulty", [WhatIfSaysNo, WhatIfFails])
async def test_no_order_goes_out_against_the_what_if(run_once: RunOnce, faulty: type[Recording]) -> None:
    record = await run_once(faulty=faulty)
    assert record.outcome is Outcome.REFUSED
    assert record.orders == ()
    assert all("whatif" in {check.rule for check in verdict.failures} for verdict in record.verdicts)


async def test_without_quotes_nothing_is_traded(run_once: RunOnce) -> None:
    """An exit code of 0 would tell a script that all is well."""
    record = await run_once(faulty=NoQuotes)
    assert record.orders == ()
    assert record.outcome is Outcome.DATA_UNFIT
    assert "none of 18 symbols has a quote" in record.message


async def test_quotes_of_another_day_are_no_market(run_once: RunOnce) -> None:
    class Yesterdays(Recording):
        async def quotes(self, conids: Sequence[int]) -> list[Quote]:
            now = (await self.session("SPY")).now
            return [
                quote.model_copy(update={"as_of": now - timedelta(days=1)}) for quote in await super().quotes(conids)
            ]

    record = await run_once(faulty=Yesterdays)
    assert record.orders == ()
    assert record.outcome is Outcome.DATA_UNFIT
    assert "has a quote of the last 900 s" in record.message


async def test_one_symbol_with_a_quote_is_market_enough(run_once: RunOnce) -> None:
    class OnlyOne(Recording):
        async def quotes(self, conids: Sequence[int]) -> list[Quote]:
            return (await super().quotes(conids))[:1]

    record = await run_once(faulty=OnlyOne)
    assert record.outcome is not Outcome.DATA_UNFIT


async def test_positions_that_contradict_the_summary_are_not_traded_on(run_once: RunOnce) -> None:
    """A failed call looks like an empty portfolio; buying everything anew would be the worst answer."""
    record = await run_once(faulty=SummaryContradictsPositions)
    assert record.outcome is Outcome.DATA_UNFIT
    assert "positions sum to 0.00 USD" in record.message


async def test_an_empty_portfolio_beside_an_old_net_liquidation_is_not_traded_on(run_once: RunOnce) -> None:
    """The contract's second fault, told consistently: no positions, and no gross value either."""
    record = await run_once(faulty=LooksEmpty)
    assert record.outcome is Outcome.DATA_UNFIT
    assert record.orders == ()


async def test_quotes_that_contradict_the_positions_prices_are_not_traded_on(run_once: RunOnce) -> None:
    """A tenth of the price makes ten times the shares fit a limit in dollars."""
    record = await run_once(faulty=QuotesATenth)
    assert record.outcome is Outcome.DATA_UNFIT
    assert "is quoted at" in record.message


async def test_a_mark_that_is_no_price_is_not_taken_for_a_loss(run_once: RunOnce) -> None:
    record = await run_once(faulty=MarksOfNothing)
    assert record.outcome is Outcome.DATA_UNFIT
    assert "and valued at 0" in record.message
    assert record.orders == ()


class OtherConid(Recording):
    """Finds `asked` under the contract of `found`, whose quotes and orders say so."""

    asked, found = "VTI", "XLU"

    def __init__(self, inner: Broker) -> None:
        super().__init__(inner)
        self.conids: set[int] = set()

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        contract = await super().find_contract(symbol, sec_type)
        if symbol != self.asked:
            return contract
        return contract.model_copy(update={"conid": (await super().find_contract(self.found, sec_type)).conid})

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.conids.add(order.conid)
        return await super().place(order)


BY_TWO_NAMES = [
    {"name": "Core", "target_allocation": 60, "symbols": ["VTI", "SPY", "QQQ"], "max_position_size": 60},
    {"name": "Rest", "target_allocation": 40, "symbols": ["AAPL", "MSFT", "NVDA", "KO"], "max_position_size": 40},
]


async def test_a_symbol_whose_contract_is_quoted_under_another_ticker_is_not_traded(run_once: RunOnce) -> None:
    """VTI is found under the contract of XLU, and nobody asked for shares of that."""
    brokers: list[OtherConid] = []

    def faulty(inner: Broker) -> Broker:
        brokers.append(OtherConid(inner))
        return brokers[-1]

    record = await run_once(faulty=faulty, trading_rules=BY_TWO_NAMES)
    assert record.outcome is Outcome.TRADED
    assert record.snapshot is not None
    told = next(check for check in record.snapshot.data_quality if check.name == "names_agree")
    assert (told.passed, told.required) == (False, False)
    assert "the contract of VTI is called XLU" in told.why
    assert "VTI" not in {order.symbol for order in record.orders}
    assert (await brokers[0].find_contract("VTI")).conid not in brokers[0].conids


async def test_where_the_contract_of_two_tickers_is_held_nothing_is_traded(run_once: RunOnce) -> None:
    """What is held of which symbol is then anybody's guess, and so is how far the account is off its targets."""

    class Held(OtherConid):
        found = "AAPL"

    record = await run_once(faulty=Held, trading_rules=BY_TWO_NAMES)
    assert record.outcome is Outcome.DATA_UNFIT
    assert "the contract of VTI is called AAPL where it is quoted" in record.message
    assert record.orders == ()


@pytest.mark.parametrize(
    "claim",
    [
        {"symbol": "XLU"},
        {"symbol": "TSLA", "conid": 1, "client_order_id": "another"},
        {"account_id": "DU1111111"},
        {"quantity": Decimal(500)},
        {"filled_quantity": Decimal(999)},
        {"filled_quantity": Decimal(-3)},
        {"filled_quantity": Decimal(0), "average_price": None},
    ],
)
async def test_books_that_speak_of_another_order_are_not_believed(run_once: RunOnce, claim: dict[str, object]) -> None:
    class Mistaken(Recording):
        async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
            known = await super().order_status(account_id, client_order_id)
            return known.model_copy(update=claim) if known else None

    record = await run_once(faulty=Mistaken)
    assert record.outcome is Outcome.ORDER_UNKNOWN
    assert_only_the_first_was_sent(record)


async def test_an_order_still_working_after_its_cancel_stops_the_batch(run_once: RunOnce) -> None:
    class CannotCancel(Recording):
        async def place(self, order: OrderRequest) -> BrokerOrder:
            away = Decimal("0.50") if order.side == "BUY" else Decimal("1.50")
            price = ((order.limit_price or Decimal(0)) * away).quantize(Decimal("0.01"))
            return await super().place(order.model_copy(update={"limit_price": price}))

        async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:  # noqa: ARG002
            raise Terminal("the cancel was lost")

    record = await run_once(faulty=CannotCancel, fill_timeout_seconds=1)
    assert record.outcome is Outcome.ORDER_UNKNOWN
    assert_only_the_first_was_sent(record)


@pytest.mark.slow
async def test_a_late_order_is_not_written_off_and_sent_again(run_once: RunOnce) -> None:
    """The broker's books do not show it yet: its symbol stays blocked for the day."""

    class SwallowsForNow(Recording):
        async def place(self, order: OrderRequest) -> BrokerOrder:  # noqa: ARG002
            raise OutcomeUnknown("no answer")

    first = await run_once(faulty=SwallowsForNow, rebalance_method="first_symbol")
    assert first.outcome is Outcome.ORDER_UNKNOWN
    symbol = first.orders[0].symbol
    second = await run_once(rebalance_method="first_symbol")
    assert symbol not in {order.symbol for order in second.orders}
    next_day = await run_once(day=date(2026, 6, 16), rebalance_method="first_symbol")
    assert symbol in {order.symbol for order in next_day.orders}


async def test_a_reflection_that_cannot_be_written_is_noted_and_the_run_is_kept(run_once: RunOnce, home: Home) -> None:
    home.reflections.rmdir()
    home.reflections.write_text("in the way", encoding="utf-8")
    record = await run_once()
    assert record.outcome is Outcome.TRADED
    assert "could not be written" in record.notes[0]


@pytest.mark.slow
async def test_an_order_still_to_come_when_the_journal_fails_is_not_sent(run_once: RunOnce, home: Home) -> None:
    """Promise 4: the intent is on disk before an order is sent, or it is not sent."""
    brokers: list[LocksTheJournal] = []

    def locking(inner: Broker) -> LocksTheJournal:
        brokers.append(LocksTheJournal(inner, home))
        return brokers[0]

    record = await run_once(faulty=locking)
    assert brokers[0].placed == 0
    assert record.orders == ()
    assert record.outcome is Outcome.HALTED
    assert "journal of orders cannot be used" in record.message
    assert "journal of orders cannot be used" in record.notes[-1]


@pytest.mark.slow
async def test_an_order_that_was_sent_as_the_journal_failed_is_told_and_settled_by_the_next_run(
    run_once: RunOnce, home: Home
) -> None:
    """It is at the broker; a record without it, and a word of the journal alone, would leave nobody looking."""

    class LocksItLater(LocksTheJournal):
        after_placing = True

    first = await run_once(faulty=lambda inner: LocksItLater(inner, home))
    assert first.outcome is Outcome.ORDER_UNKNOWN
    assert "journal of orders cannot be used" in first.message
    (sent,) = first.orders
    assert sent.status is OrderStatus.UNKNOWN
    assert sent.client_order_id in first.message
    second = await run_once(rebalance_method="first_symbol")
    assert second.outcome is Outcome.TRADED


async def test_an_order_whose_answer_was_lost_is_found_in_the_books(run_once: RunOnce) -> None:
    record = await run_once(faulty=AcceptsAndFallsSilent)
    assert record.outcome is Outcome.TRADED
    assert {order.status for order in record.orders} == {OrderStatus.FILLED}


async def test_an_order_nobody_can_account_for_stops_the_batch_and_is_settled_by_the_next_run(
    run_once: RunOnce,
) -> None:
    """Promise 4: unknown is never failed, nothing more is sent, and nothing is sent twice."""
    first = await run_once(faulty=AcceptsAndForgets)
    assert first.outcome is Outcome.ORDER_UNKNOWN
    assert_only_the_first_was_sent(first)
    lost = first.orders[0]
    assert first.snapshot is not None
    held = {position.symbol: position.quantity for position in first.snapshot.positions}

    second = await run_once()
    assert second.snapshot is not None
    now_held = {position.symbol: position.quantity for position in second.snapshot.positions}
    assert now_held[lost.symbol] == held[lost.symbol] + lost.side.sign * lost.quantity


async def test_if_the_account_changes_before_an_order_nothing_is_sent(run_once: RunOnce) -> None:
    record = await run_once(faulty=ChangesHands)
    assert record.orders == ()
    assert record.outcome is Outcome.FAILED
    assert "DU9999999" in record.message


async def test_a_limit_price_that_does_not_fill_is_cancelled_at_the_deadline(run_once: RunOnce) -> None:
    class NeverFills(Recording):
        """The market runs away between the quote and the order: the limit rests."""

        async def place(self, order: OrderRequest) -> BrokerOrder:
            away = Decimal("0.50") if order.side == "BUY" else Decimal("1.50")
            price = ((order.limit_price or Decimal(0)) * away).quantize(Decimal("0.01"))
            return await super().place(order.model_copy(update={"limit_price": price}))

    record = await run_once(faulty=NeverFills, fill_timeout_seconds=1)
    assert {order.status for order in record.orders} == {OrderStatus.CANCELLED}
    assert record.outcome is Outcome.NOTHING_FILLED


async def test_a_purchase_that_counts_on_a_sale_is_not_sent_when_the_sale_does_not_fill(run_once: RunOnce) -> None:
    """The plan and the guard count sales before they fill; the cash of a purchase must be there when it is sent."""
    brokers: list[NobodyBuysFromUs] = []

    def faulty(inner: Broker) -> Broker:
        brokers.append(NobodyBuysFromUs(inner))
        return brokers[-1]

    record = await run_once(faulty=faulty, min_cash=10.0, max_portfolio_change=20.0, fill_timeout_seconds=1)
    sides = [verdict.side for verdict in record.verdicts if verdict.passed]
    assert sides.count(Side.BUY) > 0
    assert brokers[0].placed == sides.count(Side.SELL) > 0
    assert record.outcome is Outcome.NOTHING_FILLED
    bought = [order for order in record.orders if order.side is Side.BUY]
    assert {order.status for order in bought} == {OrderStatus.CANCELLED}
    assert all("the sales before it brought too little cash" in (order.message or "") for order in bought)


async def test_with_the_sales_filled_the_same_purchases_are_made(run_once: RunOnce) -> None:
    record = await run_once(min_cash=10.0, max_portfolio_change=20.0)
    assert {order.side for order in record.orders} == {Side.SELL, Side.BUY}
    assert {order.status for order in record.orders} == {OrderStatus.FILLED}
    assert record.reflection is not None
    assert record.reflection.portfolio_value_after is not None


async def test_an_account_that_takes_too_long_to_read_is_not_traded(run_once: RunOnce) -> None:
    class Slow(DelegatingBroker):
        async def positions(self, account_id: str) -> list[Position]:
            await asyncio.sleep(5)
            return await super().positions(account_id)

    record = await run_once(faulty=Slow, max_sense_seconds=1)
    assert record.outcome is Outcome.UNREACHABLE
    assert "within 1 s (max_sense_seconds)" in record.message
    assert record.orders == ()
