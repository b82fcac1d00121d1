"""How large may one order, one position and the whole batch be?"""

from __future__ import annotations

from decimal import Decimal

from portfolio.costs import commission
from portfolio.exposure import ZERO, cash_change, contracts_held, free_cash, held_value
from portfolio.limits.case import NO_VALUE, Case, answer, exempt, not_evaluated, shown
from portfolio.models import Check, Side
from portfolio.percent import exact, in_percent


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
    worth = shown(case.value, limit)
    order = f"{case.trade.quantity:,} {case.trade.symbol} at {case.limit_price:,}"
    why = f"{order} is worth {Decimal(worth):,} USD, and {rule} is {limit:,f} USD"
    return answer(rule, limit, worth, "USD", passed=case.value <= limit, why=why)


def max_portfolio_change(case: Case) -> Check:
    """All discretionary orders of the run together, in % of net liquidation."""
    limit = exact(case.settings.max_portfolio_change)
    if case.trade.protective:
        return exempt("max_portfolio_change", "protective exit", "%")
    if case.value is None or case.net_liquidation <= 0:
        return not_evaluated("max_portfolio_change", limit, "%", NO_VALUE)
    change = in_percent(case.discretionary_value + case.value, case.net_liquidation)
    why = f"the orders of this run would turn over {shown(change, limit)} % of the portfolio"
    return answer("max_portfolio_change", limit, shown(change, limit), "%", passed=change <= limit, why=why)


def max_position_size(case: Case) -> Check:
    """One symbol's value after the whole batch, open orders counted, in % of net liquidation."""
    if case.trade.side is Side.SELL:
        return exempt("max_position_size", "a sale", "%")
    rule = case.settings.rule_of(case.trade.symbol)
    if rule is None or case.limit_price is None or case.value is None or case.net_liquidation <= 0:
        return not_evaluated("max_position_size", "-", "%", f"no rule names {case.trade.symbol}, or {NO_VALUE}")
    limit = exact(rule.max_position_size)
    promised = sum((o.remaining * max(o.limit_price or ZERO, case.limit_price) for o in case.working(Side.BUY)), ZERO)
    promised += sum((o.quantity * max(o.limit_price, case.limit_price) for o in case.batched(Side.BUY)), ZERO)
    value = held_value(case.trade.symbol, case.limit_price, case.snapshot) + promised + case.value
    size = in_percent(value, case.net_liquidation)
    why = f"{case.trade.symbol} would be {shown(size, limit)} % of the portfolio"
    return answer("max_position_size", limit, shown(size, limit), "%", passed=size <= limit, why=why)


def max_positions(case: Case) -> Check:
    """Symbols held after the batch; a sale is not counted on to free a place before it fills."""
    limit = case.settings.max_positions
    if case.trade.side is Side.SELL:
        return exempt("max_positions", "a sale", "symbols")
    if case.contract is None:
        return not_evaluated("max_positions", limit, "symbols", f"{case.trade.symbol} was not resolved to a contract")
    bought = {order.conid for order in (*case.batch, *case.day.unresolved) if order.side is Side.BUY}
    count = len(contracts_held(case.snapshot) | bought | {case.contract.conid})
    return answer("max_positions", limit, count, "symbols", passed=count <= limit, why=f"{count} symbols would be held")


def min_cash(case: Case) -> Check:
    """Cash left once the batch so far and this order are filled at their limits, in % of net liquidation.

    The batch sells before it buys, and before each purchase is sent `funding` asks for what the sales really brought.
    """
    limit = exact(case.settings.min_cash)
    if case.trade.side is Side.SELL:
        return exempt("min_cash", "a sale", "%")
    if case.limit_price is None or case.value is None or case.net_liquidation <= 0:
        return not_evaluated("min_cash", limit, "%", NO_VALUE)
    free = free_cash(case.snapshot, case.day.unresolved)
    if free is None:
        return not_evaluated("min_cash", limit, "%", "an open purchase or a short position has no price")
    ours, theirs = commission(Decimal(case.trade.quantity), case.limit_price), case.what_if and case.what_if.commission
    free -= case.value + max(ours, theirs or ZERO)
    free += sum((cash_change(order) for order in case.batch), ZERO)
    left = in_percent(free, case.net_liquidation)
    why = f"cash would fall to {shown(left, limit)} % of the portfolio"
    return answer("min_cash", limit, shown(left, limit), "%", passed=left >= limit, why=why)
