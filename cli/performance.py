"""`smart-agent performance`: what became of the account, from what its runs saw."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.amounts import money
from cli.exit_codes import ExitCode
from cli.journal import journal_of
from cli.options import HomeOption, KnownAccountOption, exit_with

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import RenderableType

    from graph.journal.history import Entry, Period
    from portfolio.performance.execution import Execution
    from portfolio.performance.report import Report

CHART_HEIGHT, MOST_WIDTH = 12, 100
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        "--since", formats=["%Y-%m-%d"], help="From the last look before that day (UTC) on.", show_default=False
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
        known = journal.history.accounts()
        if account and account not in known:
            listed = ", ".join(known) or "none"
            exit_with(ExitCode.BAD_USAGE, f"{account}: no run has looked at that account; there is {listed}.")
        name = account or next(iter(known), "")
        period = journal.history.period(name, since.replace(tzinfo=UTC) if since else None)
        decisions = journal.decisions.of_account(name, period.first.seen.at) if period else ()
    if period is None:
        exit_with(ExitCode.FAILED, f"No run in {place.root} has looked at an account yet; see `smart-agent run`.")
    from portfolio.performance.execution import Execution  # noqa: PLC0415  (pydantic is not for the help page)

    report, execution = _report(period), Execution.of(decisions)
    if as_json:
        payments = [_payment(entry) for entry in period.entries if _is_payment(entry)]
        done = execution.model_dump(mode="json")
        told = {"account": name, **report.model_dump(mode="json"), "execution": done, "payments": payments}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    elif as_csv:
        sys.stdout.write(_csv(report))
    else:
        _print(name, period, report, execution)


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


def _report(period: Period) -> Report:
    from portfolio.performance.report import report_of  # noqa: PLC0415

    events = [entry.event for entry in period.entries]
    return report_of(period.books, period.first.seen.prices, events, period.valuations, period.last.seen.prices)


def _is_payment(entry: Entry) -> bool:
    from portfolio.performance import Payment  # noqa: PLC0415

    return isinstance(entry.event, Payment)


def _payment(entry: Entry) -> dict[str, object]:
    return {"number": entry.number, **entry.event.model_dump(mode="json"), "confirmed": entry.confirmed}


def _csv(report: Report) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["day", "value", "growth"])
    writer.writerows([point.day, point.value, f"{point.growth:.6f}"] for point in report.points)
    return text.getvalue()


def _print(account: str, period: Period, report: Report, execution: Execution) -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False)
    for part in _screen(account, period, report, execution, min(console.width, MOST_WIDTH)):
        console.print(part)


def _screen(account: str, period: Period, report: Report, execution: Execution, width: int) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415

    days = f"{report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}, {len(period.valuations)} looks"
    yield Text.assemble(("Performance", "bold"), f"  {account}  ", (days, "dim"))
    yield _figures(report, execution)
    if len(report.points) > 1:
        yield Text()
        yield Text.from_ansi(_chart(report, width))
    yield Text()
    yield _lines(report)
    payments = [entry for entry in period.entries if _is_payment(entry)]
    if payments:
        yield Text()
        yield _payments(payments)
        if not all(entry.confirmed for entry in payments):
            yield Text("Say what one was with `smart-agent confirm-payment NO --as KIND`.", style="dim")


def _figures(report: Report, execution: Execution) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    returned = report.time_weighted_return
    table.add_row("Value", money(report.ended_with), f"it was {money(report.began_with)}")
    table.add_row("Gain", _signed(report.gained), "deposits and withdrawals removed")
    table.add_row("  realised", _signed(report.realised), f"after {money(report.commissions)} of commissions")
    table.add_row("  unrealised", _signed(report.unrealised), "the change of it")
    table.add_row("  income", _signed(report.income), "dividends, interest and fees")
    table.add_row("Paid in", _signed(report.paid_in), "deposits less withdrawals")
    table.add_row("Return", "-" if returned is None else f"{returned:+.2f} %", "time-weighted")
    table.add_row("Deepest fall", f"{-report.deepest_fall:.2f} %", "from a height to a later low")
    done = f"{execution.executed} of {execution.decided} done"
    aside = f"{execution.unfilled} not filled, {execution.rejected} refused"
    table.add_row("Decisions", done, aside)
    bps = "-" if execution.slippage_bps is None else f"{execution.slippage_bps:+.1f} basis points"
    table.add_row("Slippage", _signed(execution.slippage), f"{bps} against the mid when decided")
    return table


def _chart(report: Report, width: int) -> str:
    """The value of 100 USD that were there at the beginning."""
    import plotext  # noqa: PLC0415  (for this screen alone)

    days = [f"{point.day:%d/%m/%Y}" for point in report.points]
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, CHART_HEIGHT)
    plotext.date_form("d/m/Y", "Y-m-d")
    plotext.title("What 100 USD became")
    plotext.plot(days, [100 * point.growth for point in report.points], marker="braille")
    drawn: str = plotext.uncolorize(plotext.build())
    return drawn.rstrip()


def _lines(report: Report) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Symbol")
    for column in ("Shares", "Avg cost", "Price", "Value", "Realised", "Unrealised", "Gained"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in report.lines:
        table.add_row(
            Text(line.symbol),
            f"{line.shares.normalize():f}",
            _plain(line.average_cost),
            _plain(line.price) if line.shares else "",
            _plain(line.value) if line.shares else "",
            _signed(line.realised),
            _signed(line.unrealised) if line.shares else "",
            _signed(line.gained),
        )
    return table


def _payments(entries: list[Entry]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("No", "Seen", "Amount", "Taken for"):
        table.add_column(column, justify="right" if column == "Amount" else "left")
    for entry in entries:
        told = _payment(entry)
        taken = f"{told['kind']}{'' if entry.confirmed else ' (not confirmed)'}"
        table.add_row(str(entry.number), f"{entry.event.at:%Y-%m-%d}", f"{told['amount']}", taken)
    return table


def _plain(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:,.2f}"


def _signed(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:+,.2f}"
