"""Whether the broker is there, which account it shows, and whether a run could trade on what it tells."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime

from brokers.errors import BrokerError, Retryable
from brokers.session import ExchangeCalendar
from brokers.simulated import MarketError
from cli.checkup.finding import Finding, bad, good, note
from cli.exit_codes import ExitCode
from cli.run_command import RunCommand
from cli.wiring import Start, Timing, open_context
from config.home import Home
from config.settings import Settings
from graph.sense import read_snapshot, the_account
from graph.state import Context
from portfolio.drift import drift_table
from portfolio.limits import TradingDay
from portfolio.limits.preview import whatif
from portfolio.limits.standing import Standing, standing_of
from portfolio.models import Check, OrderTerms, PortfolioSnapshot, Side
from portfolio.rebalance.market import one_share, open_market
from tools.fingerprint import Trait, lacks, of_the_preview, of_the_reading, silences
from tools.wire.foreign_text import one_line

MOST_SKEW = 60
"""Seconds between two clocks that could be the same."""
MOST_LISTED = 4


async def of_the_broker(settings: Settings, home: Home, command: RunCommand, timing: Timing) -> AsyncIterator[Finding]:
    """Whether it is there, which account it shows, and whether a run could trade on what it tells."""
    where = settings.mcp_url or settings.broker
    todo = "`docs/interactive-brokers.md` has every message with its cure"
    began = time.perf_counter()
    try:
        async with AsyncExitStack() as stack:
            # A journal of its own, in memory: looking leaves no trace.
            start = Start(command=command, journal="sqlite://", timing=timing)
            context = await stack.enter_async_context(open_context(settings, home, start))
            if context.reader.missing:
                missing = ", ".join(context.reader.missing)
                todo = "Use a server that has them, or name them in mcp_tool_names"
                yield bad("broker", f"{where} lacks {missing}", todo, ExitCode.DATA_UNFIT)
                return
            account = await the_account(context.reader)
            yield good("broker", f"{where} answers, in {time.perf_counter() - began:.1f} s")
            yield _of_the_account(account.account_id, standing_of(account, settings), settings)
            for trait in lacks(context.reader, keeps_order_ids=context.desk.keeps_order_ids):
                yield _of_the_server(trait)
            for trait in await silences(context.reader, account.account_id):
                yield _of_the_server(trait)
            snapshot = await read_snapshot(account, context.reader, settings)
            async for finding in _of_the_data(snapshot, context):
                yield finding
    except MarketError as error:
        yield bad("broker", str(error), "Take another day", ExitCode.BAD_USAGE)
    except BrokerError as error:
        code = ExitCode.UNREACHABLE if isinstance(error, Retryable) else ExitCode.DATA_UNFIT
        yield bad("broker", one_line(str(error)), todo, code)


def _of_the_account(account_id: str, standing: Standing, settings: Settings) -> Finding:
    wanted = "paper" if settings.paper_trading else "live"
    found = f"{account_id}, and {wanted} trading is configured"
    match standing:
        case Standing.TRADES:
            return good("account", found)
        case Standing.LOOKS_ON:
            todo = "A run plans and sends nothing; log in to the paper account, or see docs/safety.md on live trading"
            return bad("account", f"{found}: it would not be traded", todo, ExitCode.DATA_UNFIT)
        case Standing.UNFIT:
            return bad("account", found, "Log in to the live account, or leave out --live-trading", ExitCode.DATA_UNFIT)


async def _of_the_data(snapshot: PortfolioSnapshot, context: Context) -> AsyncIterator[Finding]:
    for finding in (*_of_the_checks(snapshot), _of_the_hours(snapshot), _of_the_clock(snapshot.session.now, context)):
        yield finding
    for trait in of_the_reading(snapshot):
        yield _of_the_server(trait)
    if not snapshot.session.is_open:
        return  # quotes are old then, and nothing could be said of them
    for finding in _of_the_symbols(snapshot, context.settings):
        yield finding
    previewed = await _preview(snapshot, context)
    yield _of_the_preview(previewed)
    for trait in of_the_preview(previewed):
        yield _of_the_server(trait)


def _of_the_checks(snapshot: PortfolioSnapshot) -> Iterator[Finding]:
    for check in snapshot.data_quality:
        name = check.name.replace("_", " ")
        if check.name == "account_kind":
            continue  # a row of its own says more
        if check.passed:
            yield good(name, check.why)
        elif check.required:
            todo = "Nothing is traded on such data; look at the broker's own screens"
            yield bad(name, check.why, todo, ExitCode.DATA_UNFIT)
        else:
            yield note(name, check.why)


def _of_the_symbols(snapshot: PortfolioSnapshot, settings: Settings) -> Iterator[Finding]:
    buckets = drift_table(snapshot, settings).buckets
    market = open_market(snapshot, settings, _first_look(snapshot), buckets, frozenset())
    if not market.tradable:
        why = one_line(market.frozen[0]) if market.frozen else "the rules name none"
        yield bad("symbols", f"none could be traded: {why}", "Look at market data and rules", ExitCode.DATA_UNFIT)
        return
    yield good("symbols", f"{len(market.tradable)} of {len(settings.symbols)} could be traded")
    for sentence in market.frozen[:MOST_LISTED]:
        yield note("symbols", one_line(sentence))


def _of_the_preview(previewed: Check | None) -> Finding:
    if previewed is None:
        return note("what-if", "there is no symbol to ask about")
    if previewed.passed:
        return good("what-if", f"{previewed.actual} {previewed.unit} for one share")
    return bad("what-if", previewed.why, "No order passes the guard without one", ExitCode.DATA_UNFIT)


def _of_the_server(trait: Trait) -> Finding:
    return note("server fault" if trait.is_fault else "server", trait.what, trait.so)


def _first_look(snapshot: PortfolioSnapshot) -> TradingDay:
    """A day on which nothing was done yet; what the journal knows of today is not asked here."""
    return TradingDay(first_net_liquidation=snapshot.summary.net_liquidation, orders_sent=0, past_trades=())


def _of_the_hours(snapshot: PortfolioSnapshot) -> Finding:
    session = snapshot.session
    known = ExchangeCalendar().session_at(session.now)
    if (known.opens_at, known.closes_at) != (session.opens_at, session.closes_at):
        theirs = f"{session.opens_at:%Y-%m-%d %H:%M} to {session.closes_at:%H:%M} UTC"
        ours = f"{known.opens_at:%Y-%m-%d %H:%M} to {known.closes_at:%H:%M} UTC"
        return note("trading hours", f"the broker says {theirs}, the exchange calendar {ours}", "The broker's are used")
    if session.is_open:
        return good("trading hours", f"open until {session.closes_at:%H:%M} UTC, as the exchange calendar has it")
    found = f"closed until {session.opens_at:%a %Y-%m-%d %H:%M} UTC"
    return bad("trading hours", found, "Nothing is wrong; a run before that sends nothing", ExitCode.DATA_UNFIT)


def _of_the_clock(now: datetime, context: Context) -> Finding:
    skew = (now - context.clock()).total_seconds()
    if abs(skew) <= MOST_SKEW:
        return good("clock", f"{abs(skew):.0f} s from the broker's")
    if context.alone:
        return note("clock", f"the simulated market is at {now:%Y-%m-%d %H:%M} UTC", "")
    return note(
        "clock", f"{abs(skew):,.0f} s from the broker's", "Set this machine's clock; quotes are judged by their age"
    )


async def _preview(snapshot: PortfolioSnapshot, context: Context) -> Check | None:
    """What the guard makes of the broker's what-if of one share of a symbol that could be bought."""
    for symbol in context.settings.symbols:
        case = one_share(symbol, Side.BUY, snapshot, context.settings, _first_look(snapshot))
        contract = snapshot.contracts.get(symbol)
        if case.limit_price is None or contract is None:
            continue
        terms = OrderTerms(
            client_order_id="doctor",
            account_id=snapshot.account.account_id,
            conid=contract.conid,
            symbol=symbol,
            side=Side.BUY,
            quantity=1,
            limit_price=case.limit_price,
        )
        # One share may cost more than a small commission allows; that is no fault of anybody's.
        lenient = context.settings.model_copy(update={"max_commission": 100.0})
        return whatif(replace(case, settings=lenient, what_if=await context.reader.what_if(terms)))
    return None
