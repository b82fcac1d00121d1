"""Accounts, balances, positions, ledger and profit and loss, to and from their rows."""

from __future__ import annotations

from decimal import Decimal

from portfolio.models import Account, AccountSummary, CashBalance, Position, ProfitAndLoss
from tools.rows.account import AccountRow, LedgerRow, PnlRow, PositionRow, SummaryRow
from tools.wire.foreign_text import readable

FRACTION = Decimal("0.0001")


def account_row(account: Account) -> AccountRow:
    kind = "DEMO" if account.is_paper else None
    return AccountRow(id=account.account_id, type=kind, desc=account.description, covestor=False)


def read_account(row: AccountRow) -> Account:
    row = readable(row)
    return Account(account_id=row.id, description=row.desc or "")


def summary_row(summary: AccountSummary) -> SummaryRow:
    net = summary.net_liquidation
    return SummaryRow(
        accountcode=summary.account_id,
        currency=summary.currency,
        netliquidation=net,
        availablefunds=summary.available_funds,
        buyingpower=summary.buying_power,
        cushion=(summary.excess_liquidity / net).quantize(FRACTION) if net > 0 else None,
        excessliquidity=summary.excess_liquidity,
        initmarginreq=summary.initial_margin,
        maintmarginreq=summary.maintenance_margin,
        grosspositionvalue=summary.gross_position_value,
        totalcashvalue=summary.total_cash,
        equitywithloanvalue=summary.equity_with_loan,
        daytradesremaining=summary.day_trades_remaining,
    )


def read_summary(account_id: str, row: SummaryRow, *, currency: str | None = None) -> AccountSummary:
    """The balances of `account_id`; `currency` is what the ledger says, for a server whose summary names none."""
    row = readable(row.model_copy(update={"currency": row.currency or currency}))
    return AccountSummary(
        account_id=account_id,
        currency=row.currency,
        net_liquidation=row.netliquidation,
        total_cash=row.totalcashvalue,
        available_funds=row.availablefunds,
        excess_liquidity=row.excessliquidity,
        buying_power=row.buyingpower,
        equity_with_loan=row.equitywithloanvalue,
        gross_position_value=row.grosspositionvalue,
        initial_margin=row.initmarginreq,
        maintenance_margin=row.maintmarginreq,
        day_trades_remaining=row.daytradesremaining,
    )


def position_row(held: Position) -> PositionRow:
    return PositionRow(
        acctId=held.account_id,
        conid=held.conid,
        contractDesc=held.symbol,
        position=held.quantity,
        mktPrice=held.market_price,
        mktValue=held.market_value,
        currency=held.currency,
        avgCost=held.average_cost,
        avgPrice=held.average_cost,
        realizedPnl=held.realized_pnl,
        unrealizedPnl=held.unrealized_pnl,
        assetClass=held.sec_type,
    )


def read_position(row: PositionRow) -> Position:
    row = readable(row)
    return Position(
        account_id=row.acctId,
        conid=row.conid,
        symbol=row.contractDesc,
        quantity=row.position,
        average_cost=row.avgCost,
        market_price=row.mktPrice,
        market_value=row.mktValue,
        unrealized_pnl=row.unrealizedPnl,
        realized_pnl=row.realizedPnl,
        currency=row.currency,
        sec_type=row.assetClass,
    )


def ledger_row(line: CashBalance) -> LedgerRow:
    return LedgerRow(
        cashbalance=line.cash,
        settledcash=line.settled_cash,
        currency=line.currency,
        exchangerate=line.exchange_rate,
        stockmarketvalue=line.stock_market_value,
        netliquidationvalue=line.net_liquidation,
    )


def read_ledger_line(row: LedgerRow) -> CashBalance:
    row = readable(row)
    return CashBalance(
        currency=row.currency,
        cash=row.cashbalance,
        settled_cash=row.settledcash,
        stock_market_value=row.stockmarketvalue,
        net_liquidation=row.netliquidationvalue,
        exchange_rate=row.exchangerate,
    )


def pnl_row(pnl: ProfitAndLoss, excess_liquidity: Decimal) -> PnlRow:
    return PnlRow(
        acctId=pnl.account_id,
        model="Core",
        dpl=pnl.daily,
        nl=pnl.net_liquidation,
        upl=pnl.unrealized,
        el=excess_liquidity,
        mv=pnl.market_value,
        rpl=pnl.realized,
    )


def read_pnl(row: PnlRow) -> ProfitAndLoss:
    row = readable(row)
    return ProfitAndLoss(
        account_id=row.acctId,
        daily=row.dpl,
        unrealized=row.upl,
        realized=row.rpl,
        net_liquidation=row.nl,
        market_value=row.mv,
    )
