"""Who comes from the first version finds everything: the README's table of commands, and the facts on the screen."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from config.environment import variable_of
from config.home import Home
from config.load import load_settings
from config.settings import Settings
from tests.cli.commands import parsed

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## If you come from the first version\n")[2].partition("\n## ")[0]
ROWS = [tuple(line.strip("|").split("|")) for line in SECTION.splitlines() if line.startswith("| ")][1:]
NOW = re.findall(r"`(smart-agent [^`]+)`", SECTION)
VARIABLES = ("OPENAI_API_KEY", "MCP_URL", "PAPER_TRADING", "RISK_THRESHOLD", "LOG_LEVEL")
THEN = (
    *("--continuous", "--interval", "--config", "--create-config", "create-samples", "--validate-config"),
    *("--help-setup", "--paper-trading", "--live-trading", "--risk-threshold", "mcp_server.py", "mcp_test.py"),
    *VARIABLES,
    *("trading_log.log", "reflection_YYYYMMDD_HHMMSS.json", "config.json"),
)
FACTS = (
    r"SENSE: Gathering market and portfolio data",
    r"Portfolio Value +\$50,000\.00",
    r"Available Funds +\$27,522\.55",
    r"Positions +8",
    r"Market Data +18 symbols",
    r"THINK: Analyzing data and making decisions",
    r"Rules made 3 trading decisions",
    r"ACT: Checking and executing the decisions",
    r"PAPER TRADE FILLED  BUY  2 VOO",
    r"Completed 3/3 trades",
    r"REFLECT: Analyzing results and logging outcomes",
)
OLD_CONFIG = """{
  "risk_threshold": 1000.0, "paper_trading": true, "trading_rules": [{
    "name": "My ETF Rule", "description": "Core ETF holdings", "target_allocation": 60.0,
    "symbols": ["SPY", "QQQ", "VTI"],
    "max_position_size": 25.0, "stop_loss": -20.0, "take_profit": 30.0, "enabled": true
  }, {"name": "Bonds", "description": "", "target_allocation": 40.0, "symbols": ["BND"], "max_position_size": 45.0}]
}"""


@pytest.mark.parametrize("word", THEN)
def test_the_table_names_everything_of_the_first_version(word: str) -> None:
    assert any(word in row[0] for row in ROWS)


@pytest.mark.parametrize("line", NOW)
def test_every_command_of_the_table_can_be_typed(line: str) -> None:
    assert parsed(line)


def test_the_variables_have_kept_their_names() -> None:
    assert set(VARIABLES) <= {variable_of(key) for key in Settings.model_fields}


def test_the_configuration_of_the_first_version_loads(home: Home) -> None:
    home.config_file.write_text(OLD_CONFIG)
    assert [rule.name for rule in load_settings(file=home.config_file, environ={}).rules] == ["My ETF Rule", "Bonds"]


def test_the_harmless_commands_of_the_table_run_and_leave_the_files_of_old(home: Home) -> None:
    harmless = ["run", "config", "setup", "performance", "lessons", "halt"]
    commands = [shlex.split(line)[1:] for line in NOW]
    ran = [words for words in commands if words[0] in harmless and (words[0] != "run" or len(words) == 1)]
    assert {words[0] for words in ran} == set(harmless)
    for words in ran:
        if "FILE" in words:
            continue
        done = CliRunner().invoke(app, [*words, "--home", str(home.root)], env={"OPENAI_API_KEY": ""})
        assert done.exit_code == 0, (words, done.stdout, done.stderr)
    assert home.config_file.exists()
    assert (home.root / "trading_log.log").exists()
    (reflection,) = home.reflections.iterdir()
    assert re.fullmatch(r"reflection_\d{8}_\d{6}\w*\.json", reflection.name)


def test_a_run_tells_the_facts_that_the_first_version_told(home: Home) -> None:
    done = CliRunner().invoke(
        app,
        ["run", "--home", str(home.root), "--as-of", "2026-06-15"],
        env={"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""},
    )
    places = []
    for fact in FACTS:
        found = re.search(fact, done.stdout)
        assert found, f"{fact} in\n{done.stdout}"
        places.append(found.start())
    assert places == sorted(places), "in the order of the four steps"
