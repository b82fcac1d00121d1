"""The command `smart-agent`. What a command needs is imported when it runs, so that the help page is there at once."""

from __future__ import annotations

import io
import logging
import os
import sys

import typer

from cli import (
    approvals,
    chat,
    config_commands,
    doctor,
    explain,
    halt,
    lessons,
    notify,
    orders,
    performance,
    prompt,
    run,
    schedule,
    scorecard,
    server,
    sim,
)
from cli.exit_codes import help_text

app = typer.Typer(
    name="smart-agent",
    help="Keeps your account at its target allocation: senses, thinks, acts behind a guard, and reflects.",
    epilog=help_text(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(epilog=help_text())(run.run)
app.command()(chat.chat)
app.command(epilog=help_text())(chat.ask)
app.command(epilog=help_text())(doctor.doctor)
app.command()(approvals.pending)
app.command(epilog=help_text())(approvals.approve)
app.command()(approvals.reject)
app.command()(explain.explain)
app.command()(performance.performance)
app.command("confirm-payment")(performance.confirm_payment)
app.command()(scorecard.scorecard)
app.command()(halt.halt)
app.command()(halt.resume)
app.command("emergency-stop")(halt.emergency_stop)
app.add_typer(lessons.app, name="lessons")
app.add_typer(orders.app, name="orders")
app.add_typer(prompt.app, name="prompt")
app.command()(server.server)
app.add_typer(schedule.app, name="schedule")
app.add_typer(sim.app, name="sim")
app.add_typer(notify.app, name="notify")
app.add_typer(config_commands.app, name="config")


def main() -> None:
    os.umask(0o077)  # what somebody owns is nobody else's business
    logging.raiseExceptions = False  # the screen is not the place for what the log could not take
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without "·" must not end a run
    app()
