"""What each step shows a person: facts first, in the same words and order every day.

Pure: a state in, something Rich can print out. The frame around it, panel or plain lines, is the trace's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.amounts import money
from config.rules import ticker
from config.settings import Settings
from graph.memory import in_words
from graph.record import Thought
from graph.state import State
from portfolio.drift import BucketDrift, DriftTable, OddHolding, drift_table
from portfolio.models import (
    STRUCK,
    OrderRecord,
    OrderStatus,
    OrderTerms,
    PortfolioSnapshot,
    ProposedTrade,
    Side,
    TradePlan,
    Verdict,
)
from portfolio.rebalance import SOURCE

NEW_YORK = ZoneInfo("America/New_York")
CLOCK_SLACK_SECONDS = 300
MOST_NOTES = 6
SIDE_STYLE = {Side.BUY: "green", Side.SELL: "red"}
STATUS_STYLE = {
    OrderStatus.FILLED: "green",
    OrderStatus.PARTIAL: "yellow",
    OrderStatus.SUBMITTED: "yellow",
    OrderStatus.CANCELLED: "yellow",
    OrderStatus.REJECTED: "red",
    OrderStatus.UNKNOWN: "bold red",
}


def sense_screen(state: State, settings: Settings) -> RenderableType:
    snapshot = state["snapshot"]
    parts: list[RenderableType] = [_account_facts(snapshot)]
    if snapshot.positions:
        parts.extend((Text(), _positions_table(snapshot, settings)))
    parts.append(Text())
    drift = drift_table(snapshot, settings)
    parts.append(_drift_table(drift, settings.rebalance_threshold))
    parts.extend(_odd_holding(odd) for odd in drift.odd_holdings)
    parts.extend(_point(f"{one.in_words}, as `smart-agent lessons` tells.") for one in state.get("tightenings", ()))
    parts.extend(
        _point(check.why, "!", "red") if check.required else _point(check.why)
        for check in snapshot.data_quality
        if not check.passed
    )
    return Group(*parts)


def _account_facts(snapshot: PortfolioSnapshot) -> Table:
    summary, account = snapshot.summary, snapshot.account
    facts = Table.grid(padding=(0, 2))
    facts.add_row("Account", f"{escape(account.account_id)} ({'paper' if account.is_paper else 'LIVE'})")
    facts.add_row("Portfolio Value", f"[bold]{money(summary.net_liquidation)}[/]")
    is_more = summary.available_funds > summary.total_cash
    on_margin = ("  on margin; only cash is spent", "dim") if is_more else ""
    facts.add_row("Available Funds", Text.assemble(money(summary.available_funds), on_margin))
    facts.add_row("Cash", money(summary.total_cash))
    facts.add_row("Positions", str(sum(position.quantity != 0 for position in snapshot.positions)))
    facts.add_row("Market Data", f"{len(snapshot.quotes)} symbols")
    facts.add_row("Market", _market_words(snapshot))
    if snapshot.open_orders:
        facts.add_row("Open Orders", str(len(snapshot.open_orders)))
    return facts


def _market_words(snapshot: PortfolioSnapshot) -> str:
    session, now = snapshot.session, snapshot.session.now.astimezone(NEW_YORK)
    if session.is_open:
        words = f"open until {session.closes_at.astimezone(NEW_YORK):%H:%M}"
    else:
        words = f"[yellow]closed[/] until {session.opens_at.astimezone(NEW_YORK):%a %Y-%m-%d %H:%M}"
    words += " New York"
    if abs((datetime.now(UTC) - session.now).total_seconds()) > CLOCK_SLACK_SECONDS:
        words += f" (by the broker's clock it is {now:%a %Y-%m-%d %H:%M})"
    return words


def _positions_table(snapshot: PortfolioSnapshot, settings: Settings) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Symbol", no_wrap=True)
    table.add_column("Bucket", overflow="fold")
    for column in ("Shares", "Price", "Value", "Weight", "Gain"):
        table.add_column(column, justify="right", no_wrap=True)
    net = snapshot.summary.net_liquidation
    for held in sorted(snapshot.positions, key=lambda position: -(position.market_value or 0)):
        rule = settings.rule_of(held.symbol)
        table.add_row(
            f"[bold]{escape(held.symbol)}[/]",
            escape(rule.name) if rule else "[yellow]no rule[/]",
            f"{held.quantity:f}",
            "-" if held.market_price is None else f"{held.market_price:,.2f}",
            "-" if held.market_value is None else f"{held.market_value:,.2f}",
            "-" if held.market_value is None or net <= 0 else f"{100 * held.market_value / net:.1f} %",
            _gain(held.market_price, held.average_cost),
        )
    return table


def _gain(price: Decimal | None, cost: Decimal) -> str:
    if price is None or cost <= 0:
        return "-"
    gain = 100 * (price - cost) / cost
    return f"[{'green' if gain >= 0 else 'red'}]{gain:+.1f} %[/]"


def _odd_holding(odd: OddHolding) -> Table:
    worth = "its value in USD is not known" if odd.value is None else f"worth {money(odd.value)}"
    return _point(f"{odd.symbol}: {odd.quantity:f} shares, {odd.oddity.value}, {worth}")


def _drift_table(table: DriftTable, threshold: float, before: DriftTable | None = None) -> Table:
    """The buckets and the cash; with `before`, what drift was then and what it is now."""
    shown = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    shown.add_column("Bucket", overflow="fold")
    drift = f"Drift (band ±{threshold:g})" if before is None else "now"
    for column in ("Value", "Weight", "Target", *([] if before is None else ["Drift before"]), drift):
        shown.add_column(column, justify="right", no_wrap=True)
    earlier = table.buckets if before is None else before.buckets
    for bucket, then in zip(table.buckets, earlier, strict=True):
        shown.add_row(
            escape(bucket.name),
            f"{bucket.value:,.2f}",
            "-" if bucket.unvalued else f"{bucket.weight:.1f} %",
            f"{bucket.target:g} %",
            *([] if before is None else [_drift(then, threshold)]),
            _drift(bucket, threshold),
        )
    if table.unassigned:
        shown.add_row("[yellow]In no rule[/]", f"{table.unassigned:,.2f}", f"{table.unassigned_weight:.1f} %")
    shown.add_row("Cash", f"{table.cash:,.2f}", f"{table.cash_weight:.1f} %")
    if before is not None:
        total = ("Total, signs aside", "", "", "", f"{before.total:.1f}", f"{table.total:.1f}")
        shown.add_row(*total, style="dim")
    return shown


def _drift(bucket: BucketDrift, threshold: float) -> str:
    if bucket.unvalued:
        return "[yellow]not known[/]"
    return f"[{'yellow' if bucket.is_outside(threshold) else 'green'}]{round(bucket.drift, 1) + 0.0:+.1f}[/]"


def drift_screen(snapshot: PortfolioSnapshot, settings: Settings) -> RenderableType:
    """How far each bucket is off its target at that moment."""
    drift = drift_table(snapshot, settings)
    moment = Text(f"As of {snapshot.as_of:%Y-%m-%d %H:%M} UTC", style="dim")
    table = _drift_table(drift, settings.rebalance_threshold)
    return Group(table, *(_odd_holding(odd) for odd in drift.odd_holdings), moment)


def plan_screen(plan: TradePlan, snapshot: PortfolioSnapshot, verdicts: Sequence[Verdict]) -> RenderableType:
    """A plan that nobody has asked for yet, with what the guard would say of it."""
    parts: list[RenderableType] = [*_decisions(plan, snapshot), *_notes(plan)]
    for verdict in verdicts:
        parts.extend(_verdict_lines(verdict))
    moment = Text(f"As of {snapshot.as_of:%Y-%m-%d %H:%M} UTC; nothing was sent.", style="dim")
    return Group(*parts, moment)


def think_screen(state: State, settings: Settings) -> RenderableType:
    plan, snapshot, thought = state["plan"], state["snapshot"], state.get("thought")
    parts = [*_lessons(state), *_decisions(plan, snapshot), *_notes(plan)]
    if thought:
        parts.extend(_thought(thought, snapshot))
    elif settings.think_mode != "rules":
        parts.append(Text("No model is asked: OPENAI_API_KEY is not set.", style="dim"))
    return Group(*parts)


def _thought(thought: Thought, snapshot: PortfolioSnapshot) -> Iterator[RenderableType]:
    """How the model came to its plan: what did not hold, what it would do where it is only watched, what it cost."""
    if thought.trouble:
        yield _point(thought.trouble, "!")
    if thought.shadow:
        words = f"In shadow, {thought.model} would have done this; nothing of it is sent:"
        yield Text(words, style="bold magenta")
        yield from _decisions(thought.shadow, snapshot)
        passed = sum(verdict.passed for verdict in thought.shadow_verdicts)
        yield Text(f"The guard would let {passed} of {len(thought.shadow_verdicts)} trades through.", style="magenta")
    for struck in thought.struck[:MOST_NOTES]:
        about = f"{struck.symbol}: " if struck.symbol else ""
        yield Text.assemble(("Struck ", "yellow"), about, (struck.words, "strike"), (f" - {struck.why}", "dim"))
    if len(thought.struck) > MOST_NOTES:
        yield _point(f"and {len(thought.struck) - MOST_NOTES} more, all in the record (--json)")
    usage = thought.usage
    if not usage.input_tokens:
        return
    words = (
        f"{thought.model}: {_count(usage.model_calls, 'call')}, {_count(usage.tool_calls, 'tool')}, "
        f"{'about ' if usage.estimated else ''}{usage.input_tokens:,} tokens read and {usage.output_tokens:,} written, "
    )
    cost = "cost unknown" if usage.cost is None else f"about ${usage.cost:,.4f}"
    yield Text(words + cost, style="dim")


def _lessons(state: State) -> Iterator[RenderableType]:
    for lesson in state.get("lessons", ()):
        yield Text.assemble(("Lesson ", "cyan"), in_words(lesson))


def _decisions(plan: TradePlan, snapshot: PortfolioSnapshot) -> Iterator[RenderableType]:
    yield _unstruck(plan.summary) if plan.source != SOURCE else Text(plan.summary)
    author = "Rules" if plan.source == SOURCE else plan.source
    count = len(plan.trades)
    yield Text(f"{author} made {_count(count, 'trading decision')}", style="bold")
    trades = Table.grid(padding=(0, 2))
    trades.add_column()
    trades.add_column()
    trades.add_column(justify="right")
    unlike = {deviation.symbol: deviation for deviation in plan.deviations}
    for trade in plan.trades:
        words = _trade_words(trade.side, trade.quantity, trade.symbol)
        deviation = unlike.pop(ticker(trade.symbol), None)
        if trade.protective:
            words.append(" exit", style="bold yellow")
        if deviation:
            words.append(f" {deviation.what}", style="magenta")
        trades.add_row("", words, _worth(trade, snapshot), _reason(trade))
    if count:
        yield trades
    for deviation in unlike.values():
        yield Text.assemble(
            ("  ", ""), (f"{deviation.symbol} {deviation.what}", "magenta"), "  ", _unstruck(deviation.why)
        )


def _count(number: int, of_what: str) -> str:
    return f"{number} {of_what}{'' if number == 1 else 's'}"


def _reason(trade: ProposedTrade) -> Text:
    """Why, what is expected of it, and the figures that hold."""
    lines = [_unstruck(trade.reason)]
    if trade.expected_effect:
        lines.append(Text.assemble("→ ", _unstruck(trade.expected_effect)))
    lines.extend(Text(f"✓ {one.in_words}", style="green") for one in trade.evidence)
    return Text("\n").join(lines)


def _unstruck(words: str) -> Text:
    """A model's words, with those that nothing bears out struck through."""
    text = Text(style="dim")
    for place, part in enumerate(words.split(STRUCK)):
        # The marks stay, for screens and pipes that strike nothing through.
        text.append(f"{STRUCK}{part}{STRUCK}" if place % 2 else part, style="strike red" if place % 2 else "")
    return text


def _worth(trade: ProposedTrade, snapshot: PortfolioSnapshot) -> str:
    quote = snapshot.quotes.get(trade.symbol)
    return "" if quote is None or quote.last is None else money(trade.quantity * quote.last)


def _notes(plan: TradePlan) -> Iterator[RenderableType]:
    yield from (_point(note) for note in plan.notes[:MOST_NOTES])
    if len(plan.notes) > MOST_NOTES:
        yield _point(f"and {len(plan.notes) - MOST_NOTES} more, all in the record (--json)")


def _point(words: str, mark: str = "-", style: str = "yellow") -> Table:
    """One point of a list, its later lines indented like its first."""
    point = Table.grid(padding=(0, 1, 0, 0))
    point.add_row(Text(mark, style=style), Text(words, style=style))
    return point


def _trade_words(side: Side, quantity: int, symbol: str) -> Text:
    return Text.assemble((f"{side.value:<4}", SIDE_STYLE[side]), f" {quantity} ", (symbol, "bold"))


def act_screen(state: State) -> RenderableType:
    verdicts, orders = state.get("verdicts", ()), state.get("orders", ())
    parts: list[RenderableType] = []
    for verdict in verdicts:
        parts.extend(_verdict_lines(verdict))
    if "approval" in state:
        approval = state["approval"]
        why = f" ({approval.why})" if approval.why else ""
        parts.append(Text("Approved." if approval.granted else f"Not approved{why}; nothing was sent."))
    kind = "PAPER" if state["snapshot"].account.is_paper else "LIVE"
    parts.extend(_order_line(order, kind) for order in orders)
    if not parts:
        return Text("No orders were wanted.")
    if orders:
        done = sum(order.status is OrderStatus.FILLED for order in orders)
        parts.append(Text(f"Completed {done}/{len(state['plan'].trades)} trades", style="bold"))
    return Group(*parts)


def _verdict_lines(verdict: Verdict) -> Iterator[RenderableType]:
    price = "" if verdict.limit_price is None else f" at limit {verdict.limit_price:,.2f}"
    trade = _trade_words(verdict.side, verdict.quantity, verdict.symbol)
    passed = sum(check.passed is True for check in verdict.checks)
    mark = ("passed", "green") if verdict.passed else ("refused", "red")
    yield Text.assemble("Guard ", mark, "  ", trade, price, (f"  {passed} of {len(verdict.checks)} checks", "dim"))
    for check in verdict.failures:
        outcome = "failed" if check.passed is False else "not evaluated"
        yield Text.assemble("    ", (f"{check.rule} {outcome}: ", "red"), check.why)


def _order_line(order: OrderRecord, kind: str) -> RenderableType:
    line = Text.assemble(f"{kind} TRADE ", (order.status.value, STATUS_STYLE[order.status]), "  ")
    line.append_text(_trade_words(order.side, order.quantity, order.symbol))
    if order.average_price is not None and order.filled_quantity:
        commission = f", commission {order.commission:.2f}" if order.commission is not None else ""
        line.append(f"  {order.filled_quantity:f} filled at {order.average_price:,.2f}{commission}")
    if order.message:
        line.append(f"  {order.message.removeprefix(f'{order.symbol}: ')}", style="yellow")
    return line


def reflect_screen(state: State, settings: Settings) -> RenderableType:
    reflection = state["reflection"]
    parts: list[RenderableType] = []
    if state.get("orders") and "snapshot_after" in state:
        before, after = (drift_table(state[when], settings) for when in ("snapshot", "snapshot_after"))
        parts.extend((_drift_table(after, settings.rebalance_threshold, before), Text()))
    parts.extend(Text.assemble(("Result ", "cyan"), result) for result in reflection.results)
    parts.extend(Text.assemble(("Lesson ", "cyan"), lesson) for lesson in reflection.lessons_learned)
    parts.extend(Text.assemble(("Next ", "cyan"), action) for action in reflection.next_actions)
    return Group(*parts)


def approval_screen(orders: tuple[OrderTerms, ...], warnings: tuple[str, ...]) -> RenderableType:
    lines = [
        Text.assemble(
            "  ",
            _trade_words(order.side, order.quantity, order.symbol),
            f" at limit {order.limit_price:,.2f}, {money(order.value)}",
        )
        for order in orders
    ]
    return Group(
        Text("The guard let these orders through; they wait for your approval:", style="bold"),
        *lines,
        *map(_warned, warnings),
    )


def _warned(warning: str) -> RenderableType:
    return _point(f"The broker warns of {warning}", mark="!", style="bold yellow")
