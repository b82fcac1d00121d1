"""Orders through TWS.

TWS takes an order as often as it is sent, and what it says at once cannot always be believed: a warning looks like a
refusal, and a silence like a loss. So before an order is sent its id is looked for, and afterwards the books decide
what became of it: the open orders, then those that ended today, then the executions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from ib_async import IB, LimitOrder, MarketOrder, Order, RequestError, Trade
from ib_async.order import OrderState

from brokers.errors import BrokerError, OutcomeUnknown, Retryable, Terminal
from brokers.protocol import OrderRequest
from brokers.tws.books import Books, unreported
from brokers.tws.contracts import ContractBook, Listed
from brokers.tws.line import Line
from brokers.tws.numbers import number
from brokers.tws.words import NO_SUCH_ORDER, REFUSALS, REMARKS, led
from portfolio.models import BrokerOrder, Execution, OrderStatus, WhatIf

BAD_ORDER, SAME_ID, NO_ORDER = 321, 103, 135
LOOK_SECONDS, REPORT_LOOKS = 0.05, 20
PENDING, OVER = ("PendingSubmit", "ApiPending"), ("Filled", "Cancelled", "ApiCancelled", "Inactive")
DEAD = (OrderStatus.CANCELLED, OrderStatus.REJECTED)


@dataclass
class Heard:
    """What TWS said about one order id, as it comes."""

    remarks: list[tuple[int, str]] = field(default_factory=list)

    @property
    def refusal(self) -> tuple[int, str] | None:
        """The last word that was not a mere remark."""
        said = [remark for remark in self.remarks if remark[0] not in REMARKS]
        return said[-1] if said else None

    @property
    def remark(self) -> str | None:
        """All that was said, in one line; None if nothing was."""
        return "; ".join(f"{code}: {' '.join(text.split())}" for code, text in self.remarks) or None


class TwsDesk:
    """Whole-share day orders of the accounts of the login."""

    def __init__(self, line: Line, contracts: ContractBook) -> None:
        self._line = line
        self._contracts = contracts
        self._sending = asyncio.Lock()
        self._refused: dict[str, BrokerOrder] = {}
        self._attempted: set[str] = set()

    async def what_if(self, order: OrderRequest) -> WhatIf:
        """TWS's own preview of the order, which is not placed.

        Raises:
            Retryable: TWS gives none, as it does at times for an order it does not understand.
        """
        listed = await self._fit(order)
        what = f"the what-if of {order.side} {order.quantity} {listed.facts.symbol}"
        heard = Heard()
        try:
            state = await self._line.ask(
                what, lambda ib: _preview(ib, listed, order, heard, self._line.patience.answer)
            )
        except Terminal as error:
            if error.code in REFUSALS:
                return WhatIf(error=led(*heard.refusal) if heard.refusal else str(error))
            raise
        if not isinstance(state, OrderState):
            raise Retryable(f"{what}: TWS gave no preview; nothing was sent.")
        costs = [cost for cost in (number(state.commission), number(state.maxCommission)) if cost is not None]
        return WhatIf(
            initial_margin_before=number(state.initMarginBefore),
            initial_margin_after=number(state.initMarginAfter),
            maintenance_margin_before=number(state.maintMarginBefore),
            maintenance_margin_after=number(state.maintMarginAfter),
            equity_before=number(state.equityWithLoanBefore),
            equity_after=number(state.equityWithLoanAfter),
            commission=max(costs, default=None),
            warning="; ".join(filter(None, (heard.remark, state.warningText))) or None,
        )

    async def place(self, order: OrderRequest) -> BrokerOrder:
        """Place the order once; see `Broker.place`.

        Where looking for it failed or took long nothing is sent: whoever wanted it may have halted trading since.
        """
        asked_at = time.monotonic()
        listed = await self._fit(order)
        name = order.client_order_id or uuid4().hex
        async with self._sending:
            try:
                known = await self.order_status(order.account_id, name)
            except Retryable as error:
                if name in self._attempted:
                    raise
                return _not_sent(order, listed, name, f"not sent, since it could not be looked for before ({error})")
            if known:
                return _same(known, order)
            waited = time.monotonic() - asked_at
            if waited > self._line.patience.order and name not in self._attempted:
                return _not_sent(order, listed, name, f"not sent, since TWS took {waited:.0f} s to look for it before")
            self._attempted.add(name)
            return await self._send(order, listed, name)

    async def _send(self, order: OrderRequest, listed: Listed, name: str) -> BrokerOrder:
        ib = await self._line.ready()
        what = f"{order.side} {order.quantity} {listed.facts.symbol}"
        number_of_it = ib.client.getReqId()
        sent = _as_tws(order, name)
        sent.orderId = number_of_it
        with listening(ib, number_of_it) as heard:
            try:
                trade = ib.placeOrder(listed.asked, sent)
            except ConnectionError as error:
                raise self._line.lost(what) from error
            await _until(
                lambda: heard.refusal or trade.orderStatus.status not in PENDING, ib, self._line.patience.answer
            )
        try:
            found = await self.order_status(order.account_id, name)
        except BrokerError as error:
            raise OutcomeUnknown(
                f"{what}: it was sent, and TWS cannot be asked what became of it ({error}); it may have been placed."
            ) from error
        return self._judged(order, listed, name, found, heard)

    def _judged(
        self, order: OrderRequest, listed: Listed, name: str, found: BrokerOrder | None, heard: Heard
    ) -> BrokerOrder:
        """The order as the books have it, with what was said of it; where they do not, only a refusal is certain."""
        refusal = heard.refusal if heard.refusal and heard.refusal[0] in REFUSALS else None
        if found and found.filled_quantity == 0 and refusal and found.status in DEAD:
            found = found.model_copy(update={"status": OrderStatus.REJECTED})
        if found is None and refusal:
            found = _not_sent(order, listed, name, None)
        if found is None:
            said = f" (it said {heard.remark})" if heard.remark else ""
            raise OutcomeUnknown(
                f"{order.side} {order.quantity} {listed.facts.symbol}: it was sent, and TWS neither confirmed nor "
                f"shows it{said}; it may have been placed."
            )
        if refusal and found.status is OrderStatus.REJECTED:
            code, text = refusal
            found = found.model_copy(update={"message": led(code, text)})
            self._refused[name] = found
        elif heard.remark:
            found = found.model_copy(update={"message": heard.remark})
        return found

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        """Cancel what is left of an order of this client id; see `Broker.cancel`."""
        found = await self._of_id(account_id, order_id)
        if found is None:
            raise Terminal(f"Can't find order with ID = {order_id}; nothing was cancelled.", code=NO_ORDER)
        order, trade = found
        if not order.status.is_unresolved:
            return order
        ib = await self._line.ready()
        if (trade.order.clientId, trade.order.orderId > 0) != (ib.client.clientId, True):
            raise Terminal(
                f"Order {order_id} ({order.side} {order.quantity} {order.symbol}) was not sent by this program; "
                "nothing was cancelled. Cancel it in TWS.",
                code=NO_SUCH_ORDER[1],
            )
        with listening(ib, trade.order.orderId) as heard:
            try:
                ib.cancelOrder(trade.order)
            except ConnectionError as error:
                raise self._line.lost(f"cancelling order {order_id}") from error
            await _until(lambda: heard.refusal or trade.orderStatus.status in OVER, ib, self._line.patience.answer)
        try:
            found = await self._of_id(account_id, order_id)
        except BrokerError as error:
            raise _not_confirmed(order, str(error)) from error
        if found is None or found[0].status.is_unresolved:
            raise _not_confirmed(order, heard.remark or "it said nothing")
        return found[0]

    async def open_orders(self, account_id: str) -> list[BrokerOrder]:
        """Every order of the account that may still fill, whoever sent it."""
        books = await self._books(with_ended=False)
        return [order for order in books.working(account_id) if not self._is_refused(order)]

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        """The order sent under that id today.

        None where TWS shows none; of earlier days it shows no orders, and at most executions.
        """
        found = (await self._books()).sent_as(account_id, client_order_id)
        if len(found) > 1:
            ids = ", ".join(order.order_id for order in found)
            words = f"{len(found)} orders bear the id {client_order_id}: {ids}"
            return found[0].model_copy(update={"status": OrderStatus.UNKNOWN, "message": words})
        if found and not self._is_refused(found[0]):
            return found[0]
        return self._refused.get(client_order_id)

    def _is_refused(self, order: BrokerOrder) -> bool:
        """Whether it is one that TWS refused, and shows as nothing more than that."""
        is_dead = order.status in (*DEAD, OrderStatus.UNKNOWN) and not order.filled_quantity
        return is_dead and order.client_order_id in self._refused

    async def executions(self, account_id: str, since: datetime) -> list[Execution]:
        """Fills since then, as far back as TWS shows them, which is a day by default."""
        books = await self._books(with_orders=False)
        return [row for row in books.executions(account_id) if row.executed_at >= since]

    async def _of_id(self, account_id: str, order_id: str) -> tuple[BrokerOrder, Trade] | None:
        books = await self._books()
        order, trade = books.known_as(account_id, order_id), books.trade(account_id, order_id)
        return (order, trade) if order and trade else None

    async def _books(self, *, with_orders: bool = True, with_ended: bool = True) -> Books:
        line = self._line
        working: list[Trade] = []
        ended: list[Trade] = []
        if with_orders:
            working = await line.ask_alone("the open orders", lambda ib: ib.reqAllOpenOrdersAsync())
            if with_ended:
                ended = await line.ask_alone("ended orders", lambda ib: ib.reqCompletedOrdersAsync(apiOnly=False))
        await line.ask("the executions", lambda ib: ib.reqExecutionsAsync())
        fills = (await line.ready()).fills()  # what the question itself gives lacks commissions
        for _ in range(REPORT_LOOKS):
            if not unreported(fills):
                break
            await asyncio.sleep(LOOK_SECONDS)
        return Books(tuple(working), tuple(ended), tuple(fills))

    async def _fit(self, order: OrderRequest) -> Listed:
        """The contract of an order that could be one.

        Raises:
            Terminal: the account, the contract, the quantity or the price is none; nothing was sent.
        """
        await self._line.ready()
        if order.account_id not in self._line.accounts:
            raise Terminal(f"Account {order.account_id} is not of this login; nothing was sent.", code=BAD_ORDER)
        listed = await self._contracts.by_conid(order.conid)
        limit, symbol = order.limit_price, listed.facts.symbol
        if order.quantity <= 0 or order.quantity != order.quantity.to_integral_value():
            raise Terminal(f"{symbol}: {order.quantity} shares cannot be ordered; nothing was sent.", code=10243)
        if (order.order_type == "LMT") != (limit is not None) or (limit is not None and limit <= 0):
            raise Terminal(
                f"{symbol}: {order.order_type} at {limit} is no order; give LMT and a price above 0.", code=BAD_ORDER
            )
        return listed


def _not_sent(order: OrderRequest, listed: Listed, name: str, why: str | None) -> BrokerOrder:
    """The order as one that TWS does not have and will not get."""
    return BrokerOrder(
        order_id="",
        client_order_id=name,
        account_id=order.account_id,
        conid=order.conid,
        symbol=listed.facts.symbol,
        side=order.side,
        quantity=order.quantity,
        order_type=order.order_type,
        limit_price=order.limit_price,
        status=OrderStatus.REJECTED,
        message=why,
    )


def _as_tws(order: OrderRequest, name: str) -> Order:
    action, quantity = order.side.value, float(order.quantity)
    shared = {"tif": "DAY", "account": order.account_id, "orderRef": name, "outsideRth": False}
    if order.limit_price is None:
        return MarketOrder(action, quantity, **shared)
    return LimitOrder(action, quantity, float(order.limit_price), **shared)


async def _preview(ib: IB, listed: Listed, order: OrderRequest, heard: Heard, seconds: float) -> OrderState | None:
    """TWS's answer; the library waits for ever over some refusals, which are taken for remarks there."""
    request = ib.client.getReqId()
    asked = _as_tws(order, "")
    asked.whatIf = True
    answered = ib.wrapper.startReq(request, listed.asked)
    with listening(ib, request, heard):
        ib.client.placeOrder(request, listed.asked, asked)
        await _until(lambda: heard.refusal or answered.done(), ib, seconds)
    if not answered.done() and heard.refusal:
        raise RequestError(request, *heard.refusal)
    state: OrderState | None = await answered
    return state


async def _until(has_come: Callable[[], object], ib: IB, seconds: float) -> None:
    """Wait until that has come, or nothing can come any more, or it has taken too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while ib.isConnected() and not has_come():  # noqa: ASYNC110  (of some of it no event tells)
                await asyncio.sleep(LOOK_SECONDS)


def _not_confirmed(order: BrokerOrder, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{order.side} {order.quantity} {order.symbol}: TWS does not confirm that order {order.order_id} is cancelled "
        f"({why}); it may still fill."
    )


def _same(known: BrokerOrder, order: OrderRequest) -> BrokerOrder:
    """The order that exists under the id of `order`, if it is that order."""
    asked = (order.conid, order.side, order.quantity, order.order_type, order.limit_price)
    if asked != (known.conid, known.side, known.quantity, known.order_type, known.limit_price):
        raise Terminal(
            f"Duplicate order id: {known.client_order_id} is the id of {known.side} {known.quantity} {known.symbol} "
            "already; nothing was sent. Give a different order an id of its own.",
            code=SAME_ID,
        )
    return known


@contextmanager
def listening(ib: IB, order_id: int, heard: Heard | None = None) -> Iterator[Heard]:
    """What TWS says about that order id while the block lasts."""
    heard = heard or Heard()

    def hear(request: int, code: int, text: str, _contract: object) -> None:
        if request == order_id:
            heard.remarks.append((code, text))

    ib.errorEvent += hear
    try:
        yield heard
    finally:
        ib.errorEvent -= hear
