"""Screens on terminals of every kind, and in pipes: nothing is cut, and nothing is sent that a reader cannot take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.hints import hinted
from cli.main import app
from config.home import Home

DAY = ("--as-of", "2026-06-15")
COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38)[;m]")
UNSET = dict.fromkeys(["OPENAI_API_KEY", "OPENAI_BASE_URL", "MCP_URL", "NO_COLOR", "FORCE_COLOR", "COLUMNS"])
ON_A_TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
FIGURE = "11,832.04"


@dataclass(frozen=True)
class Past:
    """A home with one run behind it, and another that waits for approval."""

    home: Path
    order: str

    def shown(self, screen: str, **variables: str) -> str:
        words = [self.order if word == "ORDER" else word for word in screen.split()]
        done = CliRunner().invoke(app, [*words, "--home", str(self.home)], env={**UNSET, **variables})
        assert "Traceback" not in done.output
        return done.stdout


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    home = tmp_path_factory.mktemp("past") / "home"
    for approval, day in (("never", DAY), ("always", ("--as-of", "2026-06-16"))):
        words = ["run", "--home", str(home), *day]
        CliRunner().invoke(app, words, env={**UNSET, "SMART_AGENT_REQUIRE_APPROVAL": approval})
    listed = CliRunner().invoke(app, ["orders", "history", "--home", str(home)], env=UNSET).stdout
    return Past(home, listed.split()[-1])


SCREENS = ("performance", "explain ORDER", "pending", "lessons", "config show", "orders list", "orders history")


@pytest.mark.parametrize("columns", ["60", "80", "200", ""])
@pytest.mark.parametrize("screen", SCREENS)
def test_in_a_pipe_no_screen_sends_what_steers_a_terminal_or_cuts_a_word(past: Past, screen: str, columns: str) -> None:
    shown = past.shown(screen, COLUMNS=columns)
    assert shown.strip()
    assert "\x1b" not in shown
    assert "…" not in shown


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_an_order_is_listed_with_its_whole_id_however_narrow_the_screen(past: Past, columns: str) -> None:
    assert past.order in past.shown("orders history", COLUMNS=columns)


@pytest.mark.parametrize("columns", ["60", pytest.param("200", marks=pytest.mark.slow)])
def test_a_run_cuts_no_figure_however_narrow_the_terminal(home: Home, columns: str) -> None:
    words = ["run", "--home", str(home.root), *DAY]
    shown = CliRunner().invoke(app, words, env={**UNSET, **ON_A_TERMINAL, "COLUMNS": columns}).stdout
    assert FIGURE in shown
    assert "╭" in shown
    edges = {len(line) for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines() if line.startswith("│")}
    assert edges == {int(columns)}, "every line of a panel ends at its edge"


def test_on_a_dumb_terminal_a_run_is_plain_lines(home: Home) -> None:
    words = ["run", "--home", str(home.root), *DAY]
    shown = CliRunner().invoke(app, words, env={**UNSET, "FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}).stdout
    assert FIGURE in shown
    assert "╭" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("screen", ["orders history", "explain ORDER", "pending", "lessons", "config show"])
def test_who_wants_no_colour_gets_none(past: Past, screen: str) -> None:
    assert not COLOUR.search(past.shown(screen, **ON_A_TERMINAL, NO_COLOR="1"))


@pytest.mark.parametrize("screen", ["performance", pytest.param("explain ORDER", marks=pytest.mark.slow), "--help"])
def test_where_letters_are_few_the_marks_are_spelled_and_none_is_a_question_mark(past: Past, screen: str) -> None:
    smart_agent = Path(sys.executable).with_name("smart-agent")
    words = [past.order if word == "ORDER" else word for word in screen.split()]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [smart_agent, *words],
        capture_output=True,
        env=environment | {"SMART_AGENT_HOME": str(past.home)},
        timeout=60,
        check=True,
    )
    text = done.stdout.decode("ascii")
    assert "?" not in text
    assert text.strip()


def test_a_hint_names_the_home_where_a_shell_would_not_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable is set as a person sets it; no code of ours is changed."""
    place = Home(tmp_path / "my home")
    words = "Trading is halted; `smart-agent resume` lets it go on."
    monkeypatch.delenv("SMART_AGENT_HOME", raising=False)
    assert hinted(words, place) == f"Trading is halted; `smart-agent resume --home '{place.root}'` lets it go on."
    monkeypatch.setenv("SMART_AGENT_HOME", str(place.root))
    assert hinted(words, place) == words
