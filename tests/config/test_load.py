"""Where values come from: precedence, provenance, strategies, and files of the origin system."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import ConfigError, load, load_settings, load_strategy, load_usable, strategy_names
from config.settings import Settings, TradingRule

ORIGIN: dict[str, Any] = {
    "risk_threshold": 1000.0,
    "paper_trading": True,
    "trading_rules": [
        {
            "name": "My ETF Rule",
            "description": "Core ETF holdings",
            "target_allocation": 60.0,
            "symbols": ["SPY", "QQQ", "VTI"],
            "max_position_size": 25.0,
            "stop_loss": -20.0,
            "take_profit": 30.0,
            "enabled": True,
        },
        {
            "name": "Dividends",
            "description": "",
            "target_allocation": 40,
            "symbols": ["JNJ", "PG", "KO", "BRK.B"],
            "max_position_size": 15,
            "stop_loss": None,
            "take_profit": None,
            "enabled": True,
        },
    ],
    "openai_api_key": None,
    "mcp_url": "http://127.0.0.1:8001/mcp",
    "max_positions": 20,
    "loop_interval_hours": 24,
    "enable_continuous_loop": False,
    "max_trade_value": 5000.0,
    "max_portfolio_change": 10.0,
    "require_whatif": True,
    "log_level": "INFO",
    "save_reflections": True,
    "log_file": "smart_agent/trading_log.log",
}


def written(folder: Path, content: object) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(content))
    return file


def test_without_any_source_the_defaults_hold() -> None:
    assert load_settings(file=None, environ={}) == Settings()


def test_a_file_of_the_origin_system_loads_as_it_is(tmp_path: Path) -> None:
    settings = load_settings(file=written(tmp_path, ORIGIN), environ={})
    assert settings.max_trade_value == Decimal(5000)
    assert settings.mcp_url == "http://127.0.0.1:8001/mcp"
    assert settings.log_file == "smart_agent/trading_log.log"
    assert settings.strategy == "custom"
    assert [rule.target_allocation for rule in settings.rules] == [60, 40]
    assert settings.rules[1].stop_loss is None


def test_a_file_with_a_byte_order_mark_loads(tmp_path: Path) -> None:
    """Editors on Windows put one there."""
    file = tmp_path / "config.json"
    file.write_text('\ufeff{"max_positions": 7}', encoding="utf-8")
    assert load_settings(file=file, environ={}).max_positions == 7


@pytest.mark.parametrize(
    ("in_file", "in_environ", "on_command_line", "expected", "source"),
    [
        (None, None, None, 1000, "the defaults"),
        (200, None, None, 200, "config.json"),
        (None, "300", None, 300, "environment variable RISK_THRESHOLD"),
        (None, None, 400.0, 400, "--risk-threshold"),
        (200, "300", None, 300, "environment variable RISK_THRESHOLD"),
        (200, None, 400.0, 400, "--risk-threshold"),
        (None, "300", 400.0, 400, "--risk-threshold"),
        (200, "300", 400.0, 400, "--risk-threshold"),
        (200, "", None, 200, "config.json"),
        (200, "  ", None, 200, "config.json"),
    ],
)
def test_the_strongest_source_wins_and_is_named(
    tmp_path: Path,
    in_file: int | None,
    in_environ: str | None,
    on_command_line: float | None,
    expected: int,
    source: str,
) -> None:
    file = written(tmp_path, {} if in_file is None else {"risk_threshold": in_file})
    environ = {} if in_environ is None else {"RISK_THRESHOLD": in_environ}
    loaded = load(file=file, environ=environ, overrides={"risk_threshold": on_command_line})
    assert loaded.settings.risk_threshold == expected
    assert loaded.sources["risk_threshold"].endswith(source)


@pytest.mark.parametrize(
    ("environ", "key", "expected"),
    [
        ({"MCP_URL": "https://example.org/mcp"}, "mcp_url", "https://example.org/mcp"),
        ({"PAPER_TRADING": "false"}, "paper_trading", False),
        ({"PAPER_TRADING": "TRUE"}, "paper_trading", True),
        ({"LOG_LEVEL": "debug"}, "log_level", "DEBUG"),
        ({"SMART_AGENT_MIN_CASH": "2.5"}, "min_cash", 2.5),
        ({"SMART_AGENT_LOOP_INTERVAL_HOURS": "6"}, "loop_interval_hours", 6.0),
        ({"SMART_AGENT_REQUIRE_APPROVAL": "always"}, "require_approval", "always"),
        ({"SMART_AGENT_REBALANCE_METHOD": "first_symbol"}, "rebalance_method", "first_symbol"),
        ({"SMART_AGENT_MIN_ORDER_VALUE": "250.50"}, "min_order_value", Decimal("250.5")),
        ({"SMART_AGENT_ORDER_PENALTY": "0"}, "order_penalty", Decimal(0)),
        ({"SMART_AGENT_LIVE_ACCOUNT_CONFIRMED": "U1234567"}, "live_account_confirmed", "U1234567"),
        ({"SMART_AGENT_HOME": "/anywhere", "MAX_POSITIONS": "3", "PATH": "/bin"}, "max_positions", 50),
    ],
)
def test_a_variable_sets_its_key(environ: Mapping[str, str], key: str, expected: object) -> None:
    assert getattr(load_settings(file=None, environ=environ), key) == expected


def test_the_key_comes_from_the_environment() -> None:
    key = load_settings(file=None, environ={"OPENAI_API_KEY": "sk-abc\n"}).openai_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-abc"


def test_rules_in_a_variable_are_json() -> None:
    rules = '[{"name": "all", "target_allocation": 100, "symbols": ["VTI"], "max_position_size": 100}]'
    settings = load_settings(file=None, environ={"SMART_AGENT_TRADING_RULES": rules})
    assert settings.symbols == ("VTI",)
    assert settings.strategy == "custom"


WEIGHTED: dict[str, Any] = {
    "name": "all",
    "target_allocation": 100,
    "symbols": ["SPY", "BRK.B"],
    "max_position_size": 75,
    "weights": {"SPY": 3, "brk-b": 1},
}


def test_a_file_with_weights_loads(tmp_path: Path) -> None:
    (rule,) = load_settings(file=written(tmp_path, {"trading_rules": [WEIGHTED]}), environ={}).rules
    assert rule.weights == {"SPY": 3, "BRK B": 1}
    assert [rule.share_of(symbol) for symbol in rule.symbols] == [75, 25]


def test_weights_of_null_are_equal_shares(tmp_path: Path) -> None:
    """`config create` writes null, so that whoever edits the file finds the key."""
    (rule,) = load_settings(
        file=written(tmp_path, {"trading_rules": [{**WEIGHTED, "weights": None}]}), environ={}
    ).rules
    assert rule.weights is None
    assert [rule.share_of(symbol) for symbol in rule.symbols] == [50, 50]


def test_weights_in_a_variable_are_json_too() -> None:
    loaded = load(file=None, environ={"SMART_AGENT_TRADING_RULES": json.dumps([WEIGHTED])})
    (rule,) = loaded.settings.rules
    assert rule.weights == {"SPY": 3, "BRK B": 1}
    assert loaded.sources["trading_rules"] == "environment variable SMART_AGENT_TRADING_RULES"


def test_rules_of_a_shipped_strategy_with_weights_are_rules_of_the_users_own(tmp_path: Path) -> None:
    """Records name the strategy; the same buckets divided otherwise are another one."""
    rules = [rule.model_dump(mode="json") for rule in load_strategy("conservative")]
    rules[1]["weights"] = {"JNJ": 2, "PG": 2, "KO": 1}
    assert load_settings(file=written(tmp_path, {"trading_rules": rules}), environ={}).strategy == "custom"
    with pytest.raises(ConfigError, match="differ from the rules of that strategy"):
        load_settings(file=written(tmp_path, {"strategy": "conservative", "trading_rules": rules}), environ={})


def test_settings_with_weights_can_be_written_and_read_again(tmp_path: Path) -> None:
    before = load_settings(file=written(tmp_path, {"trading_rules": [WEIGHTED]}), environ={})
    assert load_settings(file=written(tmp_path, before.document()), environ={}) == before


def test_the_method_first_symbol_may_trade_below_the_smallest_order(tmp_path: Path) -> None:
    """It plans orders of any size, so there a small risk_threshold contradicts nothing."""
    file = written(tmp_path, {"rebalance_method": "first_symbol", "risk_threshold": 50})
    assert load_settings(file=file, environ={}).min_order_value == 100


# --- strategies ------------------------------------------------------------------------------------------------

SHIPPED = {
    "default": [
        ("Broad ETFs", 70, "SPY VTI VOO QQQ IWM"),
        ("Dividend Stocks", 15, "JNJ PG KO T VZ PFE XOM"),
        ("Growth/Speculative", 15, "TSLA NVDA AMZN GOOGL MSFT AAPL"),
    ],
    "conservative": [("Safe ETFs", 80, "SPY VTI BND"), ("Dividend Stocks", 20, "JNJ PG KO")],
    "aggressive": [
        ("Tech Growth", 50, "NVDA TSLA AMZN GOOGL MSFT"),
        ("Market ETFs", 30, "QQQ IWM VTI"),
        ("Speculative", 20, "ARKK PLTR AMD CRM"),
    ],
}


def test_the_three_strategies_ship() -> None:
    assert set(strategy_names()) == set(SHIPPED)
    assert strategy_names()[0] == "default"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_strategy_has_the_promised_buckets_and_loads(name: str) -> None:
    rules = load_strategy(name)
    assert [(rule.name, rule.target_allocation, " ".join(rule.symbols)) for rule in rules] == SHIPPED[name]
    settings = load_settings(file=None, environ={}, strategy=name)
    assert settings.strategy == name
    assert settings.trading_rules == rules


@pytest.mark.parametrize("name", SHIPPED)
def test_a_bucket_reaches_its_target_without_one_of_its_symbols(name: str) -> None:
    """A symbol may be halted or refused; the caps leave room to do without it."""
    for rule in load_strategy(name):
        assert rule.max_position_size * (len(rule.symbols) - 1) >= rule.target_allocation


def test_a_strategy_on_the_command_line_replaces_the_rules_of_a_file(tmp_path: Path) -> None:
    loaded = load(file=written(tmp_path, ORIGIN), environ={}, strategy="aggressive")
    assert loaded.settings.trading_rules == load_strategy("aggressive")
    assert loaded.settings.strategy == "aggressive"
    assert loaded.sources["trading_rules"] == "--strategy"
    assert loaded.settings.max_positions == 20


def test_a_file_may_name_a_shipped_strategy(tmp_path: Path) -> None:
    settings = load_settings(file=written(tmp_path, {"strategy": "conservative"}), environ={})
    assert settings.trading_rules == load_strategy("conservative")


def test_a_strategy_in_the_environment_replaces_the_rules_of_a_file(tmp_path: Path) -> None:
    settings = load_settings(file=written(tmp_path, ORIGIN), environ={"SMART_AGENT_STRATEGY": "conservative"})
    assert settings.strategy == "conservative"
    assert settings.trading_rules == load_strategy("conservative")


def test_rules_in_the_environment_replace_a_strategy_a_file_names(tmp_path: Path) -> None:
    rules = json.dumps(ORIGIN["trading_rules"])
    environ = {"SMART_AGENT_TRADING_RULES": rules}
    settings = load_settings(file=written(tmp_path, {"strategy": "conservative"}), environ=environ)
    assert settings.strategy == "custom"
    assert settings.rules[0].name == "My ETF Rule"


def test_a_file_with_the_rules_of_a_shipped_strategy_bears_its_name(tmp_path: Path) -> None:
    """`config create` writes the default rules out; until somebody edits them they are the default strategy."""
    rules = [rule.model_dump(mode="json") for rule in load_strategy("aggressive")]
    assert load_settings(file=written(tmp_path, {"trading_rules": rules}), environ={}).strategy == "aggressive"


def test_the_effective_settings_can_be_written_and_read_again(tmp_path: Path) -> None:
    before = load_settings(file=written(tmp_path, ORIGIN), environ={})
    assert load_settings(file=written(tmp_path, before.document()), environ={}) == before


# --- whatever the file holds -----------------------------------------------------------------------------------

numbers = st.integers() | st.floats() | st.sampled_from([0, 5, 10, 15, 25, 50, 85, 100, -20, 10**400, 1e308])
scalars = (
    st.none() | st.booleans() | numbers | st.text(max_size=8) | st.sampled_from(["SPY", "BRK.B", "default", "INFO"])
)
rule_keys = st.sampled_from([*TradingRule.model_fields, "symbol", "api_key"])
some_symbols = st.sampled_from(["SPY", "spy", "VTI", "BND", "KO"])
some_weights = st.dictionaries(some_symbols | st.text(max_size=3), st.sampled_from([1, 2.5]) | scalars, max_size=4)
some_rules = st.dictionaries(rule_keys, scalars | st.lists(scalars, max_size=3) | some_weights, max_size=8)
sound_rules = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "A"]),
        "target_allocation": st.sampled_from([15, 50, 85, 100]),
        "symbols": st.lists(some_symbols, min_size=1, max_size=3),
        "max_position_size": st.sampled_from([20, 50, 100]),
    },
    optional={
        "stop_loss": scalars,
        "take_profit": scalars,
        "weights": some_weights | st.dictionaries(some_symbols, st.floats(0.5, 3), min_size=1) | scalars,
        "enabled": scalars,
    },
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
documents = st.dictionaries(st.sampled_from([*Settings.model_fields, "max_trade"]) | st.text(max_size=9), anything) | (
    st.fixed_dictionaries(
        {"trading_rules": st.lists(sound_rules | some_rules, max_size=3)},
        optional={"min_cash": numbers, "risk_threshold": numbers, "min_order_value": numbers},
    )
)


def outcome(file: Path | None, environ: Mapping[str, str]) -> Settings | ConfigError:
    try:
        return load_settings(file=file, environ=environ)
    except ConfigError as error:
        return error


def is_sound(found: Settings | ConfigError) -> bool:
    """Valid settings, or problems that each say all they should in characters a terminal can show."""
    if isinstance(found, ConfigError):
        told = [f"{each.key} {each.value} {each.source} {each.why} {each.instead}" for each in found.problems]
        complete = all(each.key and each.source and each.why and each.instead for each in found.problems)
        return bool(told) and complete and all(line.isprintable() for line in told)
    total = sum(rule.target_allocation for rule in found.rules)
    unique = len(set(found.symbols)) == len(found.symbols)
    reached = all(
        abs(sum(map(rule.share_of, rule.symbols)) - rule.target_allocation) < 1e-9
        and all(rule.share_of(symbol) < rule.max_position_size + 0.011 for symbol in rule.symbols)
        for rule in found.rules
    )
    least = found.min_order_value if found.rebalance_method == "optimal" else 0
    return abs(total - 100) < 0.011 and unique and reached and least <= found.risk_threshold <= found.max_trade_value


def test_of_broken_settings_what_is_not_wrong_can_be_looked_at(tmp_path: Path) -> None:
    """The rest is at its default, also what only contradicts something else."""
    file = tmp_path / "config.json"
    broken = {"risk_threshold": 5000, "max_trade_value": 2000, "min_cash": -1, "max_positons": 9, "max_positions": 7}
    file.write_text(json.dumps(broken), encoding="utf-8")
    found = load_usable(file=file, environ={"MCP_URL": "http://127.0.0.1:8001/mcp"}, overrides={}, strategy=None)
    assert (found.max_positions, found.mcp_url) == (7, "http://127.0.0.1:8001/mcp")
    defaults = Settings()
    assert (found.min_cash, found.risk_threshold) == (defaults.min_cash, defaults.risk_threshold)
    file.write_text("{", encoding="utf-8")
    assert load_usable(file=file, environ={}, overrides={}, strategy="agressive") == defaults


@given(document=documents)
def test_of_any_json_object_something_can_be_used(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "usable.json"
    file.write_text(json.dumps(document))
    usable = load_usable(file=file, environ={}, overrides={}, strategy=None)
    found = outcome(file, {})
    assert not isinstance(found, Settings) or usable == found


@given(document=documents)
def test_any_json_object_makes_valid_settings_or_tells_its_problems(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(document))
    assert is_sound(outcome(file, {}))


@given(text=st.text())
def test_any_text_makes_valid_settings_or_tells_its_problems(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.txt"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    assert is_sound(outcome(file, {}))


@given(environ=st.dictionaries(st.sampled_from(["RISK_THRESHOLD", "SMART_AGENT_TRADING_RULES", "MCP_URL"]), st.text()))
def test_any_environment_makes_valid_settings_or_tells_its_problems(environ: dict[str, str]) -> None:
    assert is_sound(outcome(None, environ))
