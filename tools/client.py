"""One MCP session to a broker's server, and its tools sorted into what may be read and what may order.

Sorting denies by default: a tool of the known contract has the class the contract gives it; any other tool is readable
only when its server says `readOnlyHint: true` and its name does not sound like an order; the rest is out of reach. The
two halves leave this module apart, so that whoever holds the reading half cannot order.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from anyio import BrokenResourceError, ClosedResourceError
from httpx import HTTPError
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.sessions import Connection, StdioConnection, StreamableHttpConnection, create_session
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp import ClientSession, McpError
from mcp.shared.memory import create_connected_server_and_client_session

from brokers.errors import Retryable, Terminal, Unreachable
from tools.contract import TOOL_CLASSES, ToolClass

if TYPE_CHECKING:
    from mcp.server.fastmcp import FastMCP

STDIO_PREFIX = "stdio:"
ORDER_WORDS = ("order", "place", "cancel", "buy", "sell", "trade", "submit", "modify", "transfer", "exercise", "reply")
CALL_TIMEOUT_SECONDS = 30.0
TRANSPORT_ERRORS = (ClosedResourceError, BrokenResourceError, HTTPError, OSError)


class ToolSet:
    """Some tools of one MCP session, called by name with plain arguments."""

    def __init__(self, tools: Sequence[BaseTool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    @property
    def tools(self) -> tuple[BaseTool, ...]:
        return tuple(self._tools.values())

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The tool's result object.

        Raises:
            Terminal: the server has no such tool here, or answered with an error.
            Retryable: no answer within the time limit; the server may still be running the tool.
            Unreachable: the session is gone.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise Terminal(f"{name}: the MCP server offers no such tool here; nothing was asked of the broker.")
        request = {"name": name, "args": arguments, "id": uuid4().hex, "type": "tool_call"}
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                message = await tool.ainvoke(request)
        except (TimeoutError, McpError) as error:
            raise Retryable(f"{name}: no answer from the MCP server ({str(error) or 'timed out'}).") from error
        except TRANSPORT_ERRORS as error:
            raise Unreachable(f"{name}: the connection to the MCP server broke ({type(error).__name__}).") from error
        return _result(name, message)


def _result(name: str, message: ToolMessage) -> dict[str, Any]:
    """What a tool said: structured content where the server sends it, else the JSON of its one text block."""
    if message.status == "error":
        raise Terminal(f"{name}: {message.text}")
    structured = (message.artifact or {}).get("structured_content")
    result = structured if structured is not None else _parse(name, message.text)
    if not isinstance(result, dict):
        raise Terminal(f"{name}: the MCP server answered with {type(result).__name__} instead of an object.")
    if result.get("error"):
        raise Terminal(f"{name}: {result['error']}")
    return result


def _parse(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Terminal(f"{name}: the MCP server's answer is not JSON ({error}).") from error


@dataclass(frozen=True)
class Toolbox:
    """The tools of one session, sorted; `refused` names those that are out of reach."""

    read: ToolSet
    order: ToolSet
    refused: tuple[str, ...]


def sort_tools(tools: Sequence[BaseTool]) -> Toolbox:
    read, order, refused = [], [], []
    for tool in tools:
        match classify(tool.name, tool.metadata):
            case ToolClass.READ:
                read.append(tool)
            case ToolClass.ORDER:
                order.append(tool)
            case None:
                refused.append(tool.name)
    return Toolbox(read=ToolSet(read), order=ToolSet(order), refused=tuple(refused))


def classify(name: str, annotations: Mapping[str, Any] | None) -> ToolClass | None:
    """READ, ORDER, or None for a tool nobody may touch."""
    if name in TOOL_CLASSES:
        return TOOL_CLASSES[name]
    sounds_like_an_order = any(word in name.lower() for word in ORDER_WORDS)
    if annotations and annotations.get("readOnlyHint") is True and not sounds_like_an_order:
        return ToolClass.READ
    return None


@asynccontextmanager
async def open_toolbox(server: FastMCP | str) -> AsyncIterator[Toolbox]:
    """The sorted tools of `server`: ours in memory, or the one at a URL (`http://…`, or `stdio:COMMAND …`).

    Raises:
        Unreachable: there is no MCP server there, or it does not answer.
    """
    try:
        async with _session(server) as session:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                tools = await load_mcp_tools(session)
            yield sort_tools(tools)
    except BaseExceptionGroup as group:
        # The transports run in task groups, which wrap whatever passes through them, our caller's errors too.
        raise _unwrapped(group, server) from group


def _unwrapped(error: BaseException, server: FastMCP | str) -> BaseException:
    """The one error inside a group, in the house's words where it means that nobody answers."""
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return _unwrapped(error.exceptions[0], server)
    if isinstance(error, (TimeoutError, McpError, *TRANSPORT_ERRORS)):
        return Unreachable(
            f"{server}: no MCP server answers there ({type(error).__name__}); nothing was traded. "
            "Start it, or check mcp_url."
        )
    return error


@asynccontextmanager
async def _session(server: FastMCP | str) -> AsyncIterator[ClientSession]:
    timeout = timedelta(seconds=CALL_TIMEOUT_SECONDS)
    if not isinstance(server, str):
        async with create_connected_server_and_client_session(server, read_timeout_seconds=timeout) as session:
            yield session
        return
    async with create_session(_connection(server)) as session:
        await session.initialize()
        yield session


def _connection(url: str) -> Connection:
    session_kwargs = {"read_timeout_seconds": timedelta(seconds=CALL_TIMEOUT_SECONDS)}
    if url.startswith(STDIO_PREFIX):
        command, *arguments = shlex.split(url.removeprefix(STDIO_PREFIX))
        return StdioConnection(transport="stdio", command=command, args=arguments, session_kwargs=session_kwargs)
    return StreamableHttpConnection(transport="streamable_http", url=url, session_kwargs=session_kwargs)
