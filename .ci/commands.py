"""Writes docs/cli.md, every command with its options and examples, as the program itself has them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from cli.exit_codes import MEANINGS
from cli.main import app

EXAMPLE = "Example: "
INTRODUCTION = """\
# Commands

Written by `uv run python .ci/commands.py` from what the program itself says: `--help` on any command shows the same.
A shell finds the command once it was told where: `source .venv/bin/activate` in the project.
`smart-agent --install-completion` lets the Tab key complete.

A command ends with one of these exit codes:

| code | meaning |
|---|---|
"""


def page() -> str:
    codes = "".join(f"| {code.value} | {meaning} |\n" for code, meaning in MEANINGS.items())
    program = get_command(app)
    return INTRODUCTION + codes + "".join(f"\n{part}" for part in _sections(program, ("smart-agent",)))


def _sections(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    yield "\n".join(_section(command, path)) + "\n"
    for name, child in getattr(command, "commands", {}).items():
        yield from _sections(child, (*path, name))


def _section(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    yield f"## `{' '.join(path)}`\n"
    lines = (command.help or "").splitlines()
    told = "\n".join(line for line in lines if not line.startswith(EXAMPLE))
    yield "\n\n".join(part.strip() for part in told.split("\n\n") if part.strip()) + "\n"
    examples = [line.removeprefix(EXAMPLE) for line in lines if line.startswith(EXAMPLE)]
    usage = " ".join(command.collect_usage_pieces(command.context_class(command)))
    yield "\n".join(["```", f"{' '.join(path)} {usage}", *examples, "```\n"])
    if rows := list(map(_row, command.params)):
        yield "| option | value | what it does |\n|---|---|---|"
        yield from rows


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{parameter.display_name_raw}` | | {parameter.help} |"
    value = "" if parameter.is_flag else f"`{parameter.display_type_rich(None)}`".replace("|", r"\|")
    default = f" Default: {parameter.default}." if parameter.show_default and parameter.default else ""
    needed = " Needed." if parameter.required else ""
    cells = (f"`{'`, `'.join(parameter.opts)}`", value, f"{parameter.help}{default}{needed}")
    return f"| {' | '.join(cells)} |"


Path(*sys.argv[1:2] or ["docs/cli.md"]).write_text(page(), encoding="utf-8")
