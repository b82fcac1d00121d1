"""The strategies that ship with the program: config files that hold trading rules and nothing else."""

from __future__ import annotations

import json
from importlib.resources import files

from config.rules import TradingRule

DEFAULT_STRATEGY = "default"
CUSTOM_STRATEGY = "custom"
"""What records call rules of the user's own."""


def strategy_names() -> tuple[str, ...]:
    """The names that `--strategy` knows, the default first."""
    found = (entry.name for entry in (files("config") / "strategies").iterdir())
    names = (name.removesuffix(".json") for name in found if name.endswith(".json"))
    return tuple(sorted(names, key=lambda name: (name != DEFAULT_STRATEGY, name)))


def shipped_rules(name: str) -> tuple[TradingRule, ...]:
    """The rules of the shipped strategy `name`, one of `strategy_names()`."""
    text = (files("config") / "strategies" / f"{name}.json").read_text(encoding="utf-8")
    return tuple(TradingRule.model_validate(rule) for rule in json.loads(text)["trading_rules"])
