"""Everything that must hold before a run could trade, looked at piece by piece: what breaks one look ends no other.

Nothing is sent and nothing is booked; of the broker a what-if of one share is asked, of the model one tiny question.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from cli.checkup.broker import NEED_IT, broke_off, of_the_broker
from cli.checkup.finding import Finding, Mark, Stage, Tell, bad, doubt, good, note, unseen
from cli.checkup.home import of_the_home
from cli.checkup.model import of_the_model, without_it
from cli.exit_codes import ExitCode
from cli.run_command import RunCommand
from cli.wiring import Timing
from config.home import Home
from config.problems import ConfigError
from config.settings import Settings
from config.where import WHERE
from portfolio.limits.standing import why_not_started
from tools.wire.foreign_text import one_line

__all__ = ["Finding", "Mark", "examine", "first_in_the_way"]

BROKER_SECONDS, MODEL_SECONDS = 90.0, 30.0


async def examine(home: Home, command: RunCommand, tell: Tell, timing: Timing | None = None) -> None:
    """Look at everything, telling each finding as it comes; `timing` is that of a run."""
    timing = timing or Timing()
    settings, knows_where, found = _settings(home, command)
    for finding in found:
        await tell(finding)
    model = asyncio.create_task(_of_the_model(settings, home, timing))
    try:
        await _tell_all("home", _one_by_one(of_the_home(home, settings.log_file)), BROKER_SECONDS, tell)
        if knows_where:
            await _tell_all("broker", of_the_broker(settings, home, command, timing), BROKER_SECONDS, tell)
        else:
            for name in ("broker", *NEED_IT):
                await tell(unseen(name, "the configuration does not say where the broker is"))
        await tell(await model)
    finally:
        model.cancel()


def first_in_the_way(findings: Iterable[Finding]) -> Finding | None:
    """What a run would end over; None where nothing is in its way."""
    return min((one for one in findings if one.mark is Mark.BAD), key=lambda one: one.stage, default=None)


async def _tell_all(name: str, looking: AsyncIterator[Finding], seconds: float, tell: Tell) -> None:
    """Tell every finding of a look that ends in time, and of one that breaks, that it did."""
    try:
        async with asyncio.timeout(seconds):
            async for finding in looking:
                await tell(finding)
    except TimeoutError:
        todo = "Look why it is so slow, and run this again"
        await tell(bad(name, f"it was not through within {seconds:g} s", todo, ExitCode.UNREACHABLE, Stage.READING))
    except Exception as error:  # noqa: BLE001  (one look that breaks must not end the others)
        await tell(broke_off(name, error))


async def _of_the_model(settings: Settings, home: Home, timing: Timing) -> Finding:
    """Whatever is wrong with a model, a run goes on without it."""
    try:
        return await asyncio.wait_for(of_the_model(settings, home, timing.clock()), MODEL_SECONDS)
    except TimeoutError:
        return doubt("model", f"{settings.model} did not answer within {MODEL_SECONDS:g} s", without_it(settings))
    except Exception as error:  # noqa: BLE001  (as above)
        why = f"this check broke off: {type(error).__name__}: {one_line(str(error))}"
        return doubt("model", why, without_it(settings))


def _settings(home: Home, command: RunCommand) -> tuple[Settings, bool, list[Finding]]:
    """The settings in effect, or what can be used of broken ones, and whether they say where the broker is."""
    file = home.find_config(Path(command.config) if command.config else None)
    try:
        settings = command.load(home)
    except ConfigError as error:
        found = [
            bad(
                "configuration",
                f"{problem.key}{f' = {problem.value}' if problem.value else ''}: {problem.why} ({problem.source})",
                problem.instead,
                ExitCode.BAD_USAGE,
                Stage.START,
            )
            for problem in error.problems
        ]
        found.append(note("configuration", "what follows is looked at with the default in place of each of these"))
        knows_where = not any(problem.key in WHERE for problem in error.problems)
        return command.load_usable(home), knows_where, found
    rules = f"{len(settings.rules)} rules for {len(settings.symbols)} symbols, {settings.strategy} strategy"
    where = "config.json of the home" if file == home.config_file else file
    found = [good("configuration", f"{rules}, by {where or 'the defaults, as there is no config file'}")]
    if why := command.contradiction(settings) or why_not_started(settings):
        found.append(bad("configuration", why, "", ExitCode.BAD_USAGE, Stage.START))
    return settings, True, found


async def _one_by_one(findings: Iterable[Finding]) -> AsyncIterator[Finding]:
    for finding in findings:
        yield finding
