"""docs/configuration.md and .env.example say what the code does."""

import json
import re
from pathlib import Path

import config.settings
from config.environment import unknown_variables, variable_of
from config.load import load_settings
from config.settings import Settings, TradingRule

PROJECT = Path(config.settings.__file__).parents[1]
PAGE = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_every_key_is_documented_with_its_default_and_its_variable() -> None:
    table = rows("Keys")
    assert table.keys() == Settings.model_fields.keys()
    defaults = Settings().document()
    for key, (default, _unit, meaning, variable) in table.items():
        assert meaning
        assert variable == f"`{variable_of(key)}`"
        assert default == ("the default strategy" if key == "trading_rules" else f"`{json.dumps(defaults[key])}`")


def test_every_key_of_a_rule_is_documented_with_its_default() -> None:
    table = rows("Trading rules")
    assert table.keys() == TradingRule.model_fields.keys()
    for key, (default, *_) in table.items():
        field = TradingRule.model_fields[key]
        assert default == ("needed" if field.is_required() else f"`{json.dumps(field.default)}`")


def test_the_example_of_weights_loads_and_makes_the_shares_that_the_text_says(tmp_path: Path) -> None:
    """People copy examples; the caps in this one must leave room for its weights."""
    (example,) = re.findall(r"^```json\n(.+?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    file = tmp_path / "config.json"
    file.write_text(example)
    rules = load_settings(file=file, environ={}).rules
    shares = {symbol: rule.share_of(symbol) for rule in rules for symbol in rule.symbols}
    assert shares == {"SPY": 40, "QQQ": 20, "BND": 20, "TLT": 20}


def test_the_example_environment_holds_known_variables_and_sets_nothing() -> None:
    """Somebody who copies it unedited must get the defaults."""
    lines = (PROJECT / ".env.example").read_text(encoding="utf-8").splitlines()
    assigned = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    commented = dict(
        line[2:].split("=", 1) for line in lines if line.startswith("# ") and line[2:].split("=")[0].isupper()
    )
    assert set(assigned.values()) == {""}
    assert list(unknown_variables({**assigned, **commented})) == []
    assert {"OPENAI_API_KEY", "MCP_URL", "PAPER_TRADING", "RISK_THRESHOLD", "LOG_LEVEL"} <= assigned.keys()
