"""A scheduled run: when, in which home, and the words of its command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cli.schedule.times import CronTimes
from config.home import Home

HOME, VARIABLES = "--home", "--environment"


class NotScheduled(Exception):
    """It could not be done, and nothing was changed; the message is a sentence."""


@dataclass(frozen=True)
class Job:
    """A run of `program` that is to be scheduled. The same times, options and home are the same job.

    Raises:
        NotScheduled: a word of its command would not reach it whole.
    """

    program: Path
    home: Home
    times: CronTimes
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _hold_to_plain_words((str(self.program), str(self.home.root), *self.options))

    @property
    def id(self) -> str:
        told = "\0".join((self.times.text, str(self.home.root), *self.options))
        return sha256(told.encode()).hexdigest()[:6]

    @property
    def words(self) -> tuple[str, ...]:
        variables = str(self.home.variables_of(self.id))
        return (str(self.program), "run", HOME, str(self.home.root), VARIABLES, variables, *self.options)


@dataclass(frozen=True)
class Entry:
    """A job that is scheduled, as it was found where it is kept."""

    id: str
    when: str
    words: tuple[str, ...]

    def given(self, option: str) -> str | None:
        """What follows `option` in the command."""
        after = self.words[self.words.index(option) + 1 :] if option in self.words else ()
        return next(iter(after), None)


class Timetable(Protocol):
    """Where jobs are kept by whatever starts them. Every method raises `NotScheduled` where it cannot be done."""

    name: str

    def preview(self, job: Job) -> str:
        """What `add` writes, to the letter."""
        ...

    def add(self, job: Job) -> None:
        """Keep the job, in place of one with its id."""
        ...

    def entries(self) -> list[Entry]: ...

    def remove(self, job_id: str) -> None: ...


def _hold_to_plain_words(words: Sequence[str]) -> None:
    """Raise `NotScheduled` for what some shell, cron or systemd reads in its own way, however it is quoted."""
    for word in words:
        if not word.isprintable() or "\\" in word:
            shown = "".join(sign if sign.isprintable() else "�" for sign in word)
            raise NotScheduled(
                f"{shown}: a backslash, a new line or another sign that cannot be printed does not reach a scheduled "
                "command whole; nothing was written. Take another name or folder."
            )
