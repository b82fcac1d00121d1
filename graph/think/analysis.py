"""The house's own tools for the model: the plan with other wishes, the guard's opinion, statistics, memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from config.rules import ticker
from graph.act.guard import rehearse
from graph.memory import search
from graph.think.answer import MOST_TRADES, Quantity, Symbol
from graph.think.reading import Nothing, OneSymbol, daily_bars
from graph.think.sheets import Column, Sheet, facts, plain
from graph.think.study import MOST_SYMBOLS, Arguments, ModelTool, NoSuchThing, Study
from portfolio.drift import drift_after, drift_table
from portfolio.models import PortfolioSnapshot, ProposedTrade, Side, TradePlan, Verdict
from portfolio.rebalance import NO_WISHES, Wishes, baseline_plan
from portfolio.statistics import price_statistics
from tools.contract import Tool

MOST_RECALLED = 5
MOST_CHECKED = 40


class OtherWishes(Arguments):
    targets: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(default_factory=dict, max_length=MOST_TRADES)
    exclude: Annotated[list[str], Field(max_length=MOST_SYMBOLS)] = Field(default_factory=list)
    max_orders: Annotated[int, Field(ge=0, le=MOST_TRADES)] | None = None


class TradeIdea(Arguments):
    symbol: Symbol
    side: Side
    quantity: Quantity


class TradeIdeas(Arguments):
    trades: Annotated[list[TradeIdea], Field(min_length=1, max_length=MOST_CHECKED)]


class Search(Arguments):
    query: Annotated[str, Field(min_length=1, max_length=200)]


def drift_sheet(
    study: Study, trades: Iterable[ProposedTrade] = (), after: str = "after", wishes: Wishes = NO_WISHES
) -> Sheet:
    """Every bucket now, against the targets that are wished for, and what `trades` would make of it."""
    settings, trades = wishes.applied_to(study.context.settings), tuple(trades)
    now, then = drift_table(study.snapshot, settings), drift_after(study.snapshot, settings, trades)
    columns = [Column("value", "USD", 2), *(Column(name, "%", 1) for name in ("weight", "target"))]
    columns.append(Column("drift", "points", 1))
    if trades:
        columns.extend((Column(f"weight_{after}", "%", 1), Column(f"drift_{after}", "points", 1)))
    rows = []
    for bucket, later in zip(now.buckets, then.buckets, strict=True):
        cells = (bucket.value, bucket.weight, bucket.target, bucket.drift)
        rows.append((bucket.name, (*cells, later.weight, later.drift) if trades else cells))
    return Sheet(tuple(columns), tuple(rows), key="bucket")


def trades_sheet(plan: TradePlan, snapshot: PortfolioSnapshot) -> Sheet:
    columns = (Column("side"), Column("quantity", "shares"), Column("worth", "USD", 2), Column("reason", ours=True))
    rows = []
    for trade in plan.trades:
        quote = snapshot.quotes.get(trade.symbol)
        worth = trade.quantity * quote.last if quote and quote.last is not None else None
        reason = f"protective exit: {trade.reason}" if trade.protective else trade.reason
        rows.append((ticker(trade.symbol), (trade.side.value, trade.quantity, worth, reason)))
    return Sheet(columns, tuple(rows), words=(plan.summary,))


async def show_drift(_asked: Nothing, study: Study) -> tuple[Sheet, ...]:
    return (drift_sheet(study),)


async def propose(asked: OtherWishes, study: Study) -> tuple[Sheet, ...]:
    settings = study.context.settings
    unknown = asked.targets.keys() - {rule.name for rule in settings.rules}
    if unknown:
        raise NoSuchThing(f"targets: there is no bucket {plain(min(unknown))}")
    excluded = frozenset(study.spelt(symbol) for symbol in asked.exclude)
    wishes = Wishes(asked.targets, excluded, asked.max_orders)
    plan = baseline_plan(study.snapshot, settings, study.day, wishes)
    return trades_sheet(plan, study.snapshot), drift_sheet(study, plan.trades, wishes=wishes)


async def check(asked: TradeIdeas, study: Study) -> tuple[Sheet, ...]:
    ideas = [
        ProposedTrade(symbol=study.spelt(idea.symbol), side=idea.side, quantity=idea.quantity, reason="")
        for idea in asked.trades
    ]
    plan = TradePlan(source="model", trades=tuple(ideas))
    verdicts = await rehearse(plan, study.batch, study.context)
    return verdicts_sheet(verdicts), drift_sheet(study, ideas)


def verdicts_sheet(verdicts: Iterable[Verdict], words: tuple[str, ...] = ()) -> Sheet:
    """What the guard says of each trade."""
    columns = (Column("guard", ours=True), Column("side"), Column("quantity", "shares"), Column("limit_price", "USD"))
    rows = ((ticker(one.symbol), (opinion(one), one.side.value, one.quantity, one.limit_price)) for one in verdicts)
    return Sheet(columns, tuple(rows), words=words)


def opinion(verdict: Verdict) -> str:
    """The guard's verdict in a few words."""
    if verdict.passed:
        return "passes"
    return "refused: " + "; ".join(f"{one.rule} ({one.why or 'not evaluated'})" for one in verdict.failures)


async def statistics(asked: OneSymbol, study: Study) -> tuple[Sheet, ...]:
    found = price_statistics(await daily_bars(asked.symbol, "1y", study))
    if found is None:
        raise NoSuchThing(f"{ticker(asked.symbol)}: there is no price in its history")
    symbol = study.spelt(asked.symbol)
    held, rule = study.snapshot.positions_in(symbol), study.context.settings.rule_of(symbol)
    gain = stop = take = None
    if held and held[0].gain is not None:
        gain = float(held[0].gain)
        stop = gain - rule.stop_loss if rule and rule.stop_loss is not None else None
        take = rule.take_profit - gain if rule and rule.take_profit is not None else None
    entries = {
        **found.returns,
        "volatility": found.volatility,
        "drawdown": found.drawdown,
        "max_drawdown": found.max_drawdown,
        "gain_since_bought": gain,
        "distance_to_stop": stop,
        "distance_to_target": take,
    }
    sheet = facts([("last_close", found.last_close, "USD"), *((name, value, "%") for name, value in entries.items())])
    return (Sheet(sheet.columns, ((ticker(symbol), sheet.rows[0][1]),), words=(f"{found.bars} daily bars",)),)


async def recall_lessons(asked: Search, study: Study) -> tuple[Sheet, ...]:
    account_id, now = study.snapshot.account.account_id, study.snapshot.as_of
    found = await search(study.store, account_id, now, asked.query) if study.store else ()
    rows = tuple((f"{lesson.seen_at:%Y-%m-%d}", (lesson.statement,)) for lesson in found[:MOST_RECALLED])
    if not rows:
        return (Sheet(words=("nothing is remembered of that",)),)
    return (Sheet((Column("lesson"),), rows, key="day"),)


ANALYSIS_TOOLS = (
    ModelTool("drift_table", "Buckets against targets.", Nothing, show_drift),
    ModelTool(
        "propose_rebalance", "Best plan inside the limits with other bucket targets, less symbols, fewer orders.",
        OtherWishes, propose,
    ),
    ModelTool("check_trades", "The guard's opinion, without sending anything.", TradeIdeas, check),
    ModelTool(
        "price_statistics", "Returns, volatility, drawdown, distance to stop and target.", OneSymbol, statistics,
        (Tool.GET_HISTORY,),
    ),
    ModelTool("recall", "Search the lessons of earlier runs.", Search, recall_lessons),
)  # fmt: skip
