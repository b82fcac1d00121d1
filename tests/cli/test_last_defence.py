"""Whatever a command meets, a person reads a sentence: no stack trace, unless --debug asks for one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cli.last_defence import OURS, LastDefence
from cli.main import app, smart_agent
from config.home import Home
from tests.cli.commands import PAGES, RUNNABLE, needed

DATABASES = ("agent.db", "checkpoints.db", "memory.db", "chats.db")
OTHERS = ("config.json", "outbox.json", "chat_history", "trading_log.log", "run.lock", "simulated/synthetic.json")
SERVES_ON_STDOUT = ("server",)
"""Its client ends it, and it closes the stream; no place for it in this process."""
DAMAGE = bytes(range(256)) * 40


def a_file(folder: Path) -> None:
    folder.write_bytes(b"not a folder")


def damaged(folder: Path) -> None:
    """Random bytes in every file but the configuration, which would be refused before anything else is read."""
    Home(folder).create()
    for name in {*DATABASES, *OTHERS} - {"config.json"}:
        (folder / name).write_bytes(DAMAGE)


def damaged_throughout(folder: Path) -> None:
    damaged(folder)
    (folder / "config.json").write_bytes(DAMAGE)


def folders_for_files(folder: Path) -> None:
    Home(folder).create()
    for name in (*DATABASES, *OTHERS):
        (folder / name).mkdir()


def read_only(folder: Path) -> None:
    Home(folder).create()
    for name in ("reflections", "simulated", ""):
        (folder / name).chmod(0o500)
    try:
        (folder / "probe").touch()
    except PermissionError:
        return
    pytest.skip("this user may write anywhere")


def invoked(path: tuple[str, ...], folder: Path) -> Result:
    command = RUNNABLE[path]
    has_home = any("--home" in parameter.opts for parameter in command.params)
    options = ["--home", str(folder)] if has_home else []
    unset = dict.fromkeys(["OPENAI_API_KEY", "OPENAI_BASE_URL", "MCP_URL", "SMART_AGENT_NOTIFY_URLS"])
    return CliRunner().invoke(app, [*path, *needed(command), *options], env={**unset, "HOME": str(folder.parent)})


@pytest.mark.parametrize("ruin", [a_file, damaged, damaged_throughout, folders_for_files, read_only])
@pytest.mark.parametrize("path", sorted(RUNNABLE.keys() - {SERVES_ON_STDOUT}), ids=" ".join)
def test_no_command_shows_a_stack_trace_or_breaks_off_in_a_home_that_is_ruined(
    tmp_path: Path, path: tuple[str, ...], ruin: Callable[[Path], None]
) -> None:
    """A sentence of the last defence is better than a stack trace, and still a case that nobody thought of."""
    folder = tmp_path / "home"
    ruin(folder)
    done = invoked(path, folder)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    told = done.stdout + done.stderr
    assert "Traceback" not in told
    assert "broke off" not in told
    assert done.exit_code == 0 or told.strip()


@pytest.mark.slow
@pytest.mark.parametrize("ruin", [damaged, pytest.param(folders_for_files, marks=pytest.mark.slow)])
def test_a_server_in_a_ruined_home_ends_with_its_client_without_a_stack_trace(
    tmp_path: Path, ruin: Callable[[Path], None]
) -> None:
    ruin(tmp_path / "home")
    smart_agent = str(Path(sys.executable).with_name("smart-agent"))
    command = [smart_agent, *SERVES_ON_STDOUT, "--home", str(tmp_path / "home")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert "broke off" not in done.stderr


def broken() -> None:
    raise ZeroDivisionError("division of sk-do-not-tell by zero\nin two lines")


def told_and_logged() -> None:
    """As a run does, which tells in its own words what broke it off."""
    try:
        broken()
    except ZeroDivisionError:
        logging.getLogger(OURS).exception("it broke off")


def program() -> typer.Typer:
    ours = typer.Typer(cls=LastDefence)
    ours.callback()(smart_agent)
    ours.command()(broken)
    ours.command()(told_and_logged)
    return ours


@pytest.fixture
def log_of_its_own() -> Iterator[None]:
    """What --debug adds to the log belongs to a process, and a test is none."""
    log = logging.getLogger(OURS)
    handlers, level = [*log.handlers], log.level
    yield
    log.handlers = handlers
    log.setLevel(level)


def test_what_nobody_expected_is_one_sentence_with_the_next_step() -> None:
    done = CliRunner().invoke(program(), ["broken"])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "ZeroDivisionError: division of (not shown) by zero in two lines" in done.stderr
    assert "smart-agent --debug broken" in done.stderr


@pytest.mark.usefixtures("log_of_its_own")
@pytest.mark.parametrize(("command", "code"), [("broken", 1), ("told-and-logged", 0)])
def test_debug_shows_where_it_happened_and_no_key(command: str, code: int) -> None:
    done = CliRunner().invoke(program(), ["--debug", command])
    assert done.exit_code == code
    assert "Traceback (most recent call last)" in done.stderr
    assert 'test_last_defence.py", line' in done.stderr
    assert "sk-do-not-tell" not in done.stderr


def test_every_command_is_behind_it() -> None:
    assert isinstance(PAGES[()], LastDefence)


@pytest.mark.parametrize("arguments", ["--help", "config show --json"])
def test_a_reader_that_leaves_early_is_told_nothing(home: Home, arguments: str) -> None:
    command = f"'{Path(sys.executable).with_name('smart-agent')}' {arguments} | true"
    environment = {"PATH": os.environ["PATH"], "SMART_AGENT_HOME": str(home.root)}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    assert done.stderr == ""
