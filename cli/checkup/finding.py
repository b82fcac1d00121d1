"""One row of what was looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from cli.exit_codes import ExitCode


class Mark(StrEnum):
    """How a look ended: as it must, worth knowing, or so that no run could trade."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One row: what was looked at, what was found, and what to do about it. `code` is how a run would end over it."""

    name: str
    mark: Mark
    found: str
    todo: str = ""
    code: ExitCode = ExitCode.FAILED


Tell = Callable[[Finding], Awaitable[None]]


def good(name: str, found: str) -> Finding:
    return Finding(name, Mark.GOOD, found)


def note(name: str, found: str, todo: str = "") -> Finding:
    return Finding(name, Mark.NOTE, found, todo)


def bad(name: str, found: str, todo: str, code: ExitCode = ExitCode.FAILED) -> Finding:
    return Finding(name, Mark.BAD, found, todo, code)
