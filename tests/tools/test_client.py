"""The client against servers of every kind: what it lets through, and how it says that something broke."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import AudioContent, CallToolResult, TextContent, Tool

from brokers.errors import BrokerError, Retryable, Terminal, Unreachable
from brokers.simulated import open_simulated
from tests.simulators.http_server import ENOUGH_TO_OPEN, HANG, http, misbehaving
from tests.simulators.scripted_server import Respond, ScriptedServer, as_json, text, tool
from tools.client import MOST_CHARACTERS, ORDER_WORDS, Toolbox, classify, open_toolbox
from tools.contract import TOOL_CLASSES, ToolClass
from tools.server import build_server

SHORT = 0.3
ASK = tool("get_accounts")
READ_ONLY = {"readOnlyHint": True}
FAULTS = {
    "404": http("404 Not Found", "text/plain", "no such page"),
    "500": http("500 Internal Server Error", "text/plain", "oh no"),
    "401": http("401 Unauthorized", "application/json", '{"detail": "log in"}'),
    "redirect": b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "page": http("200 OK", "text/html", "<h1>Welcome</h1>"),
    "json": http("200 OK", "application/json", '{"hello": "world"}'),
    "broken json": http("200 OK", "application/json", '{"jsonrpc": "2.0", "id"'),
    "half": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "closed": None,
    "silence": HANG,
}


def a_sentence(error: BaseException) -> bool:
    """Fit for an investor: short, one line, with an end, and without the libraries' own words for groups."""
    words = str(error)
    return words.isprintable() and len(words) < 700 and words.endswith((".", ").")) and "TaskGroup" not in words


async def accounts(_name: str, _arguments: dict[str, Any]) -> CallToolResult:
    return as_json({"accounts": [], "count": 0})


def saying(answer: CallToolResult) -> Respond:
    async def respond(_name: str, _arguments: dict[str, Any]) -> CallToolResult:
        return answer

    return respond


# --- which tools may be held ------------------------------------------------------------------------------------


async def test_of_our_own_server_every_tool_is_sorted_and_only_two_order(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=date(2026, 1, 16))
    async with open_toolbox(build_server(broker)) as box:
        assert {held.name for held in box.order.tools} == {"place_order", "cancel_order"}
        assert {held.name for held in box.read.tools} == {n for n, kind in TOOL_CLASSES.items() if kind == "READ"}
        assert box.refused == ()
    await broker.close()


@pytest.mark.parametrize(
    ("name", "hints", "kind"),
    [
        ("get_positions", None, ToolClass.READ),
        ("get_positions", {"title": "Positions"}, ToolClass.READ),
        ("get_positions", {"readOnlyHint": False}, None),
        ("get_positions", {"destructiveHint": True}, None),
        ("place_order", None, ToolClass.ORDER),
        ("place_order", READ_ONLY, ToolClass.ORDER),
        ("cancel_order", {"destructiveHint": True}, ToolClass.ORDER),
        ("get_news", READ_ONLY, ToolClass.READ),
        ("get_news", None, None),
        ("get_news", {}, None),
        ("get_news", {"readOnlyHint": None}, None),
        ("get_news", {"readOnlyHint": "true"}, None),
        ("get_news", {"readOnlyHint": True, "destructiveHint": True}, None),
        ("Place_Order", READ_ONLY, None),
        ("placeOrder", READ_ONLY, None),
        ("quick_BUY", READ_ONLY, None),
        ("liquidate_all", READ_ONLY, None),
        ("close_position", READ_ONLY, None),
        ("reply_to_question", READ_ONLY, None),
        ("рlace", READ_ONLY, None),  # noqa: RUF001 - the first letter is Cyrillic
        ("get news", READ_ONLY, None),
        ("", READ_ONLY, None),
    ],
)
def test_a_tool_is_out_of_reach_unless_it_is_known_to_read(
    name: str, hints: dict[str, Any] | None, kind: ToolClass | None
) -> None:
    """Promise 1: a hint is a claim of the server; it opens a tool only where the name does not speak against it."""
    assert classify(name, hints) is kind


@given(
    st.text(max_size=10),
    st.sampled_from(ORDER_WORDS),
    st.text(max_size=10),
    st.sampled_from([None, READ_ONLY, {"readOnlyHint": True, "idempotentHint": True}]),
)
def test_no_name_that_sounds_like_an_order_is_ever_readable(
    before: str, word: str, after: str, hints: dict[str, Any] | None
) -> None:
    name = f"{before}{word}{after}"
    assert name in TOOL_CLASSES or classify(name, hints) is None
    assert name.upper() in TOOL_CLASSES or classify(name.upper(), hints) is None


async def test_a_name_offered_twice_is_out_of_reach() -> None:
    """On the wire both are the same call, so nobody can tell which of them would run."""
    offered = [ASK, tool("get_news", **READ_ONLY), tool("get_news"), tool("place_order"), tool("place_order")]
    async with open_toolbox(ScriptedServer(offered, accounts)) as box:
        assert [held.name for held in box.read.tools] == ["get_accounts"]
        assert box.order.tools == ()
        assert box.refused == ("get_news", "get_news", "place_order", "place_order")


async def test_what_is_out_of_reach_cannot_be_called_by_name() -> None:
    server = ScriptedServer([ASK, tool("place_order", "conid"), tool("wipe_account")], accounts)
    async with open_toolbox(server) as box:
        for name in ("place_order", "wipe_account", "no_such_tool"):
            with pytest.raises(Terminal, match=rf"{name}.*nothing was asked"):
                await box.read.call(name)
    assert server.calls == []


async def test_an_argument_the_tool_does_not_take_is_never_sent() -> None:
    """Many servers drop it in silence, and a dropped price makes a market order."""
    server = ScriptedServer([tool("whatif_order", "conid", "limit_price"), ASK], accounts)
    needy = tool("get_ledger", "account_id")
    needy.inputSchema["required"] = ["account_id"]
    server._offered.append(needy)
    async with open_toolbox(server) as box:
        with pytest.raises(Terminal, match=r"does not agree on price;"):
            await box.read.call("whatif_order", conid=1, price=2.5)
        with pytest.raises(Terminal, match="does not agree on account_id;"):
            await box.read.call("get_ledger")
    assert server.calls == []


# --- what a server may answer -----------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[CallToolResult, str]] = {
    "error": (as_json({"error": "Failed to get accounts: 503\n  try later"}), "Failed to get accounts: 503 try later"),
    "error beside rows": (as_json({"accounts": [], "count": 0, "error": "timeout"}), "timeout"),
    "marked error": (text("Wrong\x1b[2J\nargument", is_error=True), "Wrong"),
    "empty error": (CallToolResult(content=[], isError=True), "empty content"),
    "prose": (text("I could not find your accounts."), "not JSON"),
    "nothing": (CallToolResult(content=[]), "not JSON"),
    "two blocks": (CallToolResult(content=[*as_json({}).content, *as_json({}).content]), "not JSON"),
    "NaN": (text('{"accounts": [], "count": NaN}'), "NaN is not a number"),
    "Infinity": (text('{"accounts": [], "count": -Infinity}'), "-Infinity is not a number"),
    "list": (as_json([1, 2]), "list instead of an object"),
    "null": (text("null"), "NoneType instead of an object"),
    "deep": (text("[" * 100_000), "not JSON"),
    "huge number": (text('{"count": ' + "9" * 5_000 + "}"), "not JSON"),
    "too long": (text("x" * (MOST_CHARACTERS + 1)), "too long"),
    "long error": (as_json({"error": "no " * 100_000}), "no no"),
    "audio": (
        CallToolResult(content=[AudioContent(type="audio", data="AAAA", mimeType="audio/wav")]),
        "cannot be understood",
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_that_is_no_result_is_an_error_of_one_sentence(kind: str) -> None:
    answer, why = ANSWERS[kind]
    async with open_toolbox(ScriptedServer([ASK], saying(answer))) as box:
        with pytest.raises(Terminal, match=why) as raised:
            await box.read.call("get_accounts")
    words = str(raised.value)
    assert words.isprintable()
    assert words.startswith("get_accounts: ")
    assert len(words) < 600


@pytest.mark.parametrize("structured", [{"count": "many"}, {"count": float("nan")}, {}])
async def test_an_answer_against_the_tools_own_schema_is_an_error(structured: dict[str, Any]) -> None:
    strict = ASK.model_copy(update={"outputSchema": {"type": "object", "required": ["count", "accounts"]}})
    answer = CallToolResult(content=[], structuredContent=structured)
    async with open_toolbox(ScriptedServer([strict], saying(answer))) as box:
        with pytest.raises(Terminal, match="cannot be understood"):
            await box.read.call("get_accounts")


async def test_structured_content_is_preferred_and_text_that_is_wrapped_in_it_is_unwrapped() -> None:
    told = {"accounts": [], "count": 0}
    prose = [TextContent(type="text", text="none")]
    async with open_toolbox(ScriptedServer([ASK], saying(CallToolResult(content=prose, structuredContent=told)))) as b:
        assert await b.read.call("get_accounts") == told
    wrapped = as_json(told).model_copy(update={"structuredContent": {"result": "{}"}})
    async with open_toolbox(ScriptedServer([ASK], saying(wrapped))) as box:
        assert await box.read.call("get_accounts") == told


async def test_a_server_that_does_not_answer_in_time_can_be_asked_again() -> None:
    waits = iter([True, False])

    async def respond(name: str, arguments: dict[str, Any]) -> CallToolResult:
        if next(waits):
            await asyncio.Event().wait()
        return await accounts(name, arguments)

    async with open_toolbox(ScriptedServer([ASK], respond), limit_seconds=ENOUGH_TO_OPEN) as box:
        with pytest.raises(Retryable, match=r"no answer from the MCP server within 3 s") as raised:
            await box.read.call("get_accounts")
        assert not isinstance(raised.value, Unreachable)
        assert await box.read.call("get_accounts") == {"accounts": [], "count": 0}


# --- what breaks ------------------------------------------------------------------------------------------------

NOWHERE = [
    "http://127.0.0.1:9/mcp",
    "http://[::1",
    "http://127.0.0.1:99999/mcp",
    "http:///mcp",
    "ftp://127.0.0.1/mcp",
    "127.0.0.1:8001/mcp",
    "",
    "stdio:",
    "stdio:   ",
    'stdio:python "unfinished',
    "stdio:/no/such/command --now",
    "stdio:/etc/passwd",
    "stdio:true",
    "stdio:echo hello",
    f"stdio:{sys.executable} -c 'raise SystemExit(3)'",
    f"stdio:{sys.executable} -c 'import sys; print(1, flush=True); sys.stdin.read()'",
]


@pytest.mark.parametrize("address", NOWHERE)
async def test_an_address_without_a_server_is_unreachable_in_one_sentence_and_soon(address: str) -> None:
    begun = time.monotonic()
    with pytest.raises(Unreachable) as raised:
        async with open_toolbox(address, limit_seconds=1.0):
            pytest.fail("there is no server there")
    assert a_sentence(raised.value)
    assert "nothing was" in str(raised.value).lower()
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("method", ["initialize", "tools/list"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_web_server_that_is_no_mcp_server_is_unreachable(fault: str, method: str) -> None:
    async with misbehaving(FAULTS[fault], at=method, offered=[]) as address:
        with pytest.raises(Unreachable) as raised:
            async with open_toolbox(address, limit_seconds=SHORT):
                pytest.fail("nothing there speaks MCP")
    assert a_sentence(raised.value)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_server_that_breaks_in_the_middle_of_a_call_is_told_from_inside_the_session(fault: str) -> None:
    """The run must live on to record what it did: nothing may cancel it, whatever happens to the connection."""
    offered = [ASK.model_dump(exclude_none=True)]
    async with (
        misbehaving(FAULTS[fault], at="tools/call", offered=offered) as address,
        open_toolbox(address, limit_seconds=ENOUGH_TO_OPEN) as box,
    ):
        with pytest.raises(Retryable) as raised:
            await box.read.call("get_accounts")
        assert a_sentence(raised.value)
        if isinstance(raised.value, Unreachable):
            with pytest.raises(Unreachable, match="nothing was asked"):
                await box.read.call("get_accounts")
        await asyncio.to_thread(lambda: None)  # a cancelled caller would not come back from here


@pytest.mark.parametrize("fault", ["page", "json", "broken json"])
async def test_an_answer_that_is_not_mcp_is_told_at_once_and_not_waited_for(fault: str) -> None:
    offered = [ASK.model_dump(exclude_none=True)]
    async with misbehaving(FAULTS[fault], at="tools/call", offered=offered) as address, open_toolbox(address) as box:
        with pytest.raises(Unreachable, match="what answers there is not an MCP server"):
            await box.read.call("get_accounts")


STDIO_SERVER = """
import os, sys
from mcp.server.fastmcp import FastMCP
print("Starting up ...", flush=True)
app = FastMCP("fragile")
@app.tool()
def get_accounts() -> dict:
    return {"accounts": [], "count": 0}
@app.tool()
def get_pnl() -> dict:
    os._exit(1)
app.run("stdio")
"""


async def test_a_stdio_server_may_print_a_banner_and_its_death_is_told(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(STDIO_SERVER)
    async with open_toolbox(f"stdio:{sys.executable} {script}", limit_seconds=20) as box:
        assert await box.read.call("get_accounts") == {"accounts": [], "count": 0}
        for _ in range(2):
            with pytest.raises(Unreachable) as raised:
                await box.read.call("get_pnl")
            assert a_sentence(raised.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:s3cret@127.0.0.1:9/mcp?token=s3cret", "http://127.0.0.1:9/mcp"),
        ("stdio:/no/such/command --token s3cret", "stdio:/no/such/command …"),
        ("s3cret@nowhere?s3cret", "nowhere"),
    ],
)
async def test_keys_in_an_address_are_not_repeated(address: str, shown: str) -> None:
    """Promise 8: the sentence goes to the screen and the log."""
    with pytest.raises(Unreachable) as raised:
        async with open_toolbox(address, limit_seconds=SHORT):
            pytest.fail("there is no server there")
    assert "s3cret" not in str(raised.value)
    assert shown in str(raised.value)


# --- the caller -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(kind: str) -> AsyncIterator[Toolbox]:
    if kind == "memory":
        async with open_toolbox(ScriptedServer([ASK], accounts)) as box:
            yield box
    else:
        offered = [ASK.model_dump(exclude_none=True)]
        async with misbehaving(None, at="none", offered=offered) as address, open_toolbox(address) as box:
            yield box


CALLERS = [
    KeyError("mine"),
    Terminal("mine."),
    TimeoutError("mine"),
    OSError("mine"),
    ExceptionGroup("mine", [OSError()]),
]


@pytest.mark.parametrize("kind", ["memory", "http"])
@pytest.mark.parametrize("error", CALLERS, ids=lambda error: type(error).__name__)
async def test_what_the_caller_raises_comes_out_as_it_is(kind: str, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        async with opened(kind):
            raise error
    assert raised.value is error


async def test_a_cancelled_caller_leaves_at_once_and_the_server_with_him() -> None:
    asked = asyncio.Event()

    async def respond(_name: str, _arguments: dict[str, Any]) -> CallToolResult:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def call() -> None:
        async with open_toolbox(ScriptedServer([ASK], respond)) as box:
            await box.read.call("get_accounts")

    calling = asyncio.create_task(call())
    await asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_questions_asked_side_by_side_get_their_own_answers() -> None:
    async def respond(_name: str, arguments: dict[str, Any]) -> CallToolResult:
        return as_json({"echo": arguments["conid"]})

    offered: list[Tool] = [tool("get_market_snapshot", "conid")]
    async with open_toolbox(ScriptedServer(offered, respond)) as box:
        answers = await asyncio.gather(*(box.read.call("get_market_snapshot", conid=n) for n in range(50)))
    assert [answer["echo"] for answer in answers] == list(range(50))


async def test_every_error_of_a_closed_toolbox_is_a_brokers_error() -> None:
    async with open_toolbox(ScriptedServer([ASK], accounts)) as box:
        pass
    with pytest.raises(BrokerError, match="lost"):
        await box.read.call("get_accounts")


# --- other names, and how many at once ------------------------------------------------------------------------------


async def test_tools_under_other_names_are_those_of_the_contract() -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    async def respond(name: str, arguments: dict[str, Any]) -> CallToolResult:
        asked.append((name, arguments))
        return as_json({"accounts": [], "count": 0})

    server = ScriptedServer([tool("ib_accounts"), tool("ib_send", "conid")], respond)
    names = {"get_accounts": "ib_accounts", "place_order": "ib_send"}
    async with open_toolbox(server, names=names) as box:
        assert [held.name for held in box.read.tools] == ["get_accounts"]
        assert [held.name for held in box.order.tools] == ["place_order"]
        assert box.refused == ()
        await box.read.call("get_accounts")
        with pytest.raises(Terminal):
            await box.read.call("ib_send", conid=1)
    assert asked == [("ib_accounts", {})]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"get_acounts": "ib_accounts"}, "get_acounts is no tool of the contract"),
        ({"get_accounts": "accounts"}, "'accounts', which the MCP server does not offer.*ib_accounts, place_order"),
        ({"get_positions": "place_order"}, "place_order sends orders and cannot be get_positions"),
    ],
)
async def test_a_name_that_means_nothing_or_would_hide_an_order_is_told_at_the_start(
    names: dict[str, str], words: str
) -> None:
    server = ScriptedServer([tool("ib_accounts"), tool("place_order")], accounts)
    with pytest.raises(Terminal, match=words):
        async with open_toolbox(server, names=names):
            pass
    assert server.calls == []


async def test_a_name_that_is_there_already_and_given_again_is_out_of_reach() -> None:
    server = ScriptedServer([tool("get_accounts"), tool("ib_accounts")], accounts)
    async with open_toolbox(server, names={"get_accounts": "ib_accounts"}) as box:
        assert box.read.tools == ()
        assert box.refused == ("get_accounts", "get_accounts")


@pytest.mark.parametrize("most", [1, 3])
async def test_no_more_questions_are_under_way_than_are_allowed(most: int) -> None:
    under_way, seen = 0, 0

    async def respond(_name: str, _arguments: dict[str, Any]) -> CallToolResult:
        nonlocal under_way, seen
        under_way += 1
        seen = max(seen, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return as_json({"accounts": [], "count": 0})

    async with open_toolbox(ScriptedServer([ASK], respond), most_at_once=most) as box:
        await asyncio.gather(*(box.read.call("get_accounts") for _ in range(9)))
    assert seen == most
