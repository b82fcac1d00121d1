"""Draws the README's pictures: real runs on the embedded broker, on a day that never changes.

docs/run.svg is a run by the rules, docs/model-run.svg one with a scripted model over real HTTP. Draw them anew with
`uv run python .ci/picture.py` after the screens changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from cli.conduct import conduct
from cli.run_command import RunCommand
from cli.trace import Trace
from cli.wiring import Start
from config.home import Home
from config.load import load_settings

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script sees its own folder, and not the tests
from tests.simulators.careful_model import careful
from tests.simulators.model_server import model_server

WIDTH = 108
START = Start(command=RunCommand(as_of="2026-06-15"))


async def draw(target: Path, title: str, **settings: object) -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        home = Home(Path("home"))
        home.create()
        trace = Trace(console, panels=True, as_json=False, interactive=False)
        await conduct(load_settings(file=None, environ={}, overrides=settings), home, trace, START)
    console.save_svg(str(target), title=title)


async def main(docs: Path) -> None:
    await draw(docs / "run.svg", "smart-agent run")
    async with model_server(careful) as server:
        title = "smart-agent run, with OPENAI_BASE_URL and a model behind it"
        await draw(docs / "model-run.svg", title, openai_base_url=server.url, model="careful")


if __name__ == "__main__":
    asyncio.run(main(Path("docs").absolute()))
