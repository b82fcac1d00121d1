"""What every broker must do alike, so that nothing above can tell one from another.

A test module of a broker derives from `BrokerContract` and gives two fixtures: `broker`, connected to a paper account
in an open market, holding shares and able to buy a few more; and `market`, which names what may be traded there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.errors import Terminal
from brokers.protocol import Broker, OrderRequest
from portfolio.models import BrokerOrder, Contract, OrderStatus, Quote, Side

LOOKS = 50


@dataclass(frozen=True)
class MarketUnderTest:
    """A symbol that trades and is held, one that does not exist, and more shares than the account can carry."""

    symbol: str
    unknown_symbol: str
    unaffordable: Decimal


@dataclass(frozen=True)
class Desk:
    """The account and contract of one test, with the quote its limits are taken from."""

    broker: Broker
    account_id: str
    contract: Contract
    quote: Quote

    def limit(self, side: Side, quantity: int, price: Decimal | None, client_order_id: str) -> OrderRequest:
        return OrderRequest(
            account_id=self.account_id,
            conid=self.contract.conid,
            side=side,
            quantity=Decimal(quantity),
            order_type="LMT",
            limit_price=price,
            client_order_id=client_order_id,
        )

    async def held(self) -> Decimal:
        positions = await self.broker.positions(self.account_id)
        return sum((row.quantity for row in positions if row.conid == self.contract.conid), Decimal(0))

    async def final(self, client_order_id: str) -> BrokerOrder:
        for _ in range(LOOKS):
            order = await self.broker.order_status(self.account_id, client_order_id)
            assert order is not None
            if not order.status.is_working:
                return order
            await asyncio.sleep(0)
        raise AssertionError(f"{client_order_id} is still working after {LOOKS} looks")


class BrokerContract:
    @pytest.fixture
    async def desk(self, broker: Broker, market: MarketUnderTest) -> Desk:
        (account,) = await broker.accounts()
        contract = await broker.find_contract(market.symbol)
        (quote,) = await broker.quotes([contract.conid])
        return Desk(broker, account.account_id, contract, quote)

    # --- the account ---

    async def test_the_paper_account_is_told_by_its_first_letter(self, broker: Broker) -> None:
        (account,) = await broker.accounts()
        assert account.is_paper

    async def test_the_summary_adds_up(self, desk: Desk) -> None:
        summary = await desk.broker.summary(desk.account_id)
        positions = await desk.broker.positions(desk.account_id)
        values = [row.market_value for row in positions if row.market_value is not None]
        assert len(values) == len(positions) > 0
        assert abs(summary.total_cash + sum(values) - summary.net_liquidation) <= 1
        assert abs(sum(abs(value) for value in values) - summary.gross_position_value) <= 1
        assert summary.available_funds <= summary.excess_liquidity <= summary.equity_with_loan
        assert summary.currency == "USD"

    async def test_the_ledger_agrees_with_the_summary(self, desk: Desk) -> None:
        summary = await desk.broker.summary(desk.account_id)
        (dollars,) = [row for row in await desk.broker.ledger(desk.account_id) if row.currency == "USD"]
        assert dollars.cash == summary.total_cash
        assert dollars.net_liquidation == summary.net_liquidation

    async def test_profit_and_loss_agree_with_the_positions(self, desk: Desk) -> None:
        pnl = await desk.broker.pnl(desk.account_id)
        positions = await desk.broker.positions(desk.account_id)
        assert abs(pnl.unrealized - sum(row.unrealized_pnl or Decimal(0) for row in positions)) <= 1
        assert abs(pnl.market_value - sum(row.market_value or Decimal(0) for row in positions)) <= 1

    async def test_another_account_is_refused_by_every_question(self, broker: Broker) -> None:
        """An empty answer for an account that is not there would look like an empty portfolio."""
        for question in (broker.summary, broker.positions, broker.ledger, broker.pnl, broker.open_orders):
            with pytest.raises(Terminal) as refused:
                await question("DU0000000")
            assert refused.value.code == 321

    # --- the market ---

    async def test_an_unknown_symbol_has_no_contract(self, broker: Broker, market: MarketUnderTest) -> None:
        with pytest.raises(Terminal) as refused:
            await broker.find_contract(market.unknown_symbol)
        assert refused.value.code == 200

    async def test_a_contract_carries_the_symbol_asked_for(self, desk: Desk, market: MarketUnderTest) -> None:
        assert desk.contract.symbol == market.symbol
        assert desk.contract.currency == "USD"
        assert desk.contract.min_tick > 0

    async def test_a_quote_has_a_bid_below_its_ask_and_says_when(self, desk: Desk) -> None:
        quote = desk.quote
        assert quote.bid is not None
        assert quote.ask is not None
        assert quote.last is not None
        assert quote.as_of is not None
        assert 0 < quote.bid < quote.ask
        assert abs(quote.last - (quote.bid + quote.ask) / 2) < quote.last / 50

    async def test_quotes_come_in_the_order_asked(self, desk: Desk) -> None:
        held = await desk.broker.positions(desk.account_id)
        asked = [row.conid for row in reversed(held)]
        assert [quote.conid for quote in await desk.broker.quotes(asked)] == asked
        assert await desk.broker.quotes([]) == []

    async def test_an_unknown_contract_has_no_quote(self, broker: Broker) -> None:
        with pytest.raises(Terminal) as refused:
            await broker.quotes([1])
        assert refused.value.code == 200

    async def test_history_is_in_order_and_ends_before_now(self, desk: Desk, market: MarketUnderTest) -> None:
        bars = await desk.broker.history(desk.contract.conid, "1d", "1m")
        session = await desk.broker.session(market.symbol)
        assert 15 <= len(bars) <= 23
        assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
        assert all(bar.start < session.now for bar in bars)
        assert all(0 < bar.low <= bar.close <= bar.high for bar in bars)

    async def test_the_session_is_open_between_its_hours(self, broker: Broker, market: MarketUnderTest) -> None:
        session = await broker.session(market.symbol)
        assert session.is_open
        assert session.opens_at <= session.now < session.closes_at

    async def test_every_scan_code_is_served_and_another_is_not(self, broker: Broker) -> None:
        codes = await broker.scan_codes()
        assert {"TOP_PERC_GAIN", "TOP_PERC_LOSE", "MOST_ACTIVE"} <= set(codes)
        for code in codes:
            assert len(await broker.scan(code, 3)) <= 3
        with pytest.raises(Terminal):
            await broker.scan("NO_SUCH_SCAN", 3)

    # --- orders ---

    async def test_what_if_tells_margin_and_commission_and_sends_nothing(self, desk: Desk) -> None:
        asked = desk.limit(Side.BUY, 2, desk.quote.ask, "what-if")
        answer = await desk.broker.what_if(asked)
        assert answer.error is None
        assert answer.initial_margin_before is not None
        assert answer.initial_margin_after is not None
        assert answer.initial_margin_after > answer.initial_margin_before
        assert answer.commission is not None
        assert answer.commission > 0
        assert await desk.broker.order_status(desk.account_id, "what-if") is None

    async def test_a_marketable_buy_fills_and_changes_the_position(self, desk: Desk) -> None:
        before = await desk.held()
        placed = await desk.broker.place(desk.limit(Side.BUY, 2, desk.quote.ask, "buy"))
        assert placed.status is not OrderStatus.REJECTED
        order = await desk.final("buy")
        assert order.status is OrderStatus.FILLED
        assert order.filled_quantity == 2
        assert order.average_price is not None
        assert desk.quote.ask is not None
        assert order.average_price <= desk.quote.ask
        assert await desk.held() == before + 2

    async def test_executions_add_up_to_the_order(self, desk: Desk, market: MarketUnderTest) -> None:
        since = (await desk.broker.session(market.symbol)).now - timedelta(minutes=1)
        await desk.broker.place(desk.limit(Side.SELL, 2, desk.quote.bid, "sell"))
        order = await desk.final("sell")
        fills = [row for row in await desk.broker.executions(desk.account_id, since) if row.client_order_id == "sell"]
        assert sum(fill.quantity for fill in fills) == order.filled_quantity == 2
        assert sum(fill.commission or 0 for fill in fills) == order.commission
        assert {fill.order_id for fill in fills} == {order.order_id}
        assert {fill.side for fill in fills} == {Side.SELL}

    async def test_the_same_client_order_id_again_is_the_same_order(self, desk: Desk) -> None:
        """A time-out is answered by sending again; that must never buy twice."""
        request = desk.limit(Side.BUY, 2, desk.quote.ask, "once")
        first = await desk.broker.place(request)
        await desk.final("once")
        held = await desk.held()
        again = await desk.broker.place(request)
        assert again.order_id == first.order_id
        assert await desk.held() == held

    async def test_another_order_under_a_used_id_is_refused(self, desk: Desk) -> None:
        await desk.broker.place(desk.limit(Side.BUY, 2, desk.quote.ask, "used"))
        with pytest.raises(Terminal) as refused:
            await desk.broker.place(desk.limit(Side.BUY, 3, desk.quote.ask, "used"))
        assert refused.value.code == 103

    async def test_a_distant_limit_rests_until_it_is_cancelled(self, desk: Desk) -> None:
        assert desk.quote.bid is not None
        distant = (desk.quote.bid * Decimal("0.9")).quantize(desk.contract.min_tick)
        placed = await desk.broker.place(desk.limit(Side.BUY, 1, distant, "rests"))
        assert placed.status is OrderStatus.SUBMITTED
        assert [row.client_order_id for row in await desk.broker.open_orders(desk.account_id)] == ["rests"]
        await desk.broker.cancel(desk.account_id, placed.order_id)
        order = await desk.final("rests")
        assert order.status is OrderStatus.CANCELLED
        assert order.filled_quantity == 0
        assert await desk.broker.open_orders(desk.account_id) == []

    async def test_cancelling_what_is_final_leaves_it_as_it_is(self, desk: Desk) -> None:
        placed = await desk.broker.place(desk.limit(Side.BUY, 1, desk.quote.ask, "done"))
        await desk.final("done")
        assert (await desk.broker.cancel(desk.account_id, placed.order_id)).status is OrderStatus.FILLED

    async def test_an_unknown_order_cannot_be_cancelled(self, desk: Desk) -> None:
        with pytest.raises(Terminal) as refused:
            await desk.broker.cancel(desk.account_id, "987654321")
        assert refused.value.code == 135

    async def test_an_order_never_seen_has_no_status(self, desk: Desk) -> None:
        assert await desk.broker.order_status(desk.account_id, "never sent") is None

    async def test_more_than_margin_allows_is_rejected_and_stays_in_the_books(
        self, desk: Desk, market: MarketUnderTest
    ) -> None:
        request = desk.limit(Side.BUY, int(market.unaffordable), desk.quote.ask, "too much")
        warned = await desk.broker.what_if(request)
        refused = await desk.broker.place(request)
        assert warned.error is not None
        assert refused.status is OrderStatus.REJECTED
        assert refused.message is not None
        assert refused.message.startswith("201")
        assert (await desk.final("too much")).status is OrderStatus.REJECTED
        assert await desk.broker.open_orders(desk.account_id) == []

    async def test_a_price_between_two_ticks_is_rejected(self, desk: Desk) -> None:
        assert desk.quote.ask is not None
        refused = await desk.broker.place(
            desk.limit(Side.BUY, 1, desk.quote.ask + desk.contract.min_tick / 2, "off tick")
        )
        assert refused.status is OrderStatus.REJECTED
        assert (refused.message or "").startswith("110")

    async def test_a_limit_order_without_a_limit_is_no_order(self, desk: Desk) -> None:
        with pytest.raises(Terminal) as refused:
            await desk.broker.place(desk.limit(Side.BUY, 1, None, "no limit"))
        assert refused.value.code == 321
        assert await desk.broker.order_status(desk.account_id, "no limit") is None
