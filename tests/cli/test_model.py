"""A model in front of a person: what a run shows of it, what `prompt` prints, and who else is told."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cli.screens import think_screen
from config.home import Home
from graph.state import State
from portfolio.models import TradePlan
from tests.portfolio.cases import SNAPSHOT, make_settings
from tests.simulators.careful_model import careful
from tests.simulators.model_server import Fail, ModelServer, Script, model_server, serving

SMART_AGENT = Path(sys.executable).with_name("smart-agent")
KEY = "sk-test-0123456789"
DAY = ("--as-of", "2026-06-15")


def environment(server: ModelServer | None = None, **variables: str) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
    plain |= {"LANG": "C.UTF-8", "TERM": "xterm-256color", **variables}
    return plain if server is None else plain | {"OPENAI_BASE_URL": server.url, "SMART_AGENT_MODEL": "careful"}


async def smart_agent(home: Home, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr, while the servers of this test's loop go on serving."""
    command = [str(SMART_AGENT), *arguments, "--home", str(home.root)]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, env=variables, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


@pytest.mark.slow
async def test_a_terminal_shows_what_the_model_says_looks_up_and_decides(home: Home) -> None:
    async with model_server(careful) as server:
        arguments = ["run", "--home", str(home.root), *DAY]
        child = pexpect.spawn(
            str(SMART_AGENT), arguments, env=environment(server), dimensions=(60, 100), encoding="utf-8", timeout=60
        )
        shown = await child.expect(pexpect.EOF, async_=True), child.before
    text = shown[1] or ""
    for words in (
        "The growth bucket is far above its target.",
        "looked up",
        "price_statistics",
        "check_trades",
        "careful made 3 trading decisions",
        "added",
        "left out BUY 2",
        "Struck",
        "no source has it",
        "careful: 3 calls, 6 tools, 8,600 tokens read and 600 written, cost unknown",
        "Completed 3 of 3 trades.",
    ):
        assert words in text, words
    assert '"trades"' not in text.replace('{"trades": [{"symbol": "IWM"', "")


@pytest.mark.slow
async def test_in_a_pipe_the_same_facts_are_plain_lines_and_the_record_is_data(home: Home) -> None:
    async with model_server(careful) as server:
        code, out, err = await smart_agent(home, "run", "--json", *DAY, **environment(server))
    record = json.loads(out)
    assert code == 0
    assert record["plan"]["source"] == "careful"
    assert record["thought"]["struck"] == [{"symbol": "IWM", "words": "31.4 %", "why": "no source has it"}]
    assert record["usage"]["model_calls"] == 3
    assert "looked up price statistics NVDA → last_close" in err
    assert "~~31.4 %~~" in err
    assert "\x1b" not in err
    _, explained, _ = await smart_agent(home, "explain", record["run_id"], **environment())
    for words in (
        "Plan of careful.",
        "VOO left out BUY 2",
        "IWM ✓ last of IWM 252.33 USD (snapshot)",
        "struck: IWM 31.4 %",
    ):
        assert words in explained


@pytest.mark.parametrize(("mode", "lines"), [("model", 1), ("shadow", 1), ("rules", 0)])
def test_without_a_key_one_quiet_line_says_so_where_a_model_is_wanted(mode: Any, lines: int) -> None:
    state: State = {"plan": TradePlan(source="rules", trades=()), "snapshot": SNAPSHOT}
    shown = io.StringIO()
    Console(file=shown, width=100).print(think_screen(state, make_settings(think_mode=mode)))
    assert shown.getvalue().count("OPENAI_API_KEY") == lines


@pytest.mark.slow
async def test_a_key_that_is_refused_costs_one_sentence(home: Home) -> None:
    async with model_server(lambda _body, _number: Fail(401, f"Incorrect API key provided: {KEY}")) as server:
        code, out, err = await smart_agent(home, "run", *DAY, **environment(server, OPENAI_API_KEY=KEY))
    assert code == 0
    assert (
        "refused the key in OPENAI_API_KEY (HTTP 401): set one that is valid there; the rules' plan stands."
        in " ".join(out.split())
    )
    assert "Traceback" not in err
    assert KEY not in out + err
    assert not [file for file in home.root.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("answer", [careful, lambda _body, _number: Fail(401, f"Incorrect API key provided: {KEY}")])
async def test_no_file_holds_a_secret_however_much_is_logged(home: Home, answer: Script) -> None:
    """Promise 8, with the libraries that hold the key at their most talkative."""
    others = {"LANGSMITH_API_KEY": "ls-never-told-either", "BANK_PASSWORD": "correct horse battery"}
    async with model_server(answer) as server:
        code, out, err = await smart_agent(
            home, "run", *DAY, **environment(server, OPENAI_API_KEY=KEY, LOG_LEVEL="DEBUG", **others)
        )
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert code == 0, err
    files = [file for file in home.root.rglob("*") if file.is_file()]
    assert b" httpcore2.connection: " in (home.root / "trading_log.log").read_bytes()
    for secret in (KEY, *others.values()):
        assert secret not in out + err
        assert not [file for file in files if secret.encode() in file.read_bytes()]


@pytest.mark.slow
async def test_the_prompt_is_printed_exactly_as_a_run_would_send_it(home: Home) -> None:
    async with model_server(careful) as server:
        code, printed, _ = await smart_agent(home, "prompt", "think", "--json", *DAY, **environment(server))
        assert code == 0
        assert server.requests == []
        await smart_agent(home, "run", *DAY, **environment(server))
        assert json.loads(printed) == server.requests[0]


@pytest.mark.slow
async def test_the_prompt_reads_well_and_needs_no_key(home: Home) -> None:
    code, printed, err = await smart_agent(home, "prompt", "think", *DAY, **environment(OPENAI_API_KEY=KEY))
    assert code == 0
    assert err == ""
    assert KEY not in printed
    assert "DU" not in printed, "the account's id is nobody's business"
    places = [printed.index(f"--- {part}") for part in ("system", "user", "tools", "form of the answer", "request")]
    assert places == sorted(places)


@asynccontextmanager
async def tracing_server() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Takes whatever LangSmith's client sends."""
    taken: list[bytes] = []

    async def take(request: Request) -> Response:
        taken.append(await request.body())
        return Response("{}", media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", take, methods=["GET", "POST", "PATCH"])])
    async with serving(app) as address:
        yield address, taken


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [True, False])
async def test_langsmith_is_told_if_its_own_variables_say_so_and_never_the_key(home: Home, wanted: bool) -> None:  # noqa: FBT001
    async with model_server(careful) as server, tracing_server() as (address, taken):
        variables: dict[str, Any] = {"LANGSMITH_ENDPOINT": address, "LANGSMITH_API_KEY": "ls-test"}
        if wanted:
            variables |= {"LANGSMITH_TRACING": "true", "LANGSMITH_DISABLE_RUN_COMPRESSION": "true"}
        code, _, _ = await smart_agent(home, "run", *DAY, **environment(server, OPENAI_API_KEY=KEY, **variables))
    assert code == 0
    told = b"".join(taken)
    assert (b"price_statistics" in told) is wanted
    assert KEY.encode() not in told
