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
    flag.touch(mode=0o600)
    with suppress(OSError):  # on a full disk: that it is there is enough
        flag_file = os.open(flag, os.O_WRONLY | os.O_TRUNC | NO_WAITING)
        with os.fdopen(flag_file, "w", encoding="utf-8") as file:
            file.write(f"{now.isoformat()}\n{why}\n")


def words_of_flag(database: Path) -> str | None:
    """What is in the file; "" where that cannot be told, and None only where it is certain that there is none."""
    return _words_in(flag_beside(database))


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
    flag = flag_beside(database)
    if words is None:
        return
    if flag.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(flag))
    aside = flag.with_name("HALTED.lifted")
    with suppress(FileNotFoundError):
        flag.replace(aside)
        if _words_in(aside) == words:
            aside.unlink()
        else:
            aside.replace(flag)
