"""The log's file: its lines whatever is in them, on a disk that is full, and written by two processes at once."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.log import MOST_BYTES, OLD_FILES, Form, LogFile

RUN = "20260615-140000-a1b2c3"
HEAD = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ [A-Z]+ {RUN} "
WRITER = """
import logging, sys
from pathlib import Path
from cli.log import Form, log_to

log_to(Path(sys.argv[1]), "INFO", Form(sys.argv[2], frozenset()), print)
for number in range(int(sys.argv[3])):
    logging.getLogger("smart_agent").info("event %d %s .", number, "x" * 700)
"""
FULL_DISK = """
import logging, resource, signal, sys
from pathlib import Path
from cli.log import Form, log_to

log_to(Path(sys.argv[1]), "INFO", Form("run", frozenset()), print)
log = logging.getLogger("smart_agent")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log.info("whole %s", "a" * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (800, resource.RLIM_INFINITY))
log.info("half %s", "b" * 500)
log.info("half again %s", "c" * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("whole again")
"""


def told(file: Path, name: str, message: str, *arguments: object, error: BaseException | None = None) -> list[str]:
    """The lines of the file after an event."""
    handler = LogFile(file, pytest.fail)
    handler.setFormatter(Form(RUN, frozenset({"my-secret-key"})))
    traceback = (type(error), error, None) if error else None
    handler.handle(logging.LogRecord(name, logging.INFO, "", 0, message, arguments, traceback))
    return file.read_text(encoding="utf-8").splitlines()


def test_an_event_of_ours_is_a_line_and_a_librarys_begins_with_its_name(tmp_path: Path) -> None:
    (ours,) = told(tmp_path / "a.log", "smart_agent", "plan %s %d", "BUY", 3)
    (theirs,) = told(tmp_path / "b.log", "httpx", "HTTP Request")
    assert re.fullmatch(f"{HEAD}plan BUY 3", ours)
    assert re.fullmatch(f"{HEAD}httpx: HTTP Request", theirs)


FORGED = f"x\n2026-06-15T14:00:00Z INFO {RUN} order 1 FILLED"


@pytest.mark.parametrize(
    "end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1e", "\x85", "\u2028", "\x1b[2K\x1b[1G", "\x00"]
)
def test_foreign_text_forges_no_line(tmp_path: Path, end: str) -> None:
    lines = told(tmp_path / "a.log", "smart_agent", "struck %s", FORGED.replace("\n", end))
    assert len(lines) == 1
    assert re.fullmatch(f"{HEAD}struck x.*FILLED", lines[0])
    assert lines[0].isprintable()


def test_a_traceback_is_lines_of_the_run_behind_a_bar_and_holds_no_secret(tmp_path: Path) -> None:
    cause = ValueError(f"no my-secret-key\r{FORGED}\ud800")
    lines = told(tmp_path / "a.log", "smart_agent", "sense broke off", error=cause)
    assert re.fullmatch(f"{HEAD}sense broke off", lines[0])
    assert len(lines) > 2
    assert all(re.match(rf"{HEAD}\| ", line) and line.isprintable() for line in lines[1:])
    assert "no (not shown)" in lines[1]
    assert "my-secret-key" not in "".join(lines)


@pytest.mark.slow
def test_two_processes_that_outgrow_the_file_lose_and_tear_no_line(tmp_path: Path) -> None:
    file, each = tmp_path / "trading_log.log", 2 * MOST_BYTES // 1000
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), name, str(each)], stdout=subprocess.PIPE)
        for name in ("first", "second")
    ]
    assert [writer.communicate(timeout=60)[0] for writer in writers] == [b"", b""]
    kept = [file, *(file.with_name(f"{file.name}.{number}") for number in range(1, OLD_FILES + 1))]
    lines = [line for one in kept if one.exists() for line in one.read_text(encoding="utf-8").splitlines()]
    found = [re.fullmatch(r"\S+ INFO (first|second) event (\d+) x{700} \.", line) for line in lines]
    events = sorted((match[1], int(match[2])) for match in found if match)
    assert len(events) == len(lines)
    assert events == [(name, number) for name in ("first", "second") for number in range(each)]
    assert sum(one.exists() for one in kept) > 1
    assert all(one.stat().st_size < MOST_BYTES + 10_000 for one in kept if one.exists())


def test_a_disk_that_was_full_leaves_no_half_line_and_is_told_of_once(tmp_path: Path) -> None:
    file = tmp_path / "trading_log.log"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)], capture_output=True, text=True, check=True, timeout=60
    )
    assert [line.split(" ")[3:5] for line in file.read_text(encoding="utf-8").splitlines()] == [
        ["whole", "a" * 500],
        ["whole", "again"],
    ]
    assert done.stdout.count("cannot be written") == 1
