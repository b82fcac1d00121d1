"""Is the quote good enough to trade on, and the limit price close enough to the market?"""

from __future__ import annotations

from math import ceil, floor

from portfolio.limits.case import Case, answer, not_evaluated, shown
from portfolio.models import Check, Feed
from portfolio.percent import exact, in_percent

# Quotes are read after the broker's clock, so a good one may be a little ahead of it.
MOST_SECONDS_AHEAD = 60


def quote_quality(case: Case) -> Check:
    """A fresh quote of this very contract with both sides, not crossed, and a spread within `max_spread` %.

    Delayed prices may be as much older as the exchange delays them, and a live account trades on none unless allowed.
    """
    quote, settings, symbol = case.quote, case.settings, case.trade.symbol
    limit = f"spread {settings.max_spread:g} %, age {settings.max_quote_age_seconds} s"
    if quote is None or quote.bid is None or quote.ask is None or quote.mid is None:
        why = f"{symbol} has no two-sided quote" if quote is None or not quote.note else f"{symbol}: {quote.note}"
        return answer("quote_quality", limit, "none", "", passed=False, why=why)
    if not 0 < quote.bid <= quote.ask or case.contract is None or quote.conid != case.contract.conid:
        actual = f"{quote.bid} / {quote.ask} of contract {quote.conid}"
        why = f"{symbol}: {actual} is crossed, not positive, or not the contract that would be traded"
        return answer("quote_quality", limit, actual, "", passed=False, why=why)
    if quote.as_of is None:
        return not_evaluated("quote_quality", limit, "", f"{symbol}: the time of the quote is not known")
    age = (case.snapshot.as_of - quote.as_of).total_seconds()
    spread, most = in_percent(quote.ask - quote.bid, quote.mid), exact(settings.max_spread)
    oldest = settings.max_quote_age_seconds + quote.age_by_nature.total_seconds()
    passed = -MOST_SECONDS_AHEAD <= age <= oldest and spread <= most
    actual = f"spread {shown(spread, most)} %, age {ceil(age) if age > -1 else floor(age)} s"
    if quote.feed not in (None, Feed.LIVE):
        actual = f"{actual}, {quote.feed} data"
        if not case.snapshot.account.is_paper and not settings.allow_delayed_data:
            why = f"{symbol}: {quote.feed} data, on which a live account does not trade (allow_delayed_data)"
            return answer("quote_quality", limit, actual, "", passed=False, why=why)
    return answer("quote_quality", limit, actual, "", passed=passed, why=f"{symbol}: {actual}")


def price_collar(case: Case) -> Check:
    """The limit price stays within `price_collar` % of the last trade."""
    limit, quote = exact(case.settings.price_collar), case.quote
    if case.limit_price is None or quote is None or quote.last is None or quote.last <= 0:
        return not_evaluated("price_collar", limit, "%", "there is no limit price or no last trade to hold it against")
    away = in_percent(abs(case.limit_price - quote.last), quote.last)
    actual = shown(away, limit)
    why = f"the limit {case.limit_price} is {actual} % from the last trade {quote.last}"
    return answer("price_collar", limit, actual, "%", passed=away <= limit, why=why)
