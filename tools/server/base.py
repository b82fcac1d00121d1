"""The MCP server's manners: whose account is meant, and how a failure is told.

A failure is an answer marked as an error, in one sentence, instead of the exception's path through the library; and an
unknown parameter is refused, because the library would drop a misspelt `price` in silence and send a market order.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from importlib.metadata import version
from inspect import cleandoc
from types import MethodType
from typing import Any

from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.fastmcp.tools import Tool as OfferedTool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import ValidationError

from brokers.errors import BrokerError, Terminal, Unreachable
from brokers.protocol import Broker
from tools.contract import TOOL_CLASSES, UNREACHABLE, Tool, ToolClass
from tools.rows.base import Row

BAD_REQUEST = 321  # IB's code for a request that cannot be understood

HINTS = {
    ToolClass.READ: ToolAnnotations(readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=True),
    ToolClass.ORDER: ToolAnnotations(readOnlyHint=False, destructiveHint=True, idempotentHint=True, openWorldHint=True),
}


class BrokerTools:
    """A group of tools over one broker; a subclass's public coroutines are the tools, under their own names."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def _account(self, account_id: str | None) -> str:
        """The account meant: the one named if the broker has it, the only one if none is named.

        Raises:
            Terminal: the broker has no such account, or several and none was named.
        """
        known = [account.account_id for account in await self._broker.accounts()]
        if account_id in known:
            return account_id
        listed = ", ".join(known) or "none"
        if account_id is not None:
            raise Terminal(
                f"Account {account_id} is not here, so nothing was done; accounts: {listed}.", code=BAD_REQUEST
            )
        if len(known) != 1:
            raise Terminal(f"Name an account_id, as there is not exactly one account: {listed}.", code=BAD_REQUEST)
        return known[0]


class BrokerServer(FastMCP[object]):
    """FastMCP without its log handler on the root logger, and with errors that a person can read."""

    def __init__(
        self, name: str, tools: Iterable[Callable[..., Awaitable[Row]]], *, instructions: str, host: str, port: int
    ) -> None:
        """Offer `tools`, methods of `BrokerTools`, under their own names, which must be of the contract."""
        # FastMCP configures the root logger of whoever builds it, unless that logger has a handler already.
        root, guard = logging.getLogger(), logging.NullHandler()
        root.addHandler(guard)
        try:
            super().__init__(
                name,
                tools=[_offered(function) for function in tools],
                instructions=instructions,
                host=host,
                port=port,
                log_level="WARNING",  # uvicorn writes its access log, at INFO, on stdout
                stateless_http=True,  # the broker keeps all state, so a restarted server strands no client
                json_response=True,
            )
        finally:
            root.removeHandler(guard)
        self._mcp_server.version = version("smart-trading-agent")  # else the library's own is told

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a tool; every failure becomes a ToolError of one sentence.

        The result is handed on as a whole: its rows are typed, and the library would hold each answer against its
        schema, and the schema against its own, which takes longer than most answers.
        """
        self._refuse_unknown(name, arguments)
        try:
            content, structured = await super().call_tool(name, arguments)
            return CallToolResult(content=list(content), structuredContent=structured)
        except ToolError as error:
            match error.__cause__:
                case BrokerError() as cause:
                    raise ToolError(words(cause)) from error
                case ValidationError() as cause if cause.title.endswith(ARGUMENTS):
                    raise ToolError(f"{name}: {_bad_arguments(cause)}; nothing was done.") from error
                case ValidationError() as cause:
                    raise ToolError(f"{name}: the broker's answer cannot be used ({_bad_arguments(cause)}).") from error
                case _:
                    raise

    def _refuse_unknown(self, name: str, arguments: dict[str, Any]) -> None:
        tool = self._tool_manager.get_tool(name)
        if tool is None:
            return
        known = tool.parameters["properties"]
        unknown = [key for key in arguments if key not in known]
        if unknown:
            takes = ", ".join(known) or "none"
            raise ToolError(f"{name}: unknown parameter {', '.join(unknown)}; nothing was done. It takes {takes}.")


ARGUMENTS = "Arguments"
"""How the library's model of a tool's arguments is called."""


def _offered(method: Any) -> OfferedTool:
    """The tool that a bound method is."""
    return _described(method.__func__).model_copy(update={"fn": method})


@cache
def _described(function: Callable[..., Any]) -> OfferedTool:
    """The tool that a method of that name would be, with its schemas, which are worked out once a process."""
    return OfferedTool.from_function(
        MethodType(function, object()),
        description=cleandoc(function.__doc__ or ""),
        annotations=HINTS[TOOL_CLASSES[Tool(function.__name__)]],
        structured_output=True,
    )


def words(error: BrokerError) -> str:
    """The broker's sentence, led by IB's code where it has one and does not tell it, or by: nobody was there."""
    message = str(error)
    if isinstance(error, Unreachable):
        return UNREACHABLE + message
    lead = f"{error.code}: " if error.code is not None else ""
    is_told = message.startswith(lead) or f"({error.code})" in message
    return message if is_told else lead + message


def _bad_arguments(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']} (got {problem['input']!r})"
        for problem in error.errors(include_url=False)
    )
