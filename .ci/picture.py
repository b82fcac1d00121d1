"""Draws docs/run.svg, the README's picture: a real run on the embedded broker, on a day that never changes.

Run it with `uv run python .ci/picture.py` after the screens changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tempfile
from datetime import date
from pathlib import Path

from rich.console import Console

from cli.conduct import conduct
from cli.trace import Trace
from cli.wiring import Market
from config.home import Home
from config.load import load_settings

WIDTH = 108
DAY = date(2026, 6, 15)


def main() -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor")
    target = Path("docs/run.svg").absolute()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        home = Home(Path("home"))
        home.create()
        trace = Trace(console, panels=True, as_json=False, interactive=False)
        asyncio.run(conduct(load_settings(file=None, environ={}), home, Market(as_of=DAY), trace))
    console.save_svg(str(target), title="uv run smart-agent run")


if __name__ == "__main__":
    main()
