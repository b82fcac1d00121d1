"""The help pages: every command shows how it is typed, and docs/cli.md is what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.cli.commands import PAGES, RUNNABLE, parsed

PROJECT = Path(__file__).parents[2]
EXAMPLE = "Example: "


def examples(help_text: str) -> list[str]:
    return [line.removeprefix(EXAMPLE) for line in help_text.splitlines() if line.startswith(EXAMPLE)]


@pytest.mark.parametrize("path", RUNNABLE, ids=" ".join)
def test_every_command_has_an_example_of_itself_that_can_be_typed(path: tuple[str, ...]) -> None:
    found = examples(RUNNABLE[path].help)
    assert found
    for line in found:
        assert parsed(line) == path


@pytest.mark.parametrize("path", PAGES, ids=" ".join)
def test_every_example_stands_on_a_line_of_its_own_on_the_screen(path: tuple[str, ...]) -> None:
    page = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert page.exit_code == 0
    lines = [line.strip() for line in page.stdout.splitlines()]
    words = " ".join(lines)
    for line in examples(PAGES[path].help or ""):
        assert f"{EXAMPLE}{line}" in words
        assert any(shown.startswith(EXAMPLE) and line.startswith(shown.removeprefix(EXAMPLE)) for shown in lines)


def test_the_first_page_lists_what_a_newcomer_needs_first() -> None:
    page = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    panels = [page.index(f"─ {name} ─") for name in ("Setting up", "Daily", "Safety", "History", "Inside")]
    assert panels == sorted(panels)


def test_the_page_of_all_commands_is_what_the_program_says(tmp_path: Path) -> None:
    """Whatever the terminal is, and whoever's machine: the page is the same."""
    page = tmp_path / "cli.md"
    narrow = {"PATH": os.environ["PATH"], "COLUMNS": "30", "HOME": "/nowhere", "SMART_AGENT_HOME": "/elsewhere"}
    subprocess.run([sys.executable, PROJECT / ".ci" / "commands.py", page], check=True, env=narrow, timeout=60)
    assert page.read_text(encoding="utf-8") == (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.stdout == f"smart-agent {version('smart-trading-agent')}\n"


def test_completion_knows_the_commands(tmp_path: Path) -> None:
    """By the protocol that the script of `--show-completion` speaks; run in a real bash that has loaded it."""
    smart_agent = Path(sys.executable).with_name("smart-agent")
    script = f"""
        export PATH="{smart_agent.parent}:$PATH"
        smart-agent --install-completion bash > /dev/null
        source "$HOME/.bashrc"
        COMP_WORDS=(smart-agent ru) COMP_CWORD=1
        $(complete -p smart-agent | sed 's/.*-F \\([^ ]*\\) .*/\\1/') smart-agent
        echo "${{COMPREPLY[@]}}"
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    assert done.stdout.split() == ["run"], done.stderr
    shown = CliRunner().invoke(app, ["--show-completion", "bash"], prog_name="smart-agent")
    assert "_SMART_AGENT_COMPLETE=complete_bash" in shown.stdout
