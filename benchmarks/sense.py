"""How long SENSE waits for its MCP server, whatever the number of symbols.

Run it as `uv run python -m benchmarks.sense`. Every tool call over real HTTP takes 100 ms longer than it would; the
account is read through our own server, which answers about many contracts in one call, and through one that keeps to
the plain contract of the Client Portal server, which has a call for each. Everything in the table is measured in that
one run, the median of several; "one by one" is the same reading with `mcp_max_concurrency` 1.

Columns:

- calls: tool calls of one SENSE.
- one by one, side by side: wall seconds with 1 and with 8 calls at a time (the default).
- in round trips: the latter in units of 100 ms.
- least: one by one / 8, in round trips; with 8 calls at a time, each as long as it takes alone, none can be quicker.
- above it: in %.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from langgraph.runtime import Runtime
from mcp.server.fastmcp import FastMCP
from rich import box
from rich.console import Console
from rich.table import Table
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brokers.protocol import Broker
from brokers.simulated import open_simulated
from cli.wiring import Start, context_over
from config.home import Home
from config.load import load_settings
from config.settings import Settings
from graph.sense import sense
from portfolio.models import Bar, Contract, Quote, Session
from tests.simulators.client_portal_server import ClientPortalServer
from tests.simulators.delegating_broker import DelegatingBroker
from tools.server import build_server

LATENCY = 0.1
DAY = date(2026, 6, 15)
SHOWN = "SPY"
FIRST_CONID = 900_000_000
CROWD = ["X" + first + second for first, second in product("ABCDEFGHIJ", "ABCDEFGHIJ")]
MANY = len(CROWD)
SIDE_BY_SIDE = 8
SERVERS: dict[str, Callable[[Broker], FastMCP[object]]] = {
    "ours": build_server,
    "plain contract": ClientPortalServer,
}


class Crowded(DelegatingBroker):
    """A market where a hundred symbols XAA, XAB … trade too, at the price of one that is there."""

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        if symbol not in CROWD:
            return await super().find_contract(symbol, sec_type)
        found = await super().find_contract(SHOWN, sec_type)
        return found.model_copy(update={"symbol": symbol, "conid": FIRST_CONID + CROWD.index(symbol)})

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        told = await super().quotes([await self._real(conid) for conid in conids])
        return [
            quote.model_copy(update={"conid": conid, "symbol": CROWD[conid - FIRST_CONID]})
            if conid >= FIRST_CONID
            else quote
            for conid, quote in zip(conids, told, strict=True)
        ]

    async def history(self, conid: int, bar: str, period: str) -> list[Bar]:
        return await super().history(await self._real(conid), bar, period)

    async def session(self, symbol: str) -> Session:
        return await super().session(SHOWN if symbol in CROWD else symbol)

    async def _real(self, conid: int) -> int:
        return (await super().find_contract(SHOWN)).conid if conid >= FIRST_CONID else conid


class Slow:
    """An app whose tool calls take `LATENCY` seconds longer; it tells at /calls how many there were."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard() -> Message:
            message = await receive()
            if b'"tools/call"' in message.get("body", b""):
                self._calls += 1
                await asyncio.sleep(LATENCY)
            return message

        if scope["type"] == "http" and scope["path"] == "/calls":
            await PlainTextResponse(str(self._calls))(scope, receive, send)
        else:
            await self._app(scope, heard if scope["type"] == "http" else receive, send)


def serve(kind: str, port: int) -> None:
    """Serve until stopped; in a process of its own, as a server is."""
    with tempfile.TemporaryDirectory() as folder:
        app = SERVERS[kind](Crowded(open_simulated(Path(folder), as_of=DAY))).streamable_http_app()
        uvicorn.run(Slow(app), host="127.0.0.1", port=port, log_level="critical", ws="none")


def settings_of(symbols: int, most_at_once: int) -> Settings:
    """The default strategy with its 18 symbols, or ten buckets of as many as make up the number."""
    changes: dict[str, Any] = {"mcp_max_concurrency": most_at_once, "think_mode": "rules"}
    if symbols == MANY:
        changes["trading_rules"] = [
            {"name": f"Bucket {place}", "target_allocation": 10, "symbols": CROWD[place::10], "max_position_size": 10}
            for place in range(10)
        ]
    return load_settings(file=None, environ={}, overrides=changes)


@contextmanager
def slow_server(kind: str) -> Iterator[str]:
    """The address of such a server, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, port), daemon=True)
    process.start()
    try:
        for _ in range(300):
            with suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{port}/calls")
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


async def one_sense(address: str, settings: Settings) -> float:
    """Wall seconds of SENSE, once the session is open."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        async with context_over(f"{address}/mcp", settings, home, Start()) as context:
            began = time.perf_counter()
            await sense({"run_id": "benchmark"}, Runtime(context=context))
            return time.perf_counter() - began


async def measured(times: int) -> Table:
    title = f"SENSE over HTTP with {1000 * LATENCY:.0f} ms on every tool call, median of {times}"
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("server", "symbols"):
        table.add_column(name, no_wrap=True)
    for name in ("calls", "one by one\ns", "side by side\ns", "in round\ntrips", "least", "above it\n%"):
        table.add_column(name, justify="right")
    for kind in SERVERS:
        for symbols in (18, MANY):
            with slow_server(kind) as address:
                alone = await one_sense(address, settings_of(symbols, 1))
                calls = int((await asyncio.to_thread(httpx.get, f"{address}/calls")).text)
                together = statistics.median(
                    [await one_sense(address, settings_of(symbols, SIDE_BY_SIDE)) for _ in range(times)]
                )
            least = alone / SIDE_BY_SIDE
            table.add_row(
                kind,
                str(symbols),
                str(calls),
                f"{alone:.2f}",
                f"{together:.2f}",
                f"{together / LATENCY:.1f}",
                f"{least / LATENCY:.1f}",
                f"{100 * (together / least - 1):.0f}",
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="How long SENSE waits for its MCP server.")
    parser.add_argument("--times", type=int, default=5, help="readings of each kind (default: 5)")
    Console().print(asyncio.run(measured(parser.parse_args().times)))


if __name__ == "__main__":
    main()
