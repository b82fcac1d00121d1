"""What today and the last hours forbid."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from portfolio.limits.case import Case, answer, exempt, not_evaluated, shown
from portfolio.models import Check, Side
from portfolio.percent import exact, in_percent

NEW_YORK = ZoneInfo("America/New_York")
UNRESTRICTED = -1


def max_daily_loss(case: Case) -> Check:
    """No purchases for the rest of the day once net liquidation was `max_daily_loss` % below the day's first."""
    limit, first = exact(case.settings.max_daily_loss), case.day.first_net_liquidation
    if case.trade.side is Side.SELL:
        return exempt("max_daily_loss", "a sale", "%")
    if first is None or first <= 0:
        return not_evaluated("max_daily_loss", limit, "%", "the day's first net liquidation is not known")
    lowest = case.day.lowest_net_liquidation
    loss = in_percent(first - min(case.net_liquidation, case.net_liquidation if lowest is None else lowest), first)
    why = f"the account was {shown(loss, limit)} % below its first value today; no purchases for the rest of the day"
    return answer("max_daily_loss", limit, shown(loss, limit), "%", passed=loss <= limit, why=why)


def max_orders_per_day(case: Case) -> Check:
    """Orders sent today, this batch included."""
    limit = case.settings.max_orders_per_day
    count = case.day.orders_sent + len(case.batch) + 1
    why = f"this would be order {count} of the day"
    return answer("max_orders_per_day", limit, count, "orders", passed=count <= limit, why=why)


def reversal_cooldown(case: Case) -> Check:
    """No opposite trade in the same symbol within `reversal_cooldown_hours`; protective exits are exempt."""
    hours, trade = case.settings.reversal_cooldown_hours, case.trade
    since = case.snapshot.as_of - timedelta(hours=hours)
    opposite = [past for past in case.opposite_trades() if past.traded_at > since]
    passed = trade.protective or not opposite
    actual = f"{len(opposite)} opposite"
    why = f"{trade.symbol} was traded the other way less than {hours:g} h ago"
    return answer("reversal_cooldown", f"none in {hours:g} h", actual, "", passed=passed, why=why)


def day_trades(case: Case) -> Check:
    """No trade that could become a day trade once the broker allows none; protective exits are not exempt.

    FINRA Rule 4210(f)(8)(B): buying and selling, or selling and buying, one security on one day in a margin account;
    four within five business days make a pattern day trader, whose account may be frozen. A sale and then a purchase
    count here, although they are one only if the shares are sold again. Days are those of New York.
    """
    limit, remaining = "a day trade left", case.snapshot.summary.day_trades_remaining
    if remaining is None:
        return answer("day_trades", limit, "not reported", "", passed=True, why="")
    if remaining == UNRESTRICTED:
        return answer("day_trades", limit, "unrestricted", "", passed=True, why="")
    today = case.snapshot.as_of.astimezone(NEW_YORK).date()
    past = [one for one in case.day.past_trades if one.traded_at.astimezone(NEW_YORK).date() == today]
    if not any(one.is_reversed_by(case.trade) for one in past):
        return exempt("day_trades", "not traded the other way today", "")
    left = remaining - sum(any(one.is_reversed_by(order) for one in past) for order in case.batch)
    why = f"{case.trade.symbol} was traded the other way today, and {max(left, 0)} day trades remain"
    return answer("day_trades", limit, f"{left} left", "", passed=left > 0, why=why)
