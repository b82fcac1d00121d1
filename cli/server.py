"""`smart-agent server`: the MCP server alone, for an agent in another process."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from brokers.protocol import Broker

PORT = 8001


class Transport(StrEnum):
    STDIO = "stdio"
    HTTP = "http"


ServedOption = Annotated[BrokerName, typer.Option("--broker", case_sensitive=False, help="The broker to serve.")]
TransportOption = Annotated[
    Transport, typer.Option("--transport", help="stdio, or streamable HTTP on 127.0.0.1 at /mcp.")
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", min=1, max=65535, help=f"Port of the HTTP transport: {PORT} by default.", show_default=False
    ),
]
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
    port: PortOption = None,
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
    if port is not None and transport is Transport.STDIO:
        exit_with(
            ExitCode.BAD_USAGE,
            f"--port {port} is the port of --transport http, and over stdio there is none; nothing was started. "
            "Add --transport http; the port of TWS or IB Gateway is --tws-port.",
        )
    place, settings = load_or_exit(home, config, command.where)
    settings = settings.model_copy(update={"mcp_url": None})  # this is the MCP server
    if why := command.contradiction(settings):
        exit_with(ExitCode.BAD_USAGE, why)
    import asyncio  # noqa: PLC0415  (the help page does without)

    from brokers.simulated import MarketError  # noqa: PLC0415  (heavy, and the help page is not)
    from cli.brokers import Market, broker_of  # noqa: PLC0415

    try:
        opened = broker_of(settings, place, Market.of(command))
    except MarketError as error:
        exit_with(ExitCode.BAD_USAGE, str(error))
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(opened, transport, port or PORT))


async def _serve(broker: Broker, transport: Transport, port: int) -> None:
    import asyncio  # noqa: PLC0415  (the help page does without)

    from tools.server import build_server  # noqa: PLC0415  (heavy, and the help page is not)

    app = build_server(broker, port=port)
    logging.getLogger("ib_async").propagate = False  # it logs what it also raises, and the caller is told
    if transport is Transport.HTTP:
        _prove_free(port)
        typer.echo(f"Serving the {broker.name} broker at http://127.0.0.1:{port}/mcp; Ctrl-C stops it.", err=True)
    looking = asyncio.create_task(_look(broker))
    try:
        await (app.run_stdio_async() if transport is Transport.STDIO else app.run_streamable_http_async())
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await broker.close()


def _prove_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        exit_with(
            ExitCode.BAD_USAGE,
            f"Port {port} of 127.0.0.1 cannot be served ({error.strerror}); nothing was started. Give another --port.",
        )


async def _look(broker: Broker) -> None:
    """Say at once whether the broker is there; it is asked again with each request, so nothing hangs on it."""
    from brokers.errors import BrokerError  # noqa: PLC0415

    try:
        accounts = await broker.accounts()
    except BrokerError as error:
        typer.echo(f"{error} Until then each request is answered with this.", err=True)
    else:
        typer.echo(f"The broker shows {', '.join(account.account_id for account in accounts)}.", err=True)
