"""The defaults, the helpers, and that printing settings shows no secret."""

import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

import config.settings
from config.settings import Settings, TradingRule

KEY = "sk-test-0123456789abcdef"


def bucket(name: str, target: float, *symbols: str, enabled: bool = True) -> TradingRule:
    return TradingRule(name=name, target_allocation=target, symbols=symbols, max_position_size=100, enabled=enabled)


def test_the_defaults_are_paper_trading_of_the_default_strategy() -> None:
    settings = Settings()
    assert settings.paper_trading
    assert settings.require_whatif
    assert settings.mcp_url is None
    assert settings.risk_threshold == Decimal(1000)
    assert settings.max_trade_value == Decimal(10000)
    assert settings.strategy == "default"
    assert [rule.target_allocation for rule in settings.rules] == [70, 15, 15]


def test_neither_the_process_environment_nor_a_dotenv_file_is_read(tmp_path: Path) -> None:
    """Else a value could take effect that no problem and no `config show` can trace."""
    (tmp_path / ".env").write_text("RISK_THRESHOLD=7\n")
    project = Path(config.settings.__file__).parents[1]
    environ = {**os.environ, "RISK_THRESHOLD": "5", "PYTHONPATH": str(project)}
    code = "from config.settings import Settings; print(Settings().risk_threshold)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1000"


def test_settings_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError):
        Settings().risk_threshold = Decimal(1)  # type: ignore[misc]  # the attempt is the test


def test_a_key_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(risk_treshold=1)  # type: ignore[call-arg]  # the misspelling is the test


def test_only_enabled_rules_count_and_their_symbols_keep_their_order() -> None:
    settings = Settings(
        trading_rules=(
            bucket("a", 60, "VTI", "SPY"),
            bucket("b", 40, "BND"),
            bucket("off", 30, "TSLA", enabled=False),
        )
    )
    assert [rule.name for rule in settings.rules] == ["a", "b"]
    assert settings.symbols == ("VTI", "SPY", "BND")


def test_a_symbol_of_no_enabled_rule_has_no_rule() -> None:
    settings = Settings(trading_rules=(bucket("a", 100, "VTI"), bucket("off", 30, "TSLA", enabled=False)))
    found = settings.rule_of("VTI")
    assert found is not None
    assert found.name == "a"
    assert settings.rule_of("TSLA") is None
    assert settings.rule_of("XYZ") is None


@pytest.mark.parametrize("written", ["brk.b", "BRK-B", " Brk B "])
def test_symbols_are_kept_as_interactive_brokers_writes_them(written: str) -> None:
    """A position comes back as `BRK B`; under another name it would look like a holding no rule knows."""
    settings = Settings(trading_rules=(bucket("a", 100, written),))
    assert settings.symbols == ("BRK B",)
    assert settings.rule_of(written) == settings.rules[0]


def weighted(weights: Mapping[str, float] | None, *symbols: str, target: float = 60, cap: float = 100) -> TradingRule:
    return TradingRule.model_validate(
        {
            "name": "a",
            "target_allocation": target,
            "symbols": symbols,
            "max_position_size": cap,
            "weights": weights,
        }
    )


def test_weights_divide_the_target_in_proportion() -> None:
    rule = weighted({"SPY": 3, "QQQ": 2, "VTI": 1}, "SPY", "QQQ", "VTI")
    assert [rule.share_of(symbol) for symbol in rule.symbols] == [30, 20, 10]


def test_the_order_in_which_weights_are_written_does_not_matter() -> None:
    rule = weighted({"VTI": 1, "SPY": 3, "QQQ": 2}, "SPY", "QQQ", "VTI")
    assert [rule.share_of(symbol) for symbol in rule.symbols] == [30, 20, 10]


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1, 7, 50, 1e12])
def test_the_scale_of_weights_does_not_matter(scale: float) -> None:
    """Somebody may write percentages, somebody else market values in dollars."""
    rule = weighted({"SPY": 2 * scale, "QQQ": scale}, "SPY", "QQQ")
    assert [rule.share_of(symbol) for symbol in rule.symbols] == pytest.approx([40, 20])


@pytest.mark.parametrize("weights", [None, {"SPY": 5, "QQQ": 5, "VTI": 5}])
def test_without_weights_or_with_equal_ones_shares_are_equal(weights: Mapping[str, float] | None) -> None:
    rule = weighted(weights, "SPY", "QQQ", "VTI")
    assert [rule.share_of(symbol) for symbol in rule.symbols] == [20, 20, 20]


def test_a_rule_has_no_weights_unless_they_are_written() -> None:
    assert bucket("a", 100, "VTI").weights is None
    assert all(rule.weights is None for rule in Settings().trading_rules)


@given(weights=st.lists(st.floats(0, 1e15, exclude_min=True), min_size=1, max_size=4), target=st.floats(0.01, 100))
def test_whatever_the_weights_shares_add_up_to_the_target(weights: list[float], target: float) -> None:
    """A sum that overflows would make a share NaN, which passes every comparison; one that underflows would lose it."""
    symbols = ("SPY", "QQQ", "VTI", "BND")[: len(weights)]
    rule = weighted(dict(zip(symbols, weights, strict=True)), *symbols, target=target)
    shares = [rule.share_of(symbol) for symbol in symbols]
    assert sum(shares) == pytest.approx(target)
    assert min(shares) >= 0


@pytest.mark.parametrize("written", ["brk.b", "BRK-B", " Brk B "])
def test_weights_are_kept_as_interactive_brokers_writes_symbols(written: str) -> None:
    """A position comes back as `BRK B`, and its share is looked up under that name."""
    (rule,) = Settings(trading_rules=(weighted({written: 3, "spy": 1}, "brk.b", "SPY", target=100),)).rules
    assert rule.weights == {"BRK B": 3, "SPY": 1}
    assert rule.share_of("BRK B") == 75


@pytest.mark.parametrize("weights", [None, {"BRK B": 1, "SPY": 1}])
@pytest.mark.parametrize("spelling", ["BRK B", "BRK.B", "brk-b"])
def test_a_share_is_found_under_any_spelling(weights: Mapping[str, float] | None, spelling: str) -> None:
    """`rule_of` takes any spelling; with what it found, looking up the share must not fail."""
    assert weighted(weights, "BRK B", "SPY").share_of(spelling) == 30


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 1.1e15, True, "heavy", None, [1]])
def test_a_weight_that_is_no_positive_number_is_refused(weight: object) -> None:
    """NaN cannot come from JSON, but a rule made in code must not hold one either."""
    with pytest.raises(ValidationError) as raised:
        weighted({"SPY": weight, "QQQ": 1}, "SPY", "QQQ")  # type: ignore[dict-item]  # the wrong type is the test
    (detail,) = raised.value.errors()
    assert detail["loc"] == ("weights", "SPY")


def test_a_key_of_weights_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValidationError):
        weighted({5: 1, "SPY": 1}, "SPY")  # type: ignore[dict-item]  # the wrong type is the test


def test_weights_written_out_make_the_same_rule() -> None:
    rule = weighted({"brk.b": 2, "SPY": 1}, "BRK.B", "spy", target=100)
    settings = Settings(trading_rules=(rule,))
    assert TradingRule(**rule.model_dump()) == rule
    assert Settings(**settings.document()) == settings


def test_weights_may_make_a_symbol_exactly_as_large_as_the_cap() -> None:
    assert Settings(trading_rules=(weighted({"SPY": 3, "QQQ": 1}, "SPY", "QQQ", target=100, cap=75),)).rules
    with pytest.raises(ValidationError, match="75 %"):
        Settings(trading_rules=(weighted({"SPY": 3, "QQQ": 1}, "SPY", "QQQ", target=100, cap=74.98),))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("whatif_buffer", 0),
        ("whatif_buffer", 99.9),
        ("max_commission", 0.01),
        ("max_commission", 100),
        ("whatif_fallback", "estimate"),
        ("whatif_fallback", "reject"),
    ],
)
def test_the_keys_of_the_preview_take_all_of_their_range(key: str, value: object) -> None:
    settings = Settings.model_validate({key: value})
    assert getattr(settings, key) == value
    assert settings.document()[key] == value


def test_by_default_the_buffer_asks_for_no_more_cash_than_the_least_cash_does() -> None:
    """In a cash account margin is the whole value of the shares, and a larger buffer would stop its purchases."""
    assert Settings().whatif_buffer <= Settings().min_cash


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rebalance_method", "optimal"),
        ("rebalance_method", "first_symbol"),
        ("min_order_value", 0),
        ("min_order_value", 999.5),
        ("order_penalty", 0),
        ("order_penalty", 0.25),
        ("order_penalty", 1_000_000),
    ],
)
def test_the_keys_of_rebalancing_take_all_of_their_range(key: str, value: object) -> None:
    settings = Settings.model_validate({key: value})
    assert getattr(settings, key) == value
    assert settings.document()[key] == value


@pytest.mark.parametrize("key", ["min_order_value", "order_penalty"])
@pytest.mark.parametrize("value", [-0.01, float("nan"), float("inf"), True, False, "much", None])
def test_an_amount_of_money_that_is_none_is_refused(key: str, value: object) -> None:
    """NaN cannot come from JSON, but settings made in code must not hold one either."""
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({key: value})
    (detail,) = raised.value.errors()
    assert detail["loc"] == (key,)


def test_the_smallest_order_may_be_as_large_as_the_largest_and_no_larger() -> None:
    """Above it, no purchase whatever would be planned, run after run, and each of them would call that success."""
    at_most = Decimal("99.99")
    settings = Settings(risk_threshold=at_most, min_order_value=at_most)
    assert settings.min_order_value == settings.risk_threshold
    with pytest.raises(ValidationError, match="nothing could be bought"):
        Settings(risk_threshold=at_most, min_order_value=Decimal(100))


def test_no_way_of_printing_settings_shows_the_key() -> None:
    settings = Settings(openai_api_key=SecretStr(KEY))
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == KEY
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert KEY not in text
    assert settings.document()["openai_api_key"] is None


def test_the_document_of_settings_makes_the_same_settings() -> None:
    assert Settings(**Settings().document()) == Settings()
