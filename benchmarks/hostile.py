"""How many hostile plans it takes to bring an order to the broker that breaks a limit; so far, more than ten thousand.

Run it as `uv run python -m benchmarks.hostile`, with `--worlds 100` for a quick look; otherwise there are ten thousand,
on both cores, in about ten minutes. A world is an account, a market, a broker with its troubles, and a few plans drawn
at random from its seed; see tests/graph/hostile_worlds.py. Everything from the guard to the broker's books is real, and
an inspector that shares no code with the guard reads the books. Of this the tests make a fourth.

Lines: plans; orders that reached the broker; how some of them ended; and the limits broken, with their seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

from rich import box
from rich.console import Console
from rich.table import Table

from tests.graph.hostile_bench import Bench
from tests.graph.hostile_worlds import a_world
from tests.graph.inspector import Inspector

WORLDS = 5760
AT_ONCE = 60


def played(seeds: range) -> tuple[Counter[str], list[str]]:
    """What was seen in the worlds of these seeds, and which limits were broken where."""
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        for seed in seeds:
            for number, story in enumerate(bench.play(a_world(Random(seed)))):  # noqa: S311  (chance, not secrets)
                broken += [
                    f"{limit} (seed {seed}, run {number})" for limit in sorted(map(str, Inspector(story).broken()))
                ]
        return Counter(bench.seen), broken


def main() -> None:
    parser = argparse.ArgumentParser(description="Hostile plans against the guard.")
    parser.add_argument("--worlds", type=int, default=WORLDS, help=f"worlds to play (default: {WORLDS})")
    worlds = parser.parse_args().worlds
    parts = [range(first, min(first + AT_ONCE, worlds)) for first in range(0, worlds, AT_ONCE)]
    seen: Counter[str] = Counter()
    broken: list[str] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for counted, found in pool.map(played, parts):
            seen += counted
            broken += found
    table = Table(title=f"{worlds:,} worlds", box=box.SIMPLE_HEAD, show_header=False, show_edge=False)
    for kind, count in sorted(seen.items(), key=lambda pair: -pair[1]):
        table.add_row(kind, f"{count:,}")
    table.add_row("limits broken", f"{len(broken):,}", style="bold red" if broken else "bold green")
    Console().print(table, *broken, sep="\n")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
