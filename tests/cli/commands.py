"""Every command of the program, found by walking it, so that a new one is tested by itself."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from cli.main import app

ROOT = get_command(app)


def every_command(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command and each group, with the words that lead to it."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from every_command(child, (*path, name))


PAGES = dict(every_command())
RUNNABLE = {path: command for path, command in PAGES.items() if not hasattr(command, "commands")}


def needed(command: Any) -> list[str]:
    """The least that the command has to be given, with values that mean nothing to it."""
    words = []
    for parameter in command.params:
        if parameter.required:
            words += [*parameter.opts[:1] * (parameter.param_type_name == "option"), _any_value(parameter)]
    return words


def _any_value(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return str(next(iter(kind)).value)
    return "1" if kind is int else "20260615-193000-1a2b3c"


def parsed(line: str) -> tuple[str, ...]:
    """The path of the command that `line`, as a person types it, names.

    Raises:
        typer.TyperException: it is no command of ours, or not with these options.
    """
    program, *words = shlex.split(line, comments=True)
    assert program == "smart-agent", line
    context: Any = ROOT.make_context("smart-agent", words)
    command: Any = ROOT
    path: tuple[str, ...] = ()
    while hasattr(command, "commands") and (rest := [*context._protected_args, *context.args]):
        name, command, words = command.resolve_command(context, rest)
        path = (*path, name)
        context = command.make_context(name, words, parent=context)
    return path
