"""Requests about accounts: summaries, values, positions and profit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from brokers.errors import Terminal
from portfolio.models import Position
from tests.simulators.gateway import messages
from tests.simulators.gateway.connection import Client
from tests.simulators.gateway.login import Login
from tests.simulators.gateway.wire import Cursor, Field

Handler = Callable[[Client, list[str]], Awaitable[None]]
Value = tuple[str, Field, str]

ZERO = Decimal(0)
MOST_SUMMARIES = 2
LEDGER = "$LEDGER"
BASE = "BASE"
AMOUNTS = {
    "NetLiquidation": "net_liquidation",
    "TotalCashValue": "total_cash",
    "SettledCash": "total_cash",
    "BuyingPower": "buying_power",
    "EquityWithLoanValue": "equity_with_loan",
    "GrossPositionValue": "gross_position_value",
    "InitMarginReq": "initial_margin",
    "MaintMarginReq": "maintenance_margin",
    "AvailableFunds": "available_funds",
    "ExcessLiquidity": "excess_liquidity",
}
"""Tags of balances, and what the broker calls them."""


class AccountRequests:
    """An account without books has balances of 0 and no positions."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._broker = login.broker
        self._held: dict[int, Position] = {}
        self.handlers: dict[int, Handler] = {
            6: self._updates,
            17: self._managed,
            61: self._positions,
            62: self._summary,
            63: self._end_summary,
            64: self._end_positions,
            76: self._updates_multi,
            77: self._end_updates_multi,
            92: self._pnl,
            93: self._end_pnl,
            94: self._pnl_single,
            95: self._end_pnl_single,
        }

    async def push(self, client: Client) -> None:
        """Tell a client all that it wants to know after something was executed."""
        held = await self._all_held()
        if client.updates_of is not None:
            await self._tell_updates(client, client.updates_of, held)
        if client.wants_positions:
            self._tell_positions(client, held)
        for request, account in client.updates_multi.items():
            await self._tell_updates_multi(client, request, account)
        for request, wanted in client.summaries.items():
            await self._tell_summary(client, request, wanted)
        for request, account in client.profits.items():
            await self._tell_pnl(client, request, account)
        for request, (account, conid) in client.single_profits.items():
            await self._tell_pnl_single(client, request, account, conid)

    async def _managed(self, client: Client, _fields: list[str]) -> None:
        client.send(messages.managed_accounts(self._login.accounts))

    async def _updates(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[2:])
        subscribes, account = given.flag(), given.text()
        if not subscribes:
            client.updates_of = None
            return
        client.updates_of = self._account(account)
        await self._tell_updates(client, client.updates_of, await self._holdings(client.updates_of))
        client.send([54, 1, client.updates_of])

    async def _tell_updates(self, client: Client, account: str, held: Sequence[Position]) -> None:
        values = [*await self._values(account), *await self._ledger(account)]
        client.send_all(messages.account_value(account, *value) for value in values)
        for row in held if account == self._login.shown else ():
            client.send(messages.portfolio(account, row, await self._exchange(row)))
        client.send([8, 1, f"{await self._login.now():%H:%M}"])

    async def _updates_multi(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[2:])
        request, account = given.whole(), self._account(given.text())
        client.updates_multi[request] = account
        await self._tell_updates_multi(client, request, account)
        client.send([74, 1, request])

    async def _tell_updates_multi(self, client: Client, request: int, account: str) -> None:
        values = [*await self._values(account), *await self._ledger(account)]
        client.send_all(messages.account_value_multi(request, account, *value) for value in values)

    async def _end_updates_multi(self, client: Client, fields: list[str]) -> None:
        client.updates_multi.pop(int(fields[2]), None)

    async def _summary(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[2:])
        request, _, tags = given.whole(), given.text(), given.text()
        if len(client.summaries) >= MOST_SUMMARIES and request not in client.summaries:
            words = "Error processing request.-'cA' : cause - Maximum number of account summary requests exceeded"
            client.error(request, 322, words)
            return
        client.summaries[request] = tags
        await self._tell_summary(client, request, tags)
        client.send([64, 1, request])

    async def _tell_summary(self, client: Client, request: int, tags: str) -> None:
        wanted = tags.split(",")
        currencies = {one.partition(":")[2] or BASE for one in wanted if one.startswith(LEDGER)}
        for account in self._login.accounts:
            told = [value for value in await self._values(account) if value[0] in wanted]
            lines = await self._ledger(account) if currencies else []
            told += [value for value in lines if currencies & {"ALL", value[2]}]
            client.send_all(messages.account_summary(request, account, *value) for value in told)

    async def _end_summary(self, client: Client, fields: list[str]) -> None:
        client.summaries.pop(int(fields[2]), None)

    async def _positions(self, client: Client, _fields: list[str]) -> None:
        client.wants_positions = True
        self._tell_positions(client, await self._holdings(self._login.shown))
        client.send([62, 1])

    def _tell_positions(self, client: Client, held: Sequence[Position]) -> None:
        client.send_all(messages.position(self._login.shown, row, "") for row in held)

    async def _end_positions(self, client: Client, _fields: list[str]) -> None:
        client.wants_positions = False

    async def _pnl(self, client: Client, fields: list[str]) -> None:
        request, account = int(fields[1]), self._account(fields[2])
        client.profits[request] = account
        await self._tell_pnl(client, request, account)

    async def _tell_pnl(self, client: Client, request: int, account: str) -> None:
        if account != self._login.shown:
            client.send(messages.pnl(request, ZERO, ZERO, ZERO))
            return
        told = await self._broker.pnl(self._login.account)
        client.send(messages.pnl(request, told.daily, told.unrealized, told.realized))

    async def _end_pnl(self, client: Client, fields: list[str]) -> None:
        client.profits.pop(int(fields[1]), None)

    async def _pnl_single(self, client: Client, fields: list[str]) -> None:
        request, account, conid = int(fields[1]), self._account(fields[2]), int(fields[4])
        client.single_profits[request] = (account, conid)
        await self._tell_pnl_single(client, request, account, conid)

    async def _tell_pnl_single(self, client: Client, request: int, account: str, conid: int) -> None:
        for row in await self._holdings(account):
            if row.conid == conid:
                (quote,) = await self._broker.quotes([conid])
                known = quote.last is not None and quote.previous_close is not None
                change = quote.last - quote.previous_close if known else None  # type: ignore[operator]
                client.send(messages.pnl_single(request, row, None if change is None else row.quantity * change))

    async def _end_pnl_single(self, client: Client, fields: list[str]) -> None:
        client.single_profits.pop(int(fields[1]), None)

    def _account(self, named: str) -> str:
        """The account of a request; where there is but one it may go unnamed.

        Raises:
            Terminal: it is not of this login, or none is named.
        """
        if not named and not self._login.others:
            return self._login.shown
        if not named:
            words = "Error validating request.-'bC' : cause - The account code is required for this operation."
            raise Terminal(words, code=321)
        if named not in self._login.accounts:
            raise Terminal(f"Error validating request.-'bC' : cause - Invalid account code '{named}'.", code=321)
        return named

    async def _holdings(self, account: str) -> list[Position]:
        if account != self._login.shown:
            return []
        held = await self._broker.positions(self._login.account)
        self._held |= {row.conid: row for row in held}
        return held

    async def _all_held(self) -> list[Position]:
        """Also what was held before and is not any more, as a position of 0."""
        held = await self._holdings(self._login.shown)
        gone = set(self._held) - {row.conid for row in held}
        none = {"quantity": ZERO, "average_cost": ZERO, "market_value": ZERO, "unrealized_pnl": ZERO}
        return [*held, *(self._held.pop(conid).model_copy(update=none) for conid in gone)]

    async def _exchange(self, held: Position) -> str:
        return (await self._broker.find_contract(held.symbol)).exchange

    async def _values(self, account: str) -> list[Value]:
        if account != self._login.shown:
            return [("AccountType", "INDIVIDUAL", ""), *((tag, "0.00", "USD") for tag in AMOUNTS)]
        told = await self._broker.summary(self._login.account)
        remaining = -1 if told.day_trades_remaining is None else told.day_trades_remaining
        return [
            ("AccountType", "INDIVIDUAL", ""),
            ("Cushion", round(told.excess_liquidity / told.net_liquidation, 6), ""),
            ("DayTradesRemaining", remaining, ""),
            *((tag, f"{getattr(told, name):.2f}", told.currency) for tag, name in AMOUNTS.items()),
        ]

    async def _ledger(self, account: str) -> list[Value]:
        """One group of rows a currency, and one for all of them in the base currency."""
        if account != self._login.shown:
            return []
        told = await self._broker.pnl(self._login.account)
        rows: list[Value] = []
        for line in await self._broker.ledger(self._login.account):
            for currency in (BASE, line.currency):
                amounts = {
                    "CashBalance": line.cash,
                    "TotalCashBalance": line.cash,
                    "StockMarketValue": line.stock_market_value,
                    "NetLiquidationByCurrency": line.net_liquidation,
                    "UnrealizedPnL": told.unrealized,
                    "RealizedPnL": told.realized or ZERO,
                    "ExchangeRate": line.exchange_rate,
                }
                rows.append(("Currency", currency, currency))
                rows += [(tag, f"{amount:.2f}", currency) for tag, amount in amounts.items()]
        return rows
