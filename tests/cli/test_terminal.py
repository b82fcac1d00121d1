"""A run in front of a person: a real terminal, its panels, its question, its Ctrl-C."""

from __future__ import annotations

import io
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pexpect
import pytest

from config.home import Home
from tests.permits import journal_in

SMART_AGENT = Path(sys.executable).with_name("smart-agent")
SHOW_CURSOR = "\x1b[?25h"


def at_terminal(home: Home, *arguments: str, **variables: str) -> tuple[Any, io.StringIO]:
    """The run in a terminal of 100 columns, and all it has shown."""
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
    environment |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", **variables}
    shown = io.StringIO()
    child = pexpect.spawn(
        str(SMART_AGENT),
        ["run", "--home", str(home.root), "--as-of", "2026-06-15", *arguments],
        env=environment,
        dimensions=(50, 100),
        encoding="utf-8",
        timeout=60,
    )
    child.logfile_read = shown
    return child, shown


def end(child: Any) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def test_each_step_is_a_panel_in_its_order(home: Home) -> None:
    child, shown = at_terminal(home)
    assert end(child) == 0
    text = shown.getvalue()
    places = [text.index(name) for name in ("SENSE", "THINK", "ACT", "REFLECT")]
    assert places == sorted(places)
    assert "╭" in text


@pytest.mark.parametrize(
    ("answer", "words"), [("y", "Completed 3 of 3 trades"), pytest.param("n", "declined", marks=pytest.mark.slow)]
)
def test_where_approval_is_wanted_the_person_is_asked(home: Home, answer: str, words: str) -> None:
    child, shown = at_terminal(home, SMART_AGENT_REQUIRE_APPROVAL="always")
    child.expect("wait for your approval")
    child.expect("Send them")
    child.sendline(answer)
    assert end(child) == 0
    assert words in shown.getvalue()


@pytest.mark.parametrize(
    ("moment", "code", "words"),
    [
        ("Starting", 1, "Interrupted"),
        pytest.param("SENSE", 1, "Interrupted", marks=pytest.mark.slow),
        pytest.param("THINK", 1, "Interrupted", marks=pytest.mark.slow),
        ("Send them", 5, "3 orders wait for approval; nothing was sent"),
    ],
)
def test_ctrl_c_says_what_it_means_and_gives_the_cursor_back(home: Home, moment: str, code: int, words: str) -> None:
    child, shown = at_terminal(home, SMART_AGENT_REQUIRE_APPROVAL="always")
    child.expect(moment)
    child.sendintr()
    assert end(child) == code
    text = shown.getvalue()
    assert words in text
    assert "Traceback" not in text
    assert text.rindex(SHOW_CURSOR) > text.rindex("\x1b[?25l")


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "code"), [("Starting", 1), ("SENSE", 1), ("Next run at", 0)])
def test_ctrl_c_ends_a_loop_and_gives_the_cursor_back(home: Home, moment: str, code: int) -> None:
    child, shown = at_terminal(home, "--continuous")
    child.expect(moment)
    child.sendintr()
    assert end(child) == code
    text = shown.getvalue()
    assert "Traceback" not in text
    assert text.rindex(SHOW_CURSOR) > text.rindex("\x1b[?25l")


@pytest.mark.slow
def test_a_terminal_that_is_closed_lets_the_order_finish_and_sends_no_more(home: Home) -> None:
    """Nothing can be written to it from then on, and the run must not end over that."""
    slow = {"SMART_AGENT_PRICE_POLICY": "passive", "SMART_AGENT_FILL_TIMEOUT_SECONDS": "3"}
    child, _ = at_terminal(home, **slow)
    child.expect("0 of [0-9]+ filled")
    os.close(child.child_fd)
    _, status = os.waitpid(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    with journal_in(home.root) as journal:
        assert journal.orders.unsettled() == ()
    with closing(sqlite3.connect(home.database)) as database:
        sent = [at is not None for (at,) in database.execute("SELECT submitting_at FROM orders")]
    assert (sent.count(True), sent.count(False) > 0) == (1, True)
    assert len(list(home.reflections.iterdir())) == 1
