"""Is the quote good enough to trade on, and the limit price close enough to the market?"""

from __future__ import annotations

from portfolio.limits.case import Case, answer, not_evaluated
from portfolio.models import Check
from portfolio.percent import exact, in_percent


def quote_quality(case: Case) -> Check:
    """A fresh quote with both sides, not crossed, and a spread within `max_spread` %."""
    quote, settings = case.quote, case.settings
    limit = f"spread {settings.max_spread:g} %, age {settings.max_quote_age_seconds} s"
    if quote is None or quote.bid is None or quote.ask is None or quote.mid is None or quote.bid <= 0:
        why = f"{case.trade.symbol} has no two-sided quote"
        return answer("quote_quality", limit, "none", "", passed=False, why=why)
    if quote.as_of is None:
        return not_evaluated("quote_quality", limit, "", f"{case.trade.symbol}: the time of the quote is not known")
    age = (case.snapshot.as_of - quote.as_of).total_seconds()
    spread = in_percent(quote.ask - quote.bid, quote.mid)
    fresh = 0 <= age <= settings.max_quote_age_seconds
    passed = fresh and quote.bid <= quote.ask and spread <= exact(settings.max_spread)
    actual = f"spread {spread:.2f} %, age {age:.0f} s"
    return answer("quote_quality", limit, actual, "", passed=passed, why=f"{case.trade.symbol}: {actual}")


def price_collar(case: Case) -> Check:
    """The limit price stays within `price_collar` % of the last trade."""
    limit, quote = exact(case.settings.price_collar), case.quote
    if case.limit_price is None or quote is None or not quote.last:
        return not_evaluated("price_collar", limit, "%", "there is no limit price or no last trade to hold it against")
    away = in_percent(abs(case.limit_price - quote.last), quote.last)
    why = f"the limit {case.limit_price} is {away:.2f} % from the last trade {quote.last}"
    return answer("price_collar", limit, f"{away:.2f}", "%", passed=away <= limit, why=why)
