"""What could be traded now by the guard's own rules, when the market is open, and whose clock is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from brokers.session import ExchangeCalendar
from cli.checkup.account import checks_of
from cli.checkup.finding import Finding, Mark, bad, doubt, good, note
from cli.checkup.readings import Readings
from config.settings import Settings
from portfolio.limits import TradingDay
from portfolio.limits.eligibility import contract_resolved, no_open_order, no_unresolved_order
from portfolio.limits.prices import price_collar, quote_quality
from portfolio.models import PortfolioSnapshot, Session, Side
from portfolio.rebalance.market import one_share
from tools.wire.foreign_text import one_line

NEW_YORK = ZoneInfo("America/New_York")
MOST_SKEW = 60
"""Seconds between two clocks that could be the same."""
MOST_LISTED, MOST_REASONS = 4, 4
OF_A_SYMBOL = (contract_resolved, no_open_order, no_unresolved_order)
OF_ITS_QUOTE = (quote_quality, price_collar)
UNPRICED = "it has no quote"
RESOLVE = "The next run looks for such an order; what it cannot tell, `smart-agent orders resolve` settles"
SUBSCRIPTION = "Look at the symbols in the rules, and at the account's market data subscriptions"


def of_the_symbols(
    readings: Readings, snapshot: PortfolioSnapshot | None, settings: Settings, day: TradingDay | None
) -> Iterator[Finding]:
    """What the guard would say of one share of each; raises the `BrokerError` of what could not be read."""
    refused = _refused(snapshot, settings, day) if snapshot and day else _lacking(readings, settings)
    count, is_open = len(settings.symbols), snapshot is not None and snapshot.session.is_open
    can = "can be traded" if is_open else "have a contract and a price"
    checks = checks_of(snapshot, ("quotes", "market_data", "names_agree")) if snapshot else []
    unfit = [check.why for check in checks if check.required and not check.passed]
    is_told = any(quote.note for quote in (readings.quotes.answer or {}).values())
    is_blocked = any("earlier order" in why for why in refused.values())
    todo = "" if is_told else RESOLVE if is_blocked else SUBSCRIPTION
    if unfit or len(refused) == count:
        words = unfit or [f"none of {count} symbols {can}", *_grouped(refused)]
        yield bad("market data", "\n".join(map(one_line, words)), todo)
    elif refused:
        words = [f"{count - len(refused)} of {count} symbols {can}", *_grouped(refused)]
        yield doubt("market data", "\n".join(words), f"Those are not traded. {todo}".rstrip())
    else:
        unknown = "how fresh it is shows while the market is open" if snapshot else "the guard could not be asked"
        yield good("market data", f"all {count} symbols of the rules {can}{'' if is_open else f'; {unknown}'}")
    for check in checks:
        if check.name == "market_data" and not check.passed and not check.required:
            yield note("market data", check.why)


def _refused(snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay) -> dict[str, str]:
    """By symbol why the guard would refuse the smallest purchase; while the market is closed prices may be old."""
    rules = (*OF_A_SYMBOL, *(OF_ITS_QUOTE if snapshot.session.is_open else ()))
    refused = {}
    for symbol in settings.symbols:
        case = one_share(symbol, Side.BUY, snapshot, settings, day)
        failed = (check.why for rule in rules if (check := rule(case)).passed is not True)
        why = next(failed, None) or (UNPRICED if case.quote is None or case.quote.last is None else None)
        if why:
            refused[symbol] = why
    return refused


def _lacking(readings: Readings, settings: Settings) -> dict[str, str]:
    contracts, quotes = readings.contracts.get(), readings.quotes.get()
    refused = {symbol: UNPRICED for symbol in settings.symbols if symbol not in quotes or quotes[symbol].note}
    return refused | {symbol: "it has no contract" for symbol in settings.symbols if symbol not in contracts}


def _grouped(refused: dict[str, str]) -> Iterable[str]:
    """One line for each reason, with the symbols it holds for."""
    symbols = defaultdict(list)
    for symbol, why in refused.items():
        symbols[why.removeprefix(symbol).lstrip(": ")].append(symbol)
    for why, named in list(symbols.items())[:MOST_REASONS]:
        more = f" and {len(named) - MOST_LISTED} more" if len(named) > MOST_LISTED else ""
        yield f"{', '.join(named[:MOST_LISTED])}{more}: {one_line(why, 160)}"
    if len(symbols) > MOST_REASONS:
        yield f"and {len(symbols) - MOST_REASONS} more reasons"


def of_the_hours(session: Session, *, is_told: bool) -> Finding:
    """The broker's hours against the exchange calendar, which stands in where the server does not tell them."""
    known = ExchangeCalendar().session_at(session.now)
    words = f"open until {_shown(session.closes_at)}"
    if not session.is_open:
        words = f"closed until {_shown(session.opens_at)}"
    if is_told and (known.is_open, known.opens_at, known.closes_at) != (
        session.is_open, session.opens_at, session.closes_at,
    ):  # fmt: skip
        hours = f"{_shown(known.opens_at)} to {_shown(known.closes_at)}"
        todo = "The broker's hours count; a special session, or one of the two is wrong"
        return Finding(
            "trading hours", Mark.DOUBT, f"{words} by the broker, and {hours} in the calendar", todo,
            waits=not session.is_open,
        )  # fmt: skip
    whose = "by broker and calendar" if is_told else "by the exchange calendar; the server does not tell"
    return Finding(
        "trading hours", Mark.GOOD if session.is_open else Mark.NOTE, f"{words} {whose}", waits=not session.is_open
    )


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%a %Y-%m-%d %H:%M} New York"


def _span(seconds: float) -> str:
    """In the largest unit of which it is at least two."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def of_the_clock(readings: Readings, snapshot: PortfolioSnapshot | None, *, is_own: bool, is_told: bool) -> Finding:
    """Our clock against the broker's; a simulated market in this process keeps its own, which is no fault."""
    now, skew = readings.session.get().now, (readings.session.get().now - readings.met_at).total_seconds()
    back = [check.why for check in (checks_of(snapshot, ("clock",)) if snapshot else []) if not check.passed]
    if back:
        anew = "Take a later --as-of, or `smart-agent sim reset`"
        return doubt("clock", back[0], anew if is_own else "Look at the broker's clock, and at this machine's")
    if not is_told:
        return note("clock", f"{_shown(now)} by this machine; the server does not tell its time")
    if is_own:
        return note("clock", f"the simulated market stands at {_shown(now)}")
    if abs(skew) <= MOST_SKEW + readings.slack.total_seconds():
        return good("clock", f"within {max(abs(skew), 1):.0f} s of the broker's")
    behind = "behind" if skew > 0 else "ahead of"
    todo = "Set this machine's clock, if it is the one that is wrong; a simulated market keeps a time of its own"
    return doubt("clock", f"{_span(abs(skew))} {behind} the broker's, which shows {_shown(now)}", todo)
