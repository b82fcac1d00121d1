"""Our own MCP server, of which one tool misbehaves in one way."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, TextContent, Tool

ACCOUNT = re.compile(r"D?U\d{6,}")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Misdeed(StrEnum):
    """What a tool does instead of answering. Only the first three leave undone what was asked."""

    FAILS = "it fails, and says so"
    FAILS_UNMARKED = "it fails in an answer that is not marked as an error"
    HANGS = "it does nothing and never answers"
    NEVER_ANSWERS = "it does what was asked and never answers"
    LATE = "it does what was asked, and answers, when the caller has given up"
    SAME_AGAIN = "it answers every question as it did the first, and does nothing more"
    OTHER_TOOL = "it answers as another tool would"
    TWICE = "it gives its answer twice in one"
    HTML = "it answers with a web page"
    NULL = "it answers null"
    LIST = "it answers with a list"
    EMPTY = "it answers with an empty object"
    ALL_NULL = "every value is null"
    NOT_A_NUMBER = "every number is NaN"
    WRONG_TYPES = "every value is of another type"
    OTHER_ACCOUNT = "it speaks of another account"
    LONG_NAMES = "every text is far too long"
    HUGE = "it answers with more than anybody would read"


UNDONE = (Misdeed.FAILS, Misdeed.FAILS_UNMARKED, Misdeed.HANGS)
SILENT = (Misdeed.HANGS, Misdeed.NEVER_ANSWERS, Misdeed.LATE)


class MisbehavingServer(FastMCP[object]):
    """`inner`, of which the tool `at` commits `misdeed` from the call on for which `begins` says so.

    `calls` counts the calls of each tool; `too_late` is when, in seconds, a caller has surely given up.
    """

    def __init__(
        self, inner: FastMCP[object], at: str, misdeed: Misdeed, begins: Callable[[], bool], *, too_late: float
    ) -> None:
        root, guard = logging.getLogger(), logging.NullHandler()
        root.addHandler(guard)  # or FastMCP would configure the root logger
        super().__init__("misbehaving", log_level="CRITICAL")
        root.removeHandler(guard)
        self.calls: Counter[str] = Counter()
        self._inner = inner
        self._at = at
        self._misdeed = misdeed
        self._begins = begins
        self._too_late = too_late
        self._first: CallToolResult | None = None
        self._running: list[asyncio.Task[Any]] = []

    async def list_tools(self) -> list[Tool]:
        """Without output schemas, or the library would catch what the agent is to catch."""
        return [tool.model_copy(update={"outputSchema": None}) for tool in await self._inner.list_tools()]

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls[name] += 1
        if name != self._at or not self._begins():
            return await self._inner.call_tool(name, arguments)
        if self._misdeed in FAILURES:
            return FAILURES[self._misdeed]
        if self._misdeed is Misdeed.LATE:
            self._running.append(asyncio.create_task(self._later(name, arguments)))
            return await asyncio.shield(self._running[-1])
        if self._misdeed is Misdeed.HANGS:
            await asyncio.Event().wait()
        if self._misdeed is Misdeed.SAME_AGAIN and self._first:
            return self._first
        answer = self._first = _as_text(await self._inner.call_tool(name, arguments))
        if self._misdeed is Misdeed.NEVER_ANSWERS:
            await asyncio.Event().wait()
        if self._misdeed is Misdeed.OTHER_TOOL:
            return await self._inner.call_tool("get_scan_codes", {})
        return _spoilt(answer, self._misdeed)

    async def settled(self) -> None:
        """Once everything that comes late has come."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _later(self, name: str, arguments: dict[str, Any]) -> Any:
        await asyncio.sleep(self._too_late)
        return await self._inner.call_tool(name, arguments)


def _text(words: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=words)], isError=is_error)


FAILURES = {
    Misdeed.FAILS: _text("the gateway is busy", is_error=True),
    Misdeed.FAILS_UNMARKED: _text(json.dumps({"error": "Failed: the gateway is busy"})),
}


def _as_text(answer: Any) -> CallToolResult:
    """A well answer as one block of JSON alone."""
    return _text(json.dumps(answer.structuredContent))


def _spoilt(answer: CallToolResult, misdeed: Misdeed) -> CallToolResult:
    block = answer.content[0]
    assert isinstance(block, TextContent)
    value = json.loads(block.text)
    instead = {
        Misdeed.SAME_AGAIN: block.text,
        Misdeed.HTML: "<html><body><h1>502 Bad Gateway</h1>\r\n</body></html>",
        Misdeed.NULL: "null",
        Misdeed.LIST: json.dumps([value]),
        Misdeed.EMPTY: "{}",
        Misdeed.HUGE: json.dumps({**value, "more": "x" * 11_000_000}) if misdeed is Misdeed.HUGE else "",
    }
    if misdeed is Misdeed.TWICE:
        return CallToolResult(content=[block, block])
    return _text(instead.get(misdeed) or json.dumps(_mapped(value, misdeed)))


def _mapped(value: Any, misdeed: Misdeed) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(inner, misdeed) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, misdeed) for inner in value]
    is_number = type(value) in (int, float) or (isinstance(value, str) and NUMBER.fullmatch(value) is not None)
    spoilt = value
    match misdeed:
        case Misdeed.ALL_NULL:
            spoilt = None
        case Misdeed.NOT_A_NUMBER if is_number:
            spoilt = float("nan")
        case Misdeed.WRONG_TYPES:
            spoilt = {"value": value}
        case Misdeed.OTHER_ACCOUNT if isinstance(value, str):
            spoilt = ACCOUNT.sub("DU0000001", value)
        case Misdeed.LONG_NAMES if isinstance(value, str) and not is_number:
            spoilt = f"{value}\n" + 5_000 * "x"
    return spoilt
