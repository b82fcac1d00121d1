"""The MCP server we offer over any broker: the tools of `tools.contract`, correctly filled, with schemas and hints."""

from __future__ import annotations

from mcp.server.fastmcp import FastMCP

import prompts
from brokers.protocol import Broker
from tools.server.account import AccountTools
from tools.server.analysis import AnalysisTools
from tools.server.base import BrokerServer
from tools.server.market import MarketTools
from tools.server.orders import OrderTools


def build_server(broker: Broker, *, host: str = "127.0.0.1", port: int = 8001) -> FastMCP[object]:
    """An MCP server over `broker`: in memory, over stdio, or over streamable HTTP at http://`host`:`port`/mcp.

    The server does not close `broker`; whoever opened it does.
    """
    account, market = AccountTools(broker), MarketTools(broker)
    orders, analysis = OrderTools(broker), AnalysisTools(broker)
    tools = (
        market.find_contract,
        market.find_contracts,
        account.get_accounts,
        account.get_portfolio_summary,
        account.get_positions,
        account.get_pnl,
        account.get_ledger,
        market.get_market_snapshot,
        market.get_market_snapshots,
        market.get_history,
        market.get_order_book,
        market.get_trading_schedule,
        orders.get_live_orders,
        orders.get_order_status,
        orders.get_executions,
        orders.whatif_order,
        orders.place_order,
        orders.cancel_order,
        market.scan_top_gainers,
        market.scan_top_losers,
        market.scan_most_active,
        market.custom_scan,
        market.get_scan_codes,
        analysis.portfolio_health_check,
        analysis.stock_analysis,
    )
    return BrokerServer("smart-trading-agent", tools, instructions=prompts.load("server"), host=host, port=port)
