"""What the analysis tools answer. Their computed figures are JSON numbers, as the contract has them."""

from __future__ import annotations

from tools.rows.account import PnlRow, SummaryRow
from tools.rows.base import Number, Row
from tools.rows.market import FoundContract, SnapshotRow


class HealthMetrics(Row):
    """JSON numbers in the account's currency. `cash_percentage` is total cash over net liquidation, in %."""

    total_value: float
    buying_power: float
    available_funds: float
    total_positions: int
    cash_percentage: float | None = None


class HealthCheck(Row):
    account_id: str
    health_metrics: HealthMetrics
    summary: SummaryRow
    position_count: int
    pnl_summary: list[PnlRow]


class AnalysedMarket(Row):
    current_price: float | None = None
    bid_ask_spread: float | None = None
    volume: Number | None = None
    change_percent: float | None = None
    snapshot: SnapshotRow


class AnalysedPosition(Row):
    """What `target_quantity` shares are worth, that in % of the portfolio, and whether available funds pay for them."""

    target_quantity: int
    position_value: float | None = None
    portfolio_percentage: float | None = None
    affordable: bool | None = None


class PortfolioContext(Row):
    total_value: float
    available_funds: float
    buying_power: float


class StockAnalysis(Row):
    symbol: str
    contract: FoundContract
    market_data: AnalysedMarket
    position_analysis: AnalysedPosition
    portfolio_context: PortfolioContext
