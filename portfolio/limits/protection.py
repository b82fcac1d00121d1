"""May this trade call itself a protective exit?

The claim comes with the plan, and it lifts three limits, so it is proven anew from the facts; where it does not hold,
the trade is refused, not taken for an ordinary one.
"""

from __future__ import annotations

from portfolio.limits.case import Case, answer, exempt, not_evaluated, shown
from portfolio.models import Check, Side
from portfolio.percent import exact, in_percent


def protective_exit(case: Case) -> Check:
    """A sale of a position whose price is at or below its rule's stop_loss, in % of its average cost."""
    if not case.trade.protective:
        return exempt("protective_exit", "not claimed", "%")
    rule = case.settings.rule_of(case.trade.symbol)
    if case.trade.side is Side.BUY or rule is None or rule.stop_loss is None:
        why = f"no stop_loss asks for this {case.trade.side} of {case.trade.symbol}"
        return answer("protective_exit", "a stop_loss", "none", "%", passed=False, why=why)
    limit = exact(rule.stop_loss)
    position = case.positions[0] if len(case.positions) == 1 else None
    if position is None or position.market_price is None or position.average_cost <= 0:
        why = f"{case.trade.symbol} has no single position with a price and a cost"
        return not_evaluated("protective_exit", limit, "%", why)
    gain = in_percent(position.market_price - position.average_cost, position.average_cost)
    why = f"{case.trade.symbol} is at {shown(gain, limit)} % of its cost, and its stop_loss is {limit} %"
    return answer("protective_exit", limit, shown(gain, limit), "%", passed=gain <= limit, why=why)
