"""The guided first configuration, at a real terminal; and its guide, for whoever has none."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from typer.testing import CliRunner

from cli.exit_codes import ExitCode
from cli.main import app
from config.home import Home
from config.load import load_settings
from config.strategy import shipped_rules
from tests.cli.commands import parsed

SMART_AGENT = str(Path(sys.executable).with_name("smart-agent"))
KEY = "sk-do-not-tell"
COMMAND = re.compile(r"^ +(smart-agent .*)$", re.MULTILINE)
ENTER = ""


class Newcomer:
    """Sits at a terminal of 80 columns, and answers what is asked."""

    def __init__(self, root: Path, **variables: str) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "TERM": "xterm-256color", **variables}
        self._shown = io.StringIO()
        self._child: Any = pexpect.spawn(
            SMART_AGENT,
            ["setup", "--home", str(root)],
            env=environment,
            dimensions=(40, 80),
            encoding="utf-8",
            timeout=60,
        )
        self._child.logfile_read = self._shown

    def answer(self, **answers: str) -> None:
        """Each answer by a word of its question, underscores for spaces."""
        for question, words in answers.items():
            self._child.expect(f"{question.replace('_', ' ')}[^\r\n]*: ")
            self._child.sendline(words)

    def interrupt(self, question: str) -> None:
        self._child.expect(question)
        self._child.sendintr()

    def leave(self) -> tuple[int, str]:
        """The exit code, and all that was shown, without what moves the cursor."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        return int(self._child.exitstatus), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.getvalue())


def test_enter_all_the_way_writes_the_defaults_and_ends_with_doctor_and_the_next_command(tmp_path: Path) -> None:
    root = tmp_path / "home"
    newcomer = Newcomer(root)
    questions = ("Enter_goes_on", "Trading", "Broker", "Strategy", "USD", "Ask", "Model", "Write_it")
    newcomer.answer(**dict.fromkeys(questions, ENTER))
    code, shown = newcomer.leave()
    assert code == 0
    assert load_settings(file=root / "config.json", environ={}) == load_settings(file=None, environ={})
    assert "A run could trade now." in " ".join(shown.split())
    assert f"Next: smart-agent run --home {root}" in "".join(shown.splitlines())


@pytest.mark.slow
def test_the_answers_are_what_the_file_says_then(tmp_path: Path) -> None:
    root = tmp_path / "home"
    newcomer = Newcomer(root, OPENAI_API_KEY=KEY)
    newcomer.answer(Enter_goes_on=ENTER, Trading="live")
    newcomer.answer(Enter_goes_on=ENTER, Broker="tws", Host=ENTER, Port="99999")
    newcomer.answer(Port="7497", Strategy="aggressive", USD="a lot")
    newcomer.answer(USD="250.50", Ask="above:2000", Model="own", URL="http://127.0.0.1:9/v1", Name="tiny", Write_it="y")
    code, shown = newcomer.leave()
    assert code == ExitCode.UNREACHABLE, "as of doctor, whose verdict it ends with: nothing listens at that port"
    settings = load_settings(file=root / "config.json", environ={})
    assert settings.paper_trading, "live trading is never switched on here"
    assert (settings.broker, settings.tws_port) == ("tws", 7497)
    assert settings.trading_rules == shipped_rules("aggressive")
    assert str(settings.risk_threshold) == "250.5"
    assert settings.require_approval == "above:2000"
    assert (settings.openai_base_url, settings.model) == ("http://127.0.0.1:9/v1", "tiny")
    assert shown.count("it is asked anew") == 2
    assert "Once that is settled: smart-agent doctor" in shown, "nothing listens at that port"
    assert KEY not in shown + (root / "config.json").read_text()


@pytest.mark.slow
def test_paper_it_is_also_where_the_file_was_live(home: Home) -> None:
    home.config_file.write_text('{"paper_trading": false, "broker": "tws"}')
    newcomer = Newcomer(home.root)
    newcomer.answer(Enter_goes_on=ENTER, Trading="live")
    newcomer.answer(Enter_goes_on=ENTER, Broker="simulated")
    newcomer.answer(**dict.fromkeys(("Strategy", "USD", "Ask", "Model"), ENTER), Write_it="y")
    code, shown = newcomer.leave()
    assert code == 0, shown
    assert json.loads(home.config_file.read_text())["paper_trading"] is True


@pytest.mark.parametrize("question", ["Enter goes on", "Ask", "Write it"])
def test_ctrl_c_at_any_moment_leaves_everything_as_it_was(tmp_path: Path, question: str) -> None:
    newcomer = Newcomer(tmp_path / "home")
    for one in ("Enter goes on", "Trading", "Broker", "Strategy", "USD", "Ask", "Model"):
        if one == question:
            break
        newcomer.answer(**{one: ENTER})
    newcomer.interrupt(question)
    code, shown = newcomer.leave()
    assert code == 1
    assert "Nothing was changed" in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("last_word", "risk"), [pytest.param("y", 300, marks=pytest.mark.slow), (ENTER, 750)])
def test_an_existing_file_is_changed_after_a_yes_alone_and_in_what_was_answered_otherwise(
    home: Home, last_word: str, risk: int
) -> None:
    own = {"risk_threshold": 750, "strategy": "conservative", "log_level": "DEBUG"}
    home.config_file.write_text(json.dumps(own))
    newcomer = Newcomer(home.root)
    questions = dict.fromkeys(("Enter_goes_on", "Trading", "Broker", "Strategy"), ENTER)
    newcomer.answer(**questions, USD="300", Ask=ENTER, Model=ENTER, Write_it=last_word)
    _, shown = newcomer.leave()
    assert json.loads(home.config_file.read_text()) == {**own, "risk_threshold": risk}
    assert re.search(r"risk_threshold +750 +300", shown)


def test_a_broken_file_is_told_before_anything_is_asked(home: Home) -> None:
    home.config_file.write_text('{"risk_threshold": -1}')
    code, shown = Newcomer(home.root).leave()
    assert code == 2
    assert "risk_threshold = -1" in shown
    assert home.config_file.read_text() == '{"risk_threshold": -1}'


def test_without_a_terminal_the_guide_is_printed_and_nothing_is_made(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["setup", "--home", str(tmp_path / "home")])
    assert done.exit_code == 0
    commands = COMMAND.findall(done.stdout)
    assert len(commands) > 8
    for line in commands:
        parsed(line)
    assert "export OPENAI_API_KEY" in " ".join(done.stdout.split())
    assert list(tmp_path.iterdir()) == []


def test_the_commands_of_the_guide_do_what_they_say(home: Home) -> None:
    where = ["--home", str(home.root)]
    guide = CliRunner().invoke(app, ["setup", "--yes", *where]).stdout
    for line in COMMAND.findall(guide):
        words = line.partition("#")[0].split()[1:]
        if words[0] == "config":
            done = CliRunner().invoke(app, [*words, *where])
            assert done.exit_code == (2 if "# or" in line else 0), done.stderr
