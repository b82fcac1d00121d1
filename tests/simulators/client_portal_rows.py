"""The rows of the existing Client Portal server, written out by hand from its contract.

Nothing of `tools` is used here, or a mistake in our reading would be mirrored and never seen. Money and quantities are
decimal strings, absent values null; only what the contract says so is a JSON number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from portfolio.models import (
    Account,
    AccountSummary,
    Bar,
    BrokerOrder,
    CashBalance,
    OrderStatus,
    Position,
    ProfitAndLoss,
    Quote,
    ScanRow,
    WhatIf,
)

JsonObject = dict[str, Any]

EPOCH = datetime.fromtimestamp(0, UTC)
MINUTE = timedelta(minutes=1)
STATUS_WORDS = {
    OrderStatus.SUBMITTED: "Submitted",
    OrderStatus.PARTIAL: "Submitted",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.REJECTED: "Inactive",
    OrderStatus.UNKNOWN: "Unknown",
}


def money(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")


def whole(number: Decimal) -> Decimal:
    """`number`, without the decimals that 5 brings along on its way as 5.0."""
    return Decimal(int(number)) if number == int(number) else number


def account_row(account: Account) -> JsonObject:
    return {
        "id": account.account_id,
        "type": "DEMO" if account.is_paper else "INDIVIDUAL",
        "desc": account.description,
        "covestor": False,
    }


def summary_row(summary: AccountSummary) -> JsonObject:
    """The balances, in a currency that the row does not name; -1 day trades left are as many as one likes."""
    net = summary.net_liquidation
    margins = {
        "availablefunds": money(summary.available_funds),
        "excessliquidity": money(summary.excess_liquidity),
        "initmarginreq": money(summary.initial_margin),
        "maintmarginreq": money(summary.maintenance_margin),
    }
    return {
        "accountcode": summary.account_id,
        "accountready": True,
        "accounttype": "INDIVIDUAL",
        "netliquidation": money(net),
        **margins,
        **{f"full{key}": value for key, value in margins.items()},
        **{f"lookahead{key}": value for key, value in margins.items()},
        "buyingpower": money(summary.buying_power),
        "cushion": money((summary.excess_liquidity / net).quantize(Decimal("0.000001"))) if net else None,
        "grosspositionvalue": money(summary.gross_position_value),
        "totalcashvalue": money(summary.total_cash),
        "accruedcash": "0.00",
        "equitywithloanvalue": money(summary.equity_with_loan),
        **{f"daytradesremaining{day}": -1 for day in ("", "t1", "t2", "t3", "t4")},
        "nlvandmargininreview": False,
    }


def position_row(held: Position) -> JsonObject:
    return {
        "acctId": held.account_id,
        "conid": held.conid,
        "contractDesc": held.symbol,
        "position": money(held.quantity),
        "mktPrice": money(held.market_price),
        "mktValue": money(held.market_value),
        "currency": held.currency,
        "avgCost": money(held.average_cost),
        "avgPrice": money(held.average_cost),
        "realizedPnl": money(held.realized_pnl),
        "unrealizedPnl": money(held.unrealized_pnl),
        "assetClass": held.sec_type,
    }


def pnl_row(pnl: ProfitAndLoss, excess_liquidity: Decimal) -> JsonObject:
    return {
        "acctId": pnl.account_id,
        "model": "Core",
        "dpl": money(pnl.daily),
        "nl": money(pnl.net_liquidation),
        "upl": money(pnl.unrealized),
        "el": money(excess_liquidity),
        "mv": money(pnl.market_value),
    }


def ledger_row(line: CashBalance) -> JsonObject:
    return {
        "cashbalance": money(line.cash),
        "settledcash": money(line.settled_cash),
        "currency": line.currency,
        "exchangerate": money(line.exchange_rate),
        "stockmarketvalue": money(line.stock_market_value),
        "netliquidationvalue": money(line.net_liquidation),
    }


def base_row(lines: list[CashBalance]) -> JsonObject:
    """The sum over all currencies, which the gateway calls BASE and gives the rate 1."""
    return ledger_row(
        CashBalance(
            currency="BASE",
            cash=sum((line.cash * line.exchange_rate for line in lines), Decimal(0)),
            settled_cash=sum((line.settled_cash * line.exchange_rate for line in lines), Decimal(0)),
            stock_market_value=sum((line.stock_market_value * line.exchange_rate for line in lines), Decimal(0)),
            net_liquidation=sum((line.net_liquidation * line.exchange_rate for line in lines), Decimal(0)),
        )
    )


def snapshot_row(conid: int, quote: Quote | None) -> JsonObject:
    """The prices of `quote` and no time; all null where there is none yet."""
    if quote is None:
        quote = Quote(conid=conid, symbol="")
    change = percent = None
    if quote.last is not None and quote.previous_close:
        change = quote.last - quote.previous_close
        percent = (100 * change / quote.previous_close).quantize(Decimal("0.01"))
    return {
        "conid": conid,
        "symbol": quote.symbol or None,
        "last_price": money(quote.last),
        "bid": money(quote.bid),
        "ask": money(quote.ask),
        "bid_size": money(quote.bid_size),
        "ask_size": money(quote.ask_size),
        "volume": money(quote.volume),
        "change": money(change),
        "change_percent": money(percent),
        "high": money(quote.high),
        "low": money(quote.low),
        "open": money(quote.open),
        "close": money(quote.previous_close),
    }


def bar_row(bar: Bar) -> JsonObject:
    return {
        "t": (bar.start - EPOCH) // timedelta(milliseconds=1),
        "o": money(bar.open),
        "h": money(bar.high),
        "l": money(bar.low),
        "c": money(bar.close),
        "v": money(bar.volume),
    }


def minutes_until(end: datetime, price: Decimal, count: int = 5) -> list[Bar]:
    """Minute bars at one price, oldest first; the last holds the moment before `end`."""
    last = (end - timedelta(microseconds=1)).replace(second=0, microsecond=0)
    starts = [last - back * MINUTE for back in reversed(range(count))]
    return [Bar(start=start, open=price, high=price, low=price, close=price, volume=Decimal(100)) for start in starts]


def scan_row(found: ScanRow) -> JsonObject:
    """Scanner rows have no prices, whatever the scan."""
    return {
        "conid": found.conid,
        "symbol": found.symbol,
        "contractDesc": found.symbol,
        "secType": "STK",
        "exchange": None,
        "currency": "USD",
        **dict.fromkeys(("price", "change", "changePercent", "volume")),
    }


def order_row(order: BrokerOrder) -> JsonObject:
    return {
        "orderId": order.order_id,
        "conid": order.conid,
        "symbol": order.symbol,
        "side": order.side.value,
        "orderType": order.order_type,
        "quantity": money(order.quantity),
        "price": money(order.limit_price),
        "auxPrice": None,
        "status": STATUS_WORDS[order.status],
        "filled": money(order.filled_quantity),
        "remaining": money(order.remaining),
        "avgPrice": money(order.average_price),
        "lastExecutionTime": None,
        "orderRef": order.client_order_id,
        "timeInForce": "DAY",
        "account": order.account_id,
    }


def whatif_row(answer: WhatIf, *, garbled: bool) -> JsonObject:
    """Equity and margins after the order; what the gateway says of commission and amount is lost."""
    figures = {
        "equity": (answer.equity_before, answer.equity_after),
        "initial": (answer.initial_margin_before, answer.initial_margin_after),
        "maintenance": (answer.maintenance_margin_before, answer.maintenance_margin_after),
    }
    return {
        **{key: garble(*pair) if garbled else money(pair[1]) for key, pair in figures.items()},
        "warn": answer.warning,
        "error": answer.error,
    }


def garble(before: Decimal | None, after: Decimal | None) -> str | None:
    """The digits of the gateway's current, change and after (whole amounts) run together; null with a minus sign."""
    if before is None or after is None:
        return None
    run_together = "".join(f"{figure:.0f}" for figure in (before, after - before, after))
    return None if "-" in run_together else run_together


def receipt_row(order: BrokerOrder) -> JsonObject:
    return {
        "order_id": order.order_id,
        "local_order_id": None,
        "order_status": STATUS_WORDS[order.status],
        "encrypt_message": "1",
    }
