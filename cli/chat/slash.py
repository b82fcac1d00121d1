"""The chat's commands, which need no model: what the account is like now, and the commands of the same name."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.run_command import RunCommand
from config.home import HOME_VARIABLE, Home
from config.settings import Settings

if TYPE_CHECKING:
    from graph.think.study import Study


Program = Callable[..., Any]
"""The whole command line, to be called with the words after its name; it ends in `SystemExit`."""


class Done(Exception):
    """The person has had enough."""


@dataclass(frozen=True)
class Command:
    """`says` is for /help; `arguments` are those it takes, as a person may write them.

    Whatever follows a command of `prose` is its reason, to the letter: a halt must not fail over a quotation mark.
    """

    says: str
    run: Callable[[Slash, list[str]], None]
    arguments: str = ""
    prose: bool = False


class Slash:
    """Runs the commands of a chat in one home, with its options."""

    def __init__(
        self, place: Home, settings: Settings, command: RunCommand, program: Program, console: Console
    ) -> None:
        self.place, self.settings, self.command, self.console = place, settings, command, console
        self._program = program

    def run(self, line: str) -> None:
        """Do what `line` says; one that is not understood is answered with what would be.

        Raises:
            Done: it was /quit.
        """
        name, rest = (*line.removeprefix("/").split(maxsplit=1), "", "")[:2]
        command = COMMANDS.get(name.lower())
        if command is None:
            self._complain(f"There is no command /{name}; /help lists them.")
            return
        if command.prose:
            command.run(self, [f"--why={rest}"] if rest else [])
            return
        try:
            arguments = shlex.split(rest)
        except ValueError as error:
            self._complain(f"/{name}: {error}; nothing was done. Close the quotation.")
            return
        if arguments and not command.arguments:
            self._complain(f"/{name} takes nothing more, and {rest!r} came with it; nothing was done.")
            return
        command.run(self, arguments)

    def same_as(self, *words: str) -> None:
        """Run the command line's own command of that name in this home; it says by itself what is wrong."""
        os.environ[HOME_VARIABLE] = str(self.place.root)
        with suppress(SystemExit):
            self._program([*words], prog_name="smart-agent")

    def look(self, show: Callable[[Study], Any]) -> None:
        """Show the account as it is now."""
        with self.console.status("Reading the account and its market …"):
            shown = self._looked(show)
        if shown is not None:
            self.console.print(shown)

    def _looked(self, show: Callable[[Study], Any]) -> Any:
        from brokers.errors import BrokerError  # noqa: PLC0415  (the graph's libraries take seconds)
        from cli.chat.answer import account_context, study_in  # noqa: PLC0415
        from graph.journal import JournalError  # noqa: PLC0415

        async def read() -> Any:
            async with account_context(self.settings, self.place, self.command) as context:
                found = show(await study_in(context))
                return await found if asyncio.iscoroutine(found) else found

        try:
            return asyncio.run(read())
        except (BrokerError, JournalError) as error:
            self._complain(str(error))
            return None

    def _complain(self, sentence: str) -> None:
        self.console.print(Text(sentence, style="red"))


def _portfolio(slash: Slash, _arguments: list[str]) -> None:
    from cli.screens import sense_screen  # noqa: PLC0415

    slash.look(lambda study: sense_screen({"snapshot": study.snapshot}, slash.settings))


def _drift(slash: Slash, _arguments: list[str]) -> None:
    from cli.screens import drift_screen  # noqa: PLC0415

    slash.look(lambda study: drift_screen(study.snapshot, slash.settings))


def _plan(slash: Slash, _arguments: list[str]) -> None:
    slash.look(_planned)


async def _planned(study: Study) -> Any:
    """What the rules would do now, and what the guard would say of it; nothing is sent or kept."""
    from cli.screens import plan_screen  # noqa: PLC0415
    from graph.act.guard import rehearse  # noqa: PLC0415
    from portfolio.rebalance import baseline_plan  # noqa: PLC0415

    plan = baseline_plan(study.snapshot, study.context.settings, study.day)
    return plan_screen(plan, study.snapshot, await rehearse(plan, study.batch, study.context))


def _help(slash: Slash, _arguments: list[str]) -> None:
    table = Table.grid(padding=(0, 2))
    for name, command in COMMANDS.items():
        table.add_row(Text(f"/{name} {command.arguments}".rstrip(), style="bold"), command.says)
    slash.console.print(table)
    if slash.settings.knows_model:
        slash.console.print('Everything else is a question, such as "Why did you sell NVDA?", or a wish for a trade.')


def _quit(_slash: Slash, _arguments: list[str]) -> None:
    raise Done


WITHOUT_SLASH = {"halt": "/halt", "help": "/help", "quit": "/quit", "exit": "/quit"}
"""What people type who are new to a chat."""
COMMANDS = {
    "portfolio": Command("what the account holds, read now", _portfolio),
    "drift": Command("how far each bucket is off its target, read now", _drift),
    "plan": Command("what the rules would trade now, and what the guard says of it; nothing is sent", _plan),
    "orders": Command(
        "the last orders, and what became of them", lambda s, a: s.same_as("orders", "history", *a), "[--count N]"
    ),
    "performance": Command("gains, deposits removed", lambda s, a: s.same_as("performance", *a), "[--since DAY]"),
    "lessons": Command("what the runs have taught", lambda s, a: s.same_as("lessons", *a), "[show ID]"),
    "explain": Command(
        "what became of the last run's orders; of one order, every rule", lambda s, a: s.same_as("explain", *a), "[ID]"
    ),
    "halt": Command("no order leaves until /resume", lambda s, a: s.same_as("halt", *a), "[REASON]", prose=True),
    "resume": Command("orders may leave again", lambda s, a: s.same_as("resume", *a), "[REASON]", prose=True),
    "help": Command("this list", _help),
    "quit": Command("end the chat", _quit),
}
