"""The command `smart-agent`. What a command needs is imported when it runs, so that the help page is there at once."""

from __future__ import annotations

import gc
import io
import logging
import os
import sys
from typing import Annotated

import typer

from cli import (
    approvals,
    chat,
    config_commands,
    doctor,
    explain,
    halt,
    lessons,
    letters,
    notify,
    orders,
    performance,
    prompt,
    run,
    schedule,
    scorecard,
    server,
    setup,
    sim,
)
from cli.exit_codes import help_text
from cli.last_defence import LastDefence, show_tracebacks

FIRST, DAILY, SAFETY, HISTORY, INSIDE = "Setting up", "Daily", "Safety", "History", "Inside"

app = typer.Typer(
    name="smart-agent",
    cls=LastDefence,
    epilog=help_text(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(rich_help_panel=FIRST)(setup.setup)
app.command(rich_help_panel=FIRST, epilog=help_text())(doctor.doctor)
app.add_typer(config_commands.app, name="config", rich_help_panel=FIRST)
app.add_typer(notify.app, name="notify", rich_help_panel=FIRST)
app.command(rich_help_panel=DAILY, epilog=help_text())(run.run)
app.command(rich_help_panel=DAILY)(approvals.pending)
app.command(rich_help_panel=DAILY, epilog=help_text())(approvals.approve)
app.command(rich_help_panel=DAILY)(approvals.reject)
app.command(rich_help_panel=DAILY)(chat.chat)
app.command(rich_help_panel=DAILY, epilog=help_text())(chat.ask)
app.add_typer(schedule.app, name="schedule", rich_help_panel=DAILY)
app.command(rich_help_panel=SAFETY)(halt.halt)
app.command(rich_help_panel=SAFETY)(halt.resume)
app.command("emergency-stop", rich_help_panel=SAFETY)(halt.emergency_stop)
app.add_typer(orders.app, name="orders", rich_help_panel=SAFETY)
app.command(rich_help_panel=HISTORY)(performance.performance)
app.command("confirm-payment", rich_help_panel=HISTORY)(performance.confirm_payment)
app.command(rich_help_panel=HISTORY)(explain.explain)
app.command(rich_help_panel=HISTORY)(scorecard.scorecard)
app.add_typer(lessons.app, name="lessons", rich_help_panel=HISTORY)
app.command(rich_help_panel=INSIDE)(server.server)
app.add_typer(prompt.app, name="prompt", rich_help_panel=INSIDE)
app.add_typer(sim.app, name="sim", rich_help_panel=INSIDE)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it)
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  (the help page does without)

        typer.echo(f"smart-agent {version('smart-trading-agent')}")
        raise typer.Exit


@app.callback()
def smart_agent(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of what was not expected.")] = False,
    version: Annotated[  # noqa: ARG001  (its callback answers)
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep your account at its target allocation: sense, think, act behind a guard, and reflect.

    Example: smart-agent run
    """
    if debug:
        show_tracebacks()


def main() -> None:
    os.umask(0o077)  # what somebody owns is nobody else's business
    logging.raiseExceptions = False  # the screen is not the place for what the log could not take
    logging.getLogger("smart_agent").addHandler(logging.NullHandler())  # nor for what is logged where no log is kept
    letters.spell()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=letters.NAME)  # a terminal without "·" must not end a run
    try:
        app()
    finally:
        gc.freeze()  # the end of the process frees all of it; to look for cycles in it first takes a tenth of a second
