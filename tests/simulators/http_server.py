"""Web servers on the loopback: an MCP server as it is, and one that speaks just enough of it to be opened."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from mcp.server.fastmcp import FastMCP

# What goes back over the socket for a request's method; None closes the connection without a word.
Reply = Callable[[str], "bytes | None"]
HANG = b"hang"
PROTOCOL = "2025-06-18"
ENOUGH_TO_OPEN = 3.0
"""Seconds in which a session opens even on a slow, busy machine, for a fault that comes later."""


def http(status: str, kind: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\nConnection: close"
    return f"{head}\r\n\r\n{body}".encode()


def result(request_id: Any, value: dict[str, Any]) -> bytes:
    return http("200 OK", "application/json", json.dumps({"jsonrpc": "2.0", "id": request_id, "result": value}))


@asynccontextmanager
async def over_http(server: FastMCP[object]) -> AsyncIterator[str]:
    """The address at which `server` is served over streamable HTTP meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # The loop sets it only where it made the socket itself; each answer would wait 40 ms for an acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        web = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="warning", ws="none"))
        serving = asyncio.create_task(web.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        web.should_exit = True
        await serving


@asynccontextmanager
async def misbehaving(fault: bytes | None, *, at: str, offered: list[dict[str, Any]]) -> AsyncIterator[str]:
    """The address of a server of `offered` tools that answers the MCP method `at` with `fault`, and others well."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _request(reader)
        answer = fault if request.get("method") == at else _well(request, offered)
        if answer is HANG:
            await reader.read()  # until the client gives up
        elif answer is not None:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"


async def _request(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next((int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length:")), 0)
    request: dict[str, Any] = json.loads(await reader.readexactly(length) or b"{}")
    return request


def _well(request: dict[str, Any], offered: list[dict[str, Any]]) -> bytes:
    match request.get("method"):
        case "initialize":
            server = {"name": "misbehaving", "version": "1"}
            told = {"protocolVersion": PROTOCOL, "capabilities": {"tools": {}}, "serverInfo": server}
            return result(request["id"], told)
        case "tools/list":
            return result(request["id"], {"tools": offered})
        case _:
            return http("202 Accepted", "application/json", "")
