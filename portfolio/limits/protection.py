"""May this trade call itself a protective exit?

The claim comes with the plan, and it lifts three limits, so it is proven anew from the facts; where it does not hold,
the trade is refused, not taken for an ordinary one.
"""

from __future__ import annotations

from decimal import Decimal

from config.settings import TradingRule
from portfolio.limits.case import Case, answer, exempt, not_evaluated, shown
from portfolio.models import Check, Position, Side
from portfolio.percent import exact, in_percent, share_of


def gain_of(position: Position) -> Decimal | None:
    """Unrealised gain in % of average cost; None without a price or a cost, which are never 0 or below."""
    if position.market_price is None or position.market_price <= 0 or position.average_cost <= 0:
        return None
    return in_percent(position.market_price - position.average_cost, position.average_cost)


def above_share(symbol: str, position: Position, rule: TradingRule, net_liquidation: Decimal) -> Decimal:
    """USD the position in `symbol` is worth above what its rule wants of it; below 0 where it is worth less."""
    share = share_of(net_liquidation, rule.share_of(symbol))
    return position.quantity * (position.market_price or Decimal(0)) - share


def protective_exit(case: Case) -> Check:
    """A sale at or below the rule's stop_loss, or one at or above its take_profit that leaves the position its share.

    Both are in % of average cost.
    """
    if not case.trade.protective:
        return exempt("protective_exit", "not claimed", "%")
    rule = case.settings.rule_of(case.trade.symbol)
    if case.trade.side is Side.BUY or rule is None or (rule.stop_loss is None and rule.take_profit is None):
        why = f"no stop_loss or take_profit asks for this {case.trade.side} of {case.trade.symbol}"
        return answer("protective_exit", "a stop_loss or take_profit", "none", "%", passed=False, why=why)
    position = case.positions[0] if len(case.positions) == 1 else None
    gain = gain_of(position) if position else None
    if position is None or gain is None:
        why = f"{case.trade.symbol} has no single position with a price and a cost"
        return not_evaluated("protective_exit", _limits(rule), "%", why)
    if rule.take_profit is not None and gain >= exact(rule.take_profit):
        limit = exact(rule.take_profit)
        left = position.model_copy(update={"quantity": position.quantity - case.trade.quantity})
        lack = -above_share(case.trade.symbol, left, rule, case.net_liquidation)
        why = f"it would leave {case.trade.symbol} {lack:.2f} USD below its share of {rule.name}"
        return answer("protective_exit", limit, shown(gain, limit), "%", passed=lack <= 0, why=why)
    if rule.stop_loss is not None and gain <= exact(rule.stop_loss):
        limit = exact(rule.stop_loss)
        return answer("protective_exit", limit, shown(gain, limit), "%", passed=True, why="")
    nearer = shown(gain, exact(rule.stop_loss)) if rule.stop_loss is not None else f"{gain:.2f}"
    why = f"{case.trade.symbol} is at {nearer} % of its cost, and its rule sells at {_limits(rule)} %"
    return answer("protective_exit", _limits(rule), nearer, "%", passed=False, why=why)


def _limits(rule: TradingRule) -> str:
    return " or ".join(str(exact(end)) for end in (rule.stop_loss, rule.take_profit) if end is not None)
