"""`smart-agent lessons`: what the agent has learned, what it rests on, and what it does to a limit."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import LEAST_WIDTH, answer_console
from cli.exit_codes import ExitCode
from cli.hints import typed
from cli.journal import journal_of, now, plain
from cli.options import HomeOption, KnownAccountOption, exit_with

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from config.home import Home
    from graph.journal import Journal
    from graph.record import Lesson
    from portfolio.limits import Tightening

app = typer.Typer(help="What runs have taught, and the limits that are tighter for it.", invoke_without_command=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The lesson's id, as `smart-agent lessons` shows it.")]


@app.callback()
def lessons(
    context: typer.Context,
    home: HomeOption = None,
    account: KnownAccountOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what runs have taught, and the limits that are tighter for it.

    Example: smart-agent lessons
    """
    if context.invoked_subcommand is None:
        listed(home, account, as_json=as_json)


@app.command("list")
def listed(home: HomeOption = None, account: KnownAccountOption = None, *, as_json: JsonOption = False) -> None:
    """List the lessons, what binds first, then by how many runs bore them out.

    Example: smart-agent lessons list --json
    """
    with journal_of(home) as (place, journal):
        name = account or next(iter(journal.history.accounts()), "")
        kept = _kept(place, name)
        tight = _in_force(journal, name)
    ordered = sorted(kept, key=lambda one: (one.id not in tight, -one.weight, one.id))
    if as_json:
        told = [one.model_dump(mode="json") for one in ordered]
        in_force = {lesson: _told(tightenings) for lesson, tightenings in tight.items()}
        sys.stdout.write(json.dumps({"account": name, "lessons": told, "in_force": in_force}, indent=2) + "\n")
        return
    if not ordered and not tight:
        typer.echo(f"No lesson is kept in {place.root}.")
        return
    _print_list(name, ordered, tight, place)


@app.command()
def show(
    lesson_id: IdArgument, home: HomeOption = None, account: KnownAccountOption = None, *, as_json: JsonOption = False
) -> None:
    """Show one lesson with the runs it rests on.

    Example: smart-agent lessons show 3f9a1c
    """
    with journal_of(home) as (place, journal):
        name = account or next(iter(journal.history.accounts()), "")
        found = next((one for one in _kept(place, name) if one.id == lesson_id), None)
        tight = _in_force(journal, name).get(lesson_id, ())
    if found is None:
        exit_with(ExitCode.BAD_USAGE, f"{lesson_id}: there is no such lesson; `{typed('lessons', place)}` lists them.")
    if as_json:
        sys.stdout.write(json.dumps({**found.model_dump(mode="json"), "in_force": _told(tight)}, indent=2) + "\n")
    else:
        _print_one(found, tight)


@app.command()
def drop(lesson_id: IdArgument, home: HomeOption = None, account: KnownAccountOption = None) -> None:
    """Forget a lesson, and lift what it has tightened; no lesson tightens that limit again for 30 days.

    Example: smart-agent lessons drop 3f9a1c
    """
    with journal_of(home) as (place, journal):
        name = account or next(iter(journal.history.accounts()), "")
        tight = _in_force(journal, name).get(lesson_id, ())
        journal.tightenings.lift(name, lesson_id, _clock(journal, name))
        still = {one.limit for others in _in_force(journal, name).values() for one in others}
        said = [
            f"{one.limit} is tightened by another lesson still."
            if one.limit in still
            else f"{one.limit} is as it is set again."
            for one in tight
        ]
        try:
            is_known = _forgotten(place, name, lesson_id)
        except _unreadable() as error:
            exit_with(ExitCode.FAILED, " ".join([f"{place.memory}: the lesson cannot be forgotten ({error}).", *said]))
    if not is_known and not tight:
        exit_with(ExitCode.BAD_USAGE, f"{lesson_id}: there is no such lesson; nothing has changed.")
    typer.echo(" ".join([f"Lesson {lesson_id} is forgotten.", *said]))


def _unreadable() -> tuple[type[Exception], ...]:
    """What a memory raises that cannot be read."""
    from graph.memory import UNREADABLE  # noqa: PLC0415  (its library costs more than the help page)

    return UNREADABLE


def _forgotten(place: Home, account_id: str, lesson_id: str) -> bool:
    """Forget the lesson; whether there was one. Raises one of `_unreadable()`."""
    import asyncio  # noqa: PLC0415  (the help page does without)

    from graph.memory import forget, open_memory  # noqa: PLC0415

    async def forgotten() -> bool:
        async with open_memory(place.memory) as store:
            return await forget(store, account_id, lesson_id)

    return bool(account_id) and place.memory.exists() and asyncio.run(forgotten())


def _kept(place: Home, account_id: str) -> tuple[Lesson, ...]:
    """Those of the account; none where there is no memory yet, or no account that a run has looked at."""
    if not account_id or not place.memory.exists():
        return ()
    import asyncio  # noqa: PLC0415  (the help page does without)

    from graph.memory import lessons_of, open_memory  # noqa: PLC0415  (its library costs more than the journal)

    async def read() -> tuple[Lesson, ...]:
        async with open_memory(place.memory) as store:
            return await lessons_of(store, account_id)

    try:
        return asyncio.run(read())
    except _unreadable() as error:
        exit_with(ExitCode.FAILED, f"{place.memory}: the lessons cannot be read ({error}); nothing has changed.")


def _in_force(journal: Journal, account_id: str) -> dict[str, tuple[Tightening, ...]]:
    """By lesson."""
    return journal.tightenings.by_lesson(account_id, _clock(journal, account_id))


def _clock(journal: Journal, account_id: str) -> datetime:
    """When a run last looked at the account, by the broker's clock, which tightenings go by."""
    return journal.history.last_look(account_id) or now()


def _told(tightenings: Iterable[Tightening]) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json") for one in tightenings]


def _print_list(account: str, kept: list[Lesson], tight: dict[str, tuple[Tightening, ...]], place: Home) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("Id", "About", "Last seen"):
        table.add_column(column, no_wrap=True)
    table.add_column("Runs", justify="right", no_wrap=True)
    table.add_column("Lesson")
    for one in kept:
        words = Text(plain(one.statement))
        for tightening in tight.get(one.id, ()):
            words.append(f"\n{tightening.in_words}", style="yellow")
        table.add_row(Text(plain(one.id)), Text(plain(one.about)), f"{one.seen_at:%Y-%m-%d}", str(one.times), words)
    for lesson_id in tight.keys() - {one.id for one in kept}:
        for tightening in tight[lesson_id]:
            table.add_row(Text(plain(lesson_id)), tightening.limit, "", "", Text(tightening.in_words, style="yellow"))
    console = answer_console(least=LEAST_WIDTH)
    console.print(Text.assemble(("Lessons", "bold"), f"  {account}"))
    console.print(table)
    more = f"More with `{typed('lessons show ID', place)}`; `lessons drop ID` forgets one and lifts its limit."
    console.print(Text(more, style="dim"))


def _print_one(lesson: Lesson, tight: tuple[Tightening, ...]) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    facts = Table.grid(padding=(0, 2))
    facts.add_row("Says", Text(plain(lesson.statement)))
    facts.add_row("About", Text(plain(f"{lesson.about} ({lesson.scope})")))
    facts.add_row("Found by", Text(plain(lesson.source)))
    facts.add_row("First seen", f"{lesson.learned_at:%Y-%m-%d %H:%M} UTC")
    facts.add_row("Last seen", f"{lesson.seen_at:%Y-%m-%d %H:%M} UTC, in {lesson.times} run(s)")
    facts.add_row("Effect", Text("; ".join(one.in_words for one in tight) or "a note; no limit is changed"))
    if lesson.contradicted_by:
        facts.add_row("Contradicted", Text(plain(f"last by run {lesson.contradicted_by}")))
    rests = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("Run", "When (UTC)", "Figures"):
        rests.add_column(column, no_wrap=column != "Figures")
    for one in reversed(lesson.occasions):
        figures = ", ".join(f"{name} {value}" for name, value in one.figures.items())
        rests.add_row(Text(plain(one.run_id)), f"{one.at:%Y-%m-%d %H:%M}", Text(plain(figures)))
    console = answer_console(least=LEAST_WIDTH)
    console.print(Text.assemble(("Lesson ", "bold"), lesson.id))
    console.print(facts)
    console.print()
    console.print(rests)
