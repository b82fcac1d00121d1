"""What the agent does without a model: protective exits, then rebalancing by the configured method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from config.settings import Settings
from portfolio.drift import DriftTable, drift_after, drift_table
from portfolio.exposure import ZERO, cash_change, contracts_held, free_cash
from portfolio.limits import Batch, TradingDay, first_refusal, tightened
from portfolio.models import PortfolioSnapshot, ProposedTrade, Side, TradePlan
from portfolio.percent import share_of
from portfolio.rebalance.exits import Exits, protective_exits
from portfolio.rebalance.first_symbol import first_symbol_trades
from portfolio.rebalance.market import DOWN, Market, Tradable, open_market
from portfolio.rebalance.optimal import Found, is_sane, solve
from portfolio.rebalance.problem import Budget, Floats, Problem, problem

SOURCE = "rules"
SMALLEST_TICK = Decimal("0.0001")
"""USD a share, of stocks below one dollar."""


@dataclass(frozen=True)
class Rebalancing:
    """Discretionary trades, and what there is to say about them."""

    trades: tuple[ProposedTrade, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What somebody would like a plan to heed, always inside the limits.

    `targets` are other targets in % of net liquidation by bucket; the symbols in `exclude` are not rebalanced; there
    are at most `max_orders` orders besides the protective exits, None for as many as the limits allow.
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()
    max_orders: int | None = None

    def applied_to(self, settings: Settings) -> Settings:
        """The settings with the other targets; every limit stays as it is."""
        rules = tuple(
            rule.model_copy(update={"target_allocation": self.targets.get(rule.name, rule.target_allocation)})
            for rule in settings.trading_rules
        )
        return settings.model_copy(update={"trading_rules": rules})


NO_WISHES = Wishes()


def baseline_plan(
    snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay, wishes: Wishes = NO_WISHES
) -> TradePlan:
    """Exits that are due; and, where a bucket is outside its band or an exit is made, the trades that rebalance.

    Every trade passes every rule of the guard about it, alone and together; `day` is what the journal knows of today.
    """
    if snapshot.summary.net_liquidation <= 0:
        return TradePlan(source=SOURCE, trades=(), summary="The account is worth nothing; there is nothing to plan.")
    settings = tightened(settings, day.tightenings)
    exits = protective_exits(snapshot, settings, day)
    wished = wishes.applied_to(settings)
    table = drift_table(snapshot, wished)
    is_due = bool(exits.trades) or any(bucket.is_outside(settings.rebalance_threshold) for bucket in table.buckets)
    rebalancing = Rebalancing()
    if is_due:
        method = _first_symbol if settings.rebalance_method == "first_symbol" else _optimal
        rebalancing = method(snapshot, settings, day, exits, wishes)
    trades = (*exits.trades, *rebalancing.trades)
    return TradePlan(
        source=SOURCE,
        trades=trades,
        summary=_summary(table, drift_after(snapshot, wished, trades), trades, settings),
        notes=(*exits.notes, *rebalancing.notes),
        unfinished=exits.unfinished,
    )


@dataclass(frozen=True)
class Posed:
    """The rebalancing problem of an account; its arrays have the symbols of `market.tradable`, in that order."""

    problem: Problem
    market: Market
    after_exits: DriftTable


def pose(
    snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay, exits: Exits, wishes: Wishes = NO_WISHES
) -> Posed:
    """What is left to decide once the protective exits are made."""
    net, wished = snapshot.summary.net_liquidation, wishes.applied_to(settings)
    after_exits = drift_after(snapshot, wished, exits.trades)
    market = open_market(snapshot, wished, day, after_exits.buckets, exits.symbols | wishes.exclude)
    free = _free_cash(snapshot, settings, day, exits)
    bought = {order.conid for order in day.unresolved if order.side is Side.BUY}
    places = settings.max_positions - len(contracts_held(snapshot) | bought)
    orders = max(settings.max_orders_per_day - day.orders_sent - len(exits.trades), 0)
    budget = Budget(
        cash=float(_floor(free or ZERO)),
        turnover=float(_floor(share_of(net, settings.max_portfolio_change))),
        orders=orders if wishes.max_orders is None else min(orders, wishes.max_orders),
        places=max(places, 0),
    )
    gaps = [bucket.value - share_of(net, bucket.target) for bucket in after_exits.buckets]
    band = share_of(net, settings.rebalance_threshold)
    # Where nobody can tell what is owed, or too much is held as it is, nothing is bought.
    may_buy = free is not None and places >= 0
    posed = problem(market.tradable, gaps, band, budget, settings.order_penalty, may_buy=may_buy)
    return Posed(posed, market, after_exits)


def _floor(amount: Decimal) -> Decimal:
    """`amount` USD down to what traded values are multiples of, so that no tolerance of floats lies across it."""
    return DOWN.quantize(amount, SMALLEST_TICK)


def _free_cash(snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay, exits: Exits) -> Decimal | None:
    """Cash above `min_cash` once the exits are filled at their limits, in USD; None where nobody can tell."""
    free = free_cash(snapshot, day.unresolved)
    if free is None:
        return None
    batch = Batch(snapshot, settings, day)
    orders = [order for trade in exits.trades if (order := batch.draft(trade))]
    least = share_of(snapshot.summary.net_liquidation, settings.min_cash)
    return free + sum((cash_change(order) for order in orders), ZERO) - least


def _first_symbol(
    snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay, exits: Exits, wishes: Wishes
) -> Rebalancing:
    """No order is too small for this method."""
    settings = settings.model_copy(update={"min_order_value": ZERO})
    wished = wishes.applied_to(settings)
    buckets = drift_after(snapshot, wished, exits.trades).buckets
    market = open_market(snapshot, wished, day, buckets, exits.symbols | wishes.exclude)
    trades = first_symbol_trades(snapshot, settings, day, market, buckets, exits.trades)
    return Rebalancing(trades[: wishes.max_orders], market.frozen)


def _optimal(
    snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay, exits: Exits, wishes: Wishes
) -> Rebalancing:
    posed = pose(snapshot, settings, day, exits, wishes)
    notes = posed.market.frozen
    if posed.problem.size == 0:
        return Rebalancing(notes=notes)
    if not is_sane(posed.problem):
        return Rebalancing(notes=(*notes, "Prices or amounts are not to be believed; nothing was rebalanced."))
    return best_kept(solve(posed.problem), posed, exits, snapshot, settings, day)


def best_kept(
    found: Found,
    posed: Posed,
    exits: Exits,
    snapshot: PortfolioSnapshot,
    settings: Settings,
    day: TradingDay,
) -> Rebalancing:
    """The first choice that, beside the exits, keeps every rule of the guard in exact decimals; none if none does."""
    notes = posed.market.frozen
    if found.failed:
        notes = (*notes, "The solver gave no answer; this is the greedy plan.")
    dropped: tuple[str, ...] = ()
    for choice in found.choices:
        trades = tuple(_trades(choice, posed, settings))
        plan = TradePlan(source=SOURCE, trades=(*exits.trades, *trades))
        refused = first_refusal(plan, snapshot, settings, day)
        if refused is None:
            return Rebalancing(trades, (*notes, *dropped))
        why = f"A better plan was dropped, since the guard would refuse it on {refused.rule}: {refused.why}."
        dropped = dropped or (why,)
    return Rebalancing(notes=(*notes, *dropped, "No plan kept every limit; nothing was rebalanced."))


def _trades(choice: Floats, posed: Posed, settings: Settings) -> Iterator[ProposedTrade]:
    """Sales first, each side from the largest order to the smallest."""
    ordered = [(one, int(shares)) for one, shares in zip(posed.market.tradable, choice, strict=True) if shares]
    for one, shares in sorted(ordered, key=lambda pair: (pair[1] > 0, -abs(pair[1]) * pair[0].last)):
        side = Side.BUY if shares > 0 else Side.SELL
        reason = _reason(one, side, posed, settings)
        yield ProposedTrade(symbol=one.symbol, side=side, quantity=abs(shares), reason=reason)


def _reason(one: Tradable, side: Side, posed: Posed, settings: Settings) -> str:
    """What is off target and gets nearer by it: the bucket, or within its band the symbol."""
    bucket, off = posed.after_exits.buckets[one.bucket], one.value - one.share
    helps_bucket, helps_symbol = ((over > 0) is (side is Side.SELL) for over in (bucket.drift, off))
    if helps_bucket and bucket.is_outside(settings.rebalance_threshold):
        return bucket.in_words
    itself = (
        f"{one.symbol} is {abs(off):,.2f} USD {'above' if off > 0 else 'below'} what {bucket.name} has planned for it"
    )
    if helps_bucket:
        along = f"{bucket.in_words}: within its band, but corrected along with the others"
        return f"{along}; {itself}" if helps_symbol else along
    if helps_symbol:
        return itself
    if side is Side.SELL and posed.problem.budget.cash < 0:
        return f"Raises cash towards min_cash, {settings.min_cash:g} % of the account"
    return "Makes room for the other orders of this plan"


def _summary(before: DriftTable, after: DriftTable, trades: Sequence[ProposedTrade], settings: Settings) -> str:
    off = sum(bucket.is_outside(settings.rebalance_threshold) for bucket in before.buckets)
    if not trades and not off:
        return f"Every bucket is within {settings.rebalance_threshold:g} points of its target."
    words = f"{off} of {len(before.buckets)} buckets off target"
    if not trades:
        return f"{words}, but no order that the limits allow is worth its commission and order_penalty."
    exits = sum(trade.protective for trade in trades)
    kind = "protective order" if exits == len(trades) else "order"
    count = f"{len(trades)} {kind}{'' if len(trades) == 1 else 's'}"
    some = f", {exits} of them protective," if 0 < exits < len(trades) else ""
    return f"{words}; {count}{some} would take the total drift from {before.total:.1f} to {after.total:.1f} points."
