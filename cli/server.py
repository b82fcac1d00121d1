"""`smart-agent server`: the MCP server alone, for an agent in another process."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.exit_codes import ExitCode
from cli.options import AsOfOption, HomeOption, PricesOption, day_of, exit_with, home_or_exit


class BrokerName(StrEnum):
    SIMULATED = "simulated"


class Transport(StrEnum):
    STDIO = "stdio"
    HTTP = "http"


BrokerOption = Annotated[BrokerName, typer.Option("--broker", help="The broker to serve.")]
TransportOption = Annotated[
    Transport, typer.Option("--transport", help="stdio, or streamable HTTP on 127.0.0.1 at /mcp.")
]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the HTTP transport.")]


def server(
    broker: BrokerOption = BrokerName.SIMULATED,
    transport: TransportOption = Transport.STDIO,
    port: PortOption = 8001,
    home: HomeOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Serve a broker's tools over MCP until stopped.

    Example: smart-agent server --broker simulated --transport http --port 8001
    """
    place = home_or_exit(home)
    from brokers.simulated import MarketError, open_simulated  # noqa: PLC0415  (heavy, and the help page is not)
    from tools.server import build_server  # noqa: PLC0415

    brokers = {BrokerName.SIMULATED: open_simulated}
    try:
        opened = brokers[broker](place.simulated, prices=prices, as_of=day_of(as_of))
    except MarketError as error:
        exit_with(ExitCode.BAD_USAGE, str(error))
    app = build_server(opened, port=port)
    if transport is Transport.HTTP:
        typer.echo(f"Serving the {opened.name} broker at http://127.0.0.1:{port}/mcp; Ctrl-C stops it.", err=True)
        app.run("streamable-http")
    else:
        app.run("stdio")
