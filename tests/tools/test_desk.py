"""The order desk: what it sends, and what it says may have happened when something breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mcp.types import CallToolResult

from brokers.errors import OutcomeUnknown, Terminal, Unreachable
from brokers.protocol import Broker, OrderRequest
from brokers.simulated import open_simulated
from graph.journal import ApprovalVoid, Halted, Journal, OrderState
from portfolio.models import ApprovedOrder, BrokerOrder, OrderStatus, OrderTerms, Side
from tests.permits import journal_in, now, permit
from tests.simulators.delegating_broker import DelegatingBroker
from tests.simulators.http_server import ENOUGH_TO_OPEN, HANG, http, misbehaving
from tests.simulators.scripted_server import ScriptedServer, as_json, text, tool
from tools.account import AccountReader
from tools.client import Tools, open_toolbox
from tools.desk import OrderDesk
from tools.rows.orders import PlaceRow
from tools.server import build_server

FRIDAY = date(2026, 1, 16)
ORDER_PARAMETERS = ("conid", "side", "quantity", "order_type", "price", "account_id", "client_order_id", "tif")
PLACE = tool("place_order", *ORDER_PARAMETERS)
ORDER = OrderTerms(
    client_order_id="one", account_id="DU1", conid=1, symbol="SPY", side=Side.BUY, quantity=5, limit_price=Decimal(400)
)


class Recorded(DelegatingBroker):
    """Keeps the requests that reach the broker."""

    def __init__(self, inner: Broker) -> None:
        super().__init__(inner)
        self.requests: list[OrderRequest] = []

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.requests.append(order)
        return await super().place(order)


class FallsSilent(Recorded):
    async def place(self, order: OrderRequest) -> BrokerOrder:
        await super().place(order)
        raise OutcomeUnknown("no answer within 10 s")


class BreaksAfterwards(Recorded):
    """The order is in the books, and then the answer goes wrong in a way that looks like a plain failure."""

    async def place(self, order: OrderRequest) -> BrokerOrder:
        await super().place(order)
        raise Terminal("the answer could not be read")


@dataclass
class Trader:
    desk: OrderDesk
    reader: AccountReader
    broker: Recorded
    journal: Journal

    async def order(self, side: Side, quantity: int, limit: str | None = None, symbol: str = "SPY") -> ApprovedOrder:
        """The permission for an order at `limit`, else at a price that fills."""
        (account,) = await self.reader.accounts()
        contract = await self.reader.find_contract(symbol)
        quote = (await self.reader.quotes([contract.conid]))[contract.conid]
        touch = quote.ask if side is Side.BUY else quote.bid
        assert touch is not None
        terms = OrderTerms(
            client_order_id=f"{side}-{quantity}-{limit}",
            account_id=account.account_id,
            conid=contract.conid,
            symbol=symbol,
            side=side,
            quantity=quantity,
            limit_price=Decimal(limit) if limit else touch,
        )
        return permit(self.journal, terms)

    async def books(self, order: ApprovedOrder) -> BrokerOrder | None:
        return await self.reader.order_status(order.terms.account_id, order.terms.client_order_id)


@asynccontextmanager
async def trading(folder: Path, kind: Callable[[Broker], Recorded] = Recorded) -> AsyncIterator[Trader]:
    broker = kind(open_simulated(folder, as_of=FRIDAY))
    with journal_in(folder) as journal:
        async with open_toolbox(build_server(broker)) as box:
            yield Trader(OrderDesk(box.order, journal.orders, now), AccountReader(box.read), broker, journal)
    await broker.close()


@dataclass
class Lone:
    """A desk at a scripted server, and the permission for `ORDER`."""

    desk: OrderDesk
    approved: ApprovedOrder
    journal: Journal

    async def place(self) -> PlaceRow:
        return await self.desk.place(self.approved)

    @property
    def state(self) -> OrderState:
        order = self.journal.orders.find(ORDER.client_order_id)
        assert order is not None
        return order.state


@contextmanager
def lone_desk(folder: Path, tools: Tools) -> Iterator[Lone]:
    with journal_in(folder) as journal:
        yield Lone(OrderDesk(tools, journal.orders, now), permit(journal, ORDER), journal)


@asynccontextmanager
async def desk_of(answer: CallToolResult, folder: Path) -> AsyncIterator[tuple[Lone, ScriptedServer]]:
    """The desk at a server that answers every order with `answer`."""

    async def respond(_name: str, _arguments: dict[str, Any]) -> CallToolResult:
        return answer

    server = ScriptedServer([PLACE], respond)
    async with open_toolbox(server) as box:
        with lone_desk(folder, box.order) as desk:
            yield desk, server


ECHO = {"conid": 1, "side": "BUY", "quantity": 5.0, "order_type": "LMT", "price": 400.0}


def receipt(account_id: str = "DU1", **result: Any) -> CallToolResult:
    return as_json({"account_id": account_id, "order_request": ECHO, "result": result})


def receipt_of(**changes: Any) -> CallToolResult:
    """A receipt as it should be, of an order with something else about it."""
    result = {"order_id": "7", "order_status": "Submitted"}
    return as_json({"account_id": "DU1", "order_request": ECHO | changes, "result": result})


# --- what reaches the broker ------------------------------------------------------------------------------------


async def test_what_was_approved_reaches_the_broker_exactly(tmp_path: Path) -> None:
    """Numbers pass through JSON on the way; 5 shares must not arrive as 5.0, nor a price with a float's noise."""
    async with trading(tmp_path) as trader:
        approved = await trader.order(Side.BUY, 5)
        order = approved.terms
        placed = await trader.desk.place(approved)
        (request,) = trader.broker.requests
        assert (request.account_id, request.conid, request.side) == (order.account_id, order.conid, order.side)
        assert (str(request.quantity), request.limit_price) == ("5", order.limit_price)
        assert (request.order_type, request.client_order_id, request.tif) == ("LMT", order.client_order_id, "DAY")
        assert placed.order_status == "Filled"
        held = {position.symbol: str(position.quantity) for position in await trader.reader.positions(order.account_id)}
        assert "." not in held["SPY"]


async def test_a_whole_number_of_shares_is_whole_however_it_is_written(tmp_path: Path) -> None:
    broker = Recorded(open_simulated(tmp_path, as_of=FRIDAY))
    async with open_toolbox(build_server(broker)) as box:
        spy = (await AccountReader(box.read).find_contract("SPY")).conid
        for sent in (5, 5.0, "5", "5.0", "5E0"):
            await box.order.call("place_order", conid=spy, side="BUY", quantity=sent)
        await box.order.call("place_order", conid=spy, side="SELL", quantity=1e1)
    assert [str(request.quantity) for request in broker.requests] == ["5", "5", "5", "5", "5", "10"]
    await broker.close()


async def test_a_price_arrives_without_the_noise_of_a_float(tmp_path: Path) -> None:
    broker = Recorded(open_simulated(tmp_path, as_of=FRIDAY))
    order = {"side": "BUY", "quantity": 1, "order_type": "LMT"}
    async with open_toolbox(build_server(broker)) as box:
        spy = (await AccountReader(box.read).find_contract("SPY")).conid
        for sent in (1.5, "1.50", 0.07, 222.95, 1.0):
            await box.order.call("place_order", conid=spy, price=sent, **order)
    assert [str(request.limit_price) for request in broker.requests] == ["1.5", "1.50", "0.07", "222.95", "1"]
    await broker.close()


async def test_a_number_without_bounds_is_refused(tmp_path: Path) -> None:
    broker = Recorded(open_simulated(tmp_path, as_of=FRIDAY))
    async with open_toolbox(build_server(broker)) as box:
        spy = (await AccountReader(box.read).find_contract("SPY")).conid
        for quantity, price in (("1E+999999999", 1), (1, "1E+999999999")):
            order = {"side": "BUY", "quantity": quantity, "order_type": "LMT", "price": price}
            with pytest.raises(Terminal, match="less than 1000000000"):
                await box.order.call("place_order", conid=spy, **order)
    assert broker.requests == []
    await broker.close()


async def test_an_approved_order_is_used_once(tmp_path: Path) -> None:
    async with trading(tmp_path) as trader:
        order = await trader.order(Side.BUY, 1)
        await trader.desk.place(order)
        with pytest.raises(ApprovalVoid, match="is SUBMITTING in the journal"):
            await trader.desk.place(order)
        assert len(trader.broker.requests) == 1


async def test_an_order_the_market_refuses_comes_back_as_a_receipt_with_its_words(tmp_path: Path) -> None:
    class NoPreview(Recorded):
        """Sends without the what-if, so that the refusal is the market's own."""

        async def what_if(self, order: OrderRequest) -> Any:
            answer = await super().what_if(order)
            return answer.model_copy(update={"error": None})

    async with trading(tmp_path, NoPreview) as trader:
        placed = await trader.desk.place(await trader.order(Side.BUY, 100_000))
    assert placed.order_status == "Inactive"
    assert placed.error is not None
    assert placed.error.startswith("201: ")


async def test_what_is_left_of_an_order_can_be_cancelled(tmp_path: Path) -> None:
    async with trading(tmp_path) as trader:
        order = await trader.order(Side.BUY, 1, "1.00")
        placed = await trader.desk.place(order)
        assert placed.order_id is not None
        assert (await trader.desk.cancel(order.terms.account_id, placed.order_id)).order_status == "Cancelled"
        books = await trader.books(order)
        assert books is not None
        assert books.status is OrderStatus.CANCELLED


# --- certain that nothing was sent --------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["price", "account_id", "conid"])
async def test_an_order_tool_that_lacks_a_parameter_is_not_used(missing: str, tmp_path: Path) -> None:
    """Without the price it would be a market order."""
    lacking = tool("place_order", *(name for name in ORDER_PARAMETERS if name != missing))

    async def respond(_name: str, _arguments: dict[str, Any]) -> CallToolResult:
        return receipt(order_id="7", order_status="Submitted")

    server = ScriptedServer([lacking], respond)
    async with open_toolbox(server) as box:
        with lone_desk(tmp_path, box.order) as desk:
            with pytest.raises(Terminal, match=f"does not agree on {missing}; nothing was asked"):
                await desk.place()
            assert desk.state is OrderState.APPROVED
    assert server.calls == []


async def test_a_server_that_knows_no_client_order_ids_gets_the_order_without(tmp_path: Path) -> None:
    plain = tool("place_order", *(name for name in ORDER_PARAMETERS if name not in ("client_order_id", "tif")))

    async def respond(_name: str, arguments: dict[str, Any]) -> CallToolResult:
        assert "client_order_id" not in arguments
        return receipt(order_id="7", order_status="Submitted")

    async with open_toolbox(ScriptedServer([plain], respond)) as box:
        with lone_desk(tmp_path, box.order) as desk:
            assert (await desk.place()).order_id == "7"


async def test_without_an_order_tool_nothing_is_sent(tmp_path: Path) -> None:
    async with open_toolbox(ScriptedServer([], lambda *_: asyncio.sleep(0, text("")))) as box:
        with (
            lone_desk(tmp_path, box.order) as desk,
            pytest.raises(Terminal, match="place_order: the MCP server offers no such tool here; nothing was asked"),
        ):
            await desk.place()


async def test_an_order_that_could_not_leave_can_still_be_sent(tmp_path: Path) -> None:
    """Over a connection that is lost already nothing is sent, and the permission is not used up."""
    async with desk_of(receipt(order_id="7", order_status="Filled"), tmp_path / "a") as (desk, server):
        tools = desk.desk
    with journal_in(tmp_path / "a") as journal:
        approved = permit(journal, ORDER.model_copy(update={"client_order_id": "two"}))
        with pytest.raises(Unreachable, match="nothing was asked"):
            await tools.place(approved)
        order = journal.orders.find("two")
        assert order is not None
        assert order.state is OrderState.APPROVED
    assert server.calls == []


VOID: dict[str, Callable[[ApprovedOrder], ApprovedOrder]] = {
    "more shares": lambda one: one.model_copy(update={"terms": one.terms.model_copy(update={"quantity": 6})}),
    "fewer shares": lambda one: one.model_copy(update={"terms": one.terms.model_copy(update={"quantity": 4})}),
    "another price": lambda one: one.model_copy(
        update={"terms": one.terms.model_copy(update={"limit_price": Decimal("400.01")})}
    ),
    "another side": lambda one: one.model_copy(update={"terms": one.terms.model_copy(update={"side": Side.SELL})}),
    "another contract": lambda one: one.model_copy(update={"terms": one.terms.model_copy(update={"conid": 2})}),
    "another account": lambda one: one.model_copy(update={"terms": one.terms.model_copy(update={"account_id": "U1"})}),
    "another id": lambda one: one.model_copy(update={"terms": one.terms.model_copy(update={"client_order_id": "x"})}),
    "another verdict": lambda one: one.model_copy(update={"evidence": "f" * 64}),
    "a longer life": lambda one: one.model_copy(update={"expires_at": one.expires_at + timedelta(hours=1)}),
    "not yet": lambda one: one.model_copy(update={"approved_at": one.approved_at + timedelta(hours=1)}),
}


@pytest.mark.parametrize("change", VOID)
async def test_a_permission_that_was_changed_is_void(change: str, tmp_path: Path) -> None:
    """Promise 2: exactly what the guard approved, or nothing."""
    async with desk_of(receipt(order_id="7", order_status="Submitted"), tmp_path) as (desk, server):
        with pytest.raises(ApprovalVoid, match="not sent, since its approval is void"):
            await desk.desk.place(VOID[change](desk.approved))
        assert desk.state is OrderState.APPROVED
    assert server.calls == []


async def test_a_permission_grows_old(tmp_path: Path) -> None:
    async with desk_of(receipt(order_id="7", order_status="Submitted"), tmp_path) as (desk, server):
        old = permit(desk.journal, ORDER.model_copy(update={"client_order_id": "old"}), lasts=0)
        with pytest.raises(ApprovalVoid, match="it held from"):
            await desk.desk.place(old)
    assert server.calls == []


async def test_a_halt_stops_an_order_that_is_approved_already(tmp_path: Path) -> None:
    """Promise 9."""
    async with desk_of(receipt(order_id="7", order_status="Submitted"), tmp_path) as (desk, server):
        desk.journal.halts.halt("a test", now())
        with pytest.raises(Halted, match="trading is halted: a test"):
            await desk.place()
        assert desk.state is OrderState.APPROVED
        desk.journal.halts.resume("the test goes on", now())
        await desk.place()
    assert server.calls == ["place_order"]


# --- the order may have been placed -------------------------------------------------------------------------------

UNCERTAIN: dict[str, CallToolResult] = {
    "no order id": receipt(order_id=None, local_order_id=None, order_status=None, encrypt_message=None),
    "empty order id": receipt(order_id="", order_status="Submitted"),
    "unknown": receipt(order_id=None, order_status="Unknown", error="no answer within 10 s"),
    "unknown with an id": receipt(order_id="7", order_status="Unknown"),
    "nested error": receipt(order_id=None, error="gateway timeout"),
    "refused without an id": receipt(order_id=None, order_status="Inactive", error="201: refused"),
    "server error": as_json({"error": "Failed to place order: timeout"}),
    "error": text("Read timed out", is_error=True),
    "another account": receipt("U7", order_id="7", order_status="Submitted"),
    "another contract": receipt_of(conid=2),
    "another side": receipt_of(side="SELL"),
    "more shares": receipt_of(quantity=9999.0),
    "another type": receipt_of(order_type="MKT"),
    "another price": receipt_of(price=400.01),
    "no number of shares": receipt_of(quantity="many"),
    "prose": text("Your order is on its way!"),
    "no result": as_json({"account_id": "DU1"}),
}


@pytest.mark.parametrize("kind", UNCERTAIN)
async def test_an_answer_that_confirms_nothing_leaves_the_outcome_unknown(kind: str, tmp_path: Path) -> None:
    """Promise 4: an error is no proof that nothing was sent, and a missing id is neither done nor failed."""
    async with desk_of(UNCERTAIN[kind], tmp_path) as (desk, server):
        with pytest.raises(OutcomeUnknown, match="SPY: the order may have been placed"):
            await desk.place()
        with pytest.raises(ApprovalVoid, match="is SUBMITTING in the journal"):
            await desk.place()
    assert server.calls == ["place_order"]


@pytest.mark.parametrize(
    "changes",
    [
        {"conid": "1", "quantity": "5", "price": "400.00"},
        {"side": "buy", "order_type": "LIMIT"},
        dict.fromkeys(ECHO),
    ],
)
async def test_a_receipt_that_tells_the_order_in_other_words_or_not_at_all_is_of_that_order(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    """Servers write numbers as they like, and what is not repeated contradicts nothing."""
    bare = as_json({"account_id": "DU1", "result": {"order_id": "7", "order_status": "Submitted"}})
    for name, answer in (("told", receipt_of(**changes)), ("bare", bare)):
        async with desk_of(answer, tmp_path / name) as (desk, _):
            assert (await desk.place()).order_id == "7"


@pytest.mark.parametrize(
    "fault",
    [HANG, None, http("500 Internal Server Error", "text/plain", ""), http("200 OK", "text/html", "<h1>Hello</h1>")],
    ids=["silence", "closed", "500", "page"],
)
async def test_a_connection_that_breaks_under_an_order_leaves_the_outcome_unknown(
    fault: bytes | None, tmp_path: Path
) -> None:
    offered = [PLACE.model_dump(exclude_none=True)]
    async with (
        misbehaving(fault, at="tools/call", offered=offered) as address,
        open_toolbox(address, limit_seconds=ENOUGH_TO_OPEN) as box,
    ):
        with (
            lone_desk(tmp_path, box.order) as desk,
            pytest.raises(OutcomeUnknown, match="SPY: the order may have been placed"),
        ):
            await desk.place()


@pytest.mark.parametrize("kind", [FallsSilent, BreaksAfterwards])
async def test_after_an_unknown_outcome_the_books_tell(kind: type[Recorded], tmp_path: Path) -> None:
    async with trading(tmp_path, kind) as trader:
        order = await trader.order(Side.BUY, 1)
        with pytest.raises(OutcomeUnknown):
            await trader.desk.place(order)
        books = await trader.books(order)
        assert books is not None
        assert books.status is OrderStatus.FILLED


async def test_an_order_its_preview_refused_is_unknown_until_the_books_deny_it(tmp_path: Path) -> None:
    """The server's error could as well have come after the order; its books never saw this one."""
    async with trading(tmp_path) as trader:
        order = await trader.order(Side.BUY, 100_000)
        with pytest.raises(OutcomeUnknown, match="201: "):
            await trader.desk.place(order)
        assert await trader.books(order) is None
        assert trader.broker.requests == []
