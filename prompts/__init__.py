"""The texts a model or an MCP client reads, each in a Markdown file of its own, loaded by name."""

from __future__ import annotations

from importlib.resources import files

SUFFIX = ".md"


def load(name: str) -> str:
    """The text of prompt `name`, as UTF-8, without the line break at its end.

    Raises:
        LookupError: there is no such prompt; the message names those there are.
    """
    texts = {
        entry.name.removesuffix(SUFFIX): entry for entry in files(__name__).iterdir() if entry.name.endswith(SUFFIX)
    }
    if name not in texts:
        known = ", ".join(sorted(texts))
        raise LookupError(
            f"There is no prompt named {name!r}, so it cannot be shown to anyone; the prompts are: {known}."
        )
    return texts[name].read_text(encoding="utf-8").rstrip()
