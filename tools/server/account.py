"""The account tools: who we trade for, what is held, and what it is worth."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.rows.account import Accounts, Ledger, Pnl, PnlRow, PortfolioSummary, Positions
from tools.server.base import BrokerTools
from tools.server.parameters import AccountId
from tools.wire.account import account_row, ledger_row, pnl_row, position_row, summary_row


class AccountTools(BrokerTools):
    """Read-only tools about accounts."""

    async def get_accounts(self) -> Accounts:
        """The accounts this login may use. Ids of paper accounts begin with D."""
        rows = [account_row(account) for account in await self._broker.accounts()]
        return Accounts(accounts=rows, count=len(rows))

    async def get_portfolio_summary(self, account_id: AccountId = None) -> PortfolioSummary:
        """Net liquidation, cash, funds and margins, in `currency`; `cushion` is a fraction of net liquidation."""
        account = await self._account(account_id)
        return PortfolioSummary(account_id=account, summary=summary_row(await self._broker.summary(account)))

    async def get_positions(
        self,
        account_id: AccountId = None,
        max_positions: Annotated[int, Field(description="List at most so many.", ge=1)] = 50,
    ) -> Positions:
        """Shares held, with price, value and average cost a share in `currency`; a negative position is short.

        `total_positions` larger than `count` means that max_positions cut the list.
        """
        account = await self._account(account_id)
        held = await self._broker.positions(account)
        rows = [position_row(position) for position in held[:max_positions]]
        return Positions(account_id=account, positions=rows, count=len(rows), total_positions=len(held))

    async def get_pnl(self) -> Pnl:
        """Profit and loss in USD, a row an account: the day's (dpl), unrealised (upl) and realised (rpl)."""
        rows = [await self._pnl_row(account.account_id) for account in await self._broker.accounts()]
        return Pnl(pnl=rows, count=len(rows))

    async def get_ledger(self, account_id: AccountId = None) -> Ledger:
        """Cash and values by currency; `exchangerate` turns a line into the account's base currency."""
        account = await self._account(account_id)
        rows = [ledger_row(line) for line in await self._broker.ledger(account)]
        return Ledger(account_id=account, ledger=rows, count=len(rows))

    async def _pnl_row(self, account: str) -> PnlRow:
        summary = await self._broker.summary(account)
        return pnl_row(await self._broker.pnl(account), summary.excess_liquidity)
