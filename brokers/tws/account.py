"""Balances, positions, ledger and profit, read anew at each question where TWS keeps an older copy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from math import isfinite

from ib_async import IB, AccountValue, PnL, PortfolioItem
from ib_async import Position as TwsPosition
from pydantic import ValidationError

from brokers.errors import Retryable, Terminal
from brokers.tws.line import Line
from brokers.tws.numbers import number
from portfolio.costs import to_cents
from portfolio.models import Account, AccountSummary, CashBalance, Position, ProfitAndLoss

NOT_HERE = 321
TAGS = (
    "AccountType,NetLiquidation,TotalCashValue,BuyingPower,EquityWithLoanValue,GrossPositionValue,InitMarginReq,"
    "MaintMarginReq,AvailableFunds,ExcessLiquidity,DayTradesRemaining,$LEDGER:ALL"
)
BASE = "BASE"
ZERO = Decimal(0)
LOOK_SECONDS, LOOKS = 0.05, 20
LEDGER = frozenset({"CashBalance", "SettledCash", "StockMarketValue", "NetLiquidationByCurrency", "ExchangeRate"})


class TwsAccount:
    """The accounts of the login."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def accounts(self) -> list[Account]:
        await self._line.ready()
        return [Account(account_id=name) for name in self._line.accounts]

    async def check(self, account_id: str) -> None:
        """Refuse an account that is not here: an empty answer for it would look like an empty portfolio.

        Raises:
            Terminal: it is not.
        """
        await self._line.ready()
        known = self._line.accounts
        if account_id not in known:
            words = f"Account {account_id} is not of the login at {self._line.address}, which has {', '.join(known)}."
            raise Terminal(words, code=NOT_HERE)

    async def summary(self, account_id: str) -> AccountSummary:
        await self.check(account_id)
        told = {value.tag: value for value in await self._values(account_id) if value.currency != BASE}
        amounts = {
            "net_liquidation": "NetLiquidation",
            "total_cash": "TotalCashValue",
            "available_funds": "AvailableFunds",
            "excess_liquidity": "ExcessLiquidity",
            "buying_power": "BuyingPower",
            "equity_with_loan": "EquityWithLoanValue",
            "gross_position_value": "GrossPositionValue",
            "initial_margin": "InitMarginReq",
            "maintenance_margin": "MaintMarginReq",
        }
        found = {name: number(told[tag].value) for name, tag in amounts.items() if tag in told}
        missing = [amounts[name] for name in amounts if found.get(name) is None]
        if missing:
            raise Retryable(f"TWS does not tell {', '.join(missing)} of {account_id}; nothing was traded. Run again.")
        remaining = number(told["DayTradesRemaining"].value) if "DayTradesRemaining" in told else None
        return AccountSummary.model_validate(
            {
                **found,
                "account_id": account_id,
                "currency": told["NetLiquidation"].currency,
                "day_trades_remaining": None if remaining is None else int(remaining),
            }
        )

    async def ledger(self, account_id: str) -> list[CashBalance]:
        await self.check(account_id)
        lines: dict[str, dict[str, Decimal]] = {}
        for value in await self._values(account_id):
            amount = number(value.value)
            if value.tag in LEDGER and value.currency not in ("", BASE) and amount is not None:
                lines.setdefault(value.currency, {})[value.tag] = amount
        return [
            CashBalance(
                currency=currency,
                cash=told["CashBalance"],
                settled_cash=told.get("SettledCash", told["CashBalance"]),
                stock_market_value=told.get("StockMarketValue", ZERO),
                net_liquidation=told.get("NetLiquidationByCurrency", told["CashBalance"]),
                exchange_rate=told.get("ExchangeRate", Decimal(1)),
            )
            for currency, told in lines.items()
            if "CashBalance" in told
        ]

    async def positions(self, account_id: str) -> list[Position]:
        await self.check(account_id)
        told = await self._line.ask_alone("the positions", lambda ib: ib.reqPositionsAsync())
        held = [row for row in told if row.account == account_id and row.position]
        marks = await self._marks(account_id, {row.contract.conId for row in held})
        try:
            return [_position(row, marks.get(row.contract.conId)) for row in held]
        except ValidationError:
            odd = [
                f"{row.position} {row.contract.symbol} at {row.avgCost}"
                for row in held
                if not isfinite(row.position * row.avgCost)
            ]
            words = f"TWS tells of positions that cannot be ({', '.join(odd) or 'an unreadable one'})"
            raise Terminal(f"{words}; nothing was traded. Look at them in TWS, and run again.") from None

    async def _marks(self, account_id: str, conids: set[int]) -> dict[int, PortfolioItem]:
        """What TWS values the holdings at; it tells a little later than of the holdings themselves."""
        ib = await self._line.ready()
        for _ in range(LOOKS):
            if conids <= {item.contract.conId for item in ib.portfolio(account_id)}:
                break
            await asyncio.sleep(LOOK_SECONDS)
        return {item.contract.conId: item for item in ib.portfolio(account_id)}

    async def pnl(self, account_id: str) -> ProfitAndLoss:
        await self.check(account_id)
        told = await self._line.ask(f"the profit of {account_id}", lambda ib: _profit(ib, account_id))
        summary, held = await self.summary(account_id), await self.positions(account_id)
        return ProfitAndLoss.model_validate(
            {
                "account_id": account_id,
                "daily": number(told.dailyPnL),
                "unrealized": number(told.unrealizedPnL),
                "realized": number(told.realizedPnL),
                "net_liquidation": summary.net_liquidation,
                "market_value": sum((row.market_value or ZERO for row in held), ZERO),
            }
        )

    async def _values(self, account_id: str) -> Iterable[AccountValue]:
        """The summary of the account with its ledger; a subscription is ended at once, as IB allows but two."""
        values = await self._line.ask_alone("the account summary", _account_summary)
        return [value for value in values if value.account == account_id]


async def _account_summary(ib: IB) -> list[AccountValue]:
    ib.wrapper.acctSummary.clear()
    request = ib.client.getReqId()
    answered = ib.wrapper.startReq(request)
    ib.client.reqAccountSummary(request, "All", TAGS)
    try:
        await answered
    finally:
        if ib.isConnected():
            ib.client.cancelAccountSummary(request)
    return list(ib.wrapper.acctSummary.values())


async def _profit(ib: IB, account_id: str) -> PnL:
    """The running profit of the account once TWS has told it for the first time; it stays subscribed to."""
    known = ib.pnl(account_id)
    told = known[0] if known else ib.reqPnL(account_id)
    while number(told.dailyPnL) is None or number(told.unrealizedPnL) is None:  # noqa: ASYNC110  (bounded by `ask`)
        await asyncio.sleep(LOOK_SECONDS)
    return told


def _position(row: TwsPosition, mark: PortfolioItem | None) -> Position:
    contract, quantity = row.contract, number(row.position)
    price = number(mark.marketPrice) if mark else None
    is_current = mark is not None and mark.position == row.position
    value = number(mark.marketValue) if mark and is_current else None
    if value is None and price is not None and quantity is not None:
        value = to_cents(price * quantity)  # the mark is from before the last fill
    return Position.model_validate(
        {
            "account_id": row.account,
            "conid": contract.conId,
            "symbol": contract.symbol,
            "quantity": quantity,
            "average_cost": number(row.avgCost),
            "market_price": price,
            "market_value": value,
            "unrealized_pnl": number(mark.unrealizedPNL) if mark and is_current else None,
            "realized_pnl": number(mark.realizedPNL) if mark else None,
            "currency": contract.currency,
            "sec_type": contract.secType,
        }
    )
