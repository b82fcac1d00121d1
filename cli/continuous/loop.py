"""The loop: wait, read the configuration anew, run, say when the next run is.

APScheduler's trigger reckons the times, and its scheduler is not used: it waits by a clock that stands still while the
computer sleeps, and a set clock cannot be given to it. Here the clock is looked at once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import typer

from brokers.market_moment import MarketMoment
from cli.conduct import Ending, conduct, end_of, heard
from cli.console import say
from cli.continuous.configuration import Configuration, News
from cli.continuous.times import is_missed, next_time, retry_after, told
from cli.exit_codes import ExitCode
from cli.log import Form, log_to
from cli.notify import tell_of, tell_what_waited
from cli.options import complain, sole_use
from cli.problems import print_problems
from cli.slot import slot_of
from cli.trace import talk, trace_for
from cli.wiring import Start, Timing
from config.blanking import secrets_in
from config.problems import ConfigError
from graph.runner import new_run_id

LONGEST_PAUSE = 60.0
"""Seconds; a computer that slept, or whose clock was set, is at most so late."""
FAILURES = frozenset({ExitCode.FAILED, ExitCode.BAD_USAGE, ExitCode.UNREACHABLE, ExitCode.DATA_UNFIT})
"""What is tried again soon; the others wait for a person, or for their time."""
AFTERWARDS = {
    ExitCode.WAITING_FOR_APPROVAL: "Unless it is approved before, the next run plans anew. ",
    ExitCode.HALTED: "Trading is halted, and the loop goes on waiting. ",
    ExitCode.ORDER_UNKNOWN: "The next run looks that order up first. ",
}
NOT_PERMITTED = (
    "The configuration no longer permits live trading, or cannot be read, so there are no runs until it does."
)
OTHER_HOME = (
    "The home folder is not the one this loop began in: it was moved, removed or unmounted, a halt or an open order "
    "with it. There are no runs until it is back; end the loop and start it anew where the home is."
)
NAME = "continuous"
"""Where a line of the log has the id of a run, for those of the loop itself."""

log = logging.getLogger("smart_agent")


class Loop:
    """Runs now and after each interval, or at each `moment` of a session, at most `max_runs` times."""

    def __init__(
        self,
        configuration: Configuration,
        moment: MarketMoment | None = None,
        max_runs: int | None = None,
        *,
        as_json: bool = False,
        timing: Timing | None = None,
    ) -> None:
        self._configuration = configuration
        self._moment = moment
        self._max_runs = max_runs
        self._as_json = as_json
        self._timing = timing or Timing()
        self._console = talk(as_json=as_json)
        self._stop = asyncio.Event()
        self._home = _identity(configuration.place.root)
        self._end: Callable[[bool], None] = self._end_waiting
        self._begun = 0
        self._failures = 0
        self._slot = self._timing.clock()
        """The regular time that comes next, or came last; a run that failed is tried again in between."""
        self._taken: datetime | None = None
        """The last moment of a session that is this loop's own: another process may have had its run in it."""

    async def go_on(self) -> ExitCode:
        """Run until somebody ends it, or all runs are made: 0 if that is between runs, else the code of the last."""
        try:
            self._log_as(NAME)
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}; nothing was started. Check that folder.")
            return ExitCode.BAD_USAGE
        with heard(self._hear):
            code = await self._runs()
        self._say(f"The loop ends; it began {self._begun} run{'' if self._begun == 1 else 's'}.")
        tell_what_waited(self._configuration.settings, self._configuration.place)
        return code

    async def _runs(self) -> ExitCode:
        now = self._timing.clock()
        self._slot = due = self._moment.next(now) if self._moment else now
        hours = self._configuration.settings.loop_interval_hours
        often = f"at {self._moment.text} of each session" if self._moment else f"every {hours:g} h"
        self._say(f"Running {often}, until Ctrl-C or a signal ends it.")
        if self._moment:
            self._say(f"First run at {told(due, now)}.")
        while await self._has_come(due):
            code = await self._turn()
            if self._stop.is_set() or self._begun == self._max_runs:
                return code
            due = self._next(code)
        return ExitCode.DONE

    async def _has_come(self, due: datetime) -> bool:
        """Wait for that time; False where somebody ends the loop before."""
        while not self._stop.is_set() and (left := (due - self._timing.clock()).total_seconds()) > 0:
            tasks = [
                asyncio.ensure_future(self._timing.pause(min(left, LONGEST_PAUSE))),
                asyncio.ensure_future(self._stop.wait()),
            ]
            _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        return not self._stop.is_set()

    async def _turn(self) -> ExitCode:
        """What is done when a time has come, and its exit code."""
        if self._moment and is_missed(self._slot, self._moment, self._timing.clock()):
            self._say(f"It is too late for the run of {self._slot.astimezone():%a %Y-%m-%d %H:%M %Z}.")
            return ExitCode.DONE
        if _identity(self._configuration.place.root) != self._home:
            complain(OTHER_HOME)
            self._conclude(Ending(ExitCode.FAILED, sentence=OTHER_HOME))
            return ExitCode.FAILED
        news = self._configuration.renew()
        self._tell(news)
        if not self._configuration.settings.enable_continuous_loop:
            self._say("enable_continuous_loop is off now.")
            self._stop.set()
            return ExitCode.DONE
        ending = await self._run() if news.may_run else Ending(ExitCode.BAD_USAGE, sentence=NOT_PERMITTED)
        self._conclude(ending)
        return ending.code

    async def _run(self) -> Ending:
        """Run once; whatever becomes of it, the loop goes on."""
        settings, place = self._configuration.settings, self._configuration.place
        trace = trace_for(as_json=self._as_json, interactive=False, on_a_line=True)
        name = new_run_id(self._timing.clock())
        start = Start(name, self._configuration.command, self._stop, heard=True, timing=self._timing)
        try:
            with sole_use(place):
                if self._moment and not self._is_ours(self._moment):
                    self._say("This moment of the session had its run already.")
                    return Ending(ExitCode.DONE)
                self._log_as(name)
                self._begun += 1
                task = asyncio.create_task(conduct(settings, place, trace, start))
                self._end = end_of(task, self._stop, trace)
                return await task
        except typer.Exit:  # another run is at work, which was said
            return Ending(ExitCode.FAILED)
        except asyncio.CancelledError:
            trace.interrupted()
            return Ending(ExitCode.FAILED)
        except OSError as error:
            sentence = f"{error.filename or place.root}: {error.strerror}; the run was not started. Check that folder."
            trace.refuse(sentence)
            return Ending(ExitCode.FAILED, sentence=sentence)
        finally:
            self._end = self._end_waiting
            trace.stop()
            with suppress(OSError):
                self._log_as(NAME)

    def _is_ours(self, moment: MarketMoment) -> bool:
        """Whether the run of this moment is this loop's to make, and to make again where it failed."""
        if self._taken != self._slot and slot_of(self._configuration.place, moment, self._slot).take():
            self._taken = self._slot
        return self._taken == self._slot

    def _conclude(self, ending: Ending) -> None:
        """Where every turn comes by at its end, whatever became of it."""
        log.info("exit code %d", ending.code)
        if ending.record or ending.sentence:  # of the rest a person knows, being at work there
            tell_of(ending, self._configuration.settings, self._configuration.place)

    def _next(self, code: ExitCode) -> datetime:
        """When to run again after that exit code; said, too."""
        now = self._timing.clock()
        if self._moment:
            self._slot = self._moment.next(now)
        else:
            self._slot = next_time(self._slot, self._configuration.settings.loop_interval_hours, now)
        if code not in FAILURES:
            self._failures = 0
            self._say(f"{AFTERWARDS.get(code, '')}Next run at {told(self._slot, now)}.")
            return self._slot
        self._failures += 1
        due = min(self._slot, now + retry_after(self._failures))
        self._say(f"Failure {self._failures} in a row (exit code {code.value}). Trying again at {told(due, now)}.")
        return due

    def _tell(self, news: News) -> None:
        """What there is to say of the configuration."""
        if news.refused:
            consequence = (
                "the last good one stands" if news.may_run else "there are no runs until it permits live trading"
            )
            log.warning("configuration refused, and %s: %s", consequence, " ".join(str(news.refused).splitlines()))
            if isinstance(news.refused, ConfigError):
                print_problems(talk(as_json=True), news.refused, consequence)
            else:
                complain(f"{news.refused} For now {consequence}.")
        if news.mended:
            self._say("The configuration can be used again.")
        if news.changed:
            self._say(f"The configuration has changed: {', '.join(news.changed)}.")

    def _hear(self, insists: bool) -> None:  # noqa: FBT001  (a signal's handler gets it by its place)
        self._end(insists)

    def _end_waiting(self, _insists: bool) -> None:  # noqa: FBT001
        self._stop.set()

    def _log_as(self, name: str) -> None:
        settings, place = self._configuration.settings, self._configuration.place
        form = Form(name, secrets_in(os.environ))
        log_to(place.log_file(settings.log_file), settings.log_level, form, self._say_on_screen)

    def _say(self, sentence: str) -> None:
        log.info("%s", sentence)
        self._say_on_screen(sentence)

    def _say_on_screen(self, sentence: str) -> None:
        say(self._console, sentence, "dim")


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which folder that path leads to; None where it leads to none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
