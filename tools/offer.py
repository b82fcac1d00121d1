"""What an MCP server says of itself as a session opens: who it is, and what its tools take and promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool

from tools.connection import Connection
from tools.contract import TOOL_CLASSES, ToolClass
from tools.wire.foreign_text import MOST_OF_A_NAME, one_line


@dataclass(frozen=True)
class OfferedTool:
    """`parameters` are their schemas by name; `has_form` says that the form of its answers is promised."""

    name: str
    parameters: Mapping[str, Any]
    is_annotated: bool
    has_form: bool


@dataclass(frozen=True)
class Offer:
    """A server's name and version in its own words, and its tools under the names of the contract."""

    server: str
    version: str
    tools: tuple[OfferedTool, ...]

    def has(self, tool: str) -> bool:
        return self.find(tool) is not None

    def find(self, tool: str) -> OfferedTool | None:
        return next((offered for offered in self.tools if offered.name == tool), None)

    @property
    def missing(self) -> tuple[str, ...]:
        """The tools of the contract that are not offered."""
        return tuple(tool for tool in TOOL_CLASSES if not self.has(tool))

    def orders_take(self, parameter: str) -> bool:
        """Whether a tool that orders takes that parameter."""
        orders = (tool for tool in self.tools if TOOL_CLASSES.get(tool.name) is ToolClass.ORDER)
        return any(parameter in tool.parameters for tool in orders)


def offer_of(tools: Sequence[BaseTool], connection: Connection, names: Mapping[str, str]) -> Offer:
    """The offer of those `tools`, of which `names` says what the server itself calls them."""
    info = connection.server_info
    return Offer(
        server=one_line(info.name, MOST_OF_A_NAME) if info else "",
        version=one_line(info.version, MOST_OF_A_NAME) if info else "",
        tools=tuple(_offered(tool, connection, names.get(tool.name, tool.name)) for tool in tools),
    )


def _offered(tool: BaseTool, connection: Connection, theirs: str) -> OfferedTool:
    schema = tool.args_schema if isinstance(tool.args_schema, dict) else {}
    parameters = schema.get("properties")
    return OfferedTool(
        name=tool.name,
        parameters=parameters if isinstance(parameters, dict) else {},
        is_annotated=(tool.metadata or {}).get("readOnlyHint") is not None,
        has_form=connection.promises_form(theirs),
    )
