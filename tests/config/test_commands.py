"""`smart-agent config …` as a person meets it: what it prints, writes, refuses, and how it exits."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import cli.config_commands
from cli.config_commands import app
from config.load import load_settings
from config.settings import Settings

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def run(home: Path, *words: str, environ: Mapping[str, str] | None = None) -> Result:
    unset = dict.fromkeys(["OPENAI_API_KEY", "MCP_URL", "PAPER_TRADING", "RISK_THRESHOLD", "LOG_LEVEL"])
    return CliRunner().invoke(app, [*words, "--home", str(home)], env={**unset, **(environ or {})})


def test_create_writes_every_key_and_nothing_changes_by_it(home: Path) -> None:
    result = run(home, "create")
    assert result.exit_code == 0
    assert result.stdout == f"Written: {home / 'config.json'}\n"
    document = json.loads((home / "config.json").read_text())
    assert document.keys() == Settings.model_fields.keys() - {"strategy"}
    assert load_settings(file=home / "config.json", environ={}) == Settings()


def test_create_never_writes_the_key_into_the_file(home: Path) -> None:
    run(home, "create", environ={"OPENAI_API_KEY": KEY})
    assert KEY not in (home / "config.json").read_text()


def test_create_overwrites_only_when_told_to(home: Path) -> None:
    run(home, "create")
    (home / "config.json").write_text("mine")
    refused = run(home, "create")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert (home / "config.json").read_text() == "mine"
    assert run(home, "create", "--force").exit_code == 0
    assert {path.name for path in home.glob("*") if path.is_file()} == {"config.json", "config.json.bak"}
    assert (home / "config.json.bak").read_text() == "mine"
    again = run(home, "create", "--force")
    assert str(home / "config.json.bak2") in again.stdout
    assert (home / "config.json.bak").read_text() == "mine", "no copy is ever lost to a later one"


def test_create_writes_the_file_that_config_names(home: Path, tmp_path: Path) -> None:
    assert run(home, "create", "--config", str(tmp_path / "mine.json")).exit_code == 0
    assert (tmp_path / "mine.json").exists()
    failed = run(home, "create", "--config", str(tmp_path / "no" / "such" / "folder.json"))
    assert failed.exit_code == 2
    assert "cannot be written" in failed.stderr


def test_a_write_that_fails_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "folder"
    (target / "inside").mkdir(parents=True)
    assert run(home, "create", "--force", "--config", str(target)).exit_code == 2
    assert list(tmp_path.glob("tmp*")) == []


def test_samples_are_valid_and_bear_the_names_of_their_strategies(home: Path) -> None:
    assert run(home, "samples").exit_code == 0
    for name in ("default", "conservative", "aggressive"):
        assert load_settings(file=home / f"config_{name}.json", environ={}).strategy == name
    assert not (home / "config.json").exists()


def test_samples_write_nothing_if_one_of_them_exists(home: Path) -> None:
    home.mkdir()
    (home / "config_aggressive.json").write_text("mine")
    assert run(home, "samples").exit_code == 2
    assert [path.name for path in home.iterdir() if path.is_file()] == ["config_aggressive.json"]
    assert (home / "config_aggressive.json").read_text() == "mine"


def set_in(home: Path, *words: str, **environ: str) -> Result:
    return run(home, "set", *words, environ=environ)


def test_set_changes_one_value_and_keeps_the_order_of_the_keys(home: Path) -> None:
    home.mkdir()
    file = home / "config.json"
    file.write_text('{"min_cash": 2.0, "risk_threshold": 1000, "max_positions": 7}')
    done = set_in(home, "risk_threshold", "500")
    assert (done.exit_code, done.stdout) == (0, f"{file}: risk_threshold was 1000, and is 500.\n")
    assert list(json.loads(file.read_text()).items()) == [
        ("min_cash", 2.0),
        ("risk_threshold", 500),
        ("max_positions", 7),
    ]
    again = set_in(home, "risk_threshold", "500")
    assert (again.exit_code, again.stdout) == (0, "risk_threshold is 500 already; nothing was changed.\n")


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("think_mode", "shadow", "shadow"),
        ("strategy", "conservative", "conservative"),
        ("tws_account", "null", None),
        ("allow_delayed_data", "true", True),
        ("allow_delayed_data", "yes", True),
        ("paper_trading", "no", False),
        ("model", "no", "no"),
        ("live_accounts", '["U1234567"]', ["U1234567"]),
        ("require_approval", "above:5000", "above:5000"),
    ],
)
def test_set_makes_the_file_where_there_is_none(home: Path, key: str, value: str, kept: object) -> None:
    done = set_in(home, key, value)
    assert done.exit_code == 0, done.stderr
    assert "was not set" in done.stdout
    assert json.loads((home / "config.json").read_text()) == {key: kept}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("risk_treshold", "500", "risk_threshold"),
        ("risk_threshold", "lots", "risk_threshold"),
        ("risk_threshold", "20000", "max_trade_value"),
        ("risk_threshold", '{"a": 1, "a": 2}', "more than once"),
        ("min_cash", "NaN", "min_cash"),
        ("openai_api_key", KEY, "OPENAI_API_KEY"),
        ("trading_rules", "[]", "no rule is enabled"),
        ("[red]", "1", "no such key"),
    ],
)
def test_set_refuses_what_would_not_be_valid_and_changes_nothing(home: Path, key: str, value: str, words: str) -> None:
    home.mkdir()
    (home / "config.json").write_text('{"max_positions": 7}')
    refused = set_in(home, key, value)
    assert refused.exit_code == 2
    assert "nothing was changed" in refused.stderr
    assert words in refused.stderr
    assert "config.json)" not in refused.stderr, "what was typed stands in no file"
    assert KEY not in refused.stderr
    assert (home / "config.json").read_text() == '{"max_positions": 7}'


def test_set_says_what_is_stronger(home: Path) -> None:
    done = set_in(home, "risk_threshold", "500", RISK_THRESHOLD="700")
    assert done.exit_code == 0
    assert "environment variable RISK_THRESHOLD is stronger" in done.stderr


def test_set_leaves_a_broken_file_alone_and_follows_a_link(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    real = tmp_path / "real.json"
    (home / "config.json").symlink_to(real)
    real.write_text("{mine")
    assert set_in(home, "max_positions", "9").exit_code == 2
    assert real.read_text() == "{mine"
    real.write_text('{"max_positions": 7}')
    assert set_in(home, "max_positions", "9").exit_code == 0
    assert json.loads(real.read_text()) == {"max_positions": 9}
    assert (home / "config.json").is_symlink()


def test_set_says_what_it_means_that_paper_trading_is_off(home: Path) -> None:
    assert "real money" in set_in(home, "paper_trading", "no").stderr
    assert set_in(home, "paper_trading", "yes").stderr == ""


def test_strategy_and_rules_are_one_choice_and_the_last_word_holds(home: Path) -> None:
    run(home, "create")
    to_a_strategy = set_in(home, "strategy", "conservative")
    assert (to_a_strategy.exit_code, "trading_rules was taken out" in to_a_strategy.stdout) == (0, True)
    rules = json.dumps([{"name": "All", "target_allocation": 100, "symbols": ["SPY"], "max_position_size": 100}])
    to_rules = set_in(home, "trading_rules", rules)
    assert (to_rules.exit_code, "strategy was taken out" in to_rules.stdout) == (0, True)
    assert load_settings(file=home / "config.json", environ={}).strategy == "custom"


def test_rules_of_ones_own_give_way_to_nothing_until_they_are_taken_out_and_a_copy_is_kept(home: Path) -> None:
    rules = [{"name": "All", "target_allocation": 100, "symbols": ["SPY"], "max_position_size": 100}]
    home.mkdir()
    file = home / "config.json"
    file.write_text(json.dumps({"trading_rules": rules, "max_positions": 7}))
    refused = set_in(home, "strategy", "default")
    assert (refused.exit_code, "config unset trading_rules" in " ".join(refused.stderr.split())) == (2, True)
    done = run(home, "unset", "trading_rules")
    assert done.exit_code == 0, done.stderr
    assert json.loads(file.read_text()) == {"max_positions": 7}
    assert json.loads((home / "config.json.bak").read_text())["trading_rules"] == rules
    assert set_in(home, "strategy", "conservative").exit_code == 0


def test_unset_says_what_holds_then_and_refuses_what_would_not(home: Path) -> None:
    assert "is not in" in run(home, "unset", "max_positions").stdout
    home.mkdir(exist_ok=True)
    file = home / "config.json"
    file.write_text('{"risk_threshold": 20000, "max_trade_value": 30000}')
    refused = run(home, "unset", "max_trade_value")
    assert refused.exit_code == 2
    assert file.read_text() == '{"risk_threshold": 20000, "max_trade_value": 30000}'
    done = run(home, "unset", "risk_threshold")
    assert "risk_threshold was 20000, and is 1000" in done.stdout
    assert "(default)" in done.stdout


def test_a_secret_that_is_taken_out_is_in_no_copy_and_copies_are_for_the_owner_alone(home: Path) -> None:
    home.mkdir()
    file = home / "config.json"
    file.write_text(json.dumps({"openai_api_key": KEY, "max_positions": 7}))
    done = run(home, "unset", "openai_api_key")
    assert (done.exit_code, "was taken out" in done.stdout) == (0, True)
    assert [one.name for one in home.glob("config.json*")] == ["config.json"]
    file.chmod(0o644)
    assert run(home, "unset", "max_positions").exit_code == 0
    assert (home / "config.json.bak").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words", [("set", "max_positions", "40"), ("unset", "max_positions")])
def test_a_file_that_says_a_key_twice_is_not_decided_by_a_change_of_another(home: Path, words: tuple[str, ...]) -> None:
    home.mkdir()
    text = '{"risk_threshold": 200, "risk_threshold": 5000, "max_positions": 7}'
    (home / "config.json").write_text(text)
    refused = run(home, *words)
    assert (refused.exit_code, "more than once" in refused.stderr) == (2, True)
    assert (home / "config.json").read_text() == text


def test_of_two_that_change_at_once_neither_is_lost(home: Path) -> None:
    command = [sys.executable, "-c", "from cli.main import main; main()", "config", "set", "--home", str(home)]
    values = {"max_positions": 40, "risk_threshold": 600, "min_cash": 2, "max_orders_per_day": 9}
    at_once = [
        subprocess.Popen([*command, key, str(value)], stdout=subprocess.DEVNULL) for key, value in values.items()
    ]
    assert [one.wait(60) for one in at_once] == [0] * len(values)
    assert json.loads((home / "config.json").read_text()) == values


def test_an_option_that_set_does_not_have_is_no_value(home: Path) -> None:
    refused = set_in(home, "model", "--hoome=/tmp/x")
    assert (refused.exit_code, "No such option" in refused.stderr) == (2, True)


def test_set_waits_for_no_pipe(home: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    refused = set_in(home, "max_positions", "9", "--config", str(pipe))
    assert refused.exit_code == 2
    assert "no file that can be written" in refused.stderr


def test_validate_says_valid(home: Path) -> None:
    assert "no config file" in run(home, "validate").stdout
    run(home, "create")
    result = run(home, "validate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "config.json: valid" in result.stdout


def test_validate_lists_all_problems_on_stderr_and_exits_2(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "[bold]broken.json"
    file.write_text(json.dumps({"min_cash": -1, "risk_treshold": 5, "[/red]": 1, "openai_api_key": KEY}))
    result = run(home, "validate", str(file))
    assert result.exit_code == 2
    assert result.stdout == ""
    for words in ("4 problems", "min_cash = -1", "risk_threshold", "[/red]", "OPENAI_API_KEY", "[bold]broken.json"):
        assert words in result.stderr
    assert KEY not in result.stderr


def test_validate_looks_at_the_environment_too(home: Path) -> None:
    result = run(home, "validate", environ={"SMART_AGENT_MAX_TRADE_VALU": "5"})
    assert result.exit_code == 2
    assert "SMART_AGENT_MAX_TRADE_VALUE" in result.stderr


def test_show_names_the_source_of_each_value_and_hides_the_key(home: Path) -> None:
    home.mkdir()
    (home / "config.json").write_text('{"max_positions": 7}')
    environ = {"RISK_THRESHOLD": "500", "OPENAI_API_KEY": KEY}
    rows = json.loads(run(home, "show", "--json", environ=environ).stdout)
    assert rows["max_positions"] == {"value": 7, "source": str(home / "config.json")}
    assert rows["risk_threshold"] == {"value": 500, "source": "environment variable RISK_THRESHOLD"}
    assert rows["min_cash"] == {"value": 1.0, "source": "the defaults"}
    assert rows["openai_api_key"] == {"value": "set", "source": "environment variable OPENAI_API_KEY"}
    assert rows.keys() == Settings.model_fields.keys()
    table = run(home, "show", environ=environ)
    assert KEY not in table.output
    assert all(key in table.stdout for key in Settings.model_fields)


def test_show_prints_weights_as_they_are_kept(home: Path) -> None:
    home.mkdir()
    weighted = {
        "name": "all",
        "target_allocation": 100,
        "symbols": ["SPY", "BRK.B"],
        "max_position_size": 75,
        "weights": {"SPY": 3, "brk-b": 1},
    }
    (home / "config.json").write_text(json.dumps({"trading_rules": [weighted]}))
    result = run(home, "show", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    row = json.loads(result.stdout)["trading_rules"]
    assert row["source"] == str(home / "config.json")
    assert [rule["weights"] for rule in row["value"]] == [{"SPY": 3, "BRK B": 1}]
    assert run(home, "show").exit_code == 0


def test_what_show_prints_of_rules_can_be_written_into_a_file(home: Path, tmp_path: Path) -> None:
    rules = json.loads(run(home, "show", "--json").stdout)["trading_rules"]["value"]
    assert all(rule["weights"] is None for rule in rules)
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps({"trading_rules": rules}))
    assert load_settings(file=copy, environ={}) == Settings()


def test_validate_tells_every_problem_of_weights(home: Path) -> None:
    home.mkdir()
    weighted = {"name": "all", "target_allocation": 100, "symbols": ["SPY"], "max_position_size": 100}
    weighted["weights"] = {"SPY": 1, "spy": 2, "KO": -1}
    (home / "config.json").write_text(json.dumps({"trading_rules": [weighted]}))
    result = run(home, "validate")
    assert result.exit_code == 2
    for words in ("3 problems", "weights.spy = 2", "weights.KO = -1", "not among the rule's symbols"):
        assert words in result.stderr


def test_nothing_is_shown_of_a_broken_configuration(home: Path) -> None:
    result = run(home, "show", "--json", environ={"RISK_THRESHOLD": "lots"})
    assert (result.exit_code, result.stdout) == (2, "")


def test_reading_commands_leave_no_home_behind(home: Path) -> None:
    run(home, "validate")
    run(home, "show")
    assert not home.exists()


def test_the_commands_load_no_settings_library_until_one_runs() -> None:
    """`smart-agent --help` mounts them, and must answer at once."""
    project = Path(cli.config_commands.__file__).parents[1]
    code = (
        f"import sys; sys.path.insert(0, {str(project)!r}); import cli.config_commands; "
        "print([name for name in ('pydantic', 'pydantic_settings', 'langchain_core', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
