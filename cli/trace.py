"""The trace of a run: panels with a live status line on a terminal, plain lines everywhere else.

Both say the same; only the frame differs. With `--json` the trace is talk and goes to stderr, and stdout carries the
record alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.prompt import Confirm
from rich.text import Text

from cli.console import answer_console, forget_typed, say
from cli.hints import hinted
from cli.naming import headline
from cli.speech import Speech
from config.problems import printable

if TYPE_CHECKING:
    from config.home import Home
    from config.settings import Settings
    from graph.events import ApprovalWanted, Event, StepFinished
    from graph.record import Approval, RunRecord, ToolUse

TITLES = {
    "sense": ("🔍", "SENSE", "Gathering market and portfolio data"),
    "think": ("🧠", "THINK", "Analyzing data and making decisions"),
    "act": ("⚡", "ACT", "Checking and executing the decisions"),
    "reflect": ("🤔", "REFLECT", "Analyzing results and logging outcomes"),
}


class TalkingConsole(Console):
    """A console whose reader may leave: orders are followed to their end whether anybody looks on or not."""

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError:  # a terminal that was closed
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Trace:
    """Shows one run on `console`, in panels or plain; `as_json` prints the record on stdout at the end.

    Of a run that is given its plan, `brief`, it shows what the guard and the broker say, as the rest is known. Of many
    runs, one after the other, each record takes a single line, `on_a_line`.
    """

    def __init__(
        self,
        console: Console,
        *,
        panels: bool,
        as_json: bool,
        interactive: bool,
        brief: bool = False,
        on_a_line: bool = False,
    ) -> None:
        self._console = console
        self._panels = panels
        self._as_json = as_json
        self._brief = brief
        self._indent = None if on_a_line else 2
        self._interactive = interactive and console.is_terminal and not as_json
        self._status = console.status("") if console.is_terminal else None
        self._step = ""
        self._began = 0.0
        self._speech = Speech()
        self._talks_in = ""
        self._account = ""

    @property
    def may_have_sent(self) -> bool:
        """Whether the run is so far that an order may be under way."""
        return self._step in ("act", "reflect")

    def stopping(self) -> None:
        """A person wants the run to end."""
        self._console.print(Text("Stopping after the order that is under way; nothing more is sent.", style="yellow"))

    def starting(self) -> None:
        """While the libraries load."""
        self._busy("Starting")

    def headline(self, run_id: str, settings: Settings) -> None:
        if not self._brief:
            self._console.print(Text.assemble(("Smart Trading Agent", "bold"), f"  {headline(settings)}"))
        self._console.print(Text(f"run {run_id}", style="dim"))

    def show(self, event: Event, settings: Settings) -> None:
        from graph.events import (  # noqa: PLC0415  (loaded by now, not before)
            Progress,
            Spoke,
            StepFinished,
            StepStarted,
            TokensUsed,
            ToolUsed,
        )

        match event:
            case StepStarted(step):
                self._step, self._began = step, time.monotonic()
                self._busy(TITLES[step][2])
            case Progress(text):
                self._busy(text)
            case Spoke(text):
                self._say(self._speech.hear(text))
                self._busy(self._speech.doing)
            case TokensUsed(read, written):
                self._say(self._speech.end())
                self._speech = Speech()
                self._busy(f"{read:,} tokens read and {written:,} written by the model so far")
            case ToolUsed(use):
                self._begin_talk()
                self._console.print(tool_line(use), no_wrap=True, overflow="ellipsis")
            case StepFinished(step):
                if step == "sense" and "snapshot" in event.state:
                    account = event.state["snapshot"].account
                    kind = "paper" if account.is_paper else "LIVE"
                    self._account = f"the {kind} account {account.account_id}"
                if step == "act" or not self._brief:
                    self._finish_step(event, settings)
            case _:
                pass

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._begin_talk()
            self._console.print(Text(f"  {line}", style="italic cyan"))

    def _begin_talk(self) -> None:
        """A heading, once a step: what the model says comes before the step has ended and is shown."""
        if self._talks_in != self._step:
            self._talks_in = self._step
            icon, name, _ = TITLES[self._step]
            mark = f"{icon} " if self._panels else ""
            self._console.print(Text.assemble(mark, (name, "bold"), ("  the model, while it thinks:", "dim")))

    def _busy(self, text: str) -> None:
        if self._status is None:
            return
        name = TITLES[self._step][1] if self._step else ""
        elapsed = f" {time.monotonic() - self._began:.0f} s" if self._step else ""
        self._status.update(Text.assemble((name, "bold"), f" {text} …{elapsed}"))
        self._status.start()

    def _finish_step(self, event: StepFinished, settings: Settings) -> None:
        icon, name, what = TITLES[event.step]
        body = _screen(event, settings)
        if self._panels:
            title = f"{icon} [bold]{name}[/] [dim]{event.seconds:.1f} s[/]"
            self._console.print(Panel(body, title=title, title_align="left", border_style="blue", padding=(0, 1)))
        else:
            self._console.print(f"{name}: {what} ({event.seconds:.1f} s)")
            self._console.print(body)

    def ask(self, wanted: ApprovalWanted) -> Approval | None:
        """The person's answer; None when nobody is there to ask."""
        from cli.screens import approval_screen  # noqa: PLC0415
        from graph.record import Approval  # noqa: PLC0415

        self.stop()
        self._console.print(approval_screen(wanted.orders, wanted.warnings))
        if not self._interactive:
            return None
        forget_typed()  # a line that was meant for something else must send no order
        question = f"Send them on {self._account}?" if self._account else "Send them?"
        return Approval(granted=Confirm.ask(question, console=self._console, default=False))

    def left_open(self) -> None:
        """The question has no answer; what comes begins a line of its own."""
        self._console.print()

    def finish(self, record: RunRecord, home: Home) -> None:
        self.stop()
        style = "green" if record.outcome in ("traded", "nothing_to_do") else "yellow"
        say(self._console, hinted(record.message, home), style)
        trouble = record.thought.trouble if record.thought else None
        for note in (*([trouble] if trouble else ()), *record.notes):
            say(self._console, hinted(note, home), "yellow")
        if not self._brief:
            say(self._console, f"Reflections, log and records: {home.root}", "dim")
        if self._as_json:
            sys.stdout.write(record.model_dump_json(indent=self._indent) + "\n")
            sys.stdout.flush()

    def warn(self, sentence: str) -> None:
        """What is amiss while the run goes on."""
        say(self._console, sentence, "yellow")

    def interrupted(self) -> None:
        """Say that a person broke the run off, and in what state that leaves it."""
        open_end = "An order that was under way is in the journal, and the next run looks it up first."
        self.refuse(f"Interrupted. {open_end if self.may_have_sent else 'Nothing was sent.'}")

    def refuse(self, sentence: str) -> None:
        """Why the run could not even begin."""
        self.stop()
        say(TalkingConsole(stderr=True), sentence, "red")

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()


def trace_for(*, as_json: bool, interactive: bool, brief: bool = False, on_a_line: bool = False) -> Trace:
    console = talk(as_json=as_json)
    return Trace(
        console,
        panels=console.is_terminal and not console.is_dumb_terminal,
        as_json=as_json,
        interactive=interactive,
        brief=brief,
        on_a_line=on_a_line,
    )


def talk(*, as_json: bool) -> Console:
    """Where a person is told things: stdout, unless that is for JSON."""
    return answer_console(TalkingConsole, stderr=as_json)


def tool_line(use: ToolUse) -> Text:
    """A tool that the model called, with what and what came of it."""
    mark = ("  refused ", "bold red") if use.refused else ("  looked up ", "cyan")
    name, asked = use.name if use.refused else use.name.replace("_", " "), _in_words(use.arguments)
    return Text.assemble(mark, (name, "bold"), f" {asked}".rstrip(), (f" → {use.result}", "dim"))


def _in_words(arguments: str) -> str:
    """What a tool was called with, without the marks of JSON; as it is where it is none."""
    try:
        return printable(_spelled(json.loads(arguments)))
    except (ValueError, RecursionError):
        return arguments


def _spelled(value: object) -> str:
    """Numbers, which say nothing by themselves, with their names."""
    match value:
        case dict():
            named = (
                _spelled(one) if isinstance(one, str | list | dict) else f"{key} {one}" for key, one in value.items()
            )
            return " ".join(named)
        case list():
            return ", ".join(map(_spelled, value))
        case _:
            return str(value)


def _screen(event: StepFinished, settings: Settings) -> RenderableType:
    from cli import screens  # noqa: PLC0415  (it needs the graph's facts, which are loaded by now)

    match event.step:
        case "sense":
            return screens.sense_screen(event.state, settings)
        case "think":
            return screens.think_screen(event.state, settings)
        case "act":
            return screens.act_screen(event.state)
        case _:
            return screens.reflect_screen(event.state, settings)
