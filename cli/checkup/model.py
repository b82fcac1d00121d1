"""Whether the language model answers, and in which form."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from datetime import datetime

from langchain_core.messages import HumanMessage

import prompts
from cli.checkup.finding import Finding, doubt, good, note
from config.home import Home
from config.settings import Settings
from graph.memory import open_memory
from graph.think.answer import PLAN
from graph.think.manners import known_manner
from graph.think.mind import AskOtherwise, Manner, Mind, NoAnswer, Question
from tools.wire.foreign_text import one_line

MOST_TOKENS = 200
MOST_CHARACTERS = 4_000
MODES = {"model": "plans", "shadow": "is only watched (shadow)"}


async def of_the_model(settings: Settings, home: Home, now: datetime) -> Finding:
    """Whether it answers, in the strictest form its server takes; one tiny question is asked, and paid for."""
    if not settings.has_model:
        why = "think_mode is rules" if settings.think_mode == "rules" else "OPENAI_API_KEY is not set"
        return note("model", f"rules only: {why}")
    from graph.think.openai_mind import open_mind  # noqa: PLC0415  (its libraries cost a second)

    try:
        async with open_mind(settings) as mind:
            return await _asked(mind, await _manner(mind, home, now), settings)
    except (ImportError, OSError, ValueError) as error:  # proxies and certificates come from variables of all kinds
        return doubt(
            "model", f"its client cannot be set up ({one_line(str(error), 160)})", "Look at proxy and SSL settings"
        )


def without_it(settings: Settings) -> str:
    """What runs do for as long as the model gives no answer."""
    if settings.think_mode == "shadow":
        return "Runs go by the rules as always, and record no plan of the model beside theirs until it answers"
    return "A run goes on by the rules until it answers"


async def _manner(mind: Mind, home: Home, now: datetime) -> Manner:
    """The form that a run would ask for first."""
    manner = None
    if home.memory.exists():
        with suppress(sqlite3.Error, OSError):
            async with open_memory(home.memory) as store:
                manner = await known_manner(store, mind, now)
    return manner or Manner.JSON_SCHEMA


async def _asked(mind: Mind, manner: Manner, settings: Settings) -> Finding:
    began, requests, form = time.perf_counter(), 0, manner
    while True:
        question, read = Question((HumanMessage(prompts.load("doctor")),), PLAN, (), form, MOST_TOKENS), 0
        requests += 1
        try:
            async for chunk in mind.answer(question):
                read += len(chunk.text)
                if read > MOST_CHARACTERS:
                    break
        except AskOtherwise as error:
            if form.next is None:
                return doubt("model", one_line(str(error)), without_it(settings))
            form = form.next
        except NoAnswer as error:
            return doubt("model", one_line(str(error)), without_it(settings))
        else:
            took, times = time.perf_counter() - began, "1 request" if requests == 1 else f"{requests} requests"
            return good(
                "model",
                f"{mind.name} at {mind.server} {MODES[settings.think_mode]}; it answered in {took:.1f} s and takes "
                f"{form.value}; asking cost {times} of at most {MOST_TOKENS} tokens",
            )
