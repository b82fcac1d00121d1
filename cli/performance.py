"""`smart-agent performance`: what became of the account, from what its runs saw."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import LEAST_WIDTH, answer_console
from cli.exit_codes import ExitCode
from cli.hints import typed
from cli.journal import journal_of
from cli.options import HomeOption, KnownAccountOption, a_day, exit_with, exit_with_nothing

if TYPE_CHECKING:
    from graph.retrospect import Retrospect
    from portfolio.performance.benchmarks import Benchmark

MOST_WIDTH = 100
SinceOption = Annotated[
    date | None,
    typer.Option(
        "--since", parser=a_day, metavar="DAY", help="From the last look before that day (UTC) on.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print the value of each day as CSV.")]


def performance(
    home: HomeOption = None,
    since: SinceOption = None,
    account: KnownAccountOption = None,
    *,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show what the account gained, deposits removed, and by which symbols; nothing is asked of the broker.

    Example: smart-agent performance --since 2026-01-01
    """
    if as_json and as_csv:
        exit_with(ExitCode.BAD_USAGE, "--json and --csv exclude each other; give one of them.")
    with journal_of(home) as (place, journal):
        from graph.retrospect import retrospect  # noqa: PLC0415  (pydantic is not for the help page)

        known = journal.history.accounts()
        if account and account not in known:
            listed = ", ".join(known) or "none"
            exit_with(ExitCode.BAD_USAGE, f"{account}: no run has looked at that account; there is {listed}.")
        name = account or next(iter(known), "")
        begins = datetime.combine(since, time.min, UTC) if since else None
        told = retrospect(journal, name, begins)
    if told and begins and told.report.until < begins:
        last = f"the last look was on {told.report.until:%Y-%m-%d}"
        nothing = f"No run has looked at {name} since {begins:%Y-%m-%d}; {last}."
        exit_with_nothing(nothing, is_for_a_script=as_json or as_csv)
    if told is None:
        nothing = f"No run in {place.root} has looked at an account yet; see `{typed('run', place)}`."
        exit_with_nothing(nothing, is_for_a_script=as_json or as_csv)
    if as_json:
        sys.stdout.write(json.dumps(_json(told), indent=2) + "\n")
    elif as_csv:
        sys.stdout.write(_csv(told))
    else:
        _print(told)


class Kind(StrEnum):
    """As `portfolio.performance.PaymentKind` has them, which costs more than the help page; a test holds them equal."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"


def confirm_payment(
    number: Annotated[int, typer.Argument(help="The payment's number, as `smart-agent performance` shows it.")],
    kind: Annotated[Kind, typer.Option("--as", help="What it was.")],
    home: HomeOption = None,
) -> None:
    """Say what money that came or went was: your own, which is no gain, or earned or charged.

    Example: smart-agent confirm-payment 12 --as dividend
    """
    with journal_of(home) as (_, journal):
        from portfolio.performance import PaymentKind  # noqa: PLC0415

        payment = journal.history.confirm(number, PaymentKind(kind.value))
    typer.echo(f"{payment.amount:+,.2f} USD of {payment.at:%Y-%m-%d} counts as {payment.kind}.")


def _json(told: Retrospect) -> dict[str, object]:
    from portfolio.performance.drifting import drift_by_day  # noqa: PLC0415

    by_day = drift_by_day([one.at for one in told.period.valuations], told.period.buckets)
    return {
        "account": told.account,
        **told.report.model_dump(mode="json"),
        "benchmarks": told.benchmarks.model_dump(mode="json"),
        "turnover": told.turnover.model_dump(mode="json"),
        "buckets": [one.model_dump(mode="json") for one in told.buckets],
        "drift_by_day": {name: [row.model_dump(mode="json") for row in rows] for name, rows in by_day.items()},
        "orders": told.ends.model_dump(mode="json"),
        "execution": told.execution.model_dump(mode="json"),
        "helped": [one.model_dump(mode="json") for one in told.helped],
        "payments": [
            {"number": number, **payment.model_dump(mode="json"), "confirmed": is_confirmed}
            for number, payment, is_confirmed in told.payments
        ],
    }


def _csv(told: Retrospect) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["day", "value", "growth", "doing_nothing", "target_mix"])
    others = [_grown(told, one) for one in (told.benchmarks.doing_nothing, told.benchmarks.target_mix)]
    for point, *levels in zip(told.report.points, *others, strict=True):
        shown = ["" if level is None else f"{level:.6f}" for level in levels]
        writer.writerow([point.day, point.value, f"{point.growth:.6f}", *shown])
    return text.getvalue()


def _grown(told: Retrospect, benchmark: Benchmark | None) -> Sequence[float | None]:
    """Day by day; None throughout where it cannot be told."""
    return benchmark.growth if benchmark else [None] * len(told.report.points)


def _print(told: Retrospect) -> None:
    from cli.performance_screen import screen  # noqa: PLC0415

    console = answer_console()
    width = min(console.width, MOST_WIDTH)  # the chart fits into any
    console.width = max(console.width, LEAST_WIDTH)
    for part in screen(told, width):
        console.print(part)
