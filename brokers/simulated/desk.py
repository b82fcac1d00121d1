"""The order desk: takes orders, refuses them in Interactive Brokers' words, fills them, and ends them with their day.

A refusal by the market or the margin check is an order with status REJECTED in the books; a request that names no
contract, no sound price or another account is no order at all, and raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from brokers.errors import Terminal
from brokers.protocol import OrderRequest
from brokers.session import NEW_YORK
from brokers.simulated.accounting import ZERO, Holding, Working, book_fill, worst_margin
from brokers.simulated.books import Books
from brokers.simulated.floor import TradingFloor
from brokers.simulated.matching import filled, match, unfit
from portfolio.costs import commission, initial_margin, maintenance_margin, to_cents
from portfolio.models import BrokerOrder, Execution, OrderStatus, Side, WhatIf

_NOTHING = Holding(ZERO, ZERO)
_TOO_MANY = 1_000_000_000


class OrderDesk:
    """Orders of the account `account_id` in `books`; every method runs within one change of the books."""

    def __init__(self, account_id: str, floor: TradingFloor, books: Books) -> None:
        self._account_id = account_id
        self._floor = floor
        self._books = books

    def look(self) -> None:
        """Let every working order fill what is shown to it, and end those whose session is over."""
        self._end_of_day()
        for order, _ in self._books.working_orders():
            self._fill(order)

    def place(self, request: OrderRequest) -> BrokerOrder:
        symbol = self._symbol_of(request)
        self._end_of_day()
        known = self._books.order_sent_as(request.client_order_id) if request.client_order_id else None
        if known:
            return _same(known, request)
        refusal = unfit(request) or self._over_margin(request, symbol)
        order = BrokerOrder(
            order_id="",
            client_order_id=request.client_order_id,
            account_id=self._account_id,
            conid=request.conid,
            symbol=symbol,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            limit_price=request.limit_price,
            status=OrderStatus.REJECTED if refusal else OrderStatus.SUBMITTED,
            submitted_at=self._floor.session().now,
            message=refusal or self._not_yet(request, symbol),
        )
        entered = self._books.add_order(order, self._floor.order_day())
        return entered if refusal else self._fill(entered)

    def cancel(self, order_id: str) -> BrokerOrder:
        self._end_of_day()
        order = self._books.order(order_id)
        if order is None:
            raise Terminal(f"Can't find order with ID = {order_id}; nothing was cancelled.", code=135)
        return self._cancelled(order, None) if order.status.is_working else order

    def what_if(self, request: OrderRequest) -> WhatIf:
        symbol = self._symbol_of(request)
        self._end_of_day()
        holdings = self._books.holdings()
        marks = self._floor.marks({symbol: _NOTHING, **holdings})
        before = {held: holding.quantity * marks[held] for held, holding in holdings.items()}
        after = dict(before)
        after[symbol] = before.get(symbol, ZERO) + request.quantity * request.side.sign * marks[symbol]
        equity = self._equity(before.values())
        cost = self._commission(request, symbol)
        return WhatIf(
            initial_margin_before=initial_margin(before.values()),
            initial_margin_after=initial_margin(after.values()),
            maintenance_margin_before=maintenance_margin(before.values()),
            maintenance_margin_after=maintenance_margin(after.values()),
            equity_before=equity,
            equity_after=equity - cost,
            commission=cost,
            warning=self._not_yet(request, symbol),
            error=unfit(request) or self._over_margin(request, symbol),
        )

    def _symbol_of(self, request: OrderRequest) -> str:
        symbol = self._floor.symbol(request.conid)
        self._floor.quote(symbol)
        price = request.limit_price
        if not 0 < request.quantity < _TOO_MANY:
            raise _invalid(symbol, f"{request.quantity} shares cannot be ordered; order 1 or more, below {_TOO_MANY}.")
        if request.order_type == "LMT" and (price is None or not 0 < price < _TOO_MANY):
            raise _invalid(symbol, f"an LMT order needs a limit price above 0 and below {_TOO_MANY}, not {price}.")
        if request.order_type == "MKT" and price is not None:
            raise _invalid(symbol, f"a MKT order has no limit price, not {price} either; send LMT.")
        return symbol

    def _commission(self, request: OrderRequest, symbol: str) -> Decimal:
        quote = self._floor.quote(symbol)
        touch = quote.ask if request.side is Side.BUY else quote.bid
        return commission(request.quantity, request.limit_price or touch or ZERO)

    def _equity(self, values: Iterable[Decimal]) -> Decimal:
        return to_cents(self._books.cash() + sum((to_cents(value) for value in values), ZERO))

    def _over_margin(self, request: OrderRequest, symbol: str) -> str | None:
        """IB's refusal of an order that asks for more margin than the account is worth, working orders counted."""
        holdings = self._books.holdings()
        working = [
            Working(order.symbol, order.side, order.quantity - order.filled_quantity)
            for order, _ in self._books.working_orders()
        ]
        marks = self._floor.marks(
            {**dict.fromkeys((order.symbol for order in working), _NOTHING), symbol: _NOTHING, **holdings}
        )
        held = {name: holding.quantity for name, holding in holdings.items()}
        before = worst_margin(held, marks, working)
        after = worst_margin(held, marks, [*working, Working(symbol, request.side, request.quantity)])
        equity = self._equity(held[name] * marks[name] for name in held) - self._commission(request, symbol)
        if after <= equity or after <= before:
            return None
        return (
            "201: Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR "
            f"EQUITY WITH LOAN VALUE [{equity} USD] MUST EXCEED THE INITIAL MARGIN [{after} USD]"
        )

    def _not_yet(self, request: OrderRequest, symbol: str) -> str | None:
        session = self._floor.session()
        if session.is_open:
            return None
        opens_at = session.opens_at.astimezone(NEW_YORK)
        return (
            f"399: Order Message: {request.side} {request.quantity} {symbol} Warning: your order will not be placed at "
            f"the exchange until {opens_at:%Y-%m-%d %H:%M:%S} US/Eastern"
        )

    def _fill(self, order: BrokerOrder) -> BrokerOrder:
        session = self._floor.session()
        if not session.is_open or not self._floor.is_priced(order.symbol):
            return order
        fill = match(order, self._floor.quote(order.symbol))
        if fill is None:
            return order
        held = self._books.holdings().get(order.symbol, _NOTHING)
        booking = book_fill(held, order.side, fill.quantity, fill.price, fill.commission)
        self._books.add_cash(booking.cash_change)
        self._books.hold(order.symbol, booking.holding)
        changed = filled(order, fill)
        self._books.amend_order(changed)
        execution = Execution(
            execution_id=f"{order.order_id}.{changed.filled_quantity}",
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            account_id=self._account_id,
            conid=order.conid,
            symbol=order.symbol,
            side=order.side,
            quantity=fill.quantity,
            price=fill.price,
            commission=fill.commission,
            executed_at=session.now,
        )
        self._books.add_execution(execution, self._floor.price_day(), booking.realized)
        return changed

    def _end_of_day(self) -> None:
        for order, session in self._books.working_orders():
            if session != self._floor.order_day():
                self._cancelled(
                    order, f"202: Order cancelled - reason: the DAY order ended with its session, {session}."
                )

    def _cancelled(self, order: BrokerOrder, message: str | None) -> BrokerOrder:
        changed = order.model_copy(update={"status": OrderStatus.CANCELLED, "message": message})
        self._books.amend_order(changed)
        return changed


def _invalid(symbol: str, words: str) -> Terminal:
    return Terminal(f"Error validating request: {symbol}: {words}", code=321)


def _same(known: BrokerOrder, request: OrderRequest) -> BrokerOrder:
    """The order that exists under the client order id of `request`, if it is that order."""
    asked = (request.conid, request.side, request.quantity, request.order_type, request.limit_price)
    if asked != (known.conid, known.side, known.quantity, known.order_type, known.limit_price):
        raise Terminal(
            f"Duplicate order id: {known.client_order_id} is the id of {known.side} {known.quantity} {known.symbol} "
            "already; nothing was sent. Give a different order an id of its own.",
            code=103,
        )
    return known
