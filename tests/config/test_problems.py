"""Every way a configuration can be broken, attacked one by one; and that no problem shows a secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.load import ConfigError, Problem, load_settings, load_strategy

KEY = "sk-test-0123456789abcdef"


def rule(name: str = "a", target: float = 100, symbols: object = ("VTI",), **more: object) -> dict[str, object]:
    shown = list(symbols) if isinstance(symbols, tuple) else symbols
    return {"name": name, "target_allocation": target, "symbols": shown, "max_position_size": 100, **more}


def problems_of(
    tmp_path: Path, content: object, environ: dict[str, str] | None = None, **options: Any
) -> tuple[Problem, ...]:
    file = tmp_path / "config.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_settings(file=file, environ=environ or {}, **options)
    return raised.value.problems


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("risk_threshold", "lots"),
        ("risk_threshold", 0),
        ("risk_threshold", -5),
        ("risk_threshold", True),
        ("risk_threshold", None),
        ("risk_threshold", [1000]),
        ("paper_trading", "perhaps"),
        ("paper_trading", 0),
        ("paper_trading", 1),
        ("paper_trading", None),
        ("max_positions", 2.5),
        ("max_positions", 0),
        ("max_positions", True),
        ("loop_interval_hours", 0),
        ("loop_interval_hours", 1e9),
        ("max_trade_value", {"USD": 5}),
        ("max_portfolio_change", 0),
        ("max_portfolio_change", 101),
        ("min_cash", -1),
        ("min_cash", 100),
        ("max_daily_loss", 0),
        ("whatif_buffer", -0.1),
        ("whatif_buffer", 100),
        ("whatif_buffer", True),
        ("whatif_buffer", None),
        ("max_commission", 0),
        ("max_commission", 100.1),
        ("max_commission", "1 %"),
        ("whatif_fallback", "guess"),
        ("whatif_fallback", "Estimate"),
        ("whatif_fallback", None),
        ("max_orders_per_day", 0),
        ("reversal_cooldown_hours", -1),
        ("max_quote_age_seconds", 0),
        ("max_spread", -1),
        ("price_collar", 0),
        ("limit_offset", -0.1),
        ("limit_offset", 2),
        ("fill_timeout_seconds", 0),
        ("rebalance_threshold", 0),
        ("rebalance_method", "best"),
        ("rebalance_method", "Optimal"),
        ("rebalance_method", ""),
        ("rebalance_method", None),
        ("rebalance_method", True),
        ("rebalance_method", ["optimal"]),
        ("min_order_value", -1),
        ("min_order_value", -0.01),
        ("min_order_value", 1_000_000_001),
        ("min_order_value", True),
        ("min_order_value", "none"),
        ("min_order_value", None),
        ("order_penalty", -1),
        ("order_penalty", -0.01),
        ("order_penalty", 1_000_001),
        ("order_penalty", True),
        ("order_penalty", False),
        ("order_penalty", "1 USD"),
        ("order_penalty", None),
        ("log_level", "LOUD"),
        ("log_level", 3),
        ("log_file", "/var/log/agent.log"),
        ("log_file", "../agent.log"),
        ("log_file", "logs/../../agent.log"),
        ("log_file", "C:\\agent.log"),
        ("log_file", "agent.db"),
        ("log_file", "config.json"),
        ("log_file", ".log"),
        ("log_file", ""),
        ("mcp_url", "ftp://host/mcp"),
        ("mcp_url", "127.0.0.1:8001"),
        ("mcp_url", "http://"),
        ("mcp_url", "http://host:99999/"),
        ("mcp_url", "http://[::1/"),
        ("mcp_url", "http://host/a b"),
        ("mcp_url", "file:///etc/passwd"),
        ("live_account_confirmed", "DU123456"),
        ("live_account_confirmed", "yes"),
        ("require_approval", "sometimes"),
        ("trading_rules", {}),
        ("trading_rules", "SPY"),
        ("trading_rules", None),
        ("trading_rules", []),
        ("strategy", "reckless"),
        ("strategy", "custom"),
        ("strategy", 7),
        ("strategy", None),
    ],
)
def test_a_value_that_makes_no_sense_is_a_problem_of_its_key(tmp_path: Path, key: str, value: object) -> None:
    (problem,) = problems_of(tmp_path, {key: value})
    assert problem.key == key
    assert problem.source.endswith("config.json")
    assert problem.why
    assert problem.instead


@pytest.mark.parametrize(
    ("rules", "key", "words"),
    [
        ([rule(target=90)], "trading_rules", "sum to 90 %"),
        ([rule("a", 60), rule("b", 45, ("BND",))], "trading_rules", "Take away 5"),
        ([rule(enabled=False)], "trading_rules", "no rule is enabled"),
        ([rule(symbols=("SPY", "spy"))], "trading_rules[0].symbols[1]", "twice"),
        ([rule(symbols=("BRK.B", "BRK B"))], "trading_rules[0].symbols[1]", "twice"),
        ([rule("a", 60), rule("b", 40)], "trading_rules[1].symbols[0]", 'rule "a" has this symbol'),
        ([rule("a", 60), rule("A ", 40, ("BND",))], "trading_rules[1].name", "same name"),
        ([rule(max_position_size=30, symbols=("SPY", "VTI"))], "trading_rules[0].max_position_size", "at least 50"),
        ([rule(max_position_size=0)], "trading_rules[0].max_position_size", "above 0"),
        ([rule(max_position_size=101)], "trading_rules[0].max_position_size", "at most 100"),
        ([rule(stop_loss=0)], "trading_rules[0].stop_loss", "below 0"),
        ([rule(stop_loss=20)], "trading_rules[0].stop_loss", "below 0"),
        ([rule(stop_loss=-101)], "trading_rules[0].stop_loss", "at least -100"),
        ([rule(take_profit=0)], "trading_rules[0].take_profit", "above 0"),
        ([rule(take_profit=-30)], "trading_rules[0].take_profit", "above 0"),
        ([rule(target=0), rule("b", 100, ("BND",))], "trading_rules[0].target_allocation", "above 0"),
        ([rule(target=101)], "trading_rules[0].target_allocation", "at most 100"),
        ([rule(symbols=())], "trading_rules[0].symbols", "empty"),
        ([rule(symbols="VTI")], "trading_rules[0].symbols", "list"),
        ([rule(symbols=("V T I",))], "trading_rules[0].symbols[0]", "ticker"),
        ([rule(symbols=("005930",))], "trading_rules[0].symbols[0]", "ticker"),
        ([rule(name="")], "trading_rules[0].name", "empty"),
        ([rule(name=" \n")], "trading_rules[0].name", "empty"),
        ([rule(name="a" * 81)], "trading_rules[0].name", "at most 80"),
        ([rule(name="a\x1b[2J")], "trading_rules[0].name", "plain text"),
        ([rule(enabled=1)], "trading_rules[0].enabled", "true or false"),
        ([rule(stoploss=-5)], "trading_rules[0].stoploss", 'Write "stop_loss"'),
        ([{"name": "a", "symbols": ["VTI"]}], "trading_rules[0].target_allocation", "Add it"),
        (["SPY"], "trading_rules[0]", "braces"),
    ],
)
def test_a_rule_that_makes_no_sense_is_a_problem(tmp_path: Path, rules: list[object], key: str, words: str) -> None:
    (problem,) = problems_of(tmp_path, {"trading_rules": rules})
    assert problem.key == key
    assert words in str(problem)


def weighted(weights: object, **more: Any) -> dict[str, object]:
    return rule(symbols=("SPY", "QQQ"), weights=weights, **more)


@pytest.mark.parametrize(
    ("weights", "key", "value", "words"),
    [
        ({"SPY": 1}, "", "an object of 1 keys", "QQQ of this rule's symbols has no weight. Give every symbol"),
        ({}, "", "an object of 0 keys", "SPY, QQQ of this rule's symbols have no weight. Give every symbol"),
        ({"SPY": 1, "QQQ": 1, "KO": 1}, ".KO", '"KO"', "not among the rule's symbols. Add it to symbols, or remove"),
        ({"SPY": 0, "QQQ": 1}, ".SPY", "0", "this is too small. Write a number above 0"),
        ({"SPY": -2.5, "QQQ": 1}, ".SPY", "-2.5", "this is too small. Write a number above 0"),
        ({"SPY": True, "QQQ": 1}, ".SPY", "true", "not a yes or no. Write a number"),
        ({"SPY": False, "QQQ": 1}, ".SPY", "false", "not a yes or no. Write a number"),
        ({"SPY": "2/3", "QQQ": 1}, ".SPY", '"2/3"', "this is not a number. Write a number, without quotes"),
        ({"SPY": "NaN", "QQQ": 1}, ".SPY", '"NaN"', "this is no finite number. Write a number"),
        ({"SPY": "inf", "QQQ": 1}, ".SPY", '"inf"', "this is no finite number. Write a number"),
        ({"SPY": None, "QQQ": 1}, ".SPY", "null", "this is not a number. Write a number, without quotes"),
        ({"SPY": [2], "QQQ": 1}, ".SPY", "a list of 1", "this is not a number. Write a number, without quotes"),
        ({"SPY": 1e16, "QQQ": 1}, ".SPY", "1e+16", "Write a number at most 1 000 000 000 000 000"),
        ({"SPY": 1, "QQQ": 1, "$": 1}, "", '"$"', 'not the ticker of a US stock or ETF. Write a ticker such as "SPY"'),
        ({"SPY": 1, "QQQ": 1, "": 1}, "", '""', 'not the ticker of a US stock or ETF. Write a ticker such as "SPY"'),
        ([2, 1], "", "a list of 2", 'an object is wanted here. Write symbols and weights in braces: {"SPY": 2'),
        ("equal", "", '"equal"', 'an object is wanted here. Write symbols and weights in braces: {"SPY": 2'),
        (1, "", "1", 'an object is wanted here. Write symbols and weights in braces: {"SPY": 2'),
    ],
)
def test_weights_that_make_no_sense_are_a_problem(
    tmp_path: Path, weights: object, key: str, value: str, words: str
) -> None:
    (problem,) = problems_of(tmp_path, {"trading_rules": [weighted(weights)]})
    assert (problem.key, problem.value) == ("trading_rules[0].weights" + key, value)
    assert problem.source.endswith("config.json")
    assert words in f"{problem.why}. {problem.instead}."


def test_a_weight_of_nan_is_refused_with_its_place(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, json.dumps({"trading_rules": [weighted({"SPY": float("nan"), "QQQ": 1})]}))
    assert problem.why == "it is not JSON: NaN is no number JSON knows"


def test_a_weight_beyond_all_numbers_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"trading_rules": [weighted({"SPY": 1, "QQQ": 12345})]})
    (problem,) = problems_of(tmp_path, text.replace("12345", "1e999"))
    assert (problem.key, problem.why) == ("trading_rules[0].weights.QQQ", "this is no finite number")


def test_a_weight_that_makes_a_symbol_larger_than_its_cap_is_a_problem(tmp_path: Path) -> None:
    """The plan would aim at what the guard refuses, at each run anew."""
    (problem,) = problems_of(tmp_path, {"trading_rules": [weighted({"SPY": 2, "QQQ": 1}, max_position_size=60)]})
    assert (problem.key, problem.value) == ("trading_rules[0].weights.SPY", "2.0")
    assert problem.why == "it makes SPY 66.6667 % of the account, and max_position_size is 60 %"
    assert problem.instead == "Lower this weight, or raise max_position_size to at least 66.67"


def test_the_cap_that_a_weight_asks_for_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"trading_rules": [weighted({"SPY": 2, "QQQ": 1}, max_position_size=66.67)]}))
    assert load_settings(file=file, environ={}).rules[0].max_position_size == 66.67


@pytest.mark.parametrize(
    ("weights", "blamed"),
    [({"SPY": 3, "QQQ": 1}, [".max_position_size", ".weights.SPY"]), ({"SPY": 1, "QQQ": 1}, [".max_position_size"])],
)
def test_a_cap_too_small_for_any_weights_is_not_blamed_on_those_that_are_not_large(
    tmp_path: Path, weights: object, blamed: list[str]
) -> None:
    found = problems_of(tmp_path, {"trading_rules": [weighted(weights, max_position_size=40)]})
    assert [problem.key.removeprefix("trading_rules[0]") for problem in found] == blamed


@pytest.mark.parametrize(("first", "second"), [("BRK.B", "brk-b"), ("brk-b", "BRK B"), ("BRK B", " brk b\n")])
def test_two_spellings_of_one_symbol_are_not_merged(tmp_path: Path, first: str, second: str) -> None:
    """Both become one key, so one of two weights would hold, and nobody would hear which."""
    (problem,) = problems_of(tmp_path, {"trading_rules": [rule(symbols=("BRK B",), weights={first: 1, second: 2})]})
    assert problem.key == f"trading_rules[0].weights.{second}".replace("\n", "\\u000a")
    assert problem.value == "2"
    assert problem.why == f'it stands for BRK B, and so does "{first}": only one weight can hold'
    assert problem.instead == "Keep the one you mean"


def test_each_further_spelling_of_a_symbol_is_told(tmp_path: Path) -> None:
    found = problems_of(tmp_path, {"trading_rules": [weighted({"SPY": 1, "spy": 2, "QQQ": 1, "Spy": 3})]})
    assert [(problem.key, problem.value) for problem in found] == [
        ("trading_rules[0].weights.spy", "2"),
        ("trading_rules[0].weights.Spy", "3"),
    ]


def test_a_weight_written_twice_is_a_problem(tmp_path: Path) -> None:
    text = json.dumps({"trading_rules": [weighted({"SPY": 1, "QQQ": 2})]})
    (problem,) = problems_of(tmp_path, text.replace('"SPY": 1', '"SPY": 1, "SPY": 3'))
    assert problem.key == "trading_rules[0].weights.SPY"
    assert "more than once" in problem.why


def test_all_problems_of_weights_are_told_at_once(tmp_path: Path) -> None:
    """A broken weight must hide neither another one, nor a name that does not belong, nor what the rules sum to."""
    rules = [
        rule("a", 20, ("SPY", "QQQ", "VTI", "BND"), weights={"SPY": 0, "QQQ": -1, "VTI": True, "BND": "x"}),
        rule("b", 20, ("KO", "PG"), weights={"KO": 1, "ko": 2, "JNJ": 0, "T": 7}),
        rule("c", 20, ("TSLA", "AAPL"), weights={"TSLA": 5, "AAPL": 1}, max_position_size=10),
        rule("d", 20, ("GLD", "IWM"), weights={"GLD": 1, "$": -1, "XOM": 1}),
        rule("e", 20, ("AMZN",), weights=[1]),
        rule("f", 20, ("MSFT", "NVDA"), weights={"MSFT": 1}),
    ]
    found = problems_of(tmp_path, {"trading_rules": rules})
    assert sorted(problem.key.removeprefix("trading_rules") for problem in found) == sorted(
        [
            "",
            *(f"[0].weights.{symbol}" for symbol in ("SPY", "QQQ", "VTI", "BND")),
            # PG has no weight; JNJ is 0 and, like T, none of the rule's symbols.
            *("[1].weights", "[1].weights.ko", "[1].weights.JNJ", "[1].weights.JNJ", "[1].weights.T"),
            "[2].weights.TSLA",
            # "$" may be meant for IWM, so nothing is said of a weight that is missing.
            *("[3].weights", "[3].weights.$", "[3].weights.XOM"),
            "[4].weights",
            "[5].weights",
        ]
    )


def test_weights_of_a_symbol_that_cannot_be_read_are_not_called_foreign(tmp_path: Path) -> None:
    """The weight is right; the symbol is what to correct."""
    (problem,) = problems_of(
        tmp_path, {"trading_rules": [rule(symbols=("SPY", "Q Q Q"), weights={"SPY": 1, "QQQ": 1})]}
    )
    assert problem.key == "trading_rules[0].symbols[1]"


def test_a_symbol_named_twice_is_the_only_problem_of_its_weights(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"trading_rules": [rule(symbols=("SPY", "spy"), weights={"SPY": 1})]})
    assert problem.key == "trading_rules[0].symbols[1]"
    found = problems_of(tmp_path, {"trading_rules": [rule(symbols=("SPY", "KO", "ko"), weights={"SPY": 1})]})
    assert [problem.why for problem in found if problem.key == "trading_rules[0].weights"] == [
        "KO of this rule's symbols has no weight"
    ]


@pytest.mark.parametrize(
    "off", [{"weights": {"KO": 1}}, {"weights": {"SPY": 9, "QQQ": 1}, "max_position_size": 10}, {"weights": {}}]
)
def test_weights_of_a_disabled_rule_need_not_fit_its_symbols(tmp_path: Path, off: dict[str, Any]) -> None:
    """Nothing is aimed at there; it may be half edited."""
    file = tmp_path / "config.json"
    rules = [rule(), rule("off", 50, ("SPY", "QQQ"), enabled=False, **off)]
    file.write_text(json.dumps({"trading_rules": rules}))
    assert load_settings(file=file, environ={}).symbols == ("VTI",)


def test_weights_of_a_disabled_rule_must_be_weights(tmp_path: Path) -> None:
    """What cannot be read is a problem wherever it stands."""
    off = rule("off", 50, ("SPY", "BRK.B"), enabled=False, weights={"SPY": 0, "BRK.B": 1, "brk-b": 2})
    found = problems_of(tmp_path, {"trading_rules": [rule(), off]})
    assert {problem.key for problem in found} == {
        "trading_rules[1].weights.SPY",
        "trading_rules[1].weights.brk-b",
    }


def test_a_disabled_rule_does_not_count_in_the_total_and_shares_no_symbol(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"trading_rules": [rule(), rule("b", 50, enabled=False)]}))
    assert load_settings(file=file, environ={}).symbols == ("VTI",)


def test_targets_a_hair_from_100_are_good_enough(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    thirds = [rule(name, 33.33, (symbol,)) for name, symbol in (("a", "VTI"), ("b", "BND"), ("c", "GLD"))]
    file.write_text(json.dumps({"trading_rules": thirds}))
    assert len(load_settings(file=file, environ={}).rules) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "line 1, column 1"),
        ('{"max_positions": 5,\n  oops}', "line 2, column 3"),
        ('{"max_positions": 5} // five', "line 1"),
        ('{"min_cash": NaN}', "NaN"),
        ('{"min_cash": -Infinity}', "-Infinity"),
        ('{"min_cash": ' + "9" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "no object"),
        ('"text"', "no object"),
        (" " * 1_000_001, "larger than"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused_with_the_place(tmp_path: Path, content: str, words: str) -> None:
    (problem,) = problems_of(tmp_path, content)
    assert words in problem.why
    assert problem.source.endswith("config.json")


def test_a_number_beyond_all_numbers_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, '{"min_cash": 1e999}')
    assert (problem.key, problem.why) == ("min_cash", "this is no finite number")


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(file=tmp_path / "none.json", environ={})
    with pytest.raises(ConfigError, match="directory"):
        load_settings(file=tmp_path, environ={})


def test_a_file_that_is_not_text_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b'{"log_file": "\xff.log"}')
    with pytest.raises(ConfigError, match="UTF-8"):
        load_settings(file=file, environ={})


def test_a_key_written_twice_is_a_problem_at_any_depth(tmp_path: Path) -> None:
    """JSON readers silently take the last; a person who reads the file may see the first."""
    (problem,) = problems_of(tmp_path, '{"max_positions": 5, "max_positions": 50}')
    assert problem.key == "max_positions"
    inner = '{"trading_rules": [{"name": "a", "target_allocation": 100, "symbols": ["VTI"], "max_position_size": 100, '
    (problem,) = problems_of(tmp_path, inner + '"stop_loss": -5, "stop_loss": -50}]}')
    assert problem.key == "trading_rules[0].stop_loss"


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("risk_treshold", "risk_threshold"), ("Paper_Trading", "paper_trading"), ("max_trade", "max_trade_value")],
)
def test_an_unknown_key_comes_with_the_nearest_known_one(tmp_path: Path, key: str, nearest: str) -> None:
    (problem,) = problems_of(tmp_path, {key: 5})
    assert problem.key == key
    assert f'"{nearest}"' in problem.instead


def test_an_unknown_key_like_no_other_is_refused_too(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"zzzz": 5})
    assert "Remove it" in problem.instead


@pytest.mark.parametrize(
    "key", ["_env_file", "__pydantic_self__", "_secrets_dir", "self", "a.b", "\ud800", "\x1b[2J", ""]
)
def test_no_name_of_a_key_reaches_the_library_or_the_terminal(tmp_path: Path, key: str) -> None:
    """The settings library takes options by keyword; a file must not be able to set them."""
    (problem,) = problems_of(tmp_path, {key: "x"})
    assert str(problem).isprintable()


def test_a_strategy_and_other_rules_in_one_file_contradict_each_other(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"strategy": "conservative", "trading_rules": [rule()]})
    assert problem.key == "strategy"


def test_an_unknown_strategy_comes_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match='Write "conservative"') as raised:
        load_settings(file=None, environ={}, strategy="Conservativ")
    assert raised.value.problems[0].source == "--strategy"
    with pytest.raises(ConfigError, match='Write "aggressive"'):
        load_strategy("agressive")
    with pytest.raises(ConfigError):
        load_strategy("../../secrets")


def test_a_threshold_above_the_bound_of_every_order_is_blamed_on_the_key_somebody_wrote(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"risk_threshold": 20000})
    assert (problem.key, problem.value) == ("risk_threshold", "20000")
    (problem,) = problems_of(tmp_path, {"max_trade_value": 500})
    assert (problem.key, problem.value) == ("max_trade_value", "500")
    (problem,) = problems_of(tmp_path, {}, {"RISK_THRESHOLD": "20000"})
    assert problem.source == "environment variable RISK_THRESHOLD"


def test_a_smallest_order_above_the_largest_is_blamed_on_the_key_somebody_wrote(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"min_order_value": 1000.01})
    assert (problem.key, problem.value) == ("min_order_value", "1000.01")
    assert "Lower min_order_value to at most 1000, or raise risk_threshold to at least 1000.01" in problem.instead
    (problem,) = problems_of(tmp_path, {"risk_threshold": 99})
    assert (problem.key, problem.value) == ("risk_threshold", "99")
    (problem,) = problems_of(tmp_path, {"risk_threshold": 50, "min_order_value": 60, "rebalance_method": "optimal"})
    assert (problem.key, problem.value) == ("min_order_value", "60")
    (problem,) = problems_of(tmp_path, {}, {"SMART_AGENT_MIN_ORDER_VALUE": "5000"})
    assert problem.source == "environment variable SMART_AGENT_MIN_ORDER_VALUE"
    (problem,) = problems_of(tmp_path, {}, overrides={"risk_threshold": 50})
    assert problem.source == "--risk-threshold"


@pytest.mark.parametrize("broken", [{"risk_threshold": 0}, {"rebalance_method": "best"}])
def test_a_smallest_order_is_not_compared_with_what_could_not_be_read(tmp_path: Path, broken: dict[str, Any]) -> None:
    (problem,) = problems_of(tmp_path, {"min_order_value": 5000, **broken})
    assert [problem.key] == list(broken)


def test_real_money_is_never_traded_without_a_preview(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"paper_trading": False, "require_whatif": False})
    assert problem.key == "require_whatif"


# --- the environment and the command line ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "instead"),
    [
        ("SMART_AGENT_MAX_TRADE_VALU", "SMART_AGENT_MAX_TRADE_VALUE"),
        ("SMART_AGENT_RISK_THRESHOLD", "Write RISK_THRESHOLD"),
        ("SMART_AGENT_PAPER_TRADNG", "Write PAPER_TRADING"),
        ("smart_agent_min_cash", "SMART_AGENT_MIN_CASH"),
        ("SMART_AGENT_", "Unset it"),
        ("SMART_AGENT_OPENAI_API_KEY", "OPENAI_API_KEY"),
    ],
)
def test_a_misspelt_variable_is_a_problem(variable: str, instead: str) -> None:
    """`SMART_AGENT_MAX_TRADE_VALU=500` was meant as a limit; ignoring it would trade without one."""
    with pytest.raises(ConfigError) as raised:
        load_settings(file=None, environ={variable: KEY})
    (problem,) = raised.value.problems
    assert problem.key == variable
    assert instead in problem.instead
    assert KEY not in str(problem)


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("RISK_THRESHOLD", "1,000", "risk_threshold"),
        ("RISK_THRESHOLD", "nan", "risk_threshold"),
        ("SMART_AGENT_MIN_CASH", "inf", "min_cash"),
        ("PAPER_TRADING", "maybe", "paper_trading"),
        ("SMART_AGENT_MIN_ORDER_VALUE", "-1", "min_order_value"),
        ("SMART_AGENT_ORDER_PENALTY", "nan", "order_penalty"),
        ("SMART_AGENT_ORDER_PENALTY", "true", "order_penalty"),
        ("SMART_AGENT_REBALANCE_METHOD", "fast", "rebalance_method"),
        ("SMART_AGENT_TRADING_RULES", json.dumps([rule(weights={"VTI": 0})]), "trading_rules[0].weights.VTI"),
        ("SMART_AGENT_TRADING_RULES", json.dumps([rule(weights={"KO": 1})]), "trading_rules[0].weights"),
        ("SMART_AGENT_TRADING_RULES", "[{", "trading_rules"),
        ("SMART_AGENT_TRADING_RULES", '[{"name": "a", "name": "b"}]', "trading_rules[0].name"),
    ],
)
def test_a_bad_value_in_a_variable_names_the_variable(variable: str, value: str, key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(file=None, environ={variable: value})
    assert raised.value.problems[0].key == key
    assert raised.value.problems[0].source == f"environment variable {variable}"


@pytest.mark.parametrize(
    ("key", "value", "option"),
    [
        ("risk_threshold", -1, "--risk-threshold"),
        ("mcp_url", "nowhere", "--mcp-url"),
        ("loop_interval_hours", 0, "--interval"),
        ("nonsense", 1, "--nonsense"),
    ],
)
def test_a_bad_value_on_the_command_line_names_the_option(key: str, value: object, option: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(file=None, environ={}, overrides={key: value})
    assert raised.value.problems[0].source == option


def test_all_problems_of_all_sources_are_told_at_once(tmp_path: Path) -> None:
    content = {
        "risk_treshold": 5,
        "min_cash": -1,
        "openai_api_key": KEY,
        "trading_rules": [
            rule("a", 60, ("SPY", "SPY"), stop_loss=5),
            rule("a", 30, ("SPY", "$"), nonsense=1),
        ],
    }
    environ = {"SMART_AGENT_MAXPOSITIONS": "3", "LOG_LEVEL": "LOUD"}
    found = problems_of(tmp_path, content, environ, overrides={"mcp_url": "nowhere"})
    assert {problem.key for problem in found} == {
        "risk_treshold",
        "min_cash",
        "openai_api_key",
        "trading_rules",
        "trading_rules[0].symbols[1]",
        "trading_rules[0].stop_loss",
        "trading_rules[1].name",
        "trading_rules[1].symbols[0]",
        "trading_rules[1].symbols[1]",
        "trading_rules[1].nonsense",
        "SMART_AGENT_MAXPOSITIONS",
        "log_level",
        "mcp_url",
    }


# --- secrets ---------------------------------------------------------------------------------------------------


def test_the_key_in_a_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"openai_api_key": KEY})
    assert problem.key == "openai_api_key"
    assert "environment variable OPENAI_API_KEY" in problem.instead


@pytest.mark.parametrize(
    "content",
    [
        {"openai_api_key": KEY},
        {"api_key": KEY},
        {"anthropic-key": KEY},
        {"IB_PASSWORD": KEY},
        {"access_token": KEY},
        {"log_level": KEY},
        {"mcp_url": KEY},
        {"mcp_url": f"https://me:{KEY}@host/mcp"},
        {"mcp_url": f"https://host/mcp?api_key={KEY}"},
        {"zzzz": f"https://host/mcp?token={KEY}"},
        {"strategy": KEY},
        {"trading_rules": {"api_key": KEY}},
        {"trading_rules": [rule(api_key=KEY)]},
        {"trading_rules": [rule(symbols=(KEY,))]},
        {"trading_rules": [rule(weights={KEY: 1})]},
        {"trading_rules": [rule(weights={"VTI": KEY})]},
        {"trading_rules": [rule(weights={"api_key": KEY})]},
        {"trading_rules": [rule(weights=KEY)]},
        f'{{"api_key": "{KEY}", "api_key": "{KEY}"}}',
        f'{{"openai_api_key": "{KEY}",, }}',
    ],
)
def test_no_problem_shows_a_secret(tmp_path: Path, content: object) -> None:
    for problem in problems_of(tmp_path, content):
        assert KEY not in str(problem)
        assert KEY not in repr(problem)


@pytest.mark.parametrize("key", [f"{KEY} {KEY}", f"{KEY}é", f"{KEY}\n{KEY}", f"{KEY}\x1b"])
def test_a_damaged_key_in_the_environment_is_a_problem_that_does_not_show_it(key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(file=None, environ={"OPENAI_API_KEY": key})
    (problem,) = raised.value.problems
    assert problem.source == "environment variable OPENAI_API_KEY"
    assert KEY not in str(raised.value)
    assert KEY not in repr(raised.value.problems)
