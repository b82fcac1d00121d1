"""What a run may spend on its model, and what it has spent."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal

from langchain_core.messages.ai import UsageMetadata

from config.settings import Settings
from graph.record import Usage

A_MILLION = 1_000_000
MOST_COUNTED = 10**12
LEAST_ANSWER = 64
"""Fewer output tokens than this are no room for an answer."""


def why_over(spent: Usage, request_tokens: int, settings: Settings, now: datetime, ends_at: datetime) -> str | None:
    """Why the model is not asked again; None where there is room for a request of so many tokens and its answer."""
    if spent.model_calls >= settings.max_model_calls:
        return f"no call is left of max_model_calls ({settings.max_model_calls})"
    if spent.input_tokens + request_tokens > settings.max_input_tokens:
        return f"no room for another call is left in max_input_tokens ({settings.max_input_tokens:,})"
    if output_left(spent, settings) < min(LEAST_ANSWER, settings.max_output_tokens):
        return f"no room for an answer is left in max_output_tokens ({settings.max_output_tokens:,})"
    if now >= ends_at:
        return out_of_time(settings)
    return None


def out_of_time(settings: Settings) -> str:
    return f"the {settings.max_think_seconds} s of max_think_seconds are over"


def until(ends_at: datetime, now: datetime) -> asyncio.Timeout:
    """Breaks off what is done under it at `ends_at`, with a `TimeoutError`."""
    return asyncio.timeout(max((ends_at - now).total_seconds(), 0))


def output_left(spent: Usage, settings: Settings) -> int:
    return settings.max_output_tokens - spent.output_tokens


def is_last_call(spent: Usage, settings: Settings) -> bool:
    """Whether the next call must be the answer, as no other can follow it, or no more tools may be called."""
    return spent.model_calls + 1 >= settings.max_model_calls or spent.tool_calls >= settings.max_tool_calls


def with_call(spent: Usage, told: UsageMetadata | None, request_tokens: int, answer_tokens: int) -> Usage:
    """After one more call: by the server's own count where it gave one, else by our estimate."""
    counted = told is not None and told["input_tokens"] > 0
    read, written = request_tokens, answer_tokens
    if told and counted:
        read, written = told["input_tokens"], told["output_tokens"]
    guessed = not counted and read + written > 0
    return spent.model_copy(
        update={
            "model_calls": spent.model_calls + 1,
            "input_tokens": spent.input_tokens + min(max(read, 0), MOST_COUNTED),
            "output_tokens": spent.output_tokens + min(max(written, 0), MOST_COUNTED),
            "estimated": spent.estimated or guessed,
        }
    )


def priced(spent: Usage, settings: Settings) -> Usage:
    """With its cost in USD, where the price of the model is known."""
    price = settings.model_prices.get(settings.model)
    if price is None:
        return spent
    tokens = spent.input_tokens * Decimal(str(price.input)) + spent.output_tokens * Decimal(str(price.output))
    return spent.model_copy(update={"cost": round(tokens / A_MILLION, 6)})
