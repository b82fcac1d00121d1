"""The tools of one MCP session, sorted into what may be read and what may order.

Sorting denies by default: a tool of the known contract has the class the contract gives it, unless its server says
otherwise of a reading one; any other tool is readable only when its server says `readOnlyHint: true` and its name does
not sound like an order; the rest is out of reach, and so is a name that is offered twice. The two halves leave this
module apart, so that whoever holds the reading half cannot order.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.tools import load_mcp_tools

from brokers.errors import BrokerError, Terminal, Unreachable
from tools.connection import Connection
from tools.contract import TOOL_CLASSES, UNREACHABLE, Tool, ToolClass
from tools.offer import Offer, offer_of
from tools.turns import Turns
from tools.wire.foreign_text import MOST_OF_A_NAME, one_line, read_json

if TYPE_CHECKING:
    from mcp.server.fastmcp import FastMCP

log = logging.getLogger("smart_agent")

LIMIT_SECONDS = 30.0
MOST_AT_ONCE = 8
MOST_CHARACTERS = 10_000_000
ONE_EACH = frozenset({Tool.FIND_CONTRACT, Tool.GET_MARKET_SNAPSHOT, Tool.GET_HISTORY})
"""Tools that are called for each symbol."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ORDER_WORDS = (
    "order", "place", "cancel", "buy", "sell", "trade", "submit", "modify", "amend", "replace", "confirm", "reply",
    "execute", "exercise", "close", "liquidat", "flatten", "unwind", "rebalanc", "transfer", "withdraw", "deposit",
    "send", "create", "update", "delete", "remove", "write",
)  # fmt: skip


class Tools(Protocol):
    """Some tools, by name: what the account reader and the order desk hold."""

    def __contains__(self, name: str) -> bool: ...

    @property
    def is_lost(self) -> bool:
        """Whether nothing will ever answer here again."""
        ...

    def takes(self, tool: str, parameter: str) -> bool:
        """Whether `tool` is listed here with that parameter; a server of the older kind may lack either."""
        ...

    def check(self, name: str, arguments: Iterable[str]) -> None:
        """Raise what is certain to be wrong with the call before anything is sent; see `ToolSet.check`."""
        ...

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The tool's result object; see `ToolSet.call` for what it raises."""
        ...


class ToolSet:
    """Some tools of one MCP session, called by name with plain arguments."""

    def __init__(self, tools: Sequence[BaseTool], connection: Connection, most_at_once: int) -> None:
        """`most_at_once` calls are under way at a time; the others wait their turn, which has no time limit.

        Those of which there is one for each symbol let the others go first: more hangs on what the account is.
        """
        self._tools = {tool.name: tool for tool in tools}
        self._connection = connection
        self._turns = Turns(most_at_once)

    @property
    def tools(self) -> tuple[BaseTool, ...]:
        return tuple(self._tools.values())

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    @property
    def is_lost(self) -> bool:
        return self._connection.is_lost

    def takes(self, tool: str, parameter: str) -> bool:
        """Whether `tool` is listed here and its input schema names `parameter`."""
        return tool in self._tools and parameter in _parameters(self._tools[tool])[0]

    def check(self, name: str, arguments: Iterable[str]) -> None:
        """Whether the call can be sent at all: what this raises is certain to have happened before anything was sent.

        Raises:
            Terminal: there is no such tool here, or it does not take these arguments. A server may drop one it does
                not know, such as a price, without a word.
            Unreachable: the connection is lost already.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise self._refusal(name)
        known, required = _parameters(tool)
        wrong = [*(set(arguments) - known), *(required - set(arguments))]
        if wrong:
            raise Terminal(
                f"{name}: the MCP server's tool does not agree on {', '.join(sorted(wrong))}; "
                "nothing was asked of the broker. Use a server whose tools keep to the contract."
            )
        if self._connection.is_lost:
            raise Unreachable(f"{name}: the connection to the MCP server is lost; nothing was asked of the broker.")

    def _refusal(self, name: str) -> Terminal:
        """The error for a name that is not here; an attempt at more than reading is recorded, however it is spelt."""
        asked = one_line(name, MOST_OF_A_NAME)
        if TOOL_CLASSES.get(name) is not ToolClass.READ:
            log.warning("%s was asked for where no such tool is within reach; refused, nothing was sent", asked)
        return Terminal(f"{asked}: the MCP server offers no such tool here; nothing was asked of the broker.")

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The tool's result object.

        Raises:
            Terminal: the call cannot be made (see `check`), or was answered with an error or with nonsense.
            Retryable: no answer within the time limit; the server may still be running the tool.
            Unreachable: the connection is lost.
        """
        self.check(name, arguments)
        request = {"name": name, "args": arguments, "id": uuid4().hex, "type": "tool_call"}
        async with self._turns.turn(rank=int(name in ONE_EACH)):
            message = await self._connection.answer(name, self._tools[name].ainvoke(request))
        return _result(name, message)


class NoTools:
    """In place of a session that could not be opened: whatever is asked, it says why."""

    def __init__(self, why: BrokerError) -> None:
        self._why = why

    def __contains__(self, name: str) -> bool:
        raise self._why

    @property
    def is_lost(self) -> bool:
        return True

    def takes(self, tool: str, parameter: str) -> bool:  # noqa: ARG002  (as `ToolSet`)
        raise self._why

    def check(self, name: str, arguments: Iterable[str]) -> None:  # noqa: ARG002
        raise self._why

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:  # noqa: ARG002
        raise self._why


def _parameters(tool: BaseTool) -> tuple[set[str], set[str]]:
    """The parameters a tool takes, and those among them it must be given."""
    schema = tool.args_schema if isinstance(tool.args_schema, dict) else {}
    known, required = schema.get("properties"), schema.get("required")
    return set(known if isinstance(known, dict) else ()), set(required if isinstance(required, list) else ())


def _result(name: str, message: ToolMessage) -> dict[str, Any]:
    """What a tool said: structured content where the server sends it, else the JSON of its one text block."""
    if message.status == "error":
        said = one_line(message.text)
        if said.startswith(UNREACHABLE):
            raise Unreachable(said.removeprefix(UNREACHABLE))
        raise Terminal(f"{name}: {said}")
    result = (message.artifact or {}).get("structured_content")
    # Newer servers wrap the text of a tool that returns text.
    if result is None or (result.keys() == {"result"} and isinstance(result["result"], str)):
        result = _parse(name, message.text)
    if not isinstance(result, dict):
        raise Terminal(f"{name}: the MCP server answered with {type(result).__name__} instead of an object.")
    if result.get("error"):
        raise Terminal(f"{name}: {one_line(str(result['error']))}")
    return result


def _parse(name: str, text: str) -> Any:
    if len(text) > MOST_CHARACTERS:
        raise Terminal(f"{name}: the MCP server's answer of {len(text)} characters is too long to be an answer.")
    try:
        return read_json(text)
    except (ValueError, RecursionError) as error:
        raise Terminal(f"{name}: the MCP server's answer is not JSON ({one_line(str(error))}).") from error


@dataclass(frozen=True)
class Toolbox:
    """The tools of one session, sorted; `refused` are out of reach, `offer` is what the server says of itself."""

    read: ToolSet
    order: ToolSet
    refused: tuple[str, ...]
    offer: Offer


def sort_tools(tools: Sequence[BaseTool], connection: Connection, most_at_once: int, offer: Offer) -> Toolbox:
    offered = Counter(tool.name for tool in tools)
    sorted_: dict[ToolClass | None, list[BaseTool]] = {ToolClass.READ: [], ToolClass.ORDER: [], None: []}
    for tool in tools:
        sorted_[classify(tool.name, tool.metadata) if offered[tool.name] == 1 else None].append(tool)
    return Toolbox(
        read=ToolSet(sorted_[ToolClass.READ], connection, most_at_once),
        order=ToolSet(sorted_[ToolClass.ORDER], connection, most_at_once),
        refused=tuple(tool.name for tool in sorted_[None]),
        offer=offer,
    )


def classify(name: str, annotations: Mapping[str, Any] | None) -> ToolClass | None:
    """READ, ORDER, or None for a tool nobody may touch."""
    hints = annotations or {}
    if hints.get("readOnlyHint") is False or hints.get("destructiveHint") is True:
        # Its server says that it acts; then it reads under no name.
        return ToolClass.ORDER if TOOL_CLASSES.get(name) is ToolClass.ORDER else None
    if name in TOOL_CLASSES:
        return TOOL_CLASSES[name]
    sounds_like_an_order = any(word in name.lower() for word in ORDER_WORDS)
    if hints.get("readOnlyHint") is True and NAME.fullmatch(name) and not sounds_like_an_order:
        return ToolClass.READ
    return None


@asynccontextmanager
async def open_toolbox(
    server: FastMCP[object] | str,
    *,
    limit_seconds: float = LIMIT_SECONDS,
    most_at_once: int = MOST_AT_ONCE,
    names: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Toolbox]:
    """The sorted tools of `server`: ours in memory, or the one at a URL (`http://…`, or `stdio:COMMAND …`).

    Every answer is waited for at most `limit_seconds`. `names` says what the server calls tools of the contract that it
    has under other names. What the caller raises comes out as it is.

    Raises:
        Unreachable: there is no MCP server there, or it does not answer.
        Terminal: `names` speaks of a tool that is not of the contract, or that the server does not offer.
    """
    connection = Connection(server, limit_seconds)
    try:
        tools = renamed(await _tools(connection), names)
        yield sort_tools(tools, connection, most_at_once, offer_of(tools, connection, names))
    finally:
        await connection.close()


def renamed(tools: Sequence[BaseTool], names: Mapping[str, str]) -> list[BaseTool]:
    """The tools, those that `names` speaks of under their names in the contract.

    Raises:
        Terminal: a name is not of the contract or not of the server, or would let an order tool pass for a reading one.
    """
    offered = [tool.name for tool in tools]
    for ours, theirs in names.items():
        if ours not in TOOL_CLASSES:
            raise Terminal(f"mcp_tool_names: {one_line(ours)} is no tool of the contract; nothing was asked.")
        if theirs not in offered:
            listed = one_line(", ".join(offered) or "none")
            raise Terminal(
                f"mcp_tool_names: {ours} should be {one_line(theirs)!r}, which the MCP server does not offer; "
                f"nothing was asked. It offers {listed}."
            )
        if TOOL_CLASSES[ours] is ToolClass.READ and TOOL_CLASSES.get(theirs) is ToolClass.ORDER:
            raise Terminal(f"mcp_tool_names: {theirs} sends orders and cannot be {ours}; nothing was asked.")
    ours_of = {theirs: ours for ours, theirs in names.items()}
    return [tool.model_copy(update={"name": ours_of[tool.name]}) if tool.name in ours_of else tool for tool in tools]


async def _tools(connection: Connection) -> list[BaseTool]:
    try:
        session = await connection.session()
        return await connection.answer(connection.server_name, load_mcp_tools(session))
    except BrokerError as error:
        raise Unreachable(f"{error} Nothing was traded. Start the MCP server there, or check mcp_url.") from error
