"""The chat, at a terminal or line by line from a pipe."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from cli.chat import NO_MODEL
from cli.chat.slash import COMMANDS, WITHOUT_SLASH, Done, Program, Slash
from cli.console import answer_console, say
from cli.exit_codes import ExitCode
from cli.hints import typed
from cli.naming import headline
from cli.run import execute
from cli.run_command import RunCommand
from config.home import Home
from config.settings import Settings

if TYPE_CHECKING:
    from portfolio.models import TradePlan

PROMPT = "> "
RECALLED = 2
"""Exchanges that are shown of a thread that goes on."""
HINT = "Ask in plain words, or /help. Esc Enter begins a new line, Ctrl-C cancels an answer, Ctrl-D ends the chat."


class Conversation:
    """One chat in a home, kept as `thread` or under the time it began at; `program` is the whole command line."""

    def __init__(
        self, place: Home, settings: Settings, command: RunCommand, program: Program, thread: str | None
    ) -> None:
        self._place, self._settings, self._command = place, settings, command
        self._thread = thread or f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
        self._goes_on = thread is not None
        self._has_asked = False
        self._console = answer_console()
        self._slash = Slash(place, settings, command, program, self._console)

    def hold(self) -> None:
        """Answer until the person has had enough."""
        self._greet()
        with suppress(Done, EOFError):
            for line in self._lines():
                self._take(line.encode(errors="replace").decode().strip())  # a pipe may hold what is no text
        if self._has_asked:
            again = typed(f"chat --thread {shlex.quote(self._thread)}", self._place)
            self._console.print(Text(f"Go on with this chat by: {again}", style="dim"))

    def _greet(self) -> None:
        settings = self._settings
        model = f" · {settings.model}" if settings.knows_model else ""
        self._console.print(Text.assemble(("Smart Trading Agent", "bold"), f"  {headline(settings)}{model}"))
        if not settings.knows_model:
            names = " ".join(f"/{name}" for name in COMMANDS)
            self._console.print(Text(f"{NO_MODEL} These work without one: {names}", style="yellow"))
        elif self._goes_on:
            self._recall()
        self._console.print(Text(HINT, style="dim"))

    def _recall(self) -> None:
        from cli.chat.answer import earlier_in  # noqa: PLC0415  (the graph's libraries take seconds)
        from cli.speech import printable  # noqa: PLC0415

        said = earlier_in(self._thread, self._place)
        if not said:
            self._console.print(Text(f"A new thread: {self._thread}.", style="dim"))
            return
        count = "one question" if len(said) == 1 else f"{len(said)} questions"
        self._console.print(Text(f"Going on with thread {self._thread}, {count} so far.", style="dim"))
        for one in said[-RECALLED:]:
            self._console.print(Text(f"{PROMPT}{printable(one.question)}", style="dim"))
            self._console.print(Text(printable(one.answer), style="dim"))

    def _lines(self) -> Iterator[str]:
        if not sys.stdin.isatty():
            yield from sys.stdin
            return
        from cli.chat.keyboard import keyboard  # noqa: PLC0415  (a pipe has none)

        session = keyboard(self._place)
        while True:
            try:
                yield session.prompt(PROMPT)
            except KeyboardInterrupt:
                self._console.print(Text("Ctrl-D or /quit ends the chat.", style="dim"))

    def _take(self, line: str) -> None:
        if not line:
            return
        try:
            with suppress(typer.Exit):  # said on the screen
                self._do(line)
        except KeyboardInterrupt:
            self._console.print(Text("\nCancelled.", style="yellow"))

    def _do(self, line: str) -> None:
        line = WITHOUT_SLASH.get(line.lower(), line)
        if line.startswith("/"):
            self._slash.run(line)
        else:
            self._ask(line)

    def _ask(self, question: str) -> None:
        if not self._settings.knows_model:
            self._console.print(Text(NO_MODEL, style="yellow"))
            return
        with self._console.status("Starting …"):
            from cli.chat.answer import Asking, answered  # noqa: PLC0415  (the graph's libraries take seconds)
            from cli.chat.shown import Screen  # noqa: PLC0415

        screen = Screen(self._console)
        asking = Asking(question, self._thread, may_propose=sys.stdin.isatty())
        told = answered(asking, self._place, self._settings, self._command, screen)
        self._has_asked = self._has_asked or (told is not None and not told.trouble)
        if told and screen.proposal:
            self._carry_out(screen.proposal)

    def _carry_out(self, plan: TradePlan) -> None:
        """A run takes the plan through the guard, asks the person, and sends what is left."""
        if waiting := self._waiting():
            words = f"Run {waiting} waits for your answer, and a new run would close its question; nothing was sent."
            approve = typed(f"approve {waiting}", self._place)
            advice = f"Answer it first: {approve}, or reject."
            self._console.print(Text(f"{words} {advice}", style="yellow"))
            return
        self._console.print(Text("The proposal goes to the guard now.", style="bold"))
        for note in plan.notes:
            say(self._console, note)
        code = execute(self._place, self._settings, self._command, as_json=False, wanted=plan)
        if code is ExitCode.WAITING_FOR_APPROVAL:
            self._console.print(Text("Nothing was sent.", style="yellow"))

    def _waiting(self) -> str | None:
        """The run of this home whose question is open, if there is one."""
        from cli.journal import journal_of, now  # noqa: PLC0415

        with journal_of(self._place.root) as (_, journal):
            open_ones = [one.run_id for one in journal.questions.open() if one.expires_at > now()]
        return next(iter(open_ones), None)
