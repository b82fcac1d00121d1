"""A broker that behaves like Interactive Brokers where it matters, over prices that are not real.

Time stands still between two looks, so a working order moves on whenever its account is looked at: each read of
balances, positions, orders or executions fills at most the size shown, and the rest goes on working. A DAY order found
in another session than its own is cancelled. Short sales within margin are permitted, as at IB: to stop them is the
guard's duty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from zlib import crc32

from brokers.errors import Terminal
from brokers.protocol import OrderRequest
from brokers.simulated.accounting import ZERO, Holding, summary_of
from brokers.simulated.books import Books
from brokers.simulated.desk import OrderDesk
from brokers.simulated.floor import SCAN_CODES, TradingFloor
from portfolio.costs import to_cents
from portfolio.models import (
    Account,
    AccountSummary,
    Bar,
    BrokerOrder,
    CashBalance,
    Contract,
    Execution,
    Position,
    ProfitAndLoss,
    Quote,
    ScanRow,
    Session,
    WhatIf,
)


def account_id_of(market: str, resets: int) -> str:
    """The paper account of that market after so many resets: DU and seven digits.

    A reset opens another account, so that what is remembered of the old one is not held against the new.
    """
    identity = f"{market} {resets}" if resets else market
    return f"DU{1_000_000 + crc32(identity.encode()) % 9_000_000}"


class SimulatedBroker:
    """One paper account on `floor`, kept in `books`; the contract is that of `brokers.protocol.Broker`.

    Realised profit is that of the day, as IB shows it.
    """

    name = "simulated"

    def __init__(self, floor: TradingFloor, books: Books, resets: int = 0) -> None:
        self._floor = floor
        self._books = books
        self._account_id = account_id_of(floor.market.name, resets)
        self._desk = OrderDesk(self._account_id, floor, books)

    async def accounts(self) -> list[Account]:
        return [Account(account_id=self._account_id, description=f"Simulated, {self._floor.market.name}")]

    async def summary(self, account_id: str) -> AccountSummary:
        with self._look(account_id):
            values = self._values(self._books.holdings())
            return summary_of(account_id, self._books.cash(), values.values())

    async def positions(self, account_id: str) -> list[Position]:
        with self._look(account_id):
            realized = self._realized_today()
            return [
                self._position(symbol, holding, realized.get(symbol, ZERO))
                for symbol, holding in self._books.holdings().items()
            ]

    async def ledger(self, account_id: str) -> list[CashBalance]:
        with self._look(account_id):
            cash = to_cents(self._books.cash())
            stocks = sum(self._values(self._books.holdings()).values(), ZERO)
            return [
                CashBalance(
                    currency="USD",
                    cash=cash,
                    settled_cash=cash,
                    stock_market_value=stocks,
                    net_liquidation=cash + stocks,
                )
            ]

    async def pnl(self, account_id: str) -> ProfitAndLoss:
        with self._look(account_id):
            holdings = self._books.holdings()
            values = self._values(holdings)
            worth = sum(values.values(), ZERO)
            cost = sum((holding.quantity * holding.average_cost for holding in holdings.values()), ZERO)
            return ProfitAndLoss(
                account_id=account_id,
                daily=to_cents(self._made_today(holdings)),
                unrealized=to_cents(worth - cost),
                realized=to_cents(sum(self._realized_today().values(), ZERO)),
                net_liquidation=to_cents(self._books.cash()) + worth,
                market_value=worth,
            )

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        return self._floor.contract(symbol.strip().upper(), sec_type)

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        return [self._floor.quote(self._floor.symbol(conid)) for conid in conids]

    async def history(self, conid: int, bar: str, period: str) -> list[Bar]:
        return self._floor.history(conid, bar, period)

    async def scan(self, code: str, limit: int) -> list[ScanRow]:
        return self._floor.scan(code, limit)

    async def scan_codes(self) -> list[str]:
        return list(SCAN_CODES)

    async def session(self, symbol: str) -> Session:
        self._floor.contract(symbol.strip().upper())
        return self._floor.session()

    async def what_if(self, order: OrderRequest) -> WhatIf:
        with self._account(order.account_id):
            return self._desk.what_if(order)

    async def place(self, order: OrderRequest) -> BrokerOrder:
        with self._account(order.account_id):
            return self._desk.place(order)

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        with self._account(account_id):
            return self._desk.cancel(order_id)

    async def open_orders(self, account_id: str) -> list[BrokerOrder]:
        with self._look(account_id):
            return [order for order, _ in self._books.working_orders()]

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        with self._look(account_id):
            return self._books.order_sent_as(client_order_id)

    async def executions(self, account_id: str, since: datetime) -> list[Execution]:
        with self._look(account_id):
            return [execution for execution in self._books.executions() if execution.executed_at >= since]

    async def close(self) -> None:
        self._books.close()

    @contextmanager
    def _account(self, account_id: str) -> Iterator[None]:
        if account_id != self._account_id:
            raise Terminal(
                f"Error validating request: {account_id!r} is no account of this broker; use {self._account_id}.",
                code=321,
            )
        with self._books.change():
            yield

    @contextmanager
    def _look(self, account_id: str) -> Iterator[None]:
        with self._account(account_id):
            self._desk.look()
            yield

    def _values(self, holdings: dict[str, Holding]) -> dict[str, Decimal]:
        marks = self._floor.marks(holdings)
        return {symbol: to_cents(holding.quantity * marks[symbol]) for symbol, holding in holdings.items()}

    def _position(self, symbol: str, holding: Holding, realized: Decimal) -> Position:
        price = self._floor.mark(symbol)
        value = to_cents(holding.quantity * price) if price is not None else None
        return Position(
            account_id=self._account_id,
            conid=self._floor.conid(symbol),
            symbol=symbol,
            quantity=holding.quantity,
            average_cost=holding.average_cost,
            market_price=price,
            market_value=value,
            unrealized_pnl=to_cents(value - holding.quantity * holding.average_cost) if value is not None else None,
            realized_pnl=to_cents(realized),
        )

    def _realized_today(self) -> dict[str, Decimal]:
        realized: dict[str, Decimal] = {}
        for execution, gain in self._books.executions_on(self._floor.price_day()):
            realized[execution.symbol] = realized.get(execution.symbol, ZERO) + gain
        return realized

    def _made_today(self, holdings: dict[str, Holding]) -> Decimal:
        """The gain since the previous close: on what was held then, and on what was traded since."""
        kept = {symbol: holding.quantity for symbol, holding in holdings.items()}
        marks = self._floor.marks(holdings)
        made = ZERO
        for execution, _ in self._books.executions_on(self._floor.price_day()):
            traded = execution.quantity * execution.side.sign
            last = self._floor.mark(execution.symbol) or execution.price
            made += traded * (last - execution.price) - (execution.commission or ZERO)
            kept[execution.symbol] = kept.get(execution.symbol, ZERO) - traded
            marks[execution.symbol] = last
        for symbol, quantity in kept.items():
            made += quantity * (marks[symbol] - (self._floor.previous_close(symbol) or marks[symbol]))
        return made
