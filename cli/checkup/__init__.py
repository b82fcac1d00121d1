"""Everything that must hold before a run could trade, looked at piece by piece: what breaks one look ends no other.

Nothing is sent, nothing is booked, and no lock is held; of the broker a what-if of one share is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from cli.checkup.broker import of_the_broker
from cli.checkup.finding import Finding, Mark, Tell, bad, good
from cli.checkup.home import of_the_home
from cli.checkup.model import of_the_model
from cli.exit_codes import ExitCode
from cli.run_command import RunCommand
from cli.wiring import Timing
from config.home import Home
from config.problems import ConfigError
from config.settings import Settings
from portfolio.limits.standing import why_not_started
from tools.wire.foreign_text import one_line

__all__ = ["Finding", "Mark", "examine"]

LOOK_SECONDS = 60.0


async def in_time(name: str, looking: AsyncIterator[Finding], tell: Tell) -> None:
    """Tell every finding of a look that ends in time, and of one that breaks, that it did."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            async for finding in looking:
                await tell(finding)
    except TimeoutError:
        await tell(bad(name, f"no answer within {LOOK_SECONDS:.0f} s", "Look why it is so slow", ExitCode.UNREACHABLE))
    except Exception as error:  # noqa: BLE001  (one look that breaks must not end the others)
        await tell(bad(name, f"unexpected {type(error).__name__}: {one_line(str(error))}", "Look into the log"))


async def examine(home: Home, command: RunCommand, tell: Tell, timing: Timing | None = None) -> None:
    """Look at everything, telling each finding as it comes; `timing` is that of a run."""
    settings = await _settings(home, command, tell)
    await in_time("home", _one_by_one(of_the_home(home)), tell)
    await in_time("broker", of_the_broker(settings, home, command, timing or Timing()), tell)
    await in_time("model", of_the_model(settings), tell)


async def _settings(home: Home, command: RunCommand, tell: Tell) -> Settings:
    """The settings in effect; where they have problems, those that say where the broker is, else the defaults."""
    try:
        settings = command.load(home)
    except ConfigError as error:
        for problem in error.problems:
            found = f"{problem.key} = {problem.value} ({problem.source}): {problem.why}"
            await tell(bad("configuration", one_line(found), problem.instead, ExitCode.BAD_USAGE))
        try:
            return command.settings_for_cancelling(home)
        except ConfigError:
            return Settings(think_mode="rules")
    file = home.find_config(Path(command.config) if command.config else None)
    await tell(good("configuration", f"{file} is valid" if file else "no config file; the defaults are valid"))
    if why := command.contradiction(settings) or why_not_started(settings):
        await tell(bad("configuration", why, "A run would not start", ExitCode.BAD_USAGE))
    return settings


async def _one_by_one(findings: Iterable[Finding]) -> AsyncIterator[Finding]:
    for finding in findings:
        yield finding
