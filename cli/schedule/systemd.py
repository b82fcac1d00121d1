"""Timers of the user's own systemd: a job is a timer and the service it starts."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from cli.schedule.job import Entry, Job, NotScheduled

TIMER = re.compile(r"smart-agent-(?P<id>[0-9a-f]{6})\.timer")
SECONDS = 30.0


class SystemdTimers:
    name = "systemd"

    def __init__(self) -> None:
        config = os.environ.get("XDG_CONFIG_HOME", "").strip()
        self.folder = (Path(config) if config else Path.home() / ".config") / "systemd" / "user"

    def preview(self, job: Job) -> str:
        return "\n".join(f"{self.folder / name}\n{text}" for name, text in units_of(job).items()).rstrip("\n")

    def add(self, job: Job) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in units_of(job).items():
                (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise NotScheduled(f"{error.filename}: {error.strerror}; no timer was started.") from None
        try:
            _systemctl("daemon-reload")
            _systemctl("enable", "--now", _timer(job.id))
        except NotScheduled:
            self._forget(job.id)
            raise

    def entries(self) -> list[Entry]:
        found = (TIMER.fullmatch(file.name) for file in sorted(self.folder.glob("smart-agent-*.timer")))
        return [self._entry(timer["id"]) for timer in found if timer]

    def remove(self, job_id: str) -> None:
        _systemctl("disable", "--now", _timer(job_id))
        self._forget(job_id)
        _systemctl("daemon-reload")

    def _entry(self, job_id: str) -> Entry:
        try:
            timer = (self.folder / _timer(job_id)).read_text(encoding="utf-8")
            service = (self.folder / _service(job_id)).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return Entry(job_id, "its files cannot be read", ())
        when = re.search(r"^# (.*)$", timer, re.MULTILINE)
        command = re.search(r"^ExecStart=(.*)$", service, re.MULTILINE)
        with suppress(ValueError):  # edited by hand, and its quotes do not close
            words = shlex.split(command[1]) if command else []
            return Entry(job_id, when[1] if when else "", tuple(map(_unescaped, words)))
        return Entry(job_id, when[1] if when else "", ())

    def _forget(self, job_id: str) -> None:
        for name in (_timer(job_id), _service(job_id)):
            (self.folder / name).unlink(missing_ok=True)


def units_of(job: Job) -> dict[str, str]:
    """The files by name. What a computer misses while it is off is not made up for."""
    if odd := set(str(job.program)) & set("'\"$"):
        raise NotScheduled(
            f"{job.program}: systemd starts no program with {odd.pop()} in its path; nothing was written."
        )
    command = " ".join(f'"{_escaped(word)}"' for word in job.words)
    log = str(job.home.scheduled_log).replace("%", "%%")
    starts = "\n".join(f"OnCalendar={line}" for line in job.times.on_calendar())
    service = f"""[Unit]
Description=Smart Trading Agent, schedule {job.id}

[Service]
Type=oneshot
ExecStart={command}
StandardInput=null
StandardOutput=append:{log}
StandardError=append:{log}
UMask=0077
"""
    timer = f"""# {job.times.text}
[Unit]
Description=Smart Trading Agent, schedule {job.id}

[Timer]
{starts}
Persistent=false

[Install]
WantedBy=timers.target
"""
    return {_service(job.id): service, _timer(job.id): timer}


def _timer(job_id: str) -> str:
    return f"smart-agent-{job_id}.timer"


def _service(job_id: str) -> str:
    return f"smart-agent-{job_id}.service"


def _escaped(word: str) -> str:
    return word.replace('"', r"\"").replace("%", "%%").replace("$", "$$")


def _unescaped(word: str) -> str:
    return word.replace("%%", "%").replace("$$", "$")


def _systemctl(*arguments: str) -> None:
    program = shutil.which("systemctl")
    if program is None:
        raise NotScheduled("There is no systemd on this computer; nothing was changed.")
    try:
        done = subprocess.run(  # noqa: S603  (systemctl, with arguments of ours)
            [program, "--user", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotScheduled(f"systemctl did not answer within {SECONDS:.0f} s; no timer was changed.") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise NotScheduled(f"systemctl --user {' '.join(arguments)} did not do it ({said}); no timer was changed.")
