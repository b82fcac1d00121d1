"""`smart-agent performance`: what became of the account, from what its runs saw."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

    from graph.journal import Journal
    from graph.journal.history import Entry, Period
    from portfolio.performance.benchmarks import Benchmark, Benchmarks
    from portfolio.performance.drifting import Drifting
    from portfolio.performance.execution import Ends, Execution, Helped
    from portfolio.performance.report import Report
    from portfolio.performance.turnover import Turnover

CHART_HEIGHT, MOST_WIDTH, MOST_TICKS = 14, 100, 5
LEAST_WIDTH = 60
"""Of a chart of more than one line."""
BAR_WIDTH, FULL = 6, 8
"""Of a bar to either side, in characters, and the parts of a character that it is drawn in."""
BLOCKS = " ▏▎▍▌▋▊▉█"
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        "--since", formats=["%Y-%m-%d"], help="From the last look before that day (UTC) on.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print the value of each day as CSV.")]


@dataclass(frozen=True)
class Told:
    """Everything that the runs of a stretch tell of an account."""

    account: str
    period: Period
    report: Report
    benchmarks: Benchmarks
    turnover: Turnover
    buckets: tuple[Drifting, ...]
    ends: Ends
    execution: Execution
    helped: tuple[Helped, ...]

    @property
    def payments(self) -> list[Entry]:
        return [entry for entry in self.period.entries if _is_payment(entry)]


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
        told = told_of(journal, name, since.replace(tzinfo=UTC) if since else None)
    if told is None:
        exit_with(ExitCode.FAILED, f"No run in {place.root} has looked at an account yet; see `smart-agent run`.")
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


def told_of(journal: Journal, account: str, since: datetime | None = None) -> Told | None:
    """What the journal tells of the account from the last look before `since` on; None where there is no look."""
    # Pydantic is not for the help page.
    from portfolio.performance.benchmarks import benchmarks_of  # noqa: PLC0415
    from portfolio.performance.drifting import drifting  # noqa: PLC0415
    from portfolio.performance.execution import Execution, helped  # noqa: PLC0415
    from portfolio.performance.report import report_of  # noqa: PLC0415
    from portfolio.performance.turnover import turnover_of  # noqa: PLC0415

    period = journal.history.period(account, since)
    if period is None:
        return None
    first, last = period.first.seen, period.last.seen
    events = [entry.event for entry in period.entries]
    report = report_of(period.books, first.prices, events, period.valuations, last.prices)
    decisions, scores = journal.decisions.since(account, period.start)
    return Told(
        account=account,
        period=period,
        report=report,
        benchmarks=benchmarks_of(first, period.marked, events),
        turnover=turnover_of(events, report.points),
        buckets=drifting([one.at for one in period.valuations], period.buckets),
        ends=journal.orders.ends(account, period.start),
        execution=Execution.of(decisions),
        helped=helped(scores),
    )


def _is_payment(entry: Entry) -> bool:
    from portfolio.performance import Payment  # noqa: PLC0415

    return isinstance(entry.event, Payment)


def _payment(entry: Entry) -> dict[str, object]:
    return {"number": entry.number, **entry.event.model_dump(mode="json"), "confirmed": entry.confirmed}


def _json(told: Told) -> dict[str, object]:
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
        "payments": [_payment(entry) for entry in told.payments],
    }


def _csv(told: Told) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["day", "value", "growth", "doing_nothing", "target_mix"])
    others = [_grown(told, one) for one in (told.benchmarks.doing_nothing, told.benchmarks.target_mix)]
    for point, *levels in zip(told.report.points, *others, strict=True):
        shown = ["" if level is None else f"{level:.6f}" for level in levels]
        writer.writerow([point.day, point.value, f"{point.growth:.6f}", *shown])
    return text.getvalue()


def _grown(told: Told, benchmark: Benchmark | None) -> Sequence[float | None]:
    """Day by day; None throughout where it cannot be told."""
    return benchmark.growth if benchmark else [None] * len(told.report.points)


def _print(told: Told) -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False)
    for part in screen(told, min(console.width, MOST_WIDTH)):
        console.print(part)


def screen(told: Told, width: int) -> Iterator[RenderableType]:
    """The whole screen, part by part; charts are `width` characters wide."""
    from rich.text import Text  # noqa: PLC0415

    report, payments = told.report, told.payments
    days = f"{report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}, {len(told.period.valuations)} looks"
    yield Text.assemble(("Performance", "bold"), f"  {told.account}  ", (days, "dim"))
    yield _figures(told)
    if len(report.points) > 1:
        yield Text()
        yield _chart(told, width)
    if told.buckets:
        yield Text()
        yield _buckets(told.buckets)
    yield Text()
    yield _lines(report)
    if payments:
        yield Text()
        yield _payments(payments)
        if not all(entry.confirmed for entry in payments):
            yield Text("Say what one was with `smart-agent confirm-payment NO --as KIND`.", style="dim")


def _figures(told: Told) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415

    report, execution = told.report, told.execution
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
    if returned is not None:
        table.add_row("  doing nothing", *_compared(told.benchmarks.doing_nothing))
        table.add_row("  target mix daily", *_compared(told.benchmarks.target_mix))
    table.add_row("Deepest fall", f"{-report.deepest_fall:.2f} %", "from a height to a later low")
    table.add_row("Turnover", *_turned_over(told.turnover))
    table.add_row("Orders filled", *_ended(told.ends))
    done = f"{execution.executed} of {execution.decided}"
    aside = f"{execution.unfilled} not filled, {execution.rejected} refused"
    table.add_row("Decisions done", done, aside)
    for one in told.helped:
        if one.scored:
            days = f"{one.horizon} trading day{'' if one.horizon == 1 else 's'} later"
            table.add_row("  helped", f"{one.helped} of {one.scored}", f"{_share(one.helped, one.scored)}, {days}")
    bps = "-" if execution.slippage_bps is None else f"{execution.slippage_bps:+.1f} basis points"
    table.add_row("Slippage", _signed(execution.slippage), f"{bps} against the mid when decided")
    return table


def _compared(benchmark: Benchmark | None) -> tuple[str, str]:
    """Its return, and how the account did against it."""
    if benchmark is None:
        return "-", "a price or the targets are not known"
    where = "ahead" if benchmark.ahead > 0 else "behind"
    told = f"the account is {money(abs(benchmark.ahead))} {where}" if benchmark.ahead else "the account is level"
    return f"{benchmark.time_weighted_return:+.2f} %", told


def _turned_over(turnover: Turnover) -> tuple[str, str]:
    shown = "-" if turnover.percent is None else f"{turnover.percent:.2f} %"
    yearly = "" if turnover.annualised is None else f"{turnover.annualised:.0f} % a year; "
    return shown, f"{yearly}bought {turnover.bought:,.0f}, sold {turnover.sold:,.0f}"


def _ended(ends: Ends) -> tuple[str, str]:
    others = {"rejected": ends.rejected, "cancelled": ends.cancelled, "open": ends.open, "not sent": ends.not_sent}
    share = [_share(ends.filled, ends.sent)] if ends.sent else []
    return f"{ends.filled} of {ends.sent}", ", ".join([*share, *(f"{n} {what}" for what, n in others.items() if n)])


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _chart(told: Told, width: int) -> RenderableType:
    """The value of 100 USD that were there at the beginning; of long stretches as many days as there is room for."""
    import plotext  # noqa: PLC0415  (for this screen alone)
    from rich.text import Text  # noqa: PLC0415

    points, known = told.report.points, told.benchmarks
    places = sorted({round(place * (len(points) - 1) / width) for place in range(width + 1)})
    days = [f"{points[place].day:%d/%m/%Y}" for place in places]
    lines = {"account": ([point.growth for point in points], "braille")}
    if width >= LEAST_WIDTH and known.doing_nothing:
        lines["doing nothing"] = ([*known.doing_nothing.growth], ".")
    if width >= LEAST_WIDTH and known.target_mix:
        lines["target mix"] = ([*known.target_mix.growth], "+")
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, CHART_HEIGHT)
    plotext.date_form("d/m/Y", "Y-m-d")
    plotext.title("What 100 USD became")
    for name, (grown, marker) in reversed(lines.items()):
        label = name if len(lines) > 1 else None
        plotext.plot(days, [100 * grown[place] for place in places], marker=marker, label=label)
    first, stretch = points[0].day, points[-1].day - points[0].day
    ticks = dict.fromkeys(first + stretch * place / (MOST_TICKS - 1) for place in range(MOST_TICKS))
    plotext.xticks([f"{day:%d/%m/%Y}" for day in ticks], [*map(str, ticks)])
    drawn: str = plotext.uncolorize(plotext.build())
    return Text(drawn.rstrip())


def _buckets(buckets: Sequence[Drifting]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Bucket", no_wrap=True, max_width=20)
    for column in ("Target", "Weight", "Drift"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("below | above", justify="center", no_wrap=True)
    table.add_column("Largest drift", no_wrap=True)
    most = max(abs(one.drift) for one in buckets)
    for one in buckets:
        table.add_row(
            Text(one.name),
            f"{one.target:g} %",
            f"{one.weight:.1f} %",
            _points(one.drift),
            _bar(one.drift, most),
            f"{_points(one.largest):>5} on {one.largest_on}",
        )
    return table


def _points(drift: float) -> str:
    return f"{round(drift, 1) + 0.0:+.1f}"


def _bar(drift: float, most: float) -> RenderableType:
    """From the middle to the left for too little, to the right for too much; `most` fills its side."""
    from rich.text import Text  # noqa: PLC0415

    parts = round(BAR_WIDTH * FULL * abs(drift) / most) if most else 0
    whole, rest = divmod(parts, FULL)
    if drift < 0:
        # No character is filled from the right, so a rest is half a block or nothing.
        left = ("▐" if rest >= FULL // 2 else "") + "█" * whole
        return Text.assemble((f"{left:>{BAR_WIDTH}}", "yellow"), "│", " " * BAR_WIDTH)
    right = "█" * whole + (BLOCKS[rest] if rest else "")
    return Text.assemble(" " * BAR_WIDTH, "│", (f"{right:<{BAR_WIDTH}}", "cyan"))


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
