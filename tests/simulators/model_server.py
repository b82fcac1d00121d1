"""A server on the loopback that speaks OpenAI's Chat Completions and says what a script tells it to, well or badly."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Body = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool the model calls; `arguments` as an object, or as the text it writes in place of one."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True)
class Say:
    """An answer in words or calls, in `pieces` chunks; `usage` None where the server counts nothing."""

    text: str = ""
    calls: Sequence[Call] = ()
    usage: tuple[int, int] | None = (1000, 100)
    pieces: int = 3
    cut: bool = False
    """The connection breaks before the end."""
    after: float = 0
    """Seconds that pass before anything is said."""


@dataclass(frozen=True)
class Fail:
    """An HTTP error."""

    status: int
    message: str = "no"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """Whatever bytes, as a stream of events."""

    data: bytes
    kind: str = "text/event-stream"


@dataclass(frozen=True)
class Silence:
    """Nothing, for so many seconds."""

    seconds: float


Reply = Say | Fail | Raw | Silence
Script = Callable[[Body, int], Reply]
"""Gets the body of a request and how many came before it."""


@dataclass
class ModelServer:
    script: Script
    url: str = ""
    requests: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each request came, in seconds of a clock that only runs forward."""
    another: asyncio.Event = field(default_factory=asyncio.Event)

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        number = len(self.requests)
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.times.append(time.monotonic())
        self.another.set()
        reply = self.script(body, number)
        match reply:
            case Fail(status, message, headers):
                return JSONResponse({"error": {"message": message, "type": "test"}}, status, headers)
            case Raw(data, kind):
                return Response(data, media_type=kind)
            case Silence(seconds):
                await asyncio.sleep(seconds)
                return Response(b"data: [DONE]\n\n", media_type="text/event-stream")
            case Say():
                await asyncio.sleep(reply.after)
                events = _response_events if request.url.path.endswith("responses") else _events
                return StreamingResponse(events(reply, body), media_type="text/event-stream")

    async def hears(self, words: str) -> None:
        """Return once a request came whose newest message has these words.

        Raises:
            TimeoutError: None came for a minute.
        """
        async with asyncio.timeout(60):
            while not any(words in str(body["messages"][-1]) for body in self.requests):
                self.another.clear()
                await self.another.wait()


@asynccontextmanager
async def model_server(script: Script, port: int = 0) -> AsyncIterator[ModelServer]:
    told = ModelServer(script)
    paths = ("/v1/chat/completions", "/v1/responses")
    app = Starlette(routes=[Route(path, told.complete, methods=["POST"]) for path in paths])
    async with serving(app, port) as address:
        told.url = f"{address}/v1"
        yield told


@asynccontextmanager
async def serving(app: Starlette, port: int = 0) -> AsyncIterator[str]:
    """The address at which `app` is served on the loopback, by this test's own loop."""
    server = _Quiet(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    listening = socket.create_server(("127.0.0.1", port))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task


class _Quiet(uvicorn.Server):
    """Leaves the signals to the program under test."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _events(reply: Say, body: Body) -> AsyncIterator[bytes]:
    for number, delta in enumerate(_deltas(reply)):
        if reply.cut and number == 1:
            raise ConnectionError("cut, as the script has it")
        yield _event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}, body)
    finish = "tool_calls" if reply.calls else "stop"
    yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, body)
    if reply.usage and body.get("stream_options", {}).get("include_usage"):
        read, written = reply.usage
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        yield _event({"choices": [], "usage": usage}, body)
    yield b"data: [DONE]\n\n"


def _deltas(reply: Say) -> Iterator[Body]:
    yield {"role": "assistant", "content": ""}
    size = max(1, -(-len(reply.text) // reply.pieces))
    for start in range(0, len(reply.text), size):
        yield {"content": reply.text[start : start + size]}
    for place, call in enumerate(reply.calls):
        arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
        function = {"name": call.name, "arguments": arguments}
        yield {"tool_calls": [{"index": place, "id": f"call_{place}", "type": "function", "function": function}]}


def _event(payload: Body, body: Body) -> bytes:
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": body.get("model"), **payload}
    return f"data: {json.dumps(whole)}\n\n".encode()


async def _response_events(reply: Say, body: Body) -> AsyncIterator[bytes]:
    """The same in the words of the Responses API."""
    base = {"id": "resp_1", "object": "response", "created_at": 0, "model": body["model"], "output": []}
    base |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    events: list[Body] = [{"type": "response.created", "response": {**base, "status": "in_progress"}}]
    output: list[Body] = []
    if reply.text:
        part = {"type": "output_text", "text": reply.text, "annotations": []}
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        at = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
        events += [
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
            {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
            {"type": "response.output_text.delta", **at, "delta": reply.text, "logprobs": []},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
        ]
        output.append(item)
    for place, call in enumerate(reply.calls, start=len(output)):
        arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
        item = {"id": f"fc_{place}", "call_id": f"call_{place}", "type": "function_call", "name": call.name}
        whole = {**item, "arguments": arguments, "status": "completed"}
        at = {"output_index": place, "item_id": f"fc_{place}"}
        events += [
            {"type": "response.output_item.added", "output_index": place, "item": {**whole, "arguments": ""}},
            {"type": "response.function_call_arguments.delta", **at, "delta": arguments},
            {"type": "response.output_item.done", "output_index": place, "item": whole},
        ]
        output.append(whole)
    read, written = reply.usage or (0, 0)
    usage: Body = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    done = {**base, "status": "completed", "output": output, "usage": usage}
    events.append({"type": "response.completed", "response": done})
    for number, event in enumerate(events):
        yield f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode()


# --- what a script reads in a request, and writes in an answer -----------------------------------------------------


def sheet(body: Body, name: str) -> dict[str, dict[str, str]]:
    """The rows of the sheet `name` in the conversation by name, each cell by its column; empty where there is none."""
    found = re.findall(rf'<data name="{name}">\n(.*?)\n</data>', "\n".join(contents(body)), re.DOTALL)
    lines = [line.split("|") for text in found[-1:] for line in text.splitlines() if "|" in line]
    if not lines:
        return {}
    head = [cell.split(" ")[0] for cell in lines[0]]
    return {cells[0]: dict(zip(head[1:], cells[1:], strict=True)) for cells in lines[1:] if len(cells) == len(head)}


def fact(body: Body, label: str) -> str:
    """The single fact called `label`, of the account or of the limits."""
    found = re.search(rf"\b{label} (\S+)", "\n".join(contents(body)))
    assert found is not None, f"nothing is told of {label}"
    return found[1].rstrip(",")


def contents(body: Body) -> list[str]:
    """What was said so far, in either API."""
    if "messages" in body:
        return [message["content"] for message in body["messages"] if isinstance(message["content"], str)]
    spoken = [item.get("content", item.get("output")) for item in body["input"]]
    return [content for content in spoken if isinstance(content, str)]


def results(body: Body) -> list[str]:
    """What the tools told, the first call's result first, in either API."""
    if "messages" in body:
        return [message["content"] for message in body["messages"] if message["role"] == "tool"]
    return [item["output"] for item in body["input"] if item.get("type") == "function_call_output"]


def offers(body: Body, tool: str) -> bool:
    """Whether the model may call `tool`, in either API."""
    return any(one.get("function", one)["name"] == tool for one in body.get("tools", ()))


def buckets(body: Body) -> dict[str, list[str]]:
    """The symbols of each bucket, by the owner's rules."""
    lines = re.findall(r"^- (.+?): target [^:\n]+: ([^(\n]+)", "\n".join(contents(body)), re.MULTILINE)
    return {name: symbols.split() for name, symbols in lines}


def wants_lessons(body: Body) -> bool:
    """Whether it is asked what a run teaches, and not for a plan; in whatever manner, by the words it is asked in."""
    return any("What should the next runs know?" in content for content in contents(body))


def lessons(*said: Body, contradicted: Sequence[str] = ()) -> str:
    return json.dumps({"lessons": list(said), "contradicted": list(contradicted)})


def lesson(statement: str, *evidence: Body, about: str = "execution", scope: str = "execution", **other: Any) -> Body:
    return {
        "statement": statement,
        "scope": scope,
        "about": about,
        "evidence": list(evidence),
        "tighten": None,
        **other,
    }


def claim(source: str, value: Any, unit: str, statement: str = "so it stands") -> Body:
    return {"statement": statement, "source": source, "value": float(value), "unit": unit}


def trade(symbol: str, side: str, quantity: int, *evidence: Body, reason: str = "As the data has it.") -> Body:
    effect = "It comes closer to its target."
    return {
        "symbol": symbol,
        "side": side,
        "quantity": quantity,
        "reason": reason,
        "expected_effect": effect,
        "evidence": list(evidence),
    }


def plan(*trades: Body, left_out: dict[str, str] | None = None, summary: str = "A plan.", **other: Any) -> str:
    deviations = [{"symbol": symbol, "why": why} for symbol, why in (left_out or {}).items()]
    answer = {"trades": list(trades), "deviations": deviations, "summary": summary, "confidence": 0.7, **other}
    return json.dumps(answer)


def kept_baseline(body: Body) -> list[Body]:
    """The baseline's discretionary trades, as a model would hand them in."""
    rows = sheet(body, "baseline")
    return [
        trade(symbol, row["side"], int(row["quantity"]), claim(f"baseline.{symbol}.worth", row["worth"], "USD"))
        for symbol, row in rows.items()
        if not row["reason"].startswith("protective exit")
    ]
