"""An MCP server that offers exactly the tools it is given and answers as it is told, well or badly."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations

Respond = Callable[[str, dict[str, Any]], Awaitable[CallToolResult]]


def tool(name: str, *parameters: str, **hints: bool) -> Tool:
    """A tool with `parameters` of any type; `hints` are its annotations, none at all if there are none."""
    return Tool(
        name=name,
        inputSchema={"type": "object", "properties": {parameter: {} for parameter in parameters}},
        annotations=ToolAnnotations(**hints) if hints else None,
    )


def text(words: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=words)], isError=is_error)


def as_json(value: Any) -> CallToolResult:
    """The manner of the existing server: one text block of JSON, and nothing else."""
    return text(json.dumps(value, indent=2))


class ScriptedServer(FastMCP[object]):
    """`respond` gets the name and the arguments of each call; `calls` names those that came."""

    def __init__(self, tools: Sequence[Tool], respond: Respond) -> None:
        root, guard = logging.getLogger(), logging.NullHandler()
        root.addHandler(guard)  # or FastMCP would configure the root logger
        super().__init__("scripted")
        root.removeHandler(guard)
        self.calls: list[str] = []
        self._offered = list(tools)
        self._respond = respond

    async def list_tools(self) -> list[Tool]:
        return self._offered

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls.append(name)
        return await self._respond(name, arguments)
