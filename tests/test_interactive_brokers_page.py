"""docs/interactive-brokers.md explains messages; each of them must be one that a person can meet."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAID_BY_IB = ("YOUR ORDER IS NOT ACCEPTED", "your order will not be placed at the exchange until")
"""Words of TWS itself; the simulated broker says them too."""


def messages() -> list[str]:
    page = (ROOT / "docs" / "interactive-brokers.md").read_text(encoding="utf-8")
    table = page[page.index("## Messages") :]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    return [message for row in rows for message in re.findall(r"(?<!\*)\*([^*]+)\*", row)]


def source() -> str:
    folders = ("brokers", "tools", "graph", "cli", "portfolio")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)  # sentences are written over several lines


def test_every_message_on_the_page_is_one_of_the_program() -> None:
    said = source()
    assert len(messages()) > 12
    for message in messages():
        for part in (piece.strip() for piece in message.split("…")):
            assert part in said, message
