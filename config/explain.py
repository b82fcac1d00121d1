"""What the validation library says, in the words of somebody who edits a config file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from config.problems import ABSENT, Problem, key_path, looks_secret, nearest, shown
from config.rules import TradingRule
from config.settings import ModelPrice

COMPARISONS = {
    "greater_than": ("gt", "above", "small"),
    "greater_than_equal": ("ge", "at least", "small"),
    "less_than": ("lt", "below", "large"),
    "less_than_equal": ("le", "at most", "large"),
}
"""Type of error: the name of its bound, the words for it, and what the value is too much of."""

SIMPLE: Mapping[str, tuple[str, str]] = {
    "missing": ("this key is needed here", "Add it"),
    "finite_number": ("this is no finite number", "Write a number"),
    "tuple_type": ("a list is wanted here", "Write a list, in brackets"),
    "model_type": ("an object is wanted here", "Write keys and values in braces"),
    "string_type": ("text is wanted here", "Write text, in quotes"),
    "string_unicode": ("the text is damaged", "Write it anew"),
    "too_short": ("this is empty", "Write at least one letter"),
    "int_from_float": ("a whole number is wanted here", "Write it without a fraction"),
}
"""Type of error: why, and what to write instead."""

KINDS: Mapping[str, tuple[str, str]] = {
    "bool": ("this says neither yes nor no", "Write true or false"),
    "int": ("this is not a whole number", "Write a whole number, without quotes or units"),
    "float": ("this is not a number", "Write a number, without quotes or units"),
    "decimal": ("this is not an amount of money", "Write a number, without quotes, currency or separators"),
}
"""Beginning of an error's type: why, and what to write instead."""


def problem_of(error: ErrorDetails, source: str) -> Problem:
    """`error` as found in the value of a setting that came from `source`."""
    steps = tuple(error["loc"])
    name = next((step for step in reversed(steps) if isinstance(step, str)), "")
    if error["type"] == "extra_forbidden":
        keys = ModelPrice.model_fields if steps[0] == "model_prices" else TradingRule.model_fields
        return unknown_key(steps, error["input"], source, keys)
    why, instead = words_of(error)
    value = ABSENT if error["type"] == "missing" else shown(error["input"], name=name)
    return Problem(key_path(steps), value, source, why, instead)


def words_of(error: ErrorDetails) -> tuple[str, str]:
    """Why the value is wrong, and what to write instead."""
    kind: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "wrong":
        return context["why"], context["instead"]
    if kind in COMPARISONS:
        bound, words, too = COMPARISONS[kind]
        limit = f"{words} {context[bound]:,}".replace(",", " ") + _unit_of(error)
        return f"this is too {too}", f"Write a number {limit}"
    if kind == "literal_error":
        return "this is none of the possible values", f"Write {context['expected']}"
    if kind == "too_long":
        return "the text is too long", f"Write at most {context['max_length']} characters"
    return SIMPLE.get(kind) or KINDS.get(kind.partition("_")[0]) or (error["msg"], "See docs/configuration.md")


def _unit_of(error: ErrorDetails) -> str:
    """As the setting's name has it, with a space before it."""
    unit = str(error["loc"][-1]).rpartition("_")[2] if error["loc"] else ""
    return f" {unit}" if unit in ("hours", "minutes", "seconds") else ""


def unknown_key(steps: Sequence[str | int], value: object, source: str, known: Mapping[str, Any]) -> Problem:
    """A key that no setting has, with the nearest of `known`, or where a secret belongs if it looks like one."""
    name = str(steps[-1])
    close = nearest(name.lower(), known)
    if looks_secret(name):
        why = "a secret does not belong in a configuration"
        instead = (
            "Remove it; the secrets this program takes are the variables OPENAI_API_KEY and SMART_AGENT_NOTIFY_URLS"
        )
    else:
        why = "there is no such key"
        instead = f'Write "{close}", or remove it' if close else "Remove it; docs/configuration.md lists all keys"
    return Problem(key_path(steps), shown(value, name=name), source, why, instead)
