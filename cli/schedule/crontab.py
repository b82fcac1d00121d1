"""The user's crontab. A job is one line of it, and no other line is touched, to the byte.

The line stands on top: what the crontab sets further down (SHELL, PATH, CRON_TZ) holds for the lines below it alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.schedule.job import Entry, Job, NotScheduled
from config.home import crontab_lock

OURS = re.compile(
    rb"\s*(?P<when>[^#\s]\S*(?:\s+\S+){4})\s+(?P<command>.*)# smart-agent schedule (?P<id>[0-9a-f]{6})\s*"
)
SECONDS = 30.0


class Crontab:
    name = "crontab"

    def preview(self, job: Job) -> str:
        return line_of(job)

    def add(self, job: Job) -> None:
        line = line_of(job).encode()
        self._change(lambda content: line + b"\n" + without(content, job.id))

    def entries(self) -> list[Entry]:
        return entries_in(_read())

    def remove(self, job_id: str) -> None:
        self._change(lambda content: without(content, job_id))

    def _change(self, change: Callable[[bytes], bytes]) -> None:
        """Read, change and write in one go, as a person may have edited it since it was shown."""
        with _alone():
            after = change(_read())
            written = _crontab("-", content=after)
            if written.returncode:
                raise NotScheduled(f"crontab did not take it ({_said(written)}); it is as it was.")
            if _read() != after:
                raise NotScheduled("The crontab is not what was written to it just now. Look at it: crontab -l")


def line_of(job: Job) -> str:
    """What cron hands to /bin/sh, to which the end is a comment; a bare "%" cron would make a new line of."""
    log = shlex.quote(str(job.home.scheduled_log))
    command = f"{shlex.join(job.words)} >> {log} 2>&1".replace("%", r"\%")
    return f"{job.times.text} {command} # smart-agent schedule {job.id}"


def without(content: bytes, job_id: str) -> bytes:
    """The crontab without the lines of that job."""
    return b"\n".join(line for line in content.split(b"\n") if _id_in(line) != job_id)


def entries_in(content: bytes) -> list[Entry]:
    found = []
    for line in content.split(b"\n"):
        if ours := OURS.fullmatch(line):
            command = ours["command"].decode(errors="replace").replace(r"\%", "%")
            found.append(Entry(ours["id"].decode(), ours["when"].decode(errors="replace"), _words_of(command)))
    return found


def _id_in(line: bytes) -> str | None:
    ours = OURS.fullmatch(line)
    return ours["id"].decode() if ours else None


def _words_of(command: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command))
    except ValueError:  # edited by hand, and its quotes do not close
        return (command,)
    return words[: words.index(">>")] if ">>" in words else words


@contextmanager
def _alone() -> Iterator[None]:
    """Another process of ours would read what this one is about to change, and write it back without the change."""
    from filelock import FileLock, Timeout  # noqa: PLC0415  (only for those who write)

    file = crontab_lock()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(file).acquire(timeout=4 * SECONDS)
    except (Timeout, OSError) as error:
        raise NotScheduled(f"The crontab cannot be had alone ({error}); it was left as it is. Try again.") from None
    with lock:
        yield


def _read() -> bytes:
    found = _crontab("-l")
    if found.returncode == 0:
        return found.stdout
    if not found.stdout and re.search(rb"no crontab|No such file", found.stderr):
        return b""
    raise NotScheduled(f"The crontab cannot be read ({_said(found)}); it was left as it is.")


def _crontab(*arguments: str, content: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("crontab")
    if program is None:
        raise NotScheduled(
            "There is no crontab on this computer; nothing was written. See: smart-agent schedule --help"
        )
    environ = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603  (crontab, with arguments of ours)
            [program, *arguments], input=content, capture_output=True, timeout=SECONDS, env=environ, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotScheduled(f"crontab did not answer within {SECONDS:.0f} s. Look at it: crontab -l") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(done.stderr.decode(errors="replace").split()) or f"exit code {done.returncode}"
