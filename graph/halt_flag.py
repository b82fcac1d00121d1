"""The file `HALTED` beside the journal: that it is there halts trading, whatever is in it.

It is raised before anything else is loaded or asked, so that a halt is in force at once, whoever holds the journal and
whether that can be written or not.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path


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
        flag.write_text(f"{now.isoformat()}\n{why}\n", encoding="utf-8")
