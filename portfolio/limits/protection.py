"""May this trade call itself a protective exit?

The claim comes with the plan, and it lifts three limits, so it is proven anew from the facts; where it does not hold,
the trade is refused, not taken for an ordinary one. The broker's mark and the quote may differ, as either may be old:
an exit is due only by both.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from config.settings import TradingRule
from portfolio.limits.case import Case, answer, exempt, not_evaluated, shown
from portfolio.models import Check, Position, Quote, Side
from portfolio.percent import exact, in_percent, share_of


class Gain(NamedTuple):
    """A position by its mark and by its quote, whichever is lower and higher.

    `low` is in USD a share, `least` and `most` are unrealised gains in % of average cost.
    """

    low: Decimal
    least: Decimal
    most: Decimal

    def stops(self, rule: TradingRule) -> bool:
        """Whether the rule's stop_loss is reached, by both."""
        return rule.stop_loss is not None and self.most <= exact(rule.stop_loss)

    def takes_profit(self, rule: TradingRule) -> bool:
        """Whether the rule's take_profit is reached, by both."""
        return rule.take_profit is not None and self.least >= exact(rule.take_profit)


def gain_of(position: Position, quote: Quote | None) -> Gain | None:
    """What the position has gained; by its mark alone where it is not quoted, which then cannot be sold.

    None without a mark or a cost, which are never 0 or below.
    """
    mark, cost = position.market_price, position.average_cost
    if mark is None or mark <= 0 or cost <= 0:
        return None
    quoted = quoted_price(quote) or mark
    low, high = min(mark, quoted), max(mark, quoted)
    return Gain(low, in_percent(low - cost, cost), in_percent(high - cost, cost))


def quoted_price(quote: Quote | None) -> Decimal | None:
    """The last trade, or what is bid where none is told; None where neither is a price."""
    told = (quote.last, quote.bid) if quote else ()
    return next((price for price in told if price is not None and price > 0), None)


def above_share(symbol: str, value: Decimal, rule: TradingRule, net_liquidation: Decimal) -> Decimal:
    """USD that `value` in `symbol` is above what its rule wants of it; below 0 where it is less."""
    return value - share_of(net_liquidation, rule.share_of(symbol))


def protective_exit(case: Case) -> Check:
    """A sale at or below the rule's stop_loss, or one at or above its take_profit that leaves the position its share.

    Both are in % of average cost, and reached by the broker's mark and by the quote.
    """
    if not case.trade.protective:
        return exempt("protective_exit", "not claimed", "%")
    rule = case.settings.rule_of(case.trade.symbol)
    if case.trade.side is Side.BUY or rule is None or (rule.stop_loss is None and rule.take_profit is None):
        why = f"no stop_loss or take_profit asks for this {case.trade.side} of {case.trade.symbol}"
        return answer("protective_exit", "a stop_loss or take_profit", "none", "%", passed=False, why=why)
    position = case.positions[0] if len(case.positions) == 1 else None
    gain = gain_of(position, case.quote) if position else None
    if position is None or gain is None or quoted_price(case.quote) is None:
        why = f"{case.trade.symbol} has no single position with a mark, a quote and a cost"
        return not_evaluated("protective_exit", _limits(rule), "%", why)
    if rule.take_profit is not None and gain.takes_profit(rule):
        limit = exact(rule.take_profit)
        left = (position.quantity - case.trade.quantity) * gain.low
        lack = -above_share(case.trade.symbol, left, rule, case.net_liquidation)
        why = f"it would leave {case.trade.symbol} {lack:.2f} USD below its share of {rule.name}"
        return answer("protective_exit", limit, shown(gain.least, limit), "%", passed=lack <= 0, why=why)
    if rule.stop_loss is not None and gain.stops(rule):
        limit = exact(rule.stop_loss)
        return answer("protective_exit", limit, shown(gain.most, limit), "%", passed=True, why="")
    stands = _between(gain, rule)
    why = (
        f"{case.trade.symbol} is at {stands} % of its cost by its mark and its quote, and its rule sells at "
        f"{_limits(rule)} % by both"
    )
    return answer("protective_exit", _limits(rule), stands, "%", passed=False, why=why)


def _between(gain: Gain, rule: TradingRule) -> str:
    least = shown(gain.least, exact(rule.take_profit)) if rule.take_profit is not None else f"{gain.least:.2f}"
    most = shown(gain.most, exact(rule.stop_loss)) if rule.stop_loss is not None else f"{gain.most:.2f}"
    return most if gain.least == gain.most else f"{least} to {most}"


def _limits(rule: TradingRule) -> str:
    return " or ".join(str(exact(end)) for end in (rule.stop_loss, rule.take_profit) if end is not None)
