"""Whatever goes wrong between us and TWS, what is believed of an order is what the Gateway's books say, or unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.errors import OutcomeUnknown, Retryable, Terminal, Unreachable
from brokers.protocol import OrderRequest
from brokers.simulated import open_simulated
from brokers.tws import Address, Patience, TwsBroker, open_tws
from portfolio.models import BrokerOrder, Contract, Feed, OrderStatus, Quote, Side
from tests.simulators.gateway import DropOnPlace, Gateway, NotLoggedIn, WhatIfFault, gateway

DAY = date(2026, 3, 3)
HASTE = Patience(opening=1.0, answer=0.6, quote=0.6, bars=0.6, again=1.0)
START_API, PLACE = 71, 3


@dataclass(frozen=True)
class Desk:
    gateway: Gateway
    broker: TwsBroker
    account: str
    contract: Contract
    quote: Quote

    def order(self, name: str, quantity: int = 2, side: Side = Side.BUY, limit: Decimal | None = None) -> OrderRequest:
        return OrderRequest(
            account_id=self.account,
            conid=self.contract.conid,
            side=side,
            quantity=Decimal(quantity),
            order_type="LMT",
            limit_price=limit or self.quote.ask,
            client_order_id=name,
        )

    async def status(self, name: str) -> BrokerOrder:
        order = await self.broker.order_status(self.account, name)
        assert order is not None
        return order

    async def settled(self, name: str) -> BrokerOrder:
        order = await self.status(name)
        for _ in range(100):
            if not order.status.is_working:
                break
            await self.gateway.tick()
            order = await self.status(name)
        return order

    def booked(self, name: str) -> list[Any]:
        """What the Gateway has of that order, refusals left out."""
        return [order for order in self.gateway.orders() if order.order_ref == name and order.status != "Inactive"]


@asynccontextmanager
async def served(tmp_path: Path, patience: Patience = HASTE, **login: Any) -> AsyncIterator[tuple[Gateway, TwsBroker]]:
    books = open_simulated(tmp_path / "books", as_of=DAY)
    async with gateway(books, **login) as running:
        broker = open_tws(Address(port=running.port), tmp_path / "history", patience)
        yield running, broker
        await broker.close()
    await books.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with served(tmp_path) as (running, broker):
        (account,) = await broker.accounts()
        contract = await broker.find_contract("SPY")
        (quote,) = await broker.quotes([contract.conid])
        yield Desk(running, broker, account.account_id, contract, quote)


# --- an order ------------------------------------------------------------------------------------------------------


async def test_a_refused_order_is_rejected_and_nothing_is_booked(desk: Desk) -> None:
    desk.gateway.faults.reject_orders = True
    placed = await desk.broker.place(desk.order("refused"))
    assert placed.status is OrderStatus.REJECTED
    assert (placed.message or "").startswith("201")
    assert (await desk.status("refused")).status is OrderStatus.REJECTED
    assert desk.booked("refused") == []
    assert await desk.broker.open_orders(desk.account) == []


async def test_a_refusal_does_not_hide_the_same_order_where_it_lives(desk: Desk) -> None:
    desk.gateway.faults.reject_orders = True
    await desk.broker.place(desk.order("refused"))
    desk.gateway.faults.reject_orders = False
    assert desk.quote.bid is not None
    distant = (desk.quote.bid * Decimal("0.9")).quantize(Decimal("0.01"))
    await desk.gateway.by_hand("SPY", Side.BUY, 2, distant, client_id=5, order_id=900, order_ref="refused")
    assert (await desk.status("refused")).status is OrderStatus.UNKNOWN
    (working,) = await desk.broker.open_orders(desk.account)
    assert working.status is OrderStatus.SUBMITTED


async def test_a_duplicate_id_is_a_refusal_that_books_nothing(desk: Desk) -> None:
    desk.gateway.faults.duplicate_ids = True
    placed = await desk.broker.place(desk.order("twice"))
    assert placed.status is OrderStatus.REJECTED
    assert (placed.message or "").startswith("103")
    assert desk.booked("twice") == []


async def test_a_read_only_api_says_what_to_switch_off(desk: Desk) -> None:
    desk.gateway.faults.read_only = True
    placed = await desk.broker.place(desk.order("read only"))
    assert placed.status is OrderStatus.REJECTED
    assert "switch off 'Read-Only API'" in (placed.message or "")
    assert desk.booked("read only") == []


OPEN_ORDERS, TIME = 16, 49


async def test_an_order_that_could_not_be_looked_for_is_certainly_not_sent(desk: Desk) -> None:
    """Its run goes on with that, where a mere doubt would block the symbol until the session is over."""
    desk.gateway.faults.silent_requests = {OPEN_ORDERS}
    placed = await desk.broker.place(desk.order("unlooked"))
    assert (placed.status, placed.order_id) == (OrderStatus.REJECTED, "")
    assert "not sent, since it could not be looked for before" in (placed.message or "")
    assert desk.booked("unlooked") == []


async def test_an_order_that_was_long_looked_for_is_not_sent_any_more(tmp_path: Path) -> None:
    """Trading may have been halted meanwhile, by somebody that nobody here can ask."""
    async with served(tmp_path, replace(HASTE, order=0.0)) as (running, broker):
        (account,) = await broker.accounts()
        contract = await broker.find_contract("SPY")
        (quote,) = await broker.quotes([contract.conid])
        desk = Desk(running, broker, account.account_id, contract, quote)
        placed = await broker.place(desk.order("late"))
        assert placed.status is OrderStatus.REJECTED
        assert "not sent, since TWS took" in (placed.message or "")
        assert desk.booked("late") == []


async def test_one_silence_of_the_clock_answers_everyone_who_waits_for_it(tmp_path: Path) -> None:
    async with served(tmp_path) as (running, broker):
        await broker.find_contract("SPY")
        running.faults.silent_requests = {TIME}
        told = await asyncio.gather(*(broker.session("SPY") for _ in range(20)), return_exceptions=True)
        assert {type(one) for one in told} == {Retryable}
        assert [request.id for request in running.requests].count(TIME) == 1


async def test_silence_over_an_order_is_not_taken_for_a_failure(desk: Desk) -> None:
    desk.gateway.faults.silent_requests = {PLACE}
    with pytest.raises(OutcomeUnknown, match="it may have been placed"):
        await desk.broker.place(desk.order("silence"))
    assert desk.booked("silence") == []


async def test_an_order_that_is_acknowledged_too_late_is_found_in_the_books(desk: Desk) -> None:
    desk.gateway.faults.acknowledge_after = 2 * HASTE.answer
    placed = await desk.broker.place(desk.order("late"))
    assert placed.status is not OrderStatus.REJECTED
    assert (await desk.settled("late")).status is OrderStatus.FILLED
    assert len(desk.booked("late")) == 1


@pytest.mark.parametrize("what", DropOnPlace)
async def test_a_connection_that_drops_over_an_order(desk: Desk, what: DropOnPlace) -> None:
    """One that was booked is found under its id; of one that was lost nobody can be sure, and it is sent once again."""
    desk.gateway.faults.drop_on_place = what
    if what is DropOnPlace.LOST:
        with pytest.raises(OutcomeUnknown):
            await desk.broker.place(desk.order("dropped"))
        assert desk.booked("dropped") == []
    await desk.broker.place(desk.order("dropped"))
    await desk.broker.place(desk.order("dropped"))
    assert (await desk.settled("dropped")).status is OrderStatus.FILLED
    (booked,) = desk.booked("dropped")
    assert booked.filled == 2


async def test_an_order_whose_gateway_does_not_come_back_is_unknown(desk: Desk) -> None:
    desk.gateway.faults.drop_on_place = DropOnPlace.BOOKED
    desk.gateway.faults.not_logged_in = NotLoggedIn.CLOSES
    with pytest.raises(OutcomeUnknown, match="Gateway is not logged in"):
        await desk.broker.place(desk.order("gone"))
    desk.gateway.faults.not_logged_in = None
    assert (await desk.settled("gone")).status is OrderStatus.FILLED
    assert len(desk.booked("gone")) == 1


async def test_partial_fills_add_up_with_their_commissions(desk: Desk) -> None:
    desk.gateway.faults.fill_at_most = 2
    await desk.broker.place(desk.order("parts", 7))
    done = await desk.settled("parts")
    fills = [
        row for row in await desk.broker.executions(desk.account, done_since(desk)) if row.client_order_id == "parts"
    ]
    (booked,) = desk.booked("parts")
    assert done.status is OrderStatus.FILLED
    assert done.filled_quantity == booked.filled == 7
    assert len(fills) == 4
    assert done.commission == sum(fill.commission or 0 for fill in fills) > 0


def done_since(desk: Desk) -> Any:
    assert desk.quote.as_of is not None
    return desk.quote.as_of - timedelta(minutes=1)


@pytest.mark.parametrize("fault", ["hold_orders", "tif_by_preset"])
async def test_a_remark_that_looks_like_an_end_leaves_the_order_alive(desk: Desk, fault: str) -> None:
    """399 and 10349 make the library think that the order failed, or was cancelled."""
    setattr(desk.gateway.faults, fault, True)
    assert desk.quote.bid is not None
    distant = (desk.quote.bid * Decimal("0.9")).quantize(Decimal("0.01"))
    placed = await desk.broker.place(desk.order("remarked", limit=distant))
    assert placed.status is OrderStatus.SUBMITTED
    assert placed.message
    (working,) = await desk.broker.open_orders(desk.account)
    assert working.status is OrderStatus.SUBMITTED
    cancelled = await desk.broker.cancel(desk.account, working.order_id)
    assert cancelled.status is OrderStatus.CANCELLED
    (booked,) = desk.booked("remarked")
    assert booked.status == "Cancelled"


async def test_an_order_held_until_the_open_fills_then(desk: Desk) -> None:
    desk.gateway.faults.hold_orders = True
    placed = await desk.broker.place(desk.order("held"))
    assert placed.status is OrderStatus.SUBMITTED
    assert "399" in (placed.message or "")
    desk.gateway.faults.hold_orders = False
    assert (await desk.settled("held")).status is OrderStatus.FILLED


@pytest.mark.parametrize("fault", ["commission_late", "commission_unknown"])
async def test_a_commission_that_is_not_told_is_none_and_not_nothing(desk: Desk, fault: str) -> None:
    setattr(desk.gateway.faults, fault, True)
    await desk.broker.place(desk.order("fee"))
    done = await desk.settled("fee")
    assert (done.status, done.commission) == (OrderStatus.FILLED, None)
    (fill,) = [
        row for row in await desk.broker.executions(desk.account, done_since(desk)) if row.client_order_id == "fee"
    ]
    assert fill.commission is None
    if fault == "commission_late":
        desk.gateway.faults.commission_late = False
        await desk.gateway.tick()
        assert (await desk.status("fee")).commission


async def test_orders_of_other_people_count_and_are_theirs_to_cancel(desk: Desk) -> None:
    assert desk.quote.bid is not None
    distant = (desk.quote.bid * Decimal("0.9")).quantize(Decimal("0.01"))
    await desk.gateway.by_hand("SPY", Side.BUY, 3, distant)
    await desk.gateway.by_hand("SPY", Side.BUY, 4, distant, client_id=5, order_id=900)
    seen = await desk.broker.open_orders(desk.account)
    assert {order.quantity for order in seen} == {3, 4}
    for order in seen:
        with pytest.raises(Terminal, match="Cancel it in TWS"):
            await desk.broker.cancel(desk.account, order.order_id)
    assert len(await desk.broker.open_orders(desk.account)) == 2


async def test_two_orders_under_one_id_are_unknown_and_named(desk: Desk) -> None:
    """TWS takes an order as often as it is sent; something else may have sent it too."""
    await desk.broker.place(desk.order("copied"))
    await desk.settled("copied")
    await desk.gateway.by_hand("SPY", Side.BUY, 2, desk.quote.ask, client_id=5, order_id=900, order_ref="copied")
    found = await desk.status("copied")
    assert found.status is OrderStatus.UNKNOWN
    assert "2 orders bear the id copied" in (found.message or "")


async def test_a_restart_in_the_middle_of_a_batch_loses_nothing(desk: Desk) -> None:
    first = await desk.broker.place(desk.order("first"))
    restarting = asyncio.create_task(desk.gateway.restart(0.2))
    await asyncio.sleep(0.05)
    await desk.broker.place(desk.order("second"))
    await restarting
    assert (await desk.settled("first")).order_id == first.order_id
    assert (await desk.settled("second")).status is OrderStatus.FILLED
    assert [len(desk.booked(name)) for name in ("first", "second")] == [1, 1]
    assert {request.client_id for request in desk.gateway.requests if request.id != START_API} == {17}


# --- a what-if -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [WhatIfFault.HANGS, WhatIfFault.EMPTY])
async def test_a_what_if_that_never_comes_ends_with_a_sentence(desk: Desk, fault: WhatIfFault) -> None:
    desk.gateway.faults.what_if = fault
    with pytest.raises(Retryable, match="the what-if of BUY 2 SPY"):
        await desk.broker.what_if(desk.order("what if"))
    assert desk.gateway.orders() == []


async def test_a_what_if_that_is_refused_says_why(desk: Desk) -> None:
    desk.gateway.faults.what_if = WhatIfFault.INVALID
    answer = await desk.broker.what_if(desk.order("what if"))
    assert (answer.error or "").startswith("321")
    assert answer.initial_margin_after is None


async def test_the_first_of_two_what_ifs_counts(desk: Desk) -> None:
    desk.gateway.faults.what_if = WhatIfFault.TWICE
    desk.gateway.faults.hold_orders = True
    answer = await desk.broker.what_if(desk.order("what if"))
    assert answer.initial_margin_after is not None
    assert answer.commission


# --- prices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [("competing_session", "log out there"), ("not_subscribed", "subscribe to the market data")],
)
async def test_prices_that_are_not_to_be_had_are_a_note_and_never_old_ones(desk: Desk, fault: str, words: str) -> None:
    setattr(desk.gateway.faults, fault, True)
    (quote,) = await desk.broker.quotes([desk.contract.conid])
    assert (quote.bid, quote.ask, quote.last) == (None, None, None)
    assert words in (quote.note or "")


async def test_delayed_prices_say_so_and_how_old_they_are(desk: Desk) -> None:
    desk.gateway.faults.delayed_only = True
    (quote,) = await desk.broker.quotes([desk.contract.conid])
    assert quote.feed is Feed.DELAYED
    assert quote.bid is not None
    assert quote.as_of is not None
    assert desk.quote.as_of is not None
    assert timedelta(minutes=10) <= desk.quote.as_of - quote.as_of <= timedelta(minutes=30)


async def test_a_silent_quote_costs_its_symbol_alone(desk: Desk) -> None:
    other = await desk.broker.find_contract("QQQ")
    desk.gateway.faults.silent_symbols = {"QQQ"}
    spy, qqq = await desk.broker.quotes([desk.contract.conid, other.conid])
    assert spy.last == desk.quote.last
    assert "no answer" in (qqq.note or "")


async def test_a_symbol_without_a_definition_is_told(desk: Desk) -> None:
    desk.gateway.faults.unknown_symbols = {"IWM"}
    with pytest.raises(Terminal, match=r"IWM: .*200") as refused:
        await desk.broker.find_contract("IWM")
    assert refused.value.code == 200


async def test_history_is_asked_for_once_and_its_troubles_are_told(desk: Desk) -> None:
    conid = desk.contract.conid
    desk.gateway.faults.pacing_violation = True
    with pytest.raises(Retryable, match="60 such requests in ten minutes"):
        await desk.broker.history(conid, "1d", "1m")
    desk.gateway.faults.pacing_violation, desk.gateway.faults.pacing_enforced = False, True
    bars = await desk.broker.history(conid, "1d", "5d")
    assert await desk.broker.history(conid, "1d", "5d") == bars
    assert sum(request.id == 20 for request in desk.gateway.requests) == 2
    desk.gateway.faults.no_history = True
    assert await desk.broker.history(conid, "1d", "1y") == []


# --- the connection ------------------------------------------------------------------------------------------------


async def test_a_gateway_without_its_servers_is_not_asked_until_it_has_them_again(desk: Desk) -> None:
    desk.gateway.announce(1100)
    await asyncio.sleep(0.05)
    with pytest.raises(Unreachable, match="lost its own connection to Interactive Brokers"):
        await desk.broker.positions(desk.account)
    with pytest.raises(Unreachable):
        await desk.broker.place(desk.order("cut off"))
    assert desk.booked("cut off") == []
    desk.gateway.announce(1102)
    await asyncio.sleep(0.05)
    assert await desk.broker.positions(desk.account)
    desk.gateway.announce(1101)
    await asyncio.sleep(0.05)
    assert await desk.broker.positions(desk.account)
    assert sum(request.id == START_API for request in desk.gateway.requests) == 2, "what was subscribed to is gone"


async def test_the_time_is_not_asked_for_again_too_soon(desk: Desk) -> None:
    """TWS leaves who does without an answer."""
    desk.gateway.faults.time_once_in = 3600
    before = (await desk.broker.session("SPY")).now
    await desk.broker.quotes([desk.contract.conid])
    assert timedelta(0) <= (await desk.broker.session("SPY")).now - before < timedelta(seconds=5)


async def test_an_answer_that_never_ends_is_not_taken_for_the_next_one(desk: Desk) -> None:
    whole = await desk.broker.positions(desk.account)
    desk.gateway.faults.missing_messages = {62}
    with pytest.raises(Retryable, match="the positions: no answer"):
        await desk.broker.positions(desk.account)
    desk.gateway.faults.missing_messages = set()
    assert {row.conid: row.quantity for row in await desk.broker.positions(desk.account)} == {
        row.conid: row.quantity for row in whole
    }


async def test_questions_of_one_kind_at_once_all_get_the_whole_answer(desk: Desk) -> None:
    whole = await desk.broker.positions(desk.account)
    for rows in await asyncio.gather(*(desk.broker.positions(desk.account) for _ in range(5))):
        assert {row.conid for row in rows} == {row.conid for row in whole}


@pytest.mark.parametrize("missing", [62, *(pytest.param(one, marks=pytest.mark.slow) for one in (53, 102, 54, 55))])
async def test_a_start_without_its_ends_is_no_start(tmp_path: Path, missing: int) -> None:
    async with served(tmp_path) as (running, broker):
        running.faults.missing_messages = {missing}
        with pytest.raises(Unreachable, match="left questions open at the start"):
            await broker.accounts()
        running.faults.missing_messages = set()
        assert await broker.accounts()


def framed(text: str) -> bytes:
    return len(text).to_bytes(4, "big") + text.encode()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not TWS or IB Gateway"),
        (b"\xff" * 1000, "is not TWS or IB Gateway"),
        (framed("70\x0020260615 12:00:00\x00"), "too old: it speaks version 70"),
        (framed("178\x0020260615 12:00:00\x00"), "not logged in"),
        (b"", "not logged in"),
    ],
)
async def test_whatever_listens_there_is_told_by_what_it_says(tmp_path: Path, said: bytes, words: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        broker = open_tws(Address(port=server.sockets[0].getsockname()[1]), tmp_path, HASTE)
        with pytest.raises(Unreachable, match=words):
            await broker.accounts()
        await broker.close()


@pytest.mark.parametrize("how", NotLoggedIn)
async def test_a_gateway_where_nobody_is_logged_in_says_so(tmp_path: Path, how: NotLoggedIn) -> None:
    async with served(tmp_path) as (running, broker):
        running.faults.not_logged_in = how
        with pytest.raises(Unreachable, match=r"Gateway is not logged in.*Log in there"):
            await broker.accounts()


async def test_where_nobody_listens_the_next_step_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as (running, _):
        port = running.port
    broker = open_tws(Address(port=port), tmp_path, HASTE)
    with pytest.raises(Unreachable, match=r"Nobody listens at .*Start IB Gateway"):
        await broker.accounts()


async def test_a_client_id_in_use_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as (running, broker):
        await broker.accounts()
        other = open_tws(Address(port=running.port), tmp_path, HASTE)
        with pytest.raises(Unreachable, match=r"Client id 17 is in use.*--client-id"):
            await other.accounts()
        third = open_tws(Address(port=running.port, client_id=18), tmp_path, HASTE)
        assert await third.accounts() == await broker.accounts()
        await third.close()


async def test_of_several_accounts_one_is_picked_and_another_is_refused_with_the_list(tmp_path: Path) -> None:
    async with served(tmp_path, others=("DU9000001",)) as (running, broker):
        mine, other = [account.account_id for account in await broker.accounts()]
        await broker.close()
        picked = open_tws(Address(port=running.port, account=mine), tmp_path, HASTE)
        assert [account.account_id for account in await picked.accounts()] == [mine]
        assert await picked.positions(mine)
        with pytest.raises(Terminal):
            await picked.positions(other)
        await picked.close()
        wrong = open_tws(Address(port=running.port, account="DU9999999"), tmp_path, HASTE)
        with pytest.raises(Terminal, match=rf"DU9999999 is not among the accounts .*{mine}, {other}.*--account"):
            await wrong.accounts()


async def test_a_live_account_is_told_by_its_first_letter(tmp_path: Path) -> None:
    async with served(tmp_path, shown="U1234567") as (_, broker):
        (account,) = await broker.accounts()
        assert not account.is_paper
