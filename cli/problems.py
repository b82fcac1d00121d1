"""How a person is told that the configuration cannot be used."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from cli.console import say
from config.problems import ConfigError


def print_problems(console: Console, error: ConfigError, consequence: str = "nothing was started") -> None:
    """Every problem of `error` on `console`: the key and its value, where it was read, why, and what to write."""
    count = len(error.problems)
    title = f"The configuration has {'a problem' if count == 1 else f'{count} problems'}; {consequence}."
    console.print(Text(title, style="bold red"))
    for problem in error.problems:
        # Text, never markup: keys and values are somebody else's and may hold brackets.
        line = Text("\n").append(problem.key, style="bold")
        if problem.value:
            line.append(f" = {problem.value}", style="yellow")
        line.append(f"  ({problem.source})", style="dim")
        line.append(f"\n  {problem.why}.\n  ").append(f"{problem.instead}.", style="green")
        say(console, line)
