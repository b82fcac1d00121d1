"""`smart-agent pending`, `approve` and `reject`: what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.console import LEAST_WIDTH, answer_console
from cli.exit_codes import ExitCode
from cli.hints import typed
from cli.journal import journal_of, now, plain
from cli.options import HomeOption, exit_with
from cli.run import execute
from cli.run_command import RunCommand

if TYPE_CHECKING:
    from graph.journal import Question

RunArgument = Annotated[str, typer.Argument(help="The run's id, as `smart-agent pending` lists it.")]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="Approve the orders of this symbol alone; may be given repeatedly.")
]
ReasonOption = Annotated[str, typer.Option("--why", help="The reason, which the next run reads.")]
RecordOption = Annotated[bool, typer.Option("--json", help="Print the RunRecord on stdout, and nothing else there.")]
ListOption = Annotated[bool, typer.Option("--json", help="Print the list as JSON.")]


def pending(home: HomeOption = None, *, as_json: ListOption = False) -> None:
    """List the runs that wait for approval, with their orders; exit code 5 when there are any.

    Example: smart-agent pending
    """
    with journal_of(home) as (_, journal):
        questions = journal.questions.open()
    if as_json:
        typer.echo(f"[{', '.join(question.model_dump_json() for question in questions)}]")
    elif not questions:
        typer.echo("Nothing waits for approval.")
    else:
        console = answer_console(least=LEAST_WIDTH)
        for question in questions:
            console.print(*_screen(question), sep="\n")
    if any(question.expires_at > now() for question in questions):
        raise typer.Exit(ExitCode.WAITING_FOR_APPROVAL)


def approve(
    run: RunArgument, only: OnlyOption = None, home: HomeOption = None, *, as_json: RecordOption = False
) -> None:
    """Approve a run's orders: they are priced and checked anew, and what still passes is sent.

    Example: smart-agent approve 20260615-193000-1a2b3c --only SPY
    """
    _answer(run, home, granted=True, why="", only=tuple(only or ()), as_json=as_json)


def reject(run: RunArgument, why: ReasonOption = "", home: HomeOption = None, *, as_json: RecordOption = False) -> None:
    """Reject a run's orders: nothing is sent.

    Example: smart-agent reject 20260615-193000-1a2b3c --why "not before the elections"
    """
    _answer(run, home, granted=False, why=plain(why), only=(), as_json=as_json)


def _answer(run: str, home: Path | None, *, granted: bool, why: str, only: tuple[str, ...], as_json: bool) -> None:
    with journal_of(home) as (place, journal):
        question = next((question for question in journal.questions.open() if question.run_id == run), None)
        told = journal.questions.closing_of(run)
    if question is None:
        why_not = f"its question is closed: {told.in_words}" if told else "no run of that name asked for approval"
        exit_with(
            ExitCode.BAD_USAGE,
            f"{run}: {why_not}; this command sent nothing. See `{typed('pending', place)}` for what waits.",
        )
    from config.rules import ticker  # noqa: PLC0415  (the settings' library costs more than the help page)

    strangers = {ticker(symbol) for symbol in only} - {ticker(order.symbol) for order in question.orders}
    if strangers:
        exit_with(
            ExitCode.BAD_USAGE,
            f"{', '.join(sorted(strangers))}: no order of run {run} is about that; nothing was sent. "
            f"Its orders are about {', '.join(order.symbol for order in question.orders)}.",
        )
    command = RunCommand(**question.command)
    place, settings = command.load_or_exit(home)
    from graph.record import Approval  # noqa: PLC0415

    answer = Approval(granted=granted, why=why, only=only)
    raise typer.Exit(execute(place, settings, command, as_json=as_json, run_id=run, answer=answer))


def _screen(question: Question) -> Iterator[RenderableType]:
    minutes = int((question.expires_at - now()).total_seconds() // 60)
    until = f"{question.expires_at:%Y-%m-%d %H:%M} UTC{', as long as its session lasts' if question.to_close else ''}"
    left = (
        f"open until {until}, {minutes // 60} h {minutes % 60} min from now" if minutes >= 0 else f"expired at {until}"
    )
    yield Text.assemble((question.run_id, "bold"), f"  {question.account_id}: {question.why}; ", (left, "yellow"))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
    for order in question.orders:
        limit, value = f"limit {order.limit_price:,.2f}", f"{order.value:,.2f} USD"
        table.add_row(order.side, str(order.quantity), escape(order.symbol), limit, value)
    yield table
    for warning in question.warnings:
        yield Text(f"  ! the broker warns of {warning}", style="bold yellow")
