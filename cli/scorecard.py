"""`smart-agent scorecard`: what decisions were worth, by who proposed them and what became of them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import LEAST_WIDTH, answer_console
from cli.hints import typed
from cli.journal import journal_of
from cli.options import HomeOption, KnownAccountOption, exit_with_nothing

if TYPE_CHECKING:
    from config.home import Home
    from portfolio.performance.scoring import Fate, Standing

Row = tuple[tuple[str, "Fate", int], "Standing"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")]
SURE, ENOUGH = 2.0, 20
"""A t-value of so much or more, of so many decisions, is one time in twenty by chance, or less."""


def scorecard(home: HomeOption = None, account: KnownAccountOption = None, *, as_json: JsonOption = False) -> None:
    """Show what decisions were worth 1, 5 and 20 trading days later, against not having done them, net of cost.

    Nothing is decided by it: who plans is set with `smart-agent config set think_mode`, and this is what to set it by.

    Example: smart-agent scorecard --json
    """
    from portfolio.performance.scoring import standings  # noqa: PLC0415  (pydantic is not for the help page)

    with journal_of(home) as (place, journal):
        name = account or next(iter(journal.history.accounts()), "")
        scores = journal.decisions.scores(name)
    if not scores:
        nothing = f"No decision in {place.root} has been scored yet; the next trading day's run does."
        exit_with_nothing(nothing, is_for_a_script=as_json)
    rows = sorted(standings(scores).items(), key=lambda row: (row[0][0] != "rules", row[0][0], row[0][1], row[0][2]))
    if as_json:
        told = [
            {"source": source, "fate": fate, "trading_days": days, **standing.model_dump(mode="json")}
            for (source, fate, days), standing in rows
        ]
        sys.stdout.write(json.dumps({"account": name, "rows": told}, indent=2) + "\n")
    else:
        _print(name, rows, place)


def _print(account: str, rows: list[Row], place: Home) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("Proposed by", "Became"):
        table.add_column(column)
    for column in ("After", "Count", "Helped", "Mean", "t", "Worst", "Effect"):
        table.add_column(column, justify="right", no_wrap=True)
    before = ("", "")
    for (source, fate, days), one in rows:
        shown = ("", "") if (source, fate) == before else (source, fate.value)
        before = (source, fate)
        sure = one.t_value is not None and abs(one.t_value) >= SURE and one.count >= ENOUGH
        table.add_row(
            Text(shown[0]),
            shown[1],
            f"{days} d",
            str(one.count),
            str(one.helped),
            f"{one.mean:+.2f} %",
            "-" if one.t_value is None else Text(f"{one.t_value:+.1f}", style="bold" if sure else ""),
            f"{one.worst:+.2f} %",
            f"{one.effect:+,.2f}",
        )
    console = answer_console(least=LEAST_WIDTH)
    console.print(
        Text.assemble(("Scorecard", "bold"), f"  {account}  ", ("against not having done it, net of cost", "dim"))
    )
    console.print(table)
    console.print(
        Text(
            "Mean and worst in % of a trade's value, the effect in USD.\n"
            f"A t of {SURE:g} or more, of {ENOUGH} decisions or more, is hardly chance.\n"
            f"Who plans is yours to say: `{typed('config set think_mode model', place)}`, or rules, or shadow.",
            style="dim",
        )
    )
