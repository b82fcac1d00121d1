"""Runs of the real graph on the simulated broker, one after the other, by a clock that a test sets.

Thanksgiving 2026 is on 26 November, when New York is closed, and on the 27th it closes at 13:00, which is 18:00 UTC.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from brokers.market_moment import MarketMoment
from cli.continuous.configuration import Configuration
from cli.continuous.loop import Loop
from cli.exit_codes import ExitCode
from cli.run_command import RunCommand
from cli.slot import slot_of
from cli.wiring import Timing
from config.home import Home
from tests.permits import journal_in

DEAD_SERVER = {"mcp_url": "http://127.0.0.1:9/mcp"}
MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


@dataclass
class Calendar:
    """Time that passes only while somebody waits, and what happens at some of its moments."""

    moment: datetime
    events: dict[datetime, Callable[[], Any]] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.moment

    async def pause(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        for at in [at for at in self.events if at <= self.moment]:
            self.events.pop(at)()


@dataclass(frozen=True)
class Told:
    code: ExitCode
    records: list[dict[str, Any]]
    words: str

    @property
    def times(self) -> list[str]:
        """When the runs began, in UTC."""
        return [record["started_at"][5:16].replace("T", " ") for record in self.records]


Live = Callable[..., Any]


@pytest.fixture
def lived(home: Home, capsys: pytest.CaptureFixture[str]) -> Live:
    """Let a loop live by `calendar`, and give what it told."""

    async def live(
        calendar: Calendar, *, market: str | None = None, max_runs: int | None = None, **written: str | None
    ) -> Told:
        command = RunCommand(**{"continuous": "True", **written})
        loop = Loop(
            Configuration(home, command, command.load(home)),
            MarketMoment.parse(market) if market else None,
            max_runs,
            as_json=True,
            timing=Timing(clock=calendar.now, pause=calendar.pause),
        )
        code = await loop.go_on()
        shown = capsys.readouterr()
        return Told(code, [json.loads(line) for line in shown.out.splitlines()], shown.err)

    return live


def write(home: Home, **config: Any) -> None:
    home.config_file.write_text(json.dumps(config), encoding="utf-8")


async def test_a_week_of_runs_half_an_hour_before_each_close_knows_the_holiday_and_the_half_day(lived: Live) -> None:
    told = await lived(Calendar(MONDAY), market="close-30m", max_runs=5)
    assert told.times == ["11-23 20:30", "11-24 20:30", "11-25 20:30", "11-27 17:30", "11-30 20:30"]
    assert told.code == ExitCode.DONE
    assert [record["as_of"][5:16] for record in told.records] == [time.replace(" ", "T") for time in told.times]
    assert {record["outcome"] for record in told.records} <= {"traded", "nothing_to_do"}


async def test_a_moment_that_had_its_run_from_elsewhere_is_left_out_and_a_failure_keeps_its_own(
    home: Home, lived: Live
) -> None:
    """As cron and a loop may both be set to the same moment of one home."""
    moment = MarketMoment.parse("close-30m")
    assert slot_of(home, moment, MONDAY).take()
    write(home, **DEAD_SERVER)
    mended = Calendar(MONDAY, {MONDAY + timedelta(days=1, hours=5, minutes=32): lambda: write(home)})
    told = await lived(mended, market=moment.text, max_runs=3)
    assert told.times == ["11-24 20:30", "11-24 20:35", "11-25 20:30"]
    assert "This moment of the session had its run already." in told.words
    assert not slot_of(home, moment, MONDAY + timedelta(days=1)).take()


async def test_where_the_home_is_gone_there_are_no_runs_until_it_is_back(home: Home, lived: Live) -> None:
    """With the home a halt would be out of sight; a new and empty one in its place must not be traded from."""
    away = home.root.with_name("away")

    def move() -> None:
        home.root.rename(away)

    def bring_back() -> None:
        shutil.rmtree(home.root, ignore_errors=True)  # which telling of it may have made
        away.rename(home.root)

    events = {MONDAY + timedelta(hours=1): move, MONDAY + timedelta(hours=5): bring_back}
    told = await lived(Calendar(MONDAY, events), interval="2", max_runs=2)
    assert told.times == ["11-23 15:00", "11-23 21:00"]
    assert told.words.count("is not the one this loop began in") >= 2


@pytest.mark.slow
async def test_runs_at_an_interval_take_no_account_of_days_off(lived: Live) -> None:
    told = await lived(Calendar(MONDAY + timedelta(days=2)), interval="24", max_runs=4)
    assert told.times == [f"11-{day} 15:00" for day in range(25, 29)]
    assert told.code == ExitCode.DONE
    assert "Running every 24 h" in told.words
    assert told.words.count("(in 24 h 0 min)") == 3


async def test_a_broker_out_of_reach_is_tried_again_ever_later_and_the_regular_times_stay(
    home: Home, lived: Live
) -> None:
    write(home, **DEAD_SERVER)
    mended = Calendar(MONDAY, {MONDAY + timedelta(minutes=34): lambda: write(home)})
    told = await lived(mended, interval="2", max_runs=5)
    assert told.times == ["11-23 15:00", "11-23 15:05", "11-23 15:15", "11-23 15:35", "11-23 17:00"]
    assert [record["outcome"] for record in told.records[:3]] == ["unreachable"] * 3
    assert "Failure 3 in a row (exit code 3)" in told.words
    assert "The configuration has changed: mcp_url." in told.words
    log = (home.root / "trading_log.log").read_text(encoding="utf-8")
    assert "continuous Failure 3 in a row" in log
    assert "continuous Next run at" in log


async def test_the_wait_after_failures_is_never_longer_than_the_interval(home: Home, lived: Live) -> None:
    write(home, **DEAD_SERVER)
    told = await lived(Calendar(MONDAY), interval="0.25", max_runs=5)
    assert told.times == [f"11-23 {time}" for time in ("15:00", "15:05", "15:15", "15:30", "15:45")]
    assert told.code == ExitCode.UNREACHABLE


@pytest.mark.slow
async def test_a_configuration_that_breaks_and_is_mended_holds_up_no_run(home: Home, lived: Live) -> None:
    write(home, max_positions=9)
    hour = timedelta(hours=1)
    events = {
        MONDAY + 0.5 * hour: lambda: home.config_file.write_text("{ this is no", encoding="utf-8"),
        MONDAY + 2.5 * hour: lambda: write(home, max_positions=8),
    }
    told = await lived(Calendar(MONDAY, events), interval="1", max_runs=4)
    assert told.times == [f"11-23 {time}" for time in ("15:00", "16:00", "17:00", "18:00")]
    assert told.words.count("the last good one stands") == 2
    assert "The configuration can be used again.\nThe configuration has changed: max_positions." in told.words


async def test_a_live_loop_begins_no_run_while_its_permission_is_withdrawn(home: Home, lived: Live) -> None:
    live = {"paper_trading": False, "broker": "tws", "tws_port": 9, "live_account_confirmed": "U1234567"}
    write(home, **live, live_accounts=["U1234567"])
    events = {
        MONDAY + timedelta(minutes=2): lambda: write(home, **live),
        MONDAY + timedelta(minutes=20): lambda: write(home, **live, live_accounts=["U1234567"]),
    }
    told = await lived(Calendar(MONDAY, events), interval="2", max_runs=2)
    assert told.times == ["11-23 15:00", "11-23 15:35"]
    assert {record["mode"] for record in told.records} == {"live"}
    assert told.words.count("U1234567 is not in live_accounts") == 2
    assert told.words.count("there are no runs until it permits live trading") == 2
    assert told.code == ExitCode.UNREACHABLE


async def test_a_halt_and_a_journal_that_cannot_be_read_are_waited_out(home: Home, lived: Live) -> None:
    with journal_in(home.root):
        pass
    kept = home.database.read_bytes()
    home.database.write_bytes(b"no database" * 500)
    mended = Calendar(MONDAY, {MONDAY + timedelta(hours=1, minutes=30): lambda: home.database.write_bytes(kept)})
    told = await lived(mended, interval="1", max_runs=3)
    assert told.code == ExitCode.DONE
    assert told.words.count("Trading is halted, and the loop goes on waiting. Next run at") == 2
    assert told.times == ["11-23 17:00"]


async def test_a_question_holds_up_nothing_and_the_next_run_takes_its_place(home: Home, lived: Live) -> None:
    write(home, require_approval="always")
    told = await lived(Calendar(MONDAY), interval="1", max_runs=2)
    assert told.code == ExitCode.WAITING_FOR_APPROVAL
    first, second = (record["run_id"] for record in told.records)
    with journal_in(home.root) as journal:
        assert [question.run_id for question in journal.questions.open()] == [second]
        closed = journal.questions.closing_of(first)
    assert closed is not None
    assert second in closed.why


async def test_the_loop_ends_when_the_configuration_no_longer_wants_it(home: Home, lived: Live) -> None:
    write(home, enable_continuous_loop=True, loop_interval_hours=1)
    off = Calendar(MONDAY, {MONDAY + timedelta(minutes=90): lambda: write(home)})
    told = await lived(off, continuous=None)
    assert told.times == ["11-23 15:00", "11-23 16:00"]
    assert told.code == ExitCode.DONE
    assert "enable_continuous_loop is off now.\nThe loop ends; it began 2 runs." in told.words


@pytest.mark.slow
async def test_a_computer_that_slept_runs_once_and_skips_a_moment_that_is_over(lived: Live) -> None:
    """Its clock jumps while it waits."""
    slept = Calendar(MONDAY)
    slept.events[MONDAY + timedelta(hours=1)] = lambda: setattr(slept, "moment", MONDAY + timedelta(hours=20))
    told = await lived(slept, interval="6", max_runs=3)
    assert told.times == ["11-23 15:00", "11-24 11:00", "11-24 15:00"]
    slept = Calendar(MONDAY)
    slept.events[MONDAY + timedelta(hours=1)] = lambda: setattr(slept, "moment", MONDAY + timedelta(hours=20))
    told = await lived(slept, market="close-1h", max_runs=1)
    assert told.times == ["11-24 20:00"]
    assert "It is too late for the run of Mon 2026-11-23" in told.words
