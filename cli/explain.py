"""`smart-agent explain`: why an order was sent or not, rule by rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.console import answer_console, say
from cli.exit_codes import ExitCode
from cli.hints import typed
from cli.journal import journal_of
from cli.options import HomeOption, exit_with

if TYPE_CHECKING:
    from graph.journal import Change, JournalledOrder
    from graph.record import RunRecord
    from portfolio.models import Check, Verdict

JsonOption = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[RUN_OR_ORDER_ID]",
            help="Id of a run, or of one of its orders (default: the last run).",
            show_default=False,
        ),
    ] = "",
    home: HomeOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what became of a run's orders and which rules refused one; of one order every rule's limit and value.

    Example: smart-agent explain

    Example: smart-agent explain 20260615-193000-1a2b3c-1
    """
    with journal_of(home) as (place, journal):
        name = name or next((run.run_id for run in journal.runs.latest(most=1)), "")
        if not name:
            exit_with(ExitCode.BAD_USAGE, f"No run of {place.root} is in the journal yet; see `{typed('run', place)}`.")
        found = journal.orders.find(name)
        orders = (found,) if found else journal.orders.of_run(name)
        run, closing = journal.runs.find(name), journal.questions.closing_of(name)
        told = [
            (order, journal.orders.changes(order.client_order_id), journal.orders.verdicts(order.client_order_id))
            for order in orders
        ]
    if not told and run is None:
        exit_with(ExitCode.BAD_USAGE, f"{name}: no run and no order of that name is in the journal.")
    if as_json:
        facts = {"run": run.model_dump(mode="json") if run else None, "orders": [_facts(*one) for one in told]}
        typer.echo(json.dumps(facts, indent=2))
        return
    console = answer_console()
    if run:
        console.print(Text.assemble(("Run ", "dim"), (run.run_id, "bold"), f"  {run.outcome}: {run.message}"))
        if closing and run.outcome == "waiting_for_approval":
            say(console, f"Nothing waits any more: its question is closed, {closing.in_words}.", "yellow")
        for line in _thought(run):
            console.print(line)
    for one in told:
        for part in _screen(*one, is_whole=found is not None):
            console.print(part)
    if told and not found:
        every = typed(f"explain {told[0][0].client_order_id}", place)
        say(console, f"\nEvery rule's limit and value, of one order: `{every}`", "dim")


def _thought(run: RunRecord) -> Iterator[Text]:
    """Who made the plan, where it differs from the baseline, and what was only watched."""
    plan, thought = run.plan, run.thought
    if plan is None or thought is None:
        return
    yield Text(f"Plan of {plan.source}. {thought.trouble or ''}".rstrip(), style="bold")
    for deviation in plan.deviations:
        yield Text(f"  {deviation.symbol} {deviation.what}: {deviation.why}", style="magenta")
    for trade in plan.trades:
        for one in trade.evidence:
            yield Text(f"  {trade.symbol} ✓ {one.in_words}", style="green")
    for struck in thought.struck:
        yield Text(f"  struck: {struck.symbol or 'the plan'} {struck.words} - {struck.why}", style="yellow")
    if thought.shadow:
        yield Text(f"In shadow, {thought.model} would have done this:", style="bold")
        for trade in thought.shadow.trades:
            yield Text(f"  {trade.side} {trade.quantity} {trade.symbol}: {trade.reason}", style="magenta")


def _facts(order: JournalledOrder, changes: tuple[Change, ...], verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    return {
        "order": order.model_dump(mode="json"),
        "changes": [change.model_dump(mode="json") for change in changes],
        "verdicts": [verdict.model_dump(mode="json") for verdict in verdicts],
    }


def _screen(
    order: JournalledOrder, changes: tuple[Change, ...], verdicts: tuple[Verdict, ...], *, is_whole: bool
) -> Iterator[RenderableType]:
    """With `is_whole` all rules of each verdict, else those alone that the order did not pass."""
    yield Text()
    yield Text.assemble(
        (order.client_order_id, "bold"), f"  {order.side} {order.quantity} {order.symbol}  ", (order.state, "cyan")
    )
    life = Table.grid(padding=(0, 2, 0, 0))
    for change in changes if is_whole else dict.fromkeys((changes[0], changes[-1])):
        life.add_row(Text(f"  {change.at:%Y-%m-%d %H:%M:%S} UTC", style="dim"), change.state, Text(change.why))
    yield life
    for verdict in verdicts:
        yield _heading(verdict)
        if is_whole:
            yield Text(f"  evidence {verdict.evidence[:16]}", style="dim")
        shown = verdict.checks if is_whole else verdict.failures
        if shown:
            yield _rules(shown)


def _heading(verdict: Verdict) -> Text:
    limit = "no limit price" if verdict.limit_price is None else f"limit {verdict.limit_price:,.2f}"
    outcome = ("passed", "green") if verdict.passed else ("refused", "red")
    passed = sum(check.passed is True for check in verdict.checks)
    return Text.assemble(
        (f"  {verdict.judged_at:%Y-%m-%d %H:%M:%S} UTC", "dim"),
        "  Guard ",
        outcome,
        f" {verdict.quantity} at {limit}, {passed} of {len(verdict.checks)} checks",
    )


def _rules(checks: tuple[Check, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    table.add_column("Rule", no_wrap=True)
    for column in ("Limit", "Actual"):
        table.add_column(column, overflow="fold")
    table.add_column("Outcome", no_wrap=True)
    outcomes = {True: "[green]passed[/]", False: "[red]failed[/]", None: "[yellow]not evaluated[/]"}
    for check in checks:
        limit, actual = (_with_unit(value, check.unit) for value in (check.limit, check.actual))
        table.add_row(check.rule, escape(limit), escape(actual), outcomes[check.passed])
        if check.why:
            table.add_row("", "", Text(check.why, style="yellow"))
    return table


def _with_unit(value: str, unit: str) -> str:
    """Words, as of a rule that does not bind, have none."""
    return f"{value} {unit}".rstrip() if value.lstrip("+-")[:1].isdigit() else value
