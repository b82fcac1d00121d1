"""Notifications: what a run, or a halt, tells somebody who is not at the terminal; and `smart-agent notify test`.

Nothing is imported for them, and nothing goes out, where SMART_AGENT_NOTIFY_URLS is not set. A run never fails, and is
never held up for long, because of them.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from cli.console import answer_console, say
from cli.exit_codes import ExitCode
from cli.options import ConfigOption, HomeOption, exit_with
from cli.run_command import RunCommand
from config.home import find_home

if TYPE_CHECKING:
    from cli.conduct import Ending
    from cli.notify.messages import Notification
    from config.home import Home
    from config.settings import Settings

app = typer.Typer(help="Messages to your phone, mail or chat about what runs did.", no_args_is_help=True)
VARIABLE = "SMART_AGENT_NOTIFY_URLS"
NOT_BEGUN = "A run was refused before it began, so nothing was looked at or sent. `smart-agent doctor` says why."
log = logging.getLogger("smart_agent")


@app.callback()
def notify() -> None:
    """Messages to your phone, mail or chat about what runs did."""


@app.command("test")
def send_test(home: HomeOption = None, config: ConfigOption = None) -> None:
    """Send a message to every address in SMART_AGENT_NOTIFY_URLS, and say which took it.

    Example: smart-agent notify test
    """
    _, settings = RunCommand.written(config=config).load_or_exit(home)
    if settings.notify_urls is None:
        exit_with(
            ExitCode.BAD_USAGE,
            f"{VARIABLE} is not set, so nobody is told anything. Set it to one or more addresses, such as "
            "ntfy://ntfy.sh/your-topic; docs/notifications.md has more.",
        )
    from cli.notify.messages import TEST  # noqa: PLC0415
    from cli.notify.sending import send  # noqa: PLC0415

    sent = send(TEST, settings.notify_urls.get_secret_value().split())
    for one in sent:
        mark, style = ("✓", "green") if one.arrived else ("✗", "red")
        say(answer_console(), f"{mark} {one.service}: {one.words}", style)
    if not all(one.arrived for one in sent):
        raise typer.Exit(ExitCode.FAILED)


def tell_of(ending: Ending, settings: Settings, place: Home) -> None:
    """Tell what became of a run."""
    if settings.notify_urls is not None:
        with _harmless():
            _send(_about(ending, place), settings, place)


def _about(ending: Ending, place: Home) -> Notification:
    from cli.notify.messages import of_failure, of_run  # noqa: PLC0415
    from graph.journal import Journal, JournalError  # noqa: PLC0415

    record, question = ending.record, None
    if record is None:
        return of_failure(ending.sentence, ending.code, place)
    with suppress(JournalError), closing(Journal(place.database)) as journal:
        question = next((one for one in journal.questions.open() if one.run_id == record.run_id), None)
    return of_run(record, question, place)


def tell_of_a_start(code: ExitCode, home: Path | None, command: RunCommand) -> None:
    """Tell that `command` could not even be begun, where nobody is at a terminal to see it."""
    if not os.environ.get(VARIABLE) or sys.stdin.isatty():
        return
    with _harmless():
        from cli.notify.messages import of_failure  # noqa: PLC0415

        place = find_home(home, os.environ)
        _send(of_failure(NOT_BEGUN, code, place), command.load_usable(place), place)


def tell_what_waited(settings: Settings, place: Home) -> None:
    """Tell what was held back to go out with the next message, as none will come for now."""
    if settings.notify_urls is not None and place.outbox.exists():
        with _harmless():
            _send(None, settings.model_copy(update={"notify_batch_minutes": 0}), place)


def tell_of_halt(why: str, place: Home, *, is_over: bool = False) -> None:
    """Tell that a person has halted trading, or lifted that, by whatever can be used of the settings."""
    if not os.environ.get(VARIABLE):
        return
    with _harmless():
        from cli.notify.messages import of_halt, of_resume  # noqa: PLC0415

        at = datetime.now(UTC)
        told = of_resume(why, at) if is_over else of_halt(why, place, at)
        _send(told, RunCommand().load_usable(place), place)


@contextmanager
def _harmless() -> Iterator[None]:
    """What breaks in here is said in one line, and breaks nothing else."""
    try:
        yield
    except Exception as error:
        log.warning("no notification could be sent", exc_info=error)
        _say(f"No notification could be sent ({type(error).__name__}).")


def _send(notification: Notification | None, settings: Settings, place: Home) -> None:
    """Send it, and what waited before it, as far as the settings allow; who could not be told is said, a line each."""
    if settings.notify_urls is None:
        return
    from cli.notify.outbox import Outbox  # noqa: PLC0415  (not for those who want no messages)
    from cli.notify.sending import send  # noqa: PLC0415

    urls = settings.notify_urls.get_secret_value().split()
    for one in Outbox(place.outbox, settings, datetime.now(UTC)).put(notification, lambda one: send(one, urls)):
        log.warning("notification to %s: %s", one.service, one.words)
        _say(f"Notification to {one.service}: {one.words}")


def _say(sentence: str) -> None:
    say(Console(stderr=True), sentence, "dim")
