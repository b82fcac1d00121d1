"""One row of what was looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from brokers.errors import BrokerError
from cli.exit_codes import ExitCode, exit_code
from graph.failure import describe
from tools.wire.foreign_text import one_line


class Mark(StrEnum):
    """How a look ended: as it must, with a fact, with a doubt, so that no run could trade, or not at all."""

    GOOD = "good"
    NOTE = "note"
    DOUBT = "doubt"
    BAD = "bad"
    UNSEEN = "unseen"


class Stage(IntEnum):
    """Where a run would stumble, the earliest first; it ends over the first thing in its way."""

    START = 1
    JOURNAL = 2
    BOOKS = 3
    READING = 4
    HALT = 5
    DATA = 6


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do about it. `code` is how a run would end over it, at `stage`.

    `waits` says that nothing is wrong, and a run would still send nothing before that changes.
    """

    name: str
    mark: Mark
    found: str
    todo: str = ""
    code: ExitCode = ExitCode.DONE
    stage: Stage = Stage.DATA
    waits: bool = False


Tell = Callable[[Finding], Awaitable[None]]


def good(name: str, found: str) -> Finding:
    return Finding(name, Mark.GOOD, found)


def note(name: str, found: str, todo: str = "") -> Finding:
    """A fact; `todo` is what is done about it already."""
    return Finding(name, Mark.NOTE, found, todo)


def doubt(name: str, found: str, todo: str) -> Finding:
    return Finding(name, Mark.DOUBT, found, todo)


def bad(name: str, found: str, todo: str, code: ExitCode = ExitCode.DATA_UNFIT, stage: Stage = Stage.DATA) -> Finding:
    return Finding(name, Mark.BAD, found, todo, code, stage)


def unseen(name: str, why: str) -> Finding:
    return Finding(name, Mark.UNSEEN, why)


def unread(name: str, error: BrokerError, todo: str) -> Finding:
    """The row of what could not be read: a run would end there as this error makes it."""
    return bad(name, one_line(str(error)), todo, exit_code(describe("sense", error).outcome), Stage.READING)
