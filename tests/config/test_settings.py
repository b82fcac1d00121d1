"""The defaults, the helpers, and that printing settings shows no secret."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
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


def test_no_way_of_printing_settings_shows_the_key() -> None:
    settings = Settings(openai_api_key=SecretStr(KEY))
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == KEY
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert KEY not in text
    assert settings.document()["openai_api_key"] is None


def test_the_document_of_settings_makes_the_same_settings() -> None:
    assert Settings(**Settings().document()) == Settings()
