"""`smart-agent performance` as a screen: figures, a chart, bars of drift, and a line for each symbol."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import plotext
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.amounts import money

if TYPE_CHECKING:
    from decimal import Decimal

    from graph.retrospect import Retrospect
    from portfolio.performance import Payment
    from portfolio.performance.benchmarks import Benchmark
    from portfolio.performance.drifting import Drifting
    from portfolio.performance.execution import Ends
    from portfolio.performance.report import Report
    from portfolio.performance.turnover import Turnover

CHART_HEIGHT, MOST_TICKS = 14, 5
LINE = "braille"
LEAST_WIDTH = 60
"""Of a chart of more than one line."""
BAR_WIDTH, FULL = 6, 8
"""Of a bar to either side, in characters, and the parts of a character that it is drawn in."""
BLOCKS = " ▏▎▍▌▋▊▉█"


def screen(told: Retrospect, width: int) -> Iterator[RenderableType]:
    """The whole screen, part by part; charts are `width` characters wide."""
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
    yield Text("Unrealised is since it was bought; gained is what this stretch brought.", style="dim")
    if payments:
        yield Text()
        yield _payments(payments)
        if not all(is_confirmed for _, _, is_confirmed in payments):
            yield Text("Say what one was with `smart-agent confirm-payment NO --as KIND`.", style="dim")


def _figures(told: Retrospect) -> RenderableType:
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
    left = execution.decided - execution.executed - execution.unfilled - execution.rejected
    others = f", {left} declined or left out" if left else ""
    aside = f"{execution.unfilled} not filled, {execution.rejected} refused{others}"
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
    filled = f"{ends.filled} of {ends.sent}" if ends.sent else "none sent"
    return filled, ", ".join([*share, *(f"{n} {what}" for what, n in others.items() if n)])


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _chart(told: Retrospect, width: int) -> RenderableType:
    """The value of 100 USD that were there at the beginning; of long stretches as many days as there is room for."""
    points, known = told.report.points, told.benchmarks
    places = sorted({round(place * (len(points) - 1) / width) for place in range(width + 1)})
    days = [f"{points[place].day:%d/%m/%Y}" for place in places]
    lines = {"account": ([point.growth for point in points], LINE)}
    if width >= LEAST_WIDTH and known.doing_nothing:
        lines["doing nothing"] = ([*known.doing_nothing.growth], ".")
    if width >= LEAST_WIDTH and known.target_mix:
        lines["target mix"] = ([*known.target_mix.growth], "+")
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, CHART_HEIGHT)
    plotext.date_form("d/m/Y", "Y-m-d")
    drawn_as = (f"{name} ({'line' if marker == LINE else marker})" for name, (_, marker) in lines.items())
    plotext.title("What 100 USD became" + (f": {', '.join(drawn_as)}" if len(lines) > 1 else ""))
    for grown, marker in reversed(lines.values()):
        plotext.plot(days, [100 * grown[place] for place in places], marker=marker)
    first, stretch = points[0].day, points[-1].day - points[0].day
    ticks = dict.fromkeys(first + stretch * place / (MOST_TICKS - 1) for place in range(MOST_TICKS))
    plotext.xticks([f"{day:%d/%m/%Y}" for day in ticks], [*map(str, ticks)])
    drawn: str = plotext.uncolorize(plotext.build())
    return Text(drawn.rstrip())


def _buckets(buckets: Sequence[Drifting]) -> RenderableType:
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
    parts = round(BAR_WIDTH * FULL * abs(drift) / most) if most else 0
    whole, rest = divmod(parts, FULL)
    if drift < 0:
        # No character is filled from the right, so a rest is half a block or nothing.
        left = ("▐" if rest >= FULL // 2 else "") + "█" * whole
        return Text.assemble((f"{left:>{BAR_WIDTH}}", "yellow"), "│", " " * BAR_WIDTH)
    right = "█" * whole + (BLOCKS[rest] if rest else "")
    return Text.assemble(" " * BAR_WIDTH, "│", (f"{right:<{BAR_WIDTH}}", "cyan"))


def _lines(report: Report) -> RenderableType:
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


def _payments(payments: Iterable[tuple[int, Payment, bool]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("No", "Seen", "Amount", "Taken for"):
        table.add_column(column, justify="right" if column == "Amount" else "left")
    for number, payment, is_confirmed in payments:
        taken = f"{payment.kind}{'' if is_confirmed else ' (not confirmed)'}"
        table.add_row(str(number), f"{payment.at:%Y-%m-%d}", f"{payment.amount:,.2f}", taken)
    return table


def _plain(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:,.2f}"


def _signed(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:+,.2f}"
