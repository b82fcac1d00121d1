"""The texts a model is told, and how large the first request is."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import pytest

import graph.chat
import graph.think
import prompts
from cli.prompt import _request
from cli.run_command import RunCommand
from cli.wiring import Start, open_context
from config.home import Home
from graph.memory import open_memory
from graph.sense import the_account
from graph.think.prompt import filled_in
from tests.graph.conftest import settings_with
from tests.graph.lessons import lesson, teach

KEY = "sk-test-0123456789"
COMMAND = RunCommand(as_of="2026-06-15")
TEXTS = sorted(file.name.removesuffix(".md") for file in files(prompts).iterdir() if file.name.endswith(".md"))
SETTINGS = settings_with(openai_api_key=KEY)


def calls_of_filled_in() -> Iterator[ast.Call]:
    for file in (*files(graph.think).iterdir(), *files(graph.chat).iterdir()):
        if file.name.endswith(".py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "filled_in":
                    yield node


SHEETS = {
    "think_facts": {"account", "snapshot", "drift", "baseline"},
    "reflect_facts": {"run", "fills", "found", "scores", "remembered"},
}


@cache
def keywords_in_code() -> dict[str, set[str]]:
    """The placeholders that the code fills in by name, by the prompt."""
    found: dict[str, set[str]] = {}
    for call in calls_of_filled_in():
        name = ast.literal_eval(call.args[0])
        found.setdefault(name, set()).update(keyword.arg for keyword in call.keywords if keyword.arg)
    return found


async def request(home: Home) -> dict[str, Any]:
    """What `smart-agent prompt think --json` prints."""
    return await _request(SETTINGS, home, COMMAND)


async def learn(home: Home, lessons: range) -> None:
    async with open_context(SETTINGS, home, Start(command=COMMAND)) as context, open_memory(home.memory) as store:
        account_id = (await the_account(context.reader)).account_id
        words = " ".join(["orders filled worse than hoped"] * 5)
        learned = [
            lesson(f"Lesson {number:04}: {words}", seen_at=datetime(2026, 5, 1, tzinfo=UTC)) for number in lessons
        ]
        await teach(store, account_id, *learned)


@pytest.mark.parametrize("name", TEXTS)
def test_every_placeholder_of_a_prompt_is_filled_in_by_the_code_and_nothing_else_is(name: str) -> None:
    """Two get sheets besides, whose names are made where the sheets are."""
    text = Template(prompts.load(name))
    assert text.is_valid()
    assert set(text.get_identifiers()) == keywords_in_code().get(name, set()) | SHEETS.get(name, set())


async def test_every_sheet_is_told_once_and_no_placeholder_is_left(home: Home) -> None:
    first = (await request(home))["messages"][1]["content"]
    assert re.findall(r'<data name="(\w+)">', first) == ["account", "snapshot", "drift", "baseline", "memory"]
    assert first.count("</data>") == 5
    assert "${" not in first


@pytest.mark.parametrize("values", [{}, {"problems": "a", "others": "b"}])
def test_a_placeholder_too_many_or_too_few_is_an_error(values: dict[str, str]) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        filled_in("think_repair", **values)


def test_what_is_filled_in_is_not_read_as_a_placeholder() -> None:
    assert "${problems} $5" in filled_in("think_repair", problems="${problems} $5")


async def test_the_first_request_is_at_most_three_thousand_tokens_and_holds_no_key(home: Home) -> None:
    body = await request(home)
    assert body["tools"]
    assert body["response_format"]["json_schema"]["schema"]["properties"]
    text = json.dumps(body)
    assert len(text) / 4 <= 3_000
    assert KEY not in text


async def test_the_first_request_does_not_grow_with_the_number_of_runs(home: Home) -> None:
    sizes = []
    for lessons in (range(1), range(1, 10), range(10, 60)):
        await learn(home, lessons)
        body = await request(home)
        sizes.append(len(json.dumps(body)))
        told = body["messages"][1]["content"].count("Lesson ")
        assert told == min(lessons.stop, 3)
    assert sizes[0] < sizes[1] == sizes[2]
    assert sizes[2] / 4 <= 3_000
