"""The command as a person or a script starts it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from cli.main import app
from config.home import Home

SMART_AGENT = Path(sys.executable).with_name("smart-agent")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "run-record.schema.json").read_text(encoding="utf-8"))
DAY = "2026-06-15"
SUNDAY = "2026-06-14"


def smart_agent(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command with an environment of its own, in which nobody has set anything."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [SMART_AGENT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=kept | environment,
        timeout=120,
        check=False,
    )


def record_of(home: Home, *arguments: str | Path) -> dict[str, Any]:
    done = smart_agent("run", "--home", home.root, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_json_prints_one_valid_record_on_stdout_and_the_next_run_goes_on_from_it(home: Home) -> None:
    first = record_of(home, "--as-of", DAY)
    jsonschema.validate(first, SCHEMA)
    assert len(first["orders"]) == len(first["plan"]["trades"]) > 1
    assert {order["status"] for order in first["orders"]} == {"FILLED"}
    second = record_of(home, "--as-of", "2026-06-16")
    held = {line["symbol"]: int(line["quantity"]) for line in second["snapshot"]["positions"]}
    before = {line["symbol"]: int(line["quantity"]) for line in first["snapshot"]["positions"]}
    for order in first["orders"]:
        change = order["quantity"] if order["side"] == "BUY" else -order["quantity"]
        assert held[order["symbol"]] == before.get(order["symbol"], 0) + change
    assert second["lessons"][0]["occasions"][0]["run_id"] == first["run_id"]


@pytest.mark.slow
def test_without_a_terminal_the_trace_is_plain_lines_with_the_facts(home: Home) -> None:
    done = smart_agent("run", "--home", home.root, "--as-of", DAY)
    assert done.returncode == 0, done.stderr
    assert "\x1b[" not in done.stdout
    assert "╭" not in done.stdout
    for fact in ("SENSE", "Portfolio Value  $50,000.00", "Positions        8", "Market Data      18 symbols", "THINK"):
        assert fact in done.stdout
    for fact in ("Rules made 3 trading decisions", "ACT", "Guard passed", "PAPER TRADE FILLED", "REFLECT", "Lesson"):
        assert fact in done.stdout


@pytest.mark.slow
def test_a_closed_market_is_said_and_is_no_error(home: Home) -> None:
    done = smart_agent("run", "--home", home.root, "--as-of", SUNDAY)
    assert done.returncode == 0
    assert "The market is closed until Mon 2026-06-15" in done.stdout


@pytest.mark.slow
def test_real_prices_are_traded_at_that_days_close(home: Home, real_prices: Path) -> None:
    record = record_of(home, "--prices", real_prices, "--as-of", "2020-03-23")
    prices = {line["symbol"]: line["market_price"] for line in record["snapshot"]["positions"]}
    assert prices["SPY"] == "222.95"
    assert record["outcome"] == "traded"
    sunday = record_of(home, "--prices", real_prices, "--as-of", "2020-03-22")
    assert sunday["outcome"] == "market_closed"
    assert sunday["orders"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--paper-trading", "--live-trading"], "exclude each other"),
        (["--live-trading"], "simulated one has only paper"),
        (["--live-trading", "--mcp-url", "http://127.0.0.1:9/mcp"], "id of the live account"),
        (["--strategy", "agressive"], "aggressive"),
        (["--risk-threshold", "-5"], "risk_threshold"),
        (["--config", "/nowhere/config.json"], "/nowhere/config.json"),
        (["--mcp-url", "http://127.0.0.1:9/mcp", "--as-of", DAY], "keeps its own time"),
        (["--as-of", "yesterday"], "as-of"),
        (["--risk-threshold", "1,000"], "'1,000' is no number; write it without commas"),
        (["--max-runs", "0"], "write a whole number from 1"),
        (["--broker", "ibkr"], "'ibkr' is not one of 'simulated', 'tws'; nothing was done. `smart-agent run --help`"),
        (["--brokr", "tws"], "No such option: --brokr"),
        (["now"], "nothing was done. `smart-agent run --help` shows how it is written."),
    ],
)
def test_bad_usage_is_told_in_words_and_exits_2(home: Home, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["run", "--home", str(home.root), *arguments], env={"MCP_URL": ""})
    assert done.exit_code == 2, done.stderr
    assert isinstance(done.exception, SystemExit)
    assert words in " ".join(done.stderr.split())
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("frob", "No such command 'frob'; nothing was done. `smart-agent --help`"),
        ("--frob", "No such option: --frob; nothing was done. `smart-agent --help`"),
        ("config set", "Missing argument 'key'; nothing was done. `smart-agent config set --help`"),
        ("confirm-payment 3 --as gift", "Invalid value for '--as': 'gift' is not one of 'deposit'"),
    ],
)
def test_what_is_no_command_is_told_in_one_sentence(words: str, sentence: str) -> None:
    done = CliRunner().invoke(app, words.split(), env={"COLUMNS": "200"})
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_command_of_commands_alone_shows_its_help_page() -> None:
    done = CliRunner().invoke(app, ["config"])
    assert (done.exit_code, "validate" in done.output) == (2, True)


@pytest.mark.slow
def test_a_server_that_is_not_there_exits_3_with_the_next_step(home: Home) -> None:
    done = smart_agent("run", "--home", home.root, "--mcp-url", "http://127.0.0.1:9/mcp")
    assert done.returncode == 3, done.stderr
    assert "http://127.0.0.1:9/mcp" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_script_gets_a_record_of_a_run_that_reached_nobody(home: Home) -> None:
    done = smart_agent("run", "--home", home.root, "--mcp-url", "http://127.0.0.1:9/mcp", "--json")
    assert done.returncode == 3, done.stderr
    record = json.loads(done.stdout)
    jsonschema.validate(record, SCHEMA)
    assert record["outcome"] == "unreachable"
    assert record["reflection"]["failure"] == record["message"]


@pytest.mark.slow
def test_a_key_in_the_environment_reaches_no_file_and_no_screen(home: Home) -> None:
    """Promise 8."""
    done = smart_agent("run", "--home", home.root, "--as-of", DAY, OPENAI_API_KEY="sk-do-not-tell", LOG_LEVEL="DEBUG")
    assert done.returncode == 0, done.stderr
    assert "sk-do-not-tell" not in done.stdout + done.stderr
    for file in home.root.rglob("*"):
        assert file.is_dir() or b"sk-do-not-tell" not in file.read_bytes(), file


@pytest.mark.slow
def test_sim_reset_opens_a_new_account_to_which_nothing_old_is_held(home: Home) -> None:
    """Its lessons, its cooldowns and its count of the day's orders belong to the old one."""
    first = record_of(home, "--as-of", DAY)
    done = smart_agent("sim", "reset", "--yes", "--home", home.root)
    assert "simulated-synthetic" in done.stdout
    again = record_of(home, "--as-of", DAY)
    assert again["snapshot"]["net_liquidation"] == "50000.00"
    assert again["account"] != first["account"]
    assert again["lessons"] == []
    assert [order["symbol"] for order in again["orders"]] == [order["symbol"] for order in first["orders"]]


@pytest.mark.slow
def test_the_log_tells_of_plans_verdicts_and_orders(home: Home) -> None:
    record = record_of(home, "--as-of", DAY)
    log = (home.root / "trading_log.log").read_text(encoding="utf-8")
    for word in ("plan SELL", "guard SELL", f"order {record['orders'][0]['client_order_id']} FILLED", "traded: "):
        assert f" INFO {record['run_id']} {word}" in log


@pytest.mark.slow
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
def test_every_line_of_the_log_carries_the_run_it_is_of_and_is_of_the_level_wanted(home: Home, level: str) -> None:
    """Those of libraries and their threads too."""
    done = smart_agent("run", "--home", home.root, "--json", "--as-of", DAY, LOG_LEVEL=level)
    lines = (home.root / "trading_log.log").read_text(encoding="utf-8").splitlines()
    run_id = json.loads(done.stdout)["run_id"]
    assert all(re.match(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ [A-Z]+ {run_id} ", line) for line in lines)
    levels = {line.split(" ")[1] for line in lines}
    assert levels == {"DEBUG": {"DEBUG", "INFO"}, "INFO": {"INFO"}, "WARNING": set()}[level]
    assert any(" aiosqlite: " in line for line in lines) is (level == "DEBUG")


@pytest.mark.slow
def test_a_log_that_cannot_be_written_is_told_once_and_ends_no_run(home: Home) -> None:
    (home.root / "trading_log.log").symlink_to("/dev/full")
    done = smart_agent("run", "--home", home.root, "--json", "--as-of", DAY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "traded"
    assert done.stderr.count("trading_log.log cannot be written (No space left on device); the run goes on") == 1


def test_the_help_page_lists_the_commands_and_every_exit_code() -> None:
    done = smart_agent("--help")
    page = " ".join(done.stdout.split())
    for words in (
        "run",
        "server",
        "sim",
        "config",
        "0 done",
        "3 broker unreachable",
        "7 an order's outcome is unknown",
    ):
        assert words in page


def test_the_help_page_loads_no_heavy_library() -> None:
    """The first screen must be there at once; these libraries cost seconds."""
    script = (
        "import sys\n"
        "from cli.main import app\n"
        "try:\n    app(['--help'], standalone_mode=False)\nexcept SystemExit:\n    pass\n"
        "heavy = ('langchain', 'langgraph', 'pandas', 'exchange_calendars', 'numpy', 'sqlalchemy', 'mcp', 'pydantic')\n"
        "print([name for name in sys.modules if name.split('.')[0].startswith(heavy)], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"


@pytest.mark.slow
def test_two_runs_at_once_do_not_spend_the_same_limits_twice(home: Home) -> None:
    """The second one says so and does nothing."""
    command = [str(SMART_AGENT), "run", "--home", str(home.root), "--json", "--as-of", DAY]
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in started]
    assert sorted(code for _, _, code in ended) == [0, 1, 1]
    for stdout, stderr, code in ended:
        assert code == 0 or (stdout == "" and "Another run is at work" in stderr)


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_stop_the_run(home: Home) -> None:
    """Orders are followed to their end, and the record is kept, whether anybody looks on or not."""
    command = [str(SMART_AGENT), "run", "--home", str(home.root), "--as-of", DAY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert len(list(home.reflections.iterdir())) == 1


@pytest.mark.slow
def test_what_somebody_owns_is_readable_by_its_owner_alone(home: Home) -> None:
    record_of(home, "--as-of", DAY)
    loose = [file for file in home.root.rglob("*") if file.stat().st_mode & 0o077]
    assert loose == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--as-of", "2150-01-01"),
        pytest.param("--as-of", "1800-01-01", marks=pytest.mark.slow),
        pytest.param("--prices", "/nowhere/prices.csv", marks=pytest.mark.slow),
    ],
)
def test_a_market_that_cannot_be_opened_is_bad_usage(home: Home, option: str, value: str) -> None:
    done = smart_agent("run", "--home", home.root, option, value)
    assert done.returncode == 2, done.stderr
    assert value in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_log_file_that_cannot_be_opened_is_told_before_anything_starts(home: Home) -> None:
    (home.root / "trading_log.log").mkdir()
    done = smart_agent("run", "--home", home.root, "--as-of", DAY)
    assert done.returncode == 2
    assert "trading_log.log" in done.stderr
    assert "Traceback" not in done.stderr
