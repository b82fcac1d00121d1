"""What the account tools answer: accounts, balances, positions, profit and loss, ledger."""

# ruff: noqa: N815 - the keys are the contract's, not ours

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from tools.rows.base import Number, Row

WHOLE = re.compile(r"-?\d{1,9}")


def _count_or_nothing(value: Any) -> int | None:
    """The existing server may send an object for a count, and one unread count must not hide a whole account."""
    is_whole = WHOLE.fullmatch(value) if isinstance(value, str) else isinstance(value, float) and value.is_integer()
    count = int(value) if is_whole else value
    return count if type(count) is int else None


Count = Annotated[int | None, BeforeValidator(_count_or_nothing)]


class AccountRow(Row):
    id: str
    type: str | None = None
    desc: str | None = None
    covestor: bool | None = None


class Accounts(Row):
    accounts: list[AccountRow]
    count: int


class SummaryRow(Row):
    """Balances in `currency` (None where a server does not name it); `cushion` is a fraction of net liquidation."""

    accountcode: str | None = None
    accountready: bool | None = None
    accounttype: str | None = None
    currency: str | None = None
    netliquidation: Number | None = None
    availablefunds: Number | None = None
    buyingpower: Number | None = None
    cushion: Number | None = None
    excessliquidity: Number | None = None
    initmarginreq: Number | None = None
    maintmarginreq: Number | None = None
    grosspositionvalue: Number | None = None
    totalcashvalue: Number | None = None
    accruedcash: Number | None = None
    equitywithloanvalue: Number | None = None
    fullavailablefunds: Number | None = None
    fullexcessliquidity: Number | None = None
    fullinitmarginreq: Number | None = None
    fullmaintmarginreq: Number | None = None
    lookaheadavailablefunds: Number | None = None
    lookaheadexcessliquidity: Number | None = None
    lookaheadinitmarginreq: Number | None = None
    lookaheadmaintmarginreq: Number | None = None
    daytradesremaining: Count = None
    nlvandmargininreview: bool | None = None


class PortfolioSummary(Row):
    account_id: str
    summary: SummaryRow


class PositionRow(Row):
    acctId: str | None = None
    conid: int
    contractDesc: str | None = None
    position: Number | None = None
    mktPrice: Number | None = None
    mktValue: Number | None = None
    currency: str | None = None
    avgCost: Number | None = None
    avgPrice: Number | None = None
    realizedPnl: Number | None = None
    unrealizedPnl: Number | None = None
    assetClass: str | None = None


class Positions(Row):
    """`total_positions` counts what is held; `count` what is listed here."""

    account_id: str
    positions: list[PositionRow]
    count: int
    total_positions: int


class PnlRow(Row):
    """The day's (dpl), unrealised (upl) and, from our server only, realised (rpl) result.

    nl, el and mv are net liquidation, excess liquidity and the market value of the positions.
    """

    acctId: str | None = None
    model: str | None = None
    dpl: Number | None = None
    nl: Number | None = None
    upl: Number | None = None
    el: Number | None = None
    mv: Number | None = None
    rpl: Number | None = None


class Pnl(Row):
    pnl: list[PnlRow]
    count: int


class LedgerRow(Row):
    cashbalance: Number | None = None
    settledcash: Number | None = None
    currency: str | None = None
    exchangerate: Number | None = None
    stockmarketvalue: Number | None = None
    netliquidationvalue: Number | None = None


class Ledger(Row):
    account_id: str
    ledger: list[LedgerRow]
    count: int
