"""How large may one order, one position and the whole batch be?"""

from __future__ import annotations

from decimal import Decimal

from portfolio.costs import commission
from portfolio.limits.case import NO_VALUE, Case, answer, exempt, not_evaluated
from portfolio.models import Check, Side
from portfolio.percent import exact, in_percent

ZERO = Decimal(0)


def risk_threshold(case: Case) -> Check:
    """The most one discretionary order may be worth at its limit price, in USD."""
    if case.trade.protective:
        return exempt("risk_threshold", "protective exit", "USD")
    return _worth_at_most("risk_threshold", case.settings.risk_threshold, case)


def max_trade_value(case: Case) -> Check:
    """The most any order may be worth at its limit price, protective exits included, in USD."""
    return _worth_at_most("max_trade_value", case.settings.max_trade_value, case)


def _worth_at_most(rule: str, limit: Decimal, case: Case) -> Check:
    if case.value is None:
        return not_evaluated(rule, limit, "USD", NO_VALUE)
    why = f"{case.trade.quantity} {case.trade.symbol} at {case.limit_price} is worth {case.value:.2f} USD"
    return answer(rule, limit, f"{case.value:.2f}", "USD", passed=case.value <= limit, why=why)


def max_portfolio_change(case: Case) -> Check:
    """All discretionary orders of the run together, in % of net liquidation."""
    limit = exact(case.settings.max_portfolio_change)
    if case.trade.protective:
        return exempt("max_portfolio_change", "protective exit", "%")
    if case.value is None or case.net_liquidation <= 0:
        return not_evaluated("max_portfolio_change", limit, "%", NO_VALUE)
    change = in_percent(case.discretionary_value + case.value, case.net_liquidation)
    why = f"the orders of this run would turn over {change:.2f} % of the portfolio"
    return answer("max_portfolio_change", limit, f"{change:.2f}", "%", passed=change <= limit, why=why)


def max_position_size(case: Case) -> Check:
    """One symbol's value after the whole batch, open orders counted, in % of net liquidation."""
    if case.trade.side is Side.SELL:
        return exempt("max_position_size", "a sale", "%")
    rule = case.settings.rule_of(case.trade.symbol)
    if rule is None or case.limit_price is None or case.value is None or case.net_liquidation <= 0:
        return not_evaluated("max_position_size", "-", "%", f"no rule names {case.trade.symbol}, or {NO_VALUE}")
    limit = exact(rule.max_position_size)
    promised = sum((order.quantity - order.filled_quantity for order in case.working(Side.BUY)), ZERO)
    promised += sum(order.quantity for order in case.batched(Side.BUY))
    value = _held_value(case, case.limit_price) + promised * case.limit_price + case.value
    size = in_percent(value, case.net_liquidation)
    why = f"{case.trade.symbol} would be {size:.2f} % of the portfolio"
    return answer("max_position_size", limit, f"{size:.2f}", "%", passed=size <= limit, why=why)


def _held_value(case: Case, limit_price: Decimal) -> Decimal:
    """What is held, in USD, at the dearer of the broker's mark and the limit price."""
    if case.position is None:
        return ZERO
    return max(case.position.market_value or ZERO, case.position.quantity * limit_price)


def max_positions(case: Case) -> Check:
    """Symbols held after the batch; a sale is not counted on to free a place before it fills."""
    limit = case.settings.max_positions
    if case.trade.side is Side.SELL:
        return exempt("max_positions", "a sale", "symbols")
    held = {position.symbol for position in case.snapshot.positions if position.quantity != 0}
    batched = {order.symbol for order in case.batch if order.side is Side.BUY}
    working = {order.symbol for order in case.snapshot.open_orders if order.side is Side.BUY}
    count = len(held | batched | working | {case.trade.symbol})
    return answer("max_positions", limit, count, "symbols", passed=count <= limit, why=f"{count} symbols would be held")


def min_cash(case: Case) -> Check:
    """Cash left after every purchase, in % of net liquidation; sales count only once filled."""
    limit = exact(case.settings.min_cash)
    if case.trade.side is Side.SELL:
        return exempt("min_cash", "a sale", "%")
    if case.limit_price is None or case.value is None or case.net_liquidation <= 0:
        return not_evaluated("min_cash", limit, "%", NO_VALUE)
    spent = _cost(Decimal(case.trade.quantity), case.limit_price)
    spent += sum((_cost(Decimal(o.quantity), o.limit_price) for o in case.batch if o.side is Side.BUY), ZERO)
    for order in case.snapshot.open_orders:
        if order.side is Side.BUY and order.limit_price is None:
            return not_evaluated("min_cash", limit, "%", f"an open market order on {order.symbol} has no price")
        if order.side is Side.BUY and order.limit_price is not None:
            spent += _cost(order.quantity - order.filled_quantity, order.limit_price)
    left = in_percent(case.snapshot.summary.total_cash - spent, case.net_liquidation)
    why = f"cash would fall to {left:.2f} % of the portfolio"
    return answer("min_cash", limit, f"{left:.2f}", "%", passed=left >= limit, why=why)


def _cost(quantity: Decimal, price: Decimal) -> Decimal:
    return quantity * price + commission(quantity, price)
