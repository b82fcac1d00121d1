"""Which notifications go out now, which wait, and which were sent already; kept in the home, so that runs share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter

from cli.notify.messages import Level, Notification
from cli.notify.sending import Sent
from config.json_file import write_object
from config.problems import ConfigError
from config.settings import Settings
from portfolio.models import Utc

MOST_HELD = 50
SAME = timedelta(hours=24)
"""The same words are not sent twice within this time: a run that fails every hour fails once a day."""
PATIENCE = 5.0
"""Seconds that another process may have the outbox."""


@dataclass
class Kept:
    """`held` wait, the oldest first; `said` tells when each text last went out, `last` when one not urgent did."""

    held: list[Notification] = field(default_factory=list)
    said: dict[str, Utc] = field(default_factory=dict)
    last: Utc | None = None


KEPT = TypeAdapter(Kept)


class Outbox:
    """The notifications of one home, at the moment `now` (UTC)."""

    def __init__(self, file: Path, settings: Settings, now: datetime) -> None:
        self._file, self._settings, self._now = file, settings, now

    def put(self, new: Notification | None, send: Callable[[Notification], Sequence[Sent]]) -> Sequence[Sent]:
        """Send what may go out now, `new` and what waits, as one message; where it did not arrive, if it did not.

        What nobody took waits for the next time. What cannot be kept to wait goes out at once.
        """
        wanted = new if new and new.level >= Level[self._settings.notify_level.upper()] else None
        try:
            with FileLock(self._file.with_suffix(".lock"), timeout=PATIENCE):
                sent = self._put(wanted, send)
        except (OSError, ConfigError):  # another process has the outbox for too long, or it cannot be written
            sent = send(wanted) if wanted else ()
        return [one for one in sent if not one.arrived]

    def _put(self, new: Notification | None, send: Callable[[Notification], Sequence[Sent]]) -> Sequence[Sent]:
        kept = _read(self._file)
        if new and not self._was_said(new, kept):
            kept.held = [*kept.held, new][-MOST_HELD:]
        _write(self._file, kept)  # before it is sent, which takes long enough to be ended meanwhile
        if not kept.held or not self._may_go_out(kept):
            return ()
        sent = send(_together(kept.held))
        if any(one.arrived for one in sent):
            kept.said = {text: at for text, at in kept.said.items() if self._is_within(SAME, at)}
            kept.said |= {_text(one): self._now for one in kept.held}
            if not _is_urgent(kept.held):  # what could not wait makes nothing else wait
                kept.last = self._now
            kept.held = []
            with suppress(ConfigError):  # then it is told twice
                _write(self._file, kept)
        return sent

    def _was_said(self, new: Notification, kept: Kept) -> bool:
        at = kept.said.get(_text(new))
        return new in kept.held or (at is not None and self._is_within(SAME, at))

    def _may_go_out(self, kept: Kept) -> bool:
        if _is_urgent(kept.held):
            return True
        pause = timedelta(minutes=self._settings.notify_batch_minutes)
        is_soon = kept.last is not None and self._is_within(pause, kept.last)
        return not is_soon and not is_quiet(self._now, self._settings.notify_quiet_hours)

    def _is_within(self, time: timedelta, at: datetime) -> bool:
        """Whether `at` is less than that ago; what a clock that went wrong says of the future is not."""
        return timedelta(0) <= self._now - at < time


def is_quiet(now: datetime, hours: str | None) -> bool:
    """Whether `now` is in the quiet hours, which are by this computer's clock and may go over midnight."""
    if hours is None:
        return False
    begins, ends = map(time.fromisoformat, hours.split("-"))
    at = now.astimezone().time()
    return begins <= at < ends if begins <= ends else at >= begins or at < ends


def _is_urgent(held: Sequence[Notification]) -> bool:
    return any(one.level is Level.URGENT for one in held)


def _text(one: Notification) -> str:
    return f"{one.title}\n{one.body}"


def _together(held: Sequence[Notification]) -> Notification:
    """One message of all that waits, the newest first."""
    if len(held) == 1:
        return held[0]
    newest, level = held[-1], max(one.level for one in held)
    title = f"{newest.title} (and {len(held) - 1} more)"
    return Notification(title, "\n\n".join(_text(one) for one in reversed(held)), level)


def _read(file: Path) -> Kept:
    """What is kept; a file that cannot be read is none, as no run may depend on it."""
    try:
        return KEPT.validate_json(file.read_bytes())
    except (OSError, ValueError):
        return Kept()


def _write(file: Path, kept: Kept) -> None:
    write_object(file, KEPT.dump_python(kept, mode="json"))
