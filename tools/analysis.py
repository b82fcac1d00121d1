"""What the analysis tools say about an account and a stock: pure arithmetic over facts.

Cash is cash here (total cash over net liquidation), not available funds, which count margin that is not the investor's.
"""

from __future__ import annotations

from decimal import Decimal

from portfolio.costs import commission
from portfolio.models import AccountSummary, Contract, Quote
from tools.rows.analysis import AnalysedMarket, AnalysedPosition, HealthMetrics, PortfolioContext, StockAnalysis
from tools.wire.market import contract_row, snapshot_row


def health_metrics(summary: AccountSummary, positions: int) -> HealthMetrics:
    return HealthMetrics(
        total_value=summary.net_liquidation,
        buying_power=summary.buying_power,
        available_funds=summary.available_funds,
        total_positions=positions,
        cash_percentage=_percent(summary.total_cash, summary.net_liquidation),
    )


def analyse_stock(contract: Contract, quote: Quote, summary: AccountSummary, quantity: int) -> StockAnalysis:
    """`quantity` shares of `contract` at the last price (else the middle of bid and ask) against the account."""
    price = quote.last if quote.last is not None else quote.mid
    spread = None if quote.bid is None or quote.ask is None else quote.ask - quote.bid
    snapshot = snapshot_row(quote)
    return StockAnalysis(
        symbol=contract.symbol,
        contract=contract_row(contract),
        market_data=AnalysedMarket(
            current_price=price,
            bid_ask_spread=spread,
            volume=quote.volume,
            change_percent=snapshot.change_percent,
            snapshot=snapshot,
        ),
        position_analysis=_target(price, quote.ask, summary, quantity),
        portfolio_context=PortfolioContext(
            total_value=summary.net_liquidation,
            available_funds=summary.available_funds,
            buying_power=summary.buying_power,
        ),
    )


def _target(price: Decimal | None, ask: Decimal | None, summary: AccountSummary, quantity: int) -> AnalysedPosition:
    if price is None:
        return AnalysedPosition(target_quantity=quantity)
    shares = Decimal(quantity)
    paid = ask if ask is not None else price
    return AnalysedPosition(
        target_quantity=quantity,
        position_value=price * shares,
        portfolio_percentage=_percent(price * shares, summary.net_liquidation),
        affordable=paid * shares + commission(shares, paid) <= summary.available_funds,
    )


def _percent(part: Decimal, whole: Decimal) -> Decimal | None:
    return 100 * part / whole if whole > 0 else None
