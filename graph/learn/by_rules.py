"""The lessons that rules derive from one run: what was refused, what cost too much, what a limit keeps off target.

Pure. Each function below looks at one side of a run, and says what it finds and what it finds refuted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from config.rules import ticker
from config.settings import Settings
from graph.decisions import decisions_of
from graph.memory import MOST_OF_A_STATEMENT, Finding, Refuted, Tighten, id_of
from graph.record import Lesson, Scope
from graph.state import State
from portfolio.drift import BucketDrift, DriftTable, drift_table
from portfolio.limits import Limit
from portfolio.limits.rules import OF_THE_RUN
from portfolio.models import Check, OrderRecord, OrderStatus, PortfolioSnapshot, Side, Verdict
from portfolio.percent import exact, in_percent
from portfolio.performance.scoring import Standing
from portfolio.rebalance.pace import out_of_reach, paces
from tools.wire.foreign_text import one_line

Found = Iterator[Finding | Refuted]

OF_THE_DAY = frozenset(rule.__name__ for rule in OF_THE_RUN)
"""Rules about the moment of a run, of which nothing is to be learned for a trade."""
EXEMPT = "exempt"
STEPS = ("think", "act")
"""Of the graph, as a failure names the one it was in; before them there is no account to learn of."""
SURE, ENOUGH_SCORES = 2.0, 20
"""The t-value, and the number of scores, from which a mean is taken for more than chance."""
SLIPS_THAT_TIGHTEN = 2


def found_by_rules(
    state: State, settings: Settings, standings: Mapping[str, Standing]
) -> tuple[Finding | Refuted, ...]:
    """What this run says for or against lessons.

    `settings` are those with every tightening in force, and `standings` the scores of executed trades by who proposed
    them.
    """
    return (
        *_broke(state),
        *_unfit(state),
        *_refused(state),
        *_declined(state),
        *_carried_out(state),
        *_slipped(state, settings),
        *_stopped(state),
        *_slow(state, settings),
        *_scored(standings),
    )


def _said(words: str) -> str:
    return one_line(words, MOST_OF_A_STATEMENT)


def _broke(state: State) -> Found:
    failure = state.get("failure")
    for step in STEPS:
        if failure and failure.step == step:
            words = _said(f"A run broke off in {step}: {failure.message}")
            figures = {"outcome": failure.outcome.value}
            yield Finding(
                id=id_of(f"broke {step}"), scope=Scope.EXECUTION, about=step, statement=words, figures=figures
            )
        elif not failure and "plan" in state:
            yield Refuted(id=id_of(f"broke {step}"))


def _unfit(state: State) -> Found:
    snapshot = state.get("snapshot")
    for check in snapshot.data_quality if snapshot else ():
        lesson = id_of(f"unfit {check.name}")
        if check.passed:
            yield Refuted(id=lesson)
        elif check.required:
            words = _said(f"The data was not fit to trade on: {check.why}.")
            yield Finding(id=lesson, scope=Scope.EXECUTION, about=check.name, statement=words, figures={})


def _refused(state: State) -> Found:
    """What was wanted in a chat is one person's wish of one day, and teaches nothing about what a run should plan."""
    for verdict in () if state.get("wanted") else state.get("verdicts", ()):
        symbol = ticker(verdict.symbol)
        against = _against(verdict)
        for check in verdict.checks:
            lesson = id_of(f"refused {verdict.side} {symbol} {check.rule}")
            if check.passed and check.actual != EXEMPT:
                yield Refuted(id=lesson)
            elif check in against:
                words = _said(f"{verdict.side} {symbol} was refused on {check.rule}: {check.why}.")
                figures = {"quantity": str(verdict.quantity), "limit": check.limit, "actual": _said(check.actual)}
                yield Finding(id=lesson, scope=Scope.SYMBOL, about=symbol, statement=words, figures=figures)


def _against(verdict: Verdict) -> tuple[Check, ...]:
    """What a trade was refused on; of rules that could not be asked the first, as one missing price silences ten."""
    failed = tuple(check for check in verdict.failures if check.rule not in OF_THE_DAY)
    return tuple(check for check in failed if check.passed is False) or failed[:1]


def _declined(state: State) -> Found:
    approval = None if state.get("wanted") else state.get("approval")
    for terms in state.get("asked", ()) if approval else ():
        symbol = ticker(terms.symbol)
        lesson = id_of(f"declined {terms.side} {symbol}")
        if approval and approval.covers(terms.symbol):
            yield Refuted(id=lesson)
        elif approval and not approval.expired:
            why = f": {approval.why}" if approval.why and not approval.granted else ""
            left_out = "left out of what was approved" if approval.granted else "not approved"
            words = _said(f"{terms.side} {symbol} was {left_out}{why}.")
            figures = {"quantity": str(terms.quantity), "limit_price": f"{terms.limit_price}"}
            yield Finding(id=lesson, scope=Scope.SYMBOL, about=symbol, statement=words, figures=figures)


def _carried_out(state: State) -> Found:
    """The last order of each symbol and side."""
    for order in {(ticker(order.symbol), order.side): order for order in state.get("orders", ())}.values():
        symbol = ticker(order.symbol)
        unfilled = id_of(f"unfilled {order.side} {symbol}")
        rejected = id_of(f"rejected {order.side} {symbol}")
        if order.filled_quantity > 0:
            yield Refuted(id=rejected)
        if order.status is OrderStatus.FILLED:
            yield Refuted(id=unfilled)
        elif order.status in (OrderStatus.CANCELLED, OrderStatus.PARTIAL):
            words = (
                f"{order.side} {symbol} filled {order.filled_quantity:f} of {order.quantity} at {order.limit_price}."
            )
            yield _of_order(unfilled, order, words)
        elif order.status is OrderStatus.REJECTED:
            yield _of_order(rejected, order, f"The broker rejected {order.side} {symbol}: {order.message or 'no word'}")


def _of_order(lesson: str, order: OrderRecord, words: str) -> Finding:
    figures = {
        "quantity": str(order.quantity),
        "filled": f"{order.filled_quantity:f}",
        "limit_price": str(order.limit_price),
    }
    about = ticker(order.symbol)
    return Finding(id=lesson, scope=Scope.EXECUTION, about=about, statement=_said(words), figures=figures)


def _slipped(state: State, settings: Settings) -> Found:
    """Fills worse than the price they were decided on by more than a limit price may be from the market."""
    for decision in decisions_of(state):
        if decision.slippage is None or not decision.arrival:
            continue
        symbol, at_arrival = ticker(decision.symbol), decision.quantity * decision.arrival
        slipped, most = in_percent(decision.slippage, at_arrival), exact(settings.price_collar)
        lesson = id_of(f"slipped {symbol}")
        if slipped <= most:
            yield Refuted(id=lesson)
            continue
        words = f"{symbol} filled {slipped:.2f} % worse than the mid when it was decided, above price_collar {most} %."
        yield Finding(
            id=lesson,
            scope=Scope.EXECUTION,
            about=symbol,
            statement=words,
            figures={"slippage": f"{slipped:.4f} %", "cost": f"{decision.slippage:.2f} USD"},
            tighten=Tighten(limit=Limit.RISK_THRESHOLD, after=SLIPS_THAT_TIGHTEN),
        )


def _stopped(state: State) -> Found:
    snapshot = state.get("snapshot")
    if snapshot is None:
        return
    for order in state.get("orders", ()):
        loss = _loss(order, snapshot)
        if loss is not None and _is_protective(order, state):
            symbol = ticker(order.symbol)
            words = f"The stop loss sold {symbol} {loss:.1f} % below its average cost."
            figures = {"loss": f"{loss:.2f} %", "quantity": f"{order.filled_quantity:f}"}
            lesson = id_of(f"stopped {symbol}")
            yield Finding(id=lesson, scope=Scope.SYMBOL, about=symbol, statement=words, figures=figures)


def _loss(order: OrderRecord, snapshot: PortfolioSnapshot) -> Decimal | None:
    """In % of average cost; None where it is none."""
    held = snapshot.positions_in(order.symbol)
    if order.side is Side.BUY or not held or order.average_price is None or held[0].average_cost <= 0:
        return None
    loss = in_percent(held[0].average_cost - order.average_price, held[0].average_cost)
    return loss if order.filled_quantity > 0 and loss > 0 else None


def _is_protective(order: OrderRecord, state: State) -> bool:
    return any(trade.protective for trade in state["plan"].trades if ticker(trade.symbol) == ticker(order.symbol))


def _slow(state: State, settings: Settings) -> Found:
    """Buckets that a limit keeps off target for several runs, where orders have moved them at all."""
    after = state.get("snapshot_after")
    if after is None or "plan" not in state:
        return
    table, net = drift_table(after, settings), after.summary.net_liquidation
    slow = {pace.bucket: pace for pace in paces(table.buckets, net, settings)}
    stuck = {bucket.name for bucket in out_of_reach(table, net, settings)}
    for bucket in table.buckets:
        lesson, never = id_of(f"slow {bucket.name}"), id_of(f"stuck {bucket.name}")
        if bucket.name in stuck:
            yield Refuted(id=lesson)
            yield _stuck(never, bucket, table)
            continue
        yield Refuted(id=never)
        if bucket.name not in slow:
            yield Refuted(id=lesson)
            continue
        if not state.get("orders"):
            continue
        pace = slow[bucket.name]
        limit = getattr(settings, pace.limit)
        words = (
            f"{bucket.name} needs at least {pace.runs} more runs to come back into its band, as {pace.limit} is "
            f"{pace.limit.told(limit)}."
        )
        figures = {"gap": f"{pace.gap:.2f} USD", "each_run": f"{pace.each:.2f} USD", "runs": str(pace.runs)}
        yield Finding(id=lesson, scope=Scope.BUCKET, about=bucket.name, statement=_said(words), figures=figures)


def _stuck(lesson: str, bucket: BucketDrift, table: DriftTable) -> Finding:
    words = (
        f"{bucket.name} cannot come back into its band: {table.unassigned_weight:.1f} % of the account is in holdings "
        f"that no rule names, which are never sold."
    )
    figures = {"in no rule": f"{table.unassigned:.2f} USD", "cash": f"{table.cash:.2f} USD"}
    return Finding(id=lesson, scope=Scope.BUCKET, about=bucket.name, statement=_said(words), figures=figures)


def lessons_of_gone_buckets(known: Iterable[Lesson], settings: Settings) -> Found:
    """What was learned of buckets that the rules no longer name."""
    named = {rule.name for rule in settings.rules}
    for lesson in known:
        if lesson.scope is Scope.BUCKET and lesson.about not in named:
            yield Refuted(id=lesson.id)


def _scored(standings: Mapping[str, Standing]) -> Found:
    """Trades that cost more than they brought, or the other way round, too often for chance."""
    for source, standing in standings.items():
        for name, is_so in (("lost", standing.mean < 0), ("gained", standing.mean > 0)):
            lesson = id_of(f"{name} {source}")
            sure = standing.t_value is not None and abs(standing.t_value) >= SURE and standing.count >= ENOUGH_SCORES
            if not is_so:
                yield Refuted(id=lesson)
            elif sure:
                words = (
                    f"The last {standing.count} trades of {source} {name} {abs(standing.mean):.2f} % of their value on "
                    f"average in 5 trading days, against not doing them (t {standing.t_value:+.1f})."
                )
                figures = {"mean": f"{standing.mean:+.4f} %", "effect": f"{standing.effect:+.2f} USD"}
                yield Finding(id=lesson, scope=Scope.EXECUTION, about=source, statement=_said(words), figures=figures)
