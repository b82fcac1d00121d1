"""The file `HALTED` beside the journal: that it is there halts trading, whatever is in it.

It is raised before anything else is loaded or asked, so that a halt is in force at once, whoever holds the journal and
whether that can be written or not.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

NO_WAITING = getattr(os, "O_NONBLOCK", 0)
"""A pipe of that name must not hold up a halt."""
MOST_READ = 4096
"""Bytes; a file that is larger was not written here, and halts all the same."""


def flag_beside(database: Path) -> Path:
    return database.with_name("HALTED")


def raise_flag(database: Path, why: str, now: datetime) -> None:
    """Halt without the database.

    Raises:
        OSError: the file cannot be made.
    """
    flag = flag_beside(database)
    draft = flag.with_name(f"HALTED.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{now.isoformat()}\n{why}\n")
        draft.replace(flag)  # whole, and in place of one that somebody lifts at this moment
    except OSError:  # the disk is full, or a folder is in the way: that it is there is enough
        flag.touch(mode=0o600)
        with suppress(OSError):
            draft.unlink()


def words_of_flag(database: Path) -> str | None:
    """What is in the file; "" where that cannot be told, and None only where it is certain that there is none.

    It halts also while it is set aside, and may be put back before it is looked for there.
    """
    flag, aside = flag_beside(database), _aside(database)
    told = (words for file in (flag, aside, flag) if (words := _words_in(file)) is not None)
    return next(told, None)


def _aside(database: Path) -> Path:
    """Where the file is while it is found out whether it is still the one to be taken away."""
    return database.with_name("HALTED.lifted")


def _words_in(flag: Path) -> str | None:
    try:
        if not stat.S_ISREG(flag.lstat().st_mode):
            return ""
        with os.fdopen(os.open(flag, os.O_RDONLY | NO_WAITING), "rb") as file:
            return file.read(MOST_READ).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return ""


def lower_flag(database: Path, words: str | None) -> None:
    """Take the file away whose `words` were read; one that was raised since then stays.

    Raises:
        OSError: it cannot be taken away.
    """
    flag, aside = flag_beside(database), _aside(database)
    if words is None:
        return
    if flag.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(flag))
    with suppress(FileNotFoundError):
        if _words_in(flag) == words:
            flag.replace(aside)
        if _words_in(aside) != words:
            _put_back(aside, flag)
        aside.unlink()


def _put_back(aside: Path, flag: Path) -> None:
    """One that was raised meanwhile stays as it is, since it is later."""
    try:
        os.link(aside, flag)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        aside.replace(flag)
