"""What is used, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import Settings


def broker_named(settings: Settings) -> str:
    """Which broker the settings lead to."""
    if settings.mcp_url:
        from tools.connection import server_name  # noqa: PLC0415  (its libraries take a second)

        return server_name(settings.mcp_url)
    if settings.broker == "tws":
        return f"TWS or IB Gateway at {settings.tws_host}:{settings.tws_port}"
    return "the simulated broker"


def headline(settings: Settings) -> str:
    """How it trades, by which strategy, and where."""
    mode = "paper trading" if settings.paper_trading else "LIVE TRADING"
    return f"{mode} · {settings.strategy} strategy · {broker_named(settings).removeprefix('the ')}"
