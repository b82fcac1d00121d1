"""One MCP session to a server, kept open by a task of its own.

The transports run in task groups, which cancel whoever opened them when the connection breaks. Here that is a task that
does nothing else, so a run outlives its connection: it is told so in one sentence, and keeps what it knows.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import jsonschema_rs
from anyio import BrokenResourceError, ClosedResourceError
from httpx import HTTPError, HTTPStatusError, codes
from langchain_core.tools import ToolException
from langchain_mcp_adapters.sessions import Connection as Transport
from langchain_mcp_adapters.sessions import StdioConnection, StreamableHttpConnection, create_session
from mcp import ClientSession, McpError
from mcp.client.session import MessageHandlerFnT
from mcp.shared.memory import create_connected_server_and_client_session
from mcp.types import CONNECTION_CLOSED, CallToolResult, Implementation

from brokers.errors import BrokerError, Retryable, Terminal, Unreachable
from tools.wire.foreign_text import one_line

if TYPE_CHECKING:
    from mcp.server.fastmcp import FastMCP

Answer = TypeVar("Answer")

STDIO_PREFIX = "stdio:"
CLOSING_SECONDS = 10.0
SESSION_TERMINATED = 32600  # the library's word for HTTP 404; a positive number, unlike the protocol's own codes
BROKEN = (ClosedResourceError, BrokenResourceError, HTTPError, OSError)
# What the libraries raise over an answer that breaks the protocol or the tool's own schema.
UNREADABLE = (ValueError, TypeError, LookupError, RuntimeError, ToolException)


class Connection:
    """An MCP session that is being opened, open, or lost."""

    def __init__(self, server: FastMCP[object] | str, limit_seconds: float) -> None:
        """Begin to open a session; every answer is waited for at most `limit_seconds`.

        Raises:
            Unreachable: `server` is no address that could be opened.
        """
        self.server_name = server_name(server)
        self.server_info: Implementation | None = None if isinstance(server, str) else _info(server)
        self._server = server if not isinstance(server, str) else _transport(server, limit_seconds)
        self._limit = limit_seconds
        self._opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._end: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep_open())

    @property
    def is_lost(self) -> bool:
        """Whether it is known that nothing can be sent any more."""
        return self._end.done() or self._keeper.done()

    async def session(self) -> ClientSession:
        """The session, ready to be asked.

        Raises:
            BrokerError: no server answers, or none that speaks MCP.
        """
        return await self.answer(self.server_name, self._ready())

    async def answer(self, what: str, question: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer to `question`, which `what` names in the error's sentence.

        Raises:
            Retryable: no answer within the time limit; the server may still be at it.
            Unreachable: the connection is lost.
            Terminal: the answer is an error, or cannot be understood.
        """
        asking = asyncio.create_task(question)
        try:
            await asyncio.wait({asking, self._keeper}, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise self._silence(what)
            return asking.result()
        except McpError as error:
            raise self._refusal(what, error) from error
        except BROKEN as error:
            self._give_up(error)
            raise Unreachable(f"{what}: {_broken(error)}.") from error
        except UNREADABLE as error:
            raise Terminal(f"{what}: the MCP server's answer cannot be understood ({one_line(str(error))}).") from error
        finally:
            asking.cancel()

    async def close(self) -> None:
        """Let go of the server, within bounded time whatever state it is in."""
        self._give_up(None)
        await asyncio.wait({self._keeper}, timeout=CLOSING_SECONDS)
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep_open(self) -> None:
        async with _session(self._server, self._limit, self._hear) as session:
            self._opened.set_result(session)
            problem = await self._end
            if problem:
                raise problem

    async def _ready(self) -> ClientSession:
        session = await self._opened
        if isinstance(self._server, dict):  # in memory the session comes initialised
            self.server_info = (await session.initialize()).serverInfo
        return session

    def promises_form(self, tool: str) -> bool:
        """Whether the server gave that tool an output schema as it listed it; then its answers are held to it."""
        return self._opened.done() and self._opened.result()._tool_output_schemas.get(tool) is not None  # noqa: SLF001

    async def _hear(self, message: object) -> None:
        """An answer the HTTP transport could not read belongs to some question, which would wait for it in vain.

        On stdio it may as well be a server's banner, and is passed over.
        """
        over_http = isinstance(self._server, dict) and self._server["transport"] == "streamable_http"
        if over_http and isinstance(message, (ValueError, HTTPError)):
            self._give_up(message)

    def _give_up(self, problem: BaseException | None) -> None:
        if not self._end.done():
            self._end.set_result(problem)

    def _silence(self, what: str) -> BrokerError:
        if not self._keeper.done():
            return Retryable(f"{what}: no answer from the MCP server within {self._limit:g} s.")
        problem = None if self._keeper.cancelled() else self._keeper.exception()
        return Unreachable(f"{what}: {_broken(problem)}.")

    def _refusal(self, what: str, error: McpError) -> BrokerError:
        if error.error.code == codes.REQUEST_TIMEOUT:
            return self._silence(what)
        if error.error.code in (CONNECTION_CLOSED, SESSION_TERMINATED):
            self._give_up(None)
            return Unreachable(f"{what}: the connection to the MCP server broke ({one_line(error.error.message)}).")
        return Terminal(f"{what}: the MCP server refused the question ({one_line(error.error.message)}).")


def _info(server: FastMCP[object]) -> Implementation:
    """What a server in this process says of itself; in memory the session keeps it to itself."""
    told = server._mcp_server.create_initialization_options()  # noqa: SLF001
    return Implementation(name=told.server_name, version=told.server_version)


def server_name(server: FastMCP[object] | str) -> str:
    """What to call `server` on screen and in logs: never with what may be a key, in a URL or on a command line."""
    if not isinstance(server, str):
        return server.name
    if server.startswith(STDIO_PREFIX):
        command, *arguments = server.removeprefix(STDIO_PREFIX).split() or [""]
        return f"{STDIO_PREFIX}{command}{' …' if arguments else ''}"
    address = re.split("[?#]", server)[0]
    return re.sub(r"^(\w+://)?.*@", r"\1", address)


def _broken(problem: BaseException | None) -> str:
    """What happened to the connection, without the address it was to."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    match problem:
        case HTTPStatusError():
            why = f"HTTP {problem.response.status_code}"
        case OSError(strerror=str(words)):
            why = words
        case ValueError():
            return "what answers there is not an MCP server"
        case None:
            why = "closed"
        case _:
            why = type(problem).__name__
    return f"the connection to the MCP server broke ({why})"


@asynccontextmanager
async def _session(
    server: FastMCP[object] | Transport, limit_seconds: float, hear: MessageHandlerFnT
) -> AsyncIterator[ClientSession]:
    if isinstance(server, dict):
        server["session_kwargs"] = {"message_handler": hear, "read_timeout_seconds": timedelta(seconds=limit_seconds)}
        async with create_session(server) as session:
            yield _checking_once(session)
        return
    timeout = timedelta(seconds=limit_seconds)
    async with create_connected_server_and_client_session(server, read_timeout_seconds=timeout) as session:
        yield _checking_once(session)


def _checking_once(session: ClientSession) -> ClientSession:
    """The session with its answers held to their tools' schemas, as the library does, but quicker.

    The library also holds the schema itself to the rules of schemas, at every answer, which took longer than the
    answers; it offers no other seam than its own method.
    """
    schemas = session._tool_output_schemas  # noqa: SLF001
    validators: dict[str, jsonschema_rs.Validator] = {}

    async def validate(name: str, result: CallToolResult) -> None:
        schema = schemas.get(name)
        if schema is None:
            return
        try:
            if name not in validators:
                validators[name] = jsonschema_rs.validator_for(schema)
            problem = next(iter(validators[name].iter_errors(result.structuredContent)), None)
        except Exception as error:
            raise RuntimeError(f"Invalid schema for tool {name}: {error}") from error
        if problem is not None:
            raise RuntimeError(f"Invalid structured content returned by tool {name}: {problem.message}")

    session._validate_tool_result = validate  # type: ignore[method-assign]  # noqa: SLF001
    return session


def _transport(url: str, limit_seconds: float) -> Transport:
    if url.startswith(STDIO_PREFIX):
        return _stdio(url)
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address:
        raise Unreachable(
            f"{server_name(url)!r} is no address of an MCP server; nothing was started. "
            "Write http://HOST:PORT/mcp or stdio:COMMAND as mcp_url."
        )
    return StreamableHttpConnection(transport="streamable_http", url=url, timeout=timedelta(seconds=limit_seconds))


def _stdio(url: str) -> StdioConnection:
    try:
        words = shlex.split(url.removeprefix(STDIO_PREFIX))
    except ValueError:
        words = []
    if not words:
        raise Unreachable(
            f"{server_name(url)!r} names no command, or an unfinished quotation; nothing was started. "
            "Write stdio:COMMAND ARGUMENTS as mcp_url."
        )
    return StdioConnection(transport="stdio", command=words[0], args=words[1:])
