"""Every fault of the simulated Gateway, as an unchanged ib_async sees it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from ib_async import IB, RequestError, Stock

from brokers.simulated import SimulatedBroker
from portfolio.models import Quote
from tests.simulators.gateway import DropOnPlace, Gateway, NotLoggedIn, WhatIfFault
from tests.simulators.ib_async_client import CLIENT, Talk, ask, distant, talking, until

NO_ANSWER = 0.2
"""Seconds after which none is to be expected."""


async def test_every_order_is_rejected(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.reject_orders = True
    trade = talk.buy(1, ask(quote))
    await until(lambda: trade.orderStatus.status == "Inactive")
    assert talk.said_of(trade.order) == [201]


async def test_every_order_id_is_a_duplicate(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.duplicate_ids = True
    trade = talk.buy(1, ask(quote))
    await until(lambda: trade.orderStatus.status == "Cancelled")
    assert talk.said_of(trade.order) == [103]
    assert served.orders() == []


async def test_a_symbol_has_no_definition(talk: Talk, served: Gateway) -> None:
    served.faults.unknown_symbols = {"KO"}
    with pytest.raises(RequestError, match="200"):
        await talk.ib.reqContractDetailsAsync(Stock("KO", "SMART", "USD"))


async def test_a_request_meets_silence(talk: Talk, served: Gateway) -> None:
    served.faults.silent_requests = {49}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(talk.ib.reqCurrentTimeAsync(), NO_ANSWER)
    assert served.requests[-1].id == 49


@pytest.mark.parametrize(
    ("message", "question"),
    [(62, "positions"), (53, "open orders"), (102, "completed"), (54, "updates"), (74, "updates for"), (55, "exec")],
)
async def test_an_end_is_missing(served: Gateway, message: int, question: str) -> None:
    served.faults.missing_messages = {message}
    with pytest.raises(ConnectionError, match=f"{question}.* timed out"):
        async with talking(served, timeout=0.4):
            pass


@pytest.mark.parametrize("fault", [WhatIfFault.HANGS, WhatIfFault.EMPTY, WhatIfFault.INVALID])
async def test_a_what_if_never_comes_back(talk: Talk, served: Gateway, quote: Quote, fault: WhatIfFault) -> None:
    """Empty fields and error 321 too make this client wait for ever."""
    served.faults.what_if = fault
    with pytest.raises(TimeoutError):
        await talk.preview(1, ask(quote), NO_ANSWER)
    assert (321 in talk.codes) is (fault is WhatIfFault.INVALID)


async def test_a_what_if_comes_twice(talk: Talk, served: Gateway, quote: Quote) -> None:
    """The client drops the first answer, and with it the warning."""
    served.faults.what_if = WhatIfFault.TWICE
    answer = await talk.preview(1, ask(quote))
    assert Decimal(answer.initMarginAfter) > 0
    assert answer.warningText == ""


@pytest.mark.parametrize("drop", DropOnPlace)
async def test_the_connection_drops_over_an_order(served: Gateway, quote: Quote, drop: DropOnPlace) -> None:
    async with talking(served) as talk:
        served.faults.drop_on_place = drop
        talk.buy(1, ask(quote), "lost?")
        await until(lambda: not talk.ib.isConnected())
    async with talking(served) as talk:
        found = [trade.order.orderRef for trade in await talk.ib.reqCompletedOrdersAsync(apiOnly=False)]
        assert found == (["lost?"] if drop is DropOnPlace.BOOKED else [])
        again = talk.buy(1, ask(quote), "again")
        await until(lambda: again.orderStatus.status == "Filled")


async def test_an_order_is_told_of_late(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.acknowledge_after = 0.1
    trade = talk.buy(1, ask(quote))
    await until(served.orders)
    await served.tick()
    assert served.orders()[0].status == "Filled"
    assert trade.orderStatus.status == "PendingSubmit"
    await until(lambda: trade.orderStatus.status == "Filled")


async def test_an_order_fills_little_by_little(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.fill_at_most = 2
    trade = talk.buy(5, ask(quote))
    await until(lambda: trade.orderStatus.filled == 2)
    assert (trade.orderStatus.status, trade.orderStatus.remaining) == ("Submitted", 3)
    await served.tick()
    await until(lambda: trade.orderStatus.filled == 4)
    talk.ib.cancelOrder(trade.order)
    await until(lambda: trade.orderStatus.status in ("Filled", "Cancelled"))
    assert [fill.execution.cumQty for fill in trade.fills][:2] == [2, 4]


async def test_a_partly_filled_order_can_be_cancelled(
    talk: Talk, served: Gateway, broker: SimulatedBroker, quote: Quote
) -> None:
    served.faults.fill_at_most = 2
    trade = talk.buy(50, ask(quote))
    await until(lambda: trade.orderStatus.filled == 2)
    talk.ib.cancelOrder(trade.order)
    await until(lambda: trade.orderStatus.status == "Cancelled")
    (booked,) = served.orders()
    assert 0 < booked.filled < 50
    assert await broker.open_orders(served.account) == []
    assert booked.filled == sum(Decimal(str(fill.execution.shares)) for fill in trade.fills)


async def test_an_order_beyond_margin_is_refused_whole_where_parts_would_fit(
    talk: Talk, served: Gateway, quote: Quote
) -> None:
    served.faults.fill_at_most = 2
    trade = talk.buy(100_000, ask(quote))
    await until(lambda: trade.orderStatus.status == "Inactive")
    assert served.orders()[0].filled == 0


async def test_orders_are_held_until_they_are_not(talk: Talk, served: Gateway, quote: Quote) -> None:
    """The client takes its warning for more than it is, until it hears of the order once more: it is alive."""
    served.faults.hold_orders = True
    trade = talk.buy(1, ask(quote))
    await until(lambda: talk.said_of(trade.order) == [399])
    assert [entry.status for entry in trade.log][-2:] == ["ValidationError", "PreSubmitted"]
    (seen,) = await talk.ib.reqAllOpenOrdersAsync()
    assert seen.orderStatus.status == "PreSubmitted"
    served.faults.hold_orders = False
    await served.tick()
    await until(lambda: trade.orderStatus.status == "Filled")


async def test_an_order_beyond_margin_is_not_held(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.hold_orders = True
    trade = talk.buy(100_000, ask(quote))
    await until(lambda: trade.orderStatus.status == "Inactive")
    assert talk.said_of(trade.order) == [201]


async def test_a_held_order_can_be_cancelled(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.hold_orders = True
    trade = talk.buy(1, ask(quote))
    await until(lambda: talk.said_of(trade.order) == [399])
    talk.ib.cancelOrder(trade.order)
    await until(lambda: trade.orderStatus.status == "Cancelled")
    served.faults.hold_orders = False
    await served.tick()
    assert served.orders()[0].filled == 0


async def test_a_live_order_has_its_tif_set(talk: Talk, served: Gateway, quote: Quote) -> None:
    """The client takes that for the order's end."""
    served.faults.tif_by_preset = True
    trade = talk.buy(1, distant(quote))
    await until(lambda: talk.said_of(trade.order) == [10349])
    assert trade.orderStatus.status == "Cancelled"
    assert served.orders()[0].status == "Submitted"


async def test_another_session_has_the_prices(talk: Talk, served: Gateway) -> None:
    served.faults.competing_session = True
    with pytest.raises(RequestError, match="10197"):
        await talk.snapshot()


async def test_prices_are_not_subscribed_to(talk: Talk, served: Gateway) -> None:
    served.faults.not_subscribed = True
    with pytest.raises(RequestError, match="354"):
        await talk.snapshot()


async def test_a_symbol_has_no_prices_and_nobody_says_why(talk: Talk, served: Gateway) -> None:
    served.faults.silent_symbols = {"SPY"}
    with pytest.raises(TimeoutError):
        await talk.snapshot(NO_ANSWER)


async def test_prices_are_delayed(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.delayed_only = True
    with pytest.raises(RequestError, match="10089"):
        await talk.snapshot()
    talk.ib.reqMarketDataType(3)
    ticker = await talk.snapshot()
    assert 10167 in talk.codes
    assert (ticker.marketDataType, ticker.last) == (3, float(quote.last or 0))
    assert ticker.delayedLastTimestamp == datetime(2026, 6, 15, 19, 40, tzinfo=UTC)


async def test_history_is_paced(talk: Talk, served: Gateway) -> None:
    served.faults.pacing_enforced = True
    await talk.history("5 D")
    with pytest.raises(RequestError, match=r"162: .*pacing violation"):
        await talk.history("5 D")
    await talk.history("6 D")


async def test_history_is_asked_for_too_often(talk: Talk, served: Gateway) -> None:
    served.faults.pacing_violation = True
    with pytest.raises(RequestError, match=r"162: .*pacing violation"):
        await talk.history()


async def test_history_has_no_data(talk: Talk, served: Gateway) -> None:
    served.faults.no_history = True
    with pytest.raises(RequestError, match=r"162: .*no data"):
        await talk.history()


async def test_commission_comes_late(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.commission_late = True
    trade = talk.buy(1, ask(quote))
    await until(lambda: trade.orderStatus.status == "Filled")
    (fill,) = await talk.ib.reqExecutionsAsync()
    assert fill.commissionReport.execId == ""
    served.faults.commission_late = False
    await served.tick()
    await until(lambda: trade.fills[0].commissionReport.commission == 1.0)


async def test_commission_is_unknown(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.commission_unknown = True
    trade = talk.buy(1, ask(quote))
    await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
    assert trade.fills[0].commissionReport.commission == 1.7976931348623157e308


async def test_the_time_is_not_told_twice_in_a_row(talk: Talk, served: Gateway) -> None:
    served.faults.time_once_in = 60
    assert await talk.ib.reqCurrentTimeAsync() is not None
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(talk.ib.reqCurrentTimeAsync(), NO_ANSWER)


async def test_executions_tell_no_time_zone(talk: Talk, served: Gateway, quote: Quote) -> None:
    """A client that is not told where the Gateway stands would take its own zone."""
    served.faults.times_without_zone = True
    talk.ib.TimezoneTWS = "US/Eastern"
    talk.buy(1, ask(quote))
    await until(talk.ib.fills)
    (fill,) = await talk.ib.reqExecutionsAsync()
    assert fill.execution.time == datetime(2026, 6, 15, 19, 55, tzinfo=UTC)


async def test_the_api_is_read_only(talk: Talk, served: Gateway, quote: Quote) -> None:
    served.faults.read_only = True
    trade = talk.buy(1, ask(quote))
    await until(lambda: talk.said_of(trade.order) == [321])
    assert served.orders() == []


@pytest.mark.parametrize("fault", NotLoggedIn)
async def test_nobody_is_logged_in(served: Gateway, fault: NotLoggedIn) -> None:
    served.faults.not_logged_in = fault
    with pytest.raises((TimeoutError, ConnectionError)):
        await IB().connectAsync("127.0.0.1", served.port, CLIENT, timeout=0.1)


# --- troubles that are commands ---


@pytest.mark.parametrize("code", [1100, 1101, 1102, 2103, 2105, 2110])
async def test_connectivity_is_announced(talk: Talk, served: Gateway, code: int) -> None:
    served.announce(code)
    await until(lambda: (-1, code) in [(request, told) for request, told, _ in talk.heard])


async def test_a_restart_keeps_orders_and_begins_new_ids(served: Gateway, quote: Quote) -> None:
    async with talking(served) as talk:
        trade = talk.buy(1, distant(quote), "kept")
        await until(lambda: trade.orderStatus.status == "Submitted")
        restarting = asyncio.create_task(served.restart(0.3))
        await until(lambda: not talk.ib.isConnected())
        with pytest.raises(ConnectionRefusedError):
            await IB().connectAsync("127.0.0.1", served.port, CLIENT, timeout=0.2)
        await restarting
    async with talking(served) as talk:
        (seen,) = await talk.ib.reqOpenOrdersAsync()
        assert seen.order.orderRef == "kept"
        assert talk.ib.client.getReqId() > trade.order.orderId + 1000


async def test_after_a_restart_ids_of_lost_orders_may_come_again(served: Gateway, quote: Quote) -> None:
    async with talking(served) as talk:
        trade = talk.buy(1, distant(quote))
        await until(lambda: trade.orderStatus.status == "Submitted")
        served.faults.drop_on_place = DropOnPlace.LOST
        lost = talk.buy(1, distant(quote))
        await until(lambda: not talk.ib.isConnected())
    await served.restart(0.01, renumber=False)
    async with talking(served):
        first_of_its_ids = [request.fields[2] for request in served.requests if request.id == 76][-1]
        assert int(first_of_its_ids) == lost.order.orderId


async def test_dropped_clients_may_come_back_under_their_id(served: Gateway) -> None:
    async with talking(served) as talk:
        await served.drop()
        await until(lambda: not talk.ib.isConnected())
    async with talking(served) as talk:
        assert talk.ib.isConnected()


async def test_it_survives_whatever_a_client_sends(talk: Talk, served: Gateway) -> None:
    for message in ((999, 1), ("x",), (3, "nonsense"), (9,), (20, 1, "y"), ("",)):
        talk.ib.client.send(*message)
    await until(lambda: len([request for request in served.requests if request.id in (999, -1)]) == 3)
    assert 505 in talk.codes
    assert talk.ib.isConnected()
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    writer.close()
    assert await talk.ib.reqCurrentTimeAsync() is not None
