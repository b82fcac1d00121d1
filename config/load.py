"""Settings from all their sources, strongest last: defaults, a JSON file, the environment, the command line.

Every value keeps the name of its source, so that a problem can say where to put it right; and all problems are told at
once, since finding them one run at a time is how a person gives up on a config.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.environment import EnvironmentSource, source_of, variable_of
from config.explain import problem_of, unknown_key
from config.json_file import read_object, repetitions
from config.problems import HIDDEN, ConfigError, Problem, nearest, printable, shown
from config.rules import TradingRule, conflicts, readable_rule
from config.settings import SECRETS, Settings
from config.strategy import CUSTOM_STRATEGY, shipped_rules, strategy_names
from config.where import WHERE

__all__ = [
    "ConfigError",
    "Loaded",
    "Problem",
    "load",
    "load_address",
    "load_document",
    "load_settings",
    "load_strategy",
    "load_usable",
    "strategy_names",
]

DEFAULT_SOURCE = "the defaults"
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Loaded:
    """Settings, and for each key the name of the source its value came from."""

    settings: Settings
    sources: Mapping[str, str]


@dataclass
class Layers:
    """Values and their sources as they pile up, and what was wrong with them on the way."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, key: str, value: Any, source: str) -> None:
        self.values[key] = value
        self.sources[key] = source

    def source(self, key: str) -> str:
        return self.sources.get(key, DEFAULT_SOURCE)


def load_settings(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] = NOTHING,
    strategy: str | None = None,
) -> Settings:
    """The settings in effect; raises `ConfigError` with every problem.

    Args:
        file: A config file; None for none. One that is named must exist.
        environ: The environment variables.
        overrides: Values of command line options by key; None counts as not given.
        strategy: Name of a shipped strategy, whose rules then replace those of every source.
    """
    return load(file=file, environ=environ, overrides=overrides, strategy=strategy).settings


def load(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] = NOTHING,
    strategy: str | None = None,
) -> Loaded:
    """Like `load_settings`, with the source of each value."""
    layers = Layers()
    if file is not None:
        add_file(layers, file)
    add_others(layers, environ, overrides, strategy)
    settings = validated(layers)
    return Loaded(settings, {key: layers.source(key) for key in Settings.model_fields})


def load_usable(
    *, file: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any], strategy: str | None
) -> Settings:
    """The settings with whatever is wrong at its default: to look at things by, never to trade by."""
    layers = Layers()
    with suppress(ConfigError):
        if file is not None:
            add_file(layers, file)
    add_others(layers, environ, overrides, strategy)
    values = layers.values
    while True:
        try:
            return Settings(**values)
        except ValidationError as error:
            found = error.errors(include_url=False)
            wrong = {key for one in found for key in (one["loc"][0], one.get("ctx", {}).get("against"))}
            if wrong.isdisjoint(values):
                return Settings()
            values = {key: value for key, value in values.items() if key not in wrong}


def load_address(*, file: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings | None:
    """The defaults with the broker that the sources name, whatever else is wrong with them; None if none does."""
    layers = Layers()
    with suppress(ConfigError):
        if file is not None:
            add_file(layers, file)
    add_environment(layers, environ)
    add_overrides(layers, overrides)
    named = {key: value for key, value in layers.values.items() if key in WHERE and value is not None}
    with suppress(ValidationError):
        return Settings(**named) if "mcp_url" in named or "broker" in named else None
    return None


def load_strategy(name: str) -> tuple[TradingRule, ...]:
    """The rules of the shipped strategy `name`; `ConfigError` with the nearest name if there is none."""
    if name not in strategy_names():
        raise ConfigError([unknown_strategy(name, "--strategy")])
    return shipped_rules(name)


def load_document(document: Mapping[str, Any], *, file: Path, environ: Mapping[str, str]) -> Loaded:
    """Like `load`, as if `file` held `document`."""
    layers = Layers()
    add_document(layers, dict(document), printable(str(file)))
    add_others(layers, environ, NOTHING, None)
    return Loaded(validated(layers), dict(layers.sources))


def add_file(layers: Layers, file: Path) -> None:
    add_document(layers, read_object(file), printable(str(file)))


def add_document(layers: Layers, found: dict[str, Any], source: str) -> None:
    layers.problems.extend(repetitions(found, source))
    layers.problems.extend(
        Problem(
            key,
            HIDDEN,
            source,
            "a secret in a file is a secret that gets copied and committed",
            f"Move it to the environment variable {variable_of(key)}, and write null here",
        )
        for key in SECRETS
        if found.pop(key, None) is not None
    )
    add(layers, found, dict.fromkeys(found, source))


def add_others(layers: Layers, environ: Mapping[str, str], overrides: Mapping[str, Any], strategy: str | None) -> None:
    add_environment(layers, environ)
    add_overrides(layers, overrides)
    if strategy is not None:
        choose_strategy(layers, {"strategy": strategy}, "--strategy")


def add_environment(layers: Layers, environ: Mapping[str, str]) -> None:
    source = EnvironmentSource(Settings, environ)
    found = source()
    layers.problems.extend(source.problems)
    add(layers, found, {key: source_of(variable_of(key)) for key in found})


def add_overrides(layers: Layers, overrides: Mapping[str, Any]) -> None:
    given = {key: value for key, value in overrides.items() if value is not None}
    add(layers, given, {key: option_of(key, value) for key, value in given.items()})


def option_of(key: str, value: Any) -> str:
    """The command line option that set `key` to `value`."""
    if key == "paper_trading":
        return "--paper-trading" if value else "--live-trading"
    names = {
        "enable_continuous_loop": "--continuous",
        "loop_interval_hours": "--interval",
        "live_account_confirmed": "your answer",
    }
    return names.get(key, "--" + key.removeprefix("tws_").replace("_", "-"))


def add(layers: Layers, values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    """Lay `values` over what is there; strategy and rules are one choice, so either replaces both.

    So are `mcp_url` and `broker`: who names one door to a broker does not mean another that was named before.
    """
    if values.get("broker") and "mcp_url" not in values:
        layers.put("mcp_url", None, sources["broker"])
    elif values.get("mcp_url") and "broker" not in values:
        layers.put("broker", Settings.model_fields["broker"].default, sources["mcp_url"])
    for key, value in values.items():
        if key not in Settings.model_fields:
            layers.problems.append(unknown_key((key,), value, sources[key], Settings.model_fields))
        elif key == "trading_rules":
            layers.put("strategy", CUSTOM_STRATEGY, sources[key])
            layers.put(key, value, sources[key])
        elif key != "strategy":
            layers.put(key, value, sources[key])
    if "strategy" in values:
        choose_strategy(layers, values, sources["strategy"])


def choose_strategy(layers: Layers, values: Mapping[str, Any], source: str) -> None:
    """Take the rules of the strategy that `values` names, unless they bring rules of their own."""
    name = values["strategy"]
    if name == CUSTOM_STRATEGY and layers.values.get("strategy") == CUSTOM_STRATEGY:
        return
    if name not in strategy_names():
        layers.problems.append(unknown_strategy(name, source))
    elif "trading_rules" not in values:
        layers.put("strategy", name, source)
        layers.put("trading_rules", shipped_rules(name), source)
    elif not same_rules(values["trading_rules"], name):
        layers.problems.append(
            Problem(
                "strategy",
                shown(name),
                source,
                "trading_rules beside it differ from the rules of that strategy, and only one can hold",
                "Take one of them out: `smart-agent config unset trading_rules`, or unset strategy",
            )
        )


def same_rules(raw: object, name: str) -> bool:
    """Whether `raw` holds the rules of the shipped strategy `name`."""
    if not isinstance(raw, list | tuple):
        return False
    return tuple(readable_rule(number, rule) for number, rule in enumerate(raw)) == shipped_rules(name)


def is_shipped(raw: object) -> bool:
    """Whether `raw` holds the rules of one of the shipped strategies."""
    return any(same_rules(raw, name) for name in strategy_names())


def unknown_strategy(name: object, source: str) -> Problem:
    close = nearest(name.lower(), strategy_names()) if isinstance(name, str) else None
    return Problem(
        "strategy",
        shown(name),
        source,
        "there are no rules of this name",
        f'Write "{close}"' if close else f"Write one of {', '.join(strategy_names())}, or give trading_rules",
    )


def validated(layers: Layers) -> Settings:
    """The settings that the layers make; raises `ConfigError` if one of them, or all together, have problems."""
    try:
        settings = Settings(**layers.values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            blamed = blame(detail, layers)
            layers.problems.append(problem_of(blamed, layers.source(str(blamed["loc"][0]))))
        layers.problems.extend(conflicts_of_readable_rules(layers))
        raise ConfigError(list(dict.fromkeys(layers.problems))) from None
    if layers.problems:
        raise ConfigError(layers.problems)
    if settings.strategy == CUSTOM_STRATEGY:
        shipped = next((name for name in strategy_names() if shipped_rules(name) == settings.trading_rules), None)
        return settings.model_copy(update={"strategy": shipped}) if shipped else settings
    return settings


def blame(detail: ErrorDetails, layers: Layers) -> ErrorDetails:
    """`detail`, moved to the key somebody wrote if the value that contradicts it is only a default."""
    against = detail.get("ctx", {}).get("against")
    if not against or str(detail["loc"][0]) in layers.sources:
        return detail
    return {**detail, "loc": (against,), "input": layers.values[against]}


def conflicts_of_readable_rules(layers: Layers) -> Iterator[Problem]:
    """What the rules contradict each other in; `Settings` itself looks no further than the first broken rule."""
    raw = layers.values.get("trading_rules")
    if not isinstance(raw, list):
        return
    rules = [readable_rule(number, rule) for number, rule in enumerate(raw)]
    for detail in ValidationError.from_exception_data("trading_rules", list(conflicts(rules))).errors():
        yield problem_of({**detail, "loc": ("trading_rules", *detail["loc"])}, layers.source("trading_rules"))
