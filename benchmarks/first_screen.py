"""How long somebody waits for the first screens: from the start of the process to its end.

Run it as `uv run python -m benchmarks.first_screen`; `--rounds 3` is a quick look. Each round starts every command
once, so that all of them meet the same neighbours on the machine, and everything in the table is the median over the
rounds of that one run. The home has one run behind it. Beside the milliseconds stand the ratios, which a busy machine
blurs less:

- / python: to `python -c pass`, what any program in this language costs.
- / libraries: to the import of typer and rich, below which no command line of theirs can be.

The goal is 300 ms a screen on a quiet machine.
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


def main() -> None:
    parser = argparse.ArgumentParser(description="What the first screens cost in time.")
    parser.add_argument("--rounds", type=int, default=15)
    Console().print(measured(SCREENS, parser.parse_args().rounds))


def measured(screens: Sequence[str], rounds: int) -> Table:
    commands = FLOORS | {f"smart-agent {screen}": [SMART_AGENT, *screen.split()] for screen in screens}
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "SMART_AGENT_HOME": home}
        _seconds([SMART_AGENT, "run", "--as-of", DAY], environment)
        taken = [{name: _seconds(command, environment) for name, command in commands.items()} for _ in range(rounds)]
    table = Table(
        title=f"From start to end of the process, median of {rounds} rounds",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    table.add_column("command", no_wrap=True)
    for column in ("ms", "fastest ms", "/ python", "/ libraries"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in commands:
        times = [round_[name] for round_ in taken]
        ratios = [statistics.median(round_[name] / round_[floor] for round_ in taken) for floor in (PYTHON, LIBRARIES)]
        shown = (statistics.median(times), min(times))
        table.add_row(name, *(f"{1000 * value:,.0f}" for value in shown), *(f"{ratio:.1f}" for ratio in ratios))
    return table


def _seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603  (our own command)
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    seconds = time.perf_counter() - began
    if b"broke off" in done.stderr or b"Traceback" in done.stderr:
        raise SystemExit(f"{' '.join(command)} did not do what is to be measured: {done.stderr.decode()}")
    return seconds


if __name__ == "__main__":
    main()
