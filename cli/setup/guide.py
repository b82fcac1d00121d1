"""The guide: the same steps as the questions, for whoever reads first or has no terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from cli.setup.steps import STEPS, Step
from config.home import Home

WIDTH = 80
AFTER = (
    "smart-agent config validate",
    "smart-agent doctor",
    "smart-agent run",
)


def guide(place: Home, file: Path) -> str:
    """The text, for a reader of plain lines."""
    lines = ["Setting up the Smart Trading Agent", ""]
    lines += [
        f"Its files:     {place.root}",
        f"Configuration: {file} ({'there' if file.exists() else 'not there yet'})",
    ]
    lines += ["", "On a terminal, `smart-agent setup` asks these questions. By hand:", ""]
    lines += ["    smart-agent config create        # a file with every key at its default"]
    for number, step in enumerate(STEPS, start=1):
        lines += ["", f"{number}. {step.title}", *_body(step)]
    lines += ["", f"{len(STEPS) + 1}. Look, then run", *(f"     {command}" for command in AFTER)]
    return "\n".join(lines)


def _body(step: Step) -> Iterator[str]:
    indent = "   "
    yield from textwrap.wrap(step.about, WIDTH, initial_indent=indent, subsequent_indent=indent)
    yield from (f"     {command}" for command in step.by_hand)
