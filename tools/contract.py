"""What the Interactive Brokers tools are called, and which of them may move money.

The first twenty tools are those of the Client Portal server many investors already run; the last five are ours, to be
used where a server lists them and never required. What they answer is in `tools.rows`, and what those rows mean in the
house's own facts in `tools.wire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Tool(StrEnum):
    """A tool by its name on the wire."""

    FIND_CONTRACT = "find_contract"
    GET_ACCOUNTS = "get_accounts"
    GET_PORTFOLIO_SUMMARY = "get_portfolio_summary"
    GET_POSITIONS = "get_positions"
    GET_PNL = "get_pnl"
    GET_LEDGER = "get_ledger"
    GET_MARKET_SNAPSHOT = "get_market_snapshot"
    GET_HISTORY = "get_history"
    GET_ORDER_BOOK = "get_order_book"
    GET_LIVE_ORDERS = "get_live_orders"
    WHATIF_ORDER = "whatif_order"
    PLACE_ORDER = "place_order"
    CANCEL_ORDER = "cancel_order"
    SCAN_TOP_GAINERS = "scan_top_gainers"
    SCAN_TOP_LOSERS = "scan_top_losers"
    SCAN_MOST_ACTIVE = "scan_most_active"
    CUSTOM_SCAN = "custom_scan"
    GET_SCAN_CODES = "get_scan_codes"
    PORTFOLIO_HEALTH_CHECK = "portfolio_health_check"
    STOCK_ANALYSIS = "stock_analysis"
    FIND_CONTRACTS = "find_contracts"
    GET_MARKET_SNAPSHOTS = "get_market_snapshots"
    GET_ORDER_STATUS = "get_order_status"
    GET_EXECUTIONS = "get_executions"
    GET_TRADING_SCHEDULE = "get_trading_schedule"


# How our server's errors begin when its broker cannot be reached; on the wire every other error looks alike.
UNREACHABLE = "Broker unreachable: "


class ToolClass(StrEnum):
    """READ changes nothing; ORDER may move money. A what-if sends nothing, so it reads."""

    READ = "READ"
    ORDER = "ORDER"


# Every tool is listed, so that a new one cannot become readable by default.
TOOL_CLASSES: Mapping[str, ToolClass] = {
    Tool.FIND_CONTRACT: ToolClass.READ,
    Tool.GET_ACCOUNTS: ToolClass.READ,
    Tool.GET_PORTFOLIO_SUMMARY: ToolClass.READ,
    Tool.GET_POSITIONS: ToolClass.READ,
    Tool.GET_PNL: ToolClass.READ,
    Tool.GET_LEDGER: ToolClass.READ,
    Tool.GET_MARKET_SNAPSHOT: ToolClass.READ,
    Tool.GET_HISTORY: ToolClass.READ,
    Tool.GET_ORDER_BOOK: ToolClass.READ,
    Tool.GET_LIVE_ORDERS: ToolClass.READ,
    Tool.WHATIF_ORDER: ToolClass.READ,
    Tool.PLACE_ORDER: ToolClass.ORDER,
    Tool.CANCEL_ORDER: ToolClass.ORDER,
    Tool.SCAN_TOP_GAINERS: ToolClass.READ,
    Tool.SCAN_TOP_LOSERS: ToolClass.READ,
    Tool.SCAN_MOST_ACTIVE: ToolClass.READ,
    Tool.CUSTOM_SCAN: ToolClass.READ,
    Tool.GET_SCAN_CODES: ToolClass.READ,
    Tool.PORTFOLIO_HEALTH_CHECK: ToolClass.READ,
    Tool.STOCK_ANALYSIS: ToolClass.READ,
    Tool.FIND_CONTRACTS: ToolClass.READ,
    Tool.GET_MARKET_SNAPSHOTS: ToolClass.READ,
    Tool.GET_ORDER_STATUS: ToolClass.READ,
    Tool.GET_EXECUTIONS: ToolClass.READ,
    Tool.GET_TRADING_SCHEDULE: ToolClass.READ,
}
