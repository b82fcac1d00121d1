"""The analysis tools: the broker's facts gathered, then judged by `tools.analysis`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from portfolio.models import Quote
from tools.analysis import analyse_stock, health_metrics
from tools.rows.analysis import HealthCheck, StockAnalysis
from tools.server.base import BrokerTools
from tools.server.parameters import AccountId, Symbol
from tools.wire.account import pnl_row, summary_row


class AnalysisTools(BrokerTools):
    """Read-only tools that put facts together."""

    async def portfolio_health_check(self, account_id: AccountId = None) -> HealthCheck:
        """Value, funds, number of positions and cash in % of net liquidation, with the summary and the day's result."""
        account = await self._account(account_id)
        summary = await self._broker.summary(account)
        held = await self._broker.positions(account)
        pnl = await self._broker.pnl(account)
        return HealthCheck(
            account_id=account,
            health_metrics=health_metrics(summary, len(held)),
            summary=summary_row(summary),
            position_count=len(held),
            pnl_summary=[pnl_row(pnl, summary.excess_liquidity)],
        )

    async def stock_analysis(
        self,
        symbol: Symbol,
        target_quantity: Annotated[int, Field(description="Shares one thinks of buying.", ge=1)] = 100,
        account_id: AccountId = None,
    ) -> StockAnalysis:
        """Price, spread in USD, and what target_quantity shares would cost and weigh in the portfolio (in %)."""
        account = await self._account(account_id)
        contract = await self._broker.find_contract(symbol)
        quotes = await self._broker.quotes([contract.conid])
        quote = quotes[0] if quotes else Quote(conid=contract.conid, symbol=contract.symbol)
        return analyse_stock(contract, quote, await self._broker.summary(account), target_quantity)
