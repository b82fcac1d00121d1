"""The settings that say where the broker is; light, so that every command may know them."""

from __future__ import annotations

WHERE = ("mcp_url", "broker", "tws_host", "tws_port", "tws_client_id", "tws_account")
