"""`smart-agent server`: the MCP server alone, for an agent in another process."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.exit_codes import ExitCode
from cli.options import (
    AccountOption,
    AsOfOption,
    BrokerName,
    ClientIdOption,
    ConfigOption,
    HomeOption,
    PricesOption,
    exit_with,
    load_or_exit,
)
from cli.run_command import RunCommand


class Transport(StrEnum):
    STDIO = "stdio"
    HTTP = "http"


ServedOption = Annotated[BrokerName, typer.Option("--broker", help="The broker to serve.")]
TransportOption = Annotated[
    Transport, typer.Option("--transport", help="stdio, or streamable HTTP on 127.0.0.1 at /mcp.")
]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the HTTP transport.")]
TwsHostOption = Annotated[
    str | None, typer.Option("--tws-host", help="Where TWS or IB Gateway runs.", show_default=False)
]
TwsPortOption = Annotated[
    str | None,
    typer.Option("--tws-port", help="Its API port: 4002 or 7497 for paper, 4001 or 7496 live.", show_default=False),
]


def server(
    broker: ServedOption = BrokerName.SIMULATED,
    transport: TransportOption = Transport.STDIO,
    port: PortOption = 8001,
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    tws_host: TwsHostOption = None,
    tws_port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
) -> None:
    """Serve a broker's tools over MCP until stopped.

    Example: smart-agent server --broker tws --tws-port 4002 --transport http --port 8001
    """
    command = RunCommand.written(
        config=config,
        prices=prices,
        as_of=as_of,
        broker=broker,
        tws_host=tws_host,
        tws_port=tws_port,
        tws_client_id=client_id,
        tws_account=account,
    )
    place, settings = load_or_exit(home, config, command.where)
    from brokers.simulated import MarketError  # noqa: PLC0415  (heavy, and the help page is not)
    from cli.brokers import Market, broker_of  # noqa: PLC0415
    from tools.server import build_server  # noqa: PLC0415

    try:
        opened = broker_of(settings, place, Market.of(command))
    except MarketError as error:
        exit_with(ExitCode.BAD_USAGE, str(error))
    app = build_server(opened, port=port)
    if transport is Transport.HTTP:
        typer.echo(f"Serving the {opened.name} broker at http://127.0.0.1:{port}/mcp; Ctrl-C stops it.", err=True)
        app.run("streamable-http")
    else:
        app.run("stdio")
