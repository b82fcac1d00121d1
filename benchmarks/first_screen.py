"""How long somebody waits for the first screens: from the start of the process to its first word, and to its end.

Run it as `uv run python -m benchmarks.first_screen`; `--rounds 3` is a quick look. Each round starts every command
once, so that all of them meet the same neighbours on the machine, and everything in the table is the median over the
rounds of that one run. The home has one run behind it. Beside the milliseconds stand the ratios, which a busy machine
blurs less:

- / python: to `python -c pass`, what any program in this language costs.
- / libraries: to the import of typer and rich, below which no command line of theirs can be.

The goal is 300 ms to the first word on a quiet machine. What shows the records needs SQLAlchemy and pydantic for it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

PYTHON, LIBRARIES = "python -c pass", "python -c 'import typer, rich'"
SMART_AGENT = str(Path(sys.executable).with_name("smart-agent"))
FLOORS = {
    PYTHON: [sys.executable, "-c", "pass"],
    LIBRARIES: [sys.executable, "-c", "import typer, rich.console, rich.panel, rich.table"],
}
SCREENS = (
    "--help",
    "run --help",
    "config show",
    "pending",
    "lessons",
    "schedule list",
    "orders list",
    "performance",
    "halt",
    "resume",
)
DAY = "2026-06-15"
WIDTH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description="What the first screens cost in time.")
    parser.add_argument("--rounds", type=int, default=15)
    Console(width=WIDTH).print(measured(SCREENS, parser.parse_args().rounds))


def measured(screens: Sequence[str], rounds: int) -> Table:
    commands = FLOORS | {f"smart-agent {screen}": [SMART_AGENT, *screen.split()] for screen in screens}
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "SMART_AGENT_HOME": home}
        _waited([SMART_AGENT, "run", "--as-of", DAY], environment)
        taken = [{name: _waited(command, environment) for name, command in commands.items()} for _ in range(rounds)]
    table = Table(
        title=f"From the start of the process, median of {rounds} rounds", box=box.SIMPLE_HEAD, show_edge=False
    )
    table.add_column("command", no_wrap=True)
    for column in ("first word ms", "end ms", "fastest", "/ python", "/ libraries"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in commands:
        first, end = ([getattr(round_[name], one) for round_ in taken] for one in ("first", "end"))
        ratios = [
            statistics.median(round_[name].first / round_[floor].first for round_ in taken)
            for floor in (PYTHON, LIBRARIES)
        ]
        shown = (statistics.median(first), statistics.median(end), min(end))
        table.add_row(name, *(f"{1000 * value:,.0f}" for value in shown), *(f"{ratio:.1f}" for ratio in ratios))
    return table


@dataclass(frozen=True)
class Waited:
    """Seconds to the first byte on stdout, or to its end where nothing comes, and to the end of the process."""

    first: float
    end: float


def _waited(command: Sequence[str], environment: dict[str, str]) -> Waited:
    read, write = os.pipe()
    with tempfile.TemporaryFile() as errors, os.fdopen(read, "rb") as shown:
        began = time.perf_counter()
        with subprocess.Popen(  # noqa: S603  (our own command)
            command, env=environment, stdout=write, stderr=errors, stdin=subprocess.DEVNULL
        ):
            os.close(write)
            shown.read(1)
            first = time.perf_counter() - began
            shown.read()
        end = time.perf_counter() - began
        errors.seek(0)
        said = errors.read()
    if b"broke off" in said or b"Traceback" in said:
        raise SystemExit(f"{' '.join(command)} did not do what is to be measured: {said.decode()}")
    return Waited(first, end)


if __name__ == "__main__":
    main()
