"""`trading_log.log`: what happened, one line an event, for the day somebody asks.

Each line begins with its time in UTC, its level and the id of the run, those of a traceback too, so that a search for
the id finds all of it. What others wrote is made one printable line, in which keys and passwords are blanked.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from config.blanking import blanked
from config.problems import printable

MOST_BYTES = 5_000_000
OLD_FILES = 3
OURS = "smart_agent"
# One line for each call they make; worth it only to somebody who looks for a fault in them.
CHATTY = ("mcp", "httpx", "httpx2", "aiosqlite", "asyncio")
# It is used to write the log, and would write of that.
OF_THE_LOG = "filelock"


def log_to(file: Path, level: str, form: Form, tell: Callable[[str], None]) -> None:
    """Send the log of this process to `file`, from `level` on; nothing is logged on the screen.

    Where a line cannot be written later, `tell` gets one sentence, once.

    Raises:
        OSError: there can be no such file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.open("ab").close()
    handler = LogFile(file, tell)
    handler.setFormatter(form)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    logging.getLogger(OF_THE_LOG).setLevel(logging.WARNING)
    if level != "DEBUG":
        for chatty in CHATTY:
            logging.getLogger(chatty).setLevel(logging.WARNING)


class Form(logging.Formatter):
    """The lines of the run `run_id`, without any of `secrets`."""

    def __init__(self, run_id: str, secrets: frozenset[str]) -> None:
        super().__init__()
        self._run_id = run_id
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """One line, and those of a traceback behind a bar."""
        at = datetime.fromtimestamp(record.created, UTC)
        head = f"{at:%Y-%m-%dT%H:%M:%SZ} {record.levelname} {self._run_id}"
        told = record.getMessage() if record.name == OURS else f"{record.name}: {record.getMessage()}"
        lines = [printable(self._blanked(told.strip()))]
        lines += (f"| {printable(line)}" for line in self._traceback(record))
        return "\n".join(f"{head} {line}" for line in lines)

    def _traceback(self, record: logging.LogRecord) -> Iterator[str]:
        if record.exc_info:
            yield from self._blanked(self.formatException(record.exc_info)).split("\n")

    def _blanked(self, text: str) -> str:
        return blanked(text, self._secrets)


class LogFile(logging.Handler):
    """A file that several processes may write to; one that has grown long is moved aside.

    It is opened for each event, which the system appends as a whole, so that it does not matter who has moved it when.
    """

    def __init__(self, file: Path, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._file = file
        self._tell: Callable[[str], None] | None = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Write an event; where that fails, say so the first time, and go on."""
        try:
            if self._append(f"{self.format(record)}\n".encode()) > MOST_BYTES:
                self._move_aside()
        except OSError as error:
            tell, self._tell = self._tell, None
            if tell:
                tell(f"The log {self._file} cannot be written ({error.strerror}); the run goes on without it.")
        except Exception:  # noqa: BLE001  (an event that cannot be told must not end a run)
            self.handleError(record)

    def _append(self, event: bytes) -> int:
        """The length of the file behind `event`, which is there whole or not at all."""
        with self._file.open("ab", buffering=0) as file:
            written = file.write(event)
            if written < len(event):
                file.truncate(file.tell() - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return file.tell()

    def _move_aside(self) -> None:
        """Make room for a new file, if nobody else does or just did; what cannot be moved now is moved later."""
        from filelock import FileLock  # noqa: PLC0415  (the help page does without)

        with suppress(OSError), FileLock(self._file.with_suffix(".lock"), timeout=0):
            if self._file.stat().st_size <= MOST_BYTES:
                return
            for number in range(OLD_FILES, 0, -1):
                with suppress(FileNotFoundError):
                    self._old(number - 1).replace(self._old(number))

    def _old(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.name}.{number}") if number else self._file
