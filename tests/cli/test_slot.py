"""`run --market`: of many starts within a session one becomes a run, whatever breaks in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brokers.market_moment import MarketMoment
from cli.exit_codes import ExitCode
from cli.main import app
from cli.run import execute
from cli.run_command import RunCommand
from cli.slot import Slot, due_slot, slot_of, why_not_due
from config.home import Home
from tests.cli.test_command import SMART_AGENT, smart_agent

FRIDAY = datetime(2026, 6, 12, tzinfo=UTC)
HALF_DAY = datetime(2026, 11, 27, tzinfo=UTC)


def due(home: Home, text: str, now: datetime) -> bool:
    return due_slot(home, MarketMoment.parse(text), now) is not None


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("open", "13:30", "15:30"),
        ("open+30m", "14:00", "16:00"),
        ("close-1h", "19:00", "20:00"),
        ("close-3h", "17:00", "19:00"),
    ],
)
def test_a_run_is_due_from_its_moment_for_two_hours_and_never_after_the_close(
    home: Home, text: str, begins: str, ends: str
) -> None:
    first, after = (FRIDAY.replace(hour=int(clock[:2]), minute=int(clock[3:])) for clock in (begins, ends))
    tick = timedelta(seconds=1)
    assert [due(home, text, now) for now in (first - tick, first, after - tick, after)] == [False, True, True, False]


def test_a_half_day_has_its_own_close(home: Home) -> None:
    assert due(home, "close-1h", HALF_DAY.replace(hour=17))
    assert not due(home, "close-1h", HALF_DAY.replace(hour=18))
    assert not due(home, "close-1h", HALF_DAY.replace(hour=20))


@pytest.mark.parametrize(
    ("text", "now", "words"),
    [
        ("open+30m", FRIDAY.replace(hour=13, minute=50), "open+30m comes at 10:00 New York today"),
        ("open+30m", FRIDAY.replace(hour=17), "open+30m was at 10:00 New York, and a run may begin until 2 h later"),
        ("open+30m", FRIDAY.replace(day=13, hour=15), "no session today; the next open+30m is Monday 2026-06-15 10:00"),
        (
            "close-1h",
            HALF_DAY.replace(day=26, hour=17),
            "no session today; the next close-1h is Friday 2026-11-27 12:00",
        ),
        ("open+6h", HALF_DAY.replace(hour=17), "the session of today has no open+6h; the next open+6h is Monday"),
    ],
)
def test_why_no_run_is_due_is_said_to_a_person(home: Home, text: str, now: datetime, words: str) -> None:
    assert words in why_not_due(home, MarketMoment.parse(text), now)


def test_a_moment_that_had_its_run_says_so(home: Home) -> None:
    moment, now = MarketMoment.parse("open"), FRIDAY.replace(hour=14)
    assert slot_of(home, moment, now).take()
    assert why_not_due(home, moment, now) == "open, at 09:30 New York, had its run today"


@pytest.mark.parametrize("day", ["2026-11-26", "2026-07-03", "2026-06-13", "2026-06-14"])
def test_nothing_is_due_on_holidays_and_weekends(home: Home, day: str) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert not any(due(home, "open+30m", midnight + timedelta(minutes=15 * step)) for step in range(96))


def test_the_hour_here_moves_with_the_clocks_of_new_york(home: Home) -> None:
    """They change on 8 March 2026, three weeks before Europe's."""
    assert not due(home, "open", datetime(2026, 3, 6, 14, 29, tzinfo=UTC))
    assert due(home, "open", datetime(2026, 3, 6, 14, 30, tzinfo=UTC))
    assert due(home, "open", datetime(2026, 3, 9, 13, 30, tzinfo=UTC))


def test_a_slot_is_taken_once_and_the_next_session_has_its_own(home: Home) -> None:
    moment, now = MarketMoment.parse("open+30m"), FRIDAY.replace(hour=14, minute=5)
    slot = due_slot(home, moment, now)
    assert slot is not None
    assert slot.take()
    assert not slot.take()
    assert due_slot(home, moment, now) is None
    assert due_slot(home, MarketMoment.parse("open+0h30m"), now) is None, "the same moment in other words"
    assert due(home, "open+31m", now)
    assert due(home, "open+30m", now + timedelta(days=3))


def test_of_many_at_once_one_takes_the_slot(home: Home) -> None:
    slots = [Slot(home.slots / "2026-06-12-open-30") for _ in range(32)]
    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(Slot.take, slots)) == 1


def test_when_it_is_not_due_nothing_is_printed_and_the_configuration_is_not_even_read(home: Home) -> None:
    """The moments lie half a session apart and wait no more than two hours, so one of them is not due now."""
    home.config_file.write_text("{ this is no JSON", encoding="utf-8")
    runner = CliRunner()
    done = [runner.invoke(app, ["run", "--home", str(home.root), "--market", text]) for text in ("open", "close-1m")]
    quiet = [one for one in done if one.exit_code == 0]
    assert quiet
    assert all(one.stdout == one.stderr == "" for one in quiet)


@pytest.mark.parametrize("text", ["noon", "open-5m", "close+1h", "open+9h", ""])
def test_what_is_no_moment_of_a_session_is_refused(home: Home, text: str) -> None:
    done = CliRunner().invoke(app, ["run", "--home", str(home.root), "--market", text])
    assert done.exit_code == 2
    assert "--market" in done.stderr


def test_a_moment_goes_by_the_clock_and_a_replayed_day_does_not(home: Home) -> None:
    done = CliRunner().invoke(app, ["run", "--home", str(home.root), "--market", "open", "--as-of", "2026-06-15"])
    assert (done.exit_code, "goes by the clock" in done.stderr) == (2, True)


@pytest.mark.parametrize("written", ["[]", '{"PATH": 5}', '{"A=B": "c"}', '{"A": "a\\u0000b"}', "no JSON"])
def test_a_file_of_variables_that_is_none_starts_nothing(home: Home, tmp_path: Path, written: str) -> None:
    file = tmp_path / "variables.json"
    file.write_text(written, encoding="utf-8")
    done = CliRunner().invoke(app, ["run", "--home", str(home.root), "--environment", str(file)])
    assert done.exit_code == 2
    assert "nothing was started" in done.stderr


def started_at(moment: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """The command, begun with a clock that is set to `moment`, in New York."""
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("faketime, which sets the clock of a process, is not installed")
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TZ": "America/New_York"}
    command = [faketime, "-f", f"@{moment}", str(SMART_AGENT), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environ, start_new_session=True)


def at(moment: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    process = started_at(moment, *arguments)
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@pytest.mark.slow
def test_a_day_of_starts_makes_one_run_and_a_broken_configuration_does_not_use_it_up(home: Home) -> None:
    command = ("run", "--home", home.root, "--market", "open+30m", "--json")
    assert at("2026-06-15 09:59:00", *command).stdout == ""
    home.config_file.write_text("{ this is no JSON", encoding="utf-8")
    broken = at("2026-06-15 10:00:00", *command)
    assert (broken.returncode, broken.stdout) == (2, "")
    home.config_file.unlink()
    run = at("2026-06-15 10:05:00", *command)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["outcome"] == "traded"
    again = at("2026-06-15 10:10:00", *command)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(list(home.reflections.iterdir())) == 1


@pytest.mark.slow
def test_a_halted_home_says_so_once_a_session(home: Home) -> None:
    smart_agent("halt", "--home", home.root, "--why", "on holiday")
    command = ("run", "--home", home.root, "--market", "open+30m")
    assert at("2026-06-15 10:00:00", *command).returncode == 6
    assert at("2026-06-15 10:05:00", *command).returncode == 0


@pytest.mark.slow
def test_a_run_that_was_killed_is_not_made_a_second_time(home: Home) -> None:
    command = ("run", "--home", home.root, "--market", "open+30m")
    killed = started_at("2026-06-15 10:00:00", *command)
    while not home.slots.exists() or not list(home.slots.iterdir()):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)  # faketime, and the run it started
    killed.communicate()
    again = at("2026-06-15 10:05:00", *command)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert not list(home.reflections.iterdir())


@pytest.mark.slow
def test_of_two_that_start_together_one_runs(home: Home) -> None:
    command = ("run", "--home", home.root, "--market", "open+30m")
    both = [started_at("2026-06-15 10:00:00", *command) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert sorted(process.returncode for process in both) in ([0, 0], [0, 1]), told
    assert len(list(home.reflections.iterdir())) == 1


def test_what_could_not_be_started_leaves_the_slot_to_the_next_start(home: Home) -> None:
    moment, command = MarketMoment.parse("open+30m"), RunCommand(as_of="2026-06-12")
    settings = command.load(home)
    home.log_file(settings.log_file).mkdir()
    slot = slot_of(home, moment, FRIDAY)
    assert execute(home, settings, command, as_json=True, slot=slot) is ExitCode.BAD_USAGE
    assert slot.take()
