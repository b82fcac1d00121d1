"""SENSE: read the account and its market, settle what earlier runs left open, and say whether the data can be trusted.

Reads that do not depend on each other go out together. A symbol without a contract or a quote costs that symbol; a
fact the whole run stands on, missing or contradictory, makes the data unfit and the run trades nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from langgraph.runtime import Runtime

from brokers.errors import Retryable, Terminal
from config.settings import Settings
from graph.events import Progress
from graph.history import keep_look
from graph.journal import Journal, JournalledOrder, trading_day
from graph.reconcile import close_earlier_plans, settle_earlier_orders
from graph.state import Context, State
from portfolio.limits.standing import Standing, standing_of
from portfolio.models import (
    Account,
    AccountSummary,
    BrokerOrder,
    Contract,
    DataCheck,
    Feed,
    PortfolioSnapshot,
    Position,
    Quote,
    Session,
)
from portfolio.percent import in_percent
from tools.account import AccountReader

Listing = Awaitable[dict[str, Contract]]

# Positions and the summary are read at slightly different moments, so they may differ by a little.
MOST_GAP = Decimal(2)
# A position is marked now and then, a quote is of this moment; a tenth apart they speak of different things.
MOST_MARK_GAP = Decimal(10)
MOST_REASONS = 2
MOST_TRIED = 3
"""Symbols asked for the hours of all: one may be unknown to the broker, and three have another trouble in common."""
CLOCK_SLACK = timedelta(seconds=1)


async def sense(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    _refuse_half_a_server(context.reader)
    # What the symbols of the rules are hangs on nothing else, so it is asked for beside everything.
    listing = asyncio.create_task(context.reader.find_contracts(context.settings.symbols))
    try:
        account = await the_account(context.reader)
        context.claim(account.account_id)
        runtime.stream_writer(Progress("settling earlier orders"))
        closed = close_earlier_plans(account.account_id, state["run_id"], context)
        await settle_earlier_orders(account.account_id, context)
        runtime.stream_writer(Progress("reading the account and its market"))
        snapshot = await observe(account, context, listing)
        keep_look(snapshot, context.settings, state["run_id"], context.journal)
    finally:
        listing.cancel()
        await asyncio.gather(listing, return_exceptions=True)
    day = context.trading_day(snapshot)
    sensed: State = {
        "snapshot": snapshot,
        "unresolved": day.unresolved,
        "tightenings": day.tightenings,
        "notes": closed,
    }
    return sensed if day.halted is None else {**sensed, "halted": day.halted}


def _refuse_half_a_server(reader: AccountReader) -> None:
    """Raise `Terminal` where the server lacks tools without which no account can be read."""
    if reader.missing:
        raise Terminal(
            f"The MCP server lacks {', '.join(reader.missing)}; nothing was traded. If it has such tools under other "
            "names, say so in mcp_tool_names."
        )


async def observe(account: Account, context: Context, listing: Listing | None = None) -> PortfolioSnapshot:
    """The account and its market now, held against what the journal knows, and the day's value kept there."""
    reading = read_snapshot(account, context.reader, context.settings, listing)
    snapshot = held_to_journal(await _in_time(reading, context.settings), context.journal)
    if snapshot.fit_to_trade:
        today = trading_day(snapshot.as_of)
        context.journal.runs.see_day(account.account_id, today, snapshot.summary.net_liquidation)
    return snapshot


def held_to_journal(snapshot: PortfolioSnapshot, journal: Journal) -> PortfolioSnapshot:
    """The snapshot with what the journal's orders make of it; nothing is kept."""
    account_id, orders = snapshot.account.account_id, journal.orders
    snapshot = _clock_checked(snapshot, orders.last_sent_at(account_id), journal.history.last_look(account_id))
    shown = _fills_are_shown(snapshot, orders.filled_on(account_id, trading_day(snapshot.as_of)))
    return snapshot.model_copy(update={"data_quality": (*snapshot.data_quality, shown)})


async def _in_time(reading: Awaitable[PortfolioSnapshot], settings: Settings) -> PortfolioSnapshot:
    try:
        return await asyncio.wait_for(reading, settings.max_sense_seconds)
    except TimeoutError:
        raise Retryable(
            f"The account and its market could not be read within {settings.max_sense_seconds} s (max_sense_seconds); "
            "nothing was traded. Run again, and look why the server is slow if it stays so."
        ) from None


def _fills_are_shown(snapshot: PortfolioSnapshot, filled: Iterable[JournalledOrder]) -> DataCheck:
    """Positions that stand as they did before our last fill of today are old; trading on them would do it again."""
    late = []
    for order in {one.symbol: one for one in filled}.values():
        done = order.record.filled_quantity if order.record else 0
        terms = order.approved.terms if order.approved else None
        held = sum((row.quantity for row in snapshot.positions if terms and row.conid == terms.conid), Decimal(0))
        if done and held == order.held_before:
            late.append(f"{order.side} {done:f} {order.symbol}")
    why = (
        f"the positions do not show yet what was traded today: {', '.join(late)}" if late else "today's fills are shown"
    )
    return DataCheck(name="fills_are_shown", passed=not late, required=True, why=why)


def _clock_checked(
    snapshot: PortfolioSnapshot, last_order: datetime | None, last_look: datetime | None
) -> PortfolioSnapshot:
    """The snapshot with a word of warning where the clock stands behind what the account's earlier runs did or saw."""
    latest = snapshot.as_of + CLOCK_SLACK
    if last_order and last_order > latest:
        did, is_required = f"last sent an order at {last_order:%Y-%m-%d %H:%M:%S} UTC", not snapshot.account.is_paper
    elif last_look and last_look > latest:
        did, is_required = f"was last looked at on {last_look:%Y-%m-%d %H:%M:%S} UTC", False
    else:
        return snapshot
    why = (
        f"this account {did}, and the broker's clock now stands at {snapshot.as_of:%Y-%m-%d %H:%M:%S} UTC: one of the "
        "two is wrong, or a simulated market was set back (`smart-agent sim reset` begins a new account). Until then "
        "`smart-agent performance` leaves out what runs see, and none is told of later lessons"
    )
    warned = DataCheck(name="clock", passed=False, required=is_required, why=why)
    return snapshot.model_copy(update={"data_quality": (*snapshot.data_quality, warned)})


async def the_account(reader: AccountReader) -> Account:
    accounts = await reader.accounts()
    if len(accounts) != 1:
        named = ", ".join(account.account_id for account in accounts) or "none"
        raise Terminal(
            f"The broker shows {len(accounts)} accounts ({named}), and exactly one is expected; nothing was traded. "
            "Name one with --account (tws_account), or log in with a user who has one."
        )
    return accounts[0]


async def read_snapshot(
    account: Account, reader: AccountReader, settings: Settings, listing: Listing | None = None
) -> PortfolioSnapshot:
    """The account and the market of every symbol held or named by an enabled rule, read now.

    Open orders come first: one that fills meanwhile then counts as promised and as done, which is too careful. The
    other way round it would count as neither. `listing` are the contracts of the rules' symbols, where they are being
    read already.
    """
    # What is held is read twice: at once, to ask early what it is, and after the orders, to be believed.
    open_orders, before = await asyncio.gather(
        reader.open_orders(account.account_id), reader.positions(account.account_id)
    )
    summary, positions, listed, _, session = await asyncio.gather(
        reader.summary(account.account_id),
        reader.positions(account.account_id),
        listing or reader.find_contracts(settings.symbols),
        reader.find_contracts(symbol for symbol in _held(before) if symbol not in settings.symbols),
        trading_hours(settings.symbols, reader),
    )
    held = _held(positions)
    # Now that it is known what is held under them; those that were not found are not asked for again.
    contracts = await reader.find_contracts([*(symbol for symbol in settings.symbols if symbol in listed), *held])
    quotes = await quotes_of(contracts, reader)
    return judged(account, summary, positions, open_orders, contracts, quotes, session, settings)


def judged(
    account: Account,
    summary: AccountSummary,
    positions: tuple[Position, ...],
    open_orders: tuple[BrokerOrder, ...],
    contracts: dict[str, Contract],
    quotes: dict[str, Quote],
    session: Session,
    settings: Settings,
) -> PortfolioSnapshot:
    """What was read as one snapshot, with what it is worth."""
    symbols = list(dict.fromkeys([*settings.symbols, *_held(positions)]))
    snapshot = PortfolioSnapshot(
        account=account,
        summary=summary,
        positions=positions,
        contracts=contracts,
        quotes=quotes,
        open_orders=open_orders,
        session=session,
        data_quality=(
            _account_kind(account, settings),
            positions_add_up(summary, positions),
            _all_in_dollars(summary, positions),
            _marks_agree(positions, quotes),
            _everything_quoted(symbols, contracts, quotes, session, settings),
            _of_now(account, quotes, settings),
        ),
    )
    return snapshot.model_copy(update={"data_quality": (*snapshot.data_quality, _names_agree(snapshot))})


def _held(positions: Iterable[Position]) -> list[str]:
    return [position.symbol for position in positions if position.quantity != 0]


async def trading_hours(symbols: Sequence[str], reader: AccountReader) -> Session:
    """Regular hours; a symbol the broker does not know costs that symbol, and not the hours of all."""
    *first, last = symbols[:MOST_TRIED]
    for symbol in first:
        with suppress(Terminal):
            return await reader.session(symbol)
    return await reader.session(last)


async def quotes_of(contracts: dict[str, Contract], reader: AccountReader) -> dict[str, Quote]:
    """By symbol; one that could not be asked for bears the symbol too."""
    by_conid = await reader.quotes(contract.conid for contract in contracts.values())
    found = {symbol: by_conid[contract.conid] for symbol, contract in contracts.items() if contract.conid in by_conid}
    return {
        symbol: quote if quote.symbol else quote.model_copy(update={"symbol": contracts[symbol].symbol})
        for symbol, quote in found.items()
    }


def _account_kind(account: Account, settings: Settings) -> DataCheck:
    """A live account with paper wanted is planned for and never sent to, so here only the opposite is unfit."""
    unfit = standing_of(account, settings) is Standing.UNFIT
    wanted = "paper" if settings.paper_trading else "live"
    connected = "paper" if account.is_paper else "live"
    why = f"{account.account_id} is a {connected} account, {wanted} trading is configured"
    return DataCheck(name="account_kind", passed=not unfit, required=True, why=why)


def positions_add_up(summary: AccountSummary, positions: tuple[Position, ...]) -> DataCheck:
    unpriced = [position.symbol for position in positions if position.market_value is None and position.quantity]
    if unpriced or summary.net_liquidation <= 0:
        why = f"no market value for {', '.join(unpriced)}" if unpriced else "net liquidation is not positive"
        return DataCheck(name="positions_add_up", passed=False, required=True, why=why)
    values = [position.market_value or Decimal(0) for position in positions]
    gross, net = sum(map(abs, values), Decimal(0)), summary.total_cash + sum(values, Decimal(0))
    gaps = (abs(gross - summary.gross_position_value), abs(net - summary.net_liquidation))
    why = (
        f"positions sum to {gross:,.2f} USD and with cash to {net:,.2f} USD, the account says "
        f"{summary.gross_position_value:,.2f} USD and {summary.net_liquidation:,.2f} USD"
    )
    # Of what was read piece by piece, since a wrong total must not widen its own tolerance.
    passed = net > 0 and all(in_percent(gap, net) <= MOST_GAP for gap in gaps)
    return DataCheck(name="positions_add_up", passed=passed, required=True, why=why)


def _all_in_dollars(summary: AccountSummary, positions: tuple[Position, ...]) -> DataCheck:
    foreign = sorted({summary.currency, *(position.currency for position in positions)} - {"USD"})
    why = f"amounts in {', '.join(foreign)}" if foreign else "every amount is in USD"
    return DataCheck(name="currency", passed=not foreign, required=True, why=why)


def _marks_agree(positions: tuple[Position, ...], quotes: dict[str, Quote]) -> DataCheck:
    """Quotes against the prices the broker values the positions at: two views of one market."""
    quoted = {quote.conid: quote.last for quote in quotes.values()}
    apart = [
        f"{position.symbol} is quoted at {last or 'no price'} and valued at {mark}"
        for position in positions
        if position.quantity and (mark := position.market_price) is not None
        if not _agree(last := quoted.get(position.conid), mark)
    ]
    why = "; ".join(apart) or "quotes and positions agree"
    return DataCheck(name="marks_agree", passed=not apart, required=True, why=why)


def _agree(last: Decimal | None, mark: Decimal) -> bool:
    """A mark is a price, so it is above 0; without a last trade there is nothing else to hold it against."""
    return mark > 0 and (not last or in_percent(abs(last - mark), mark) <= MOST_MARK_GAP)


def _names_agree(snapshot: PortfolioSnapshot) -> DataCheck:
    """A contract of two tickers costs that symbol; where shares of it are held, nobody can tell what is held at all."""
    named = {symbol: other for symbol in snapshot.contracts if (other := snapshot.other_name_of(symbol))}
    held = any(snapshot.positions_in(symbol) for symbol in named)
    twice = [f"the contract of {symbol} is called {other} where it is quoted" for symbol, other in named.items()]
    why = f"{', '.join(twice)}: not traded" if twice else "each contract has one name"
    return DataCheck(name="names_agree", passed=not twice, required=held, why=why)


def _of_now(account: Account, quotes: dict[str, Quote], settings: Settings) -> DataCheck:
    """Delayed prices are used with a paper account, and with a live one only where that is allowed."""
    late = sorted(symbol for symbol, quote in quotes.items() if quote.feed not in (None, Feed.LIVE))
    if not late:
        return DataCheck(name="market_data", passed=True, required=False, why="prices are of now")
    which = "all prices are" if len(late) == len(quotes) else f"prices of {', '.join(late)} are"
    is_used = account.is_paper or settings.allow_delayed_data
    so = "used all the same" if is_used else "not traded on with a live account (allow_delayed_data)"
    why = f"{which} delayed, by 15 to 20 minutes as a rule; {so}"
    return DataCheck(name="market_data", passed=False, required=not is_used and len(late) == len(quotes), why=why)


def _everything_quoted(
    symbols: list[str], contracts: dict[str, Contract], quotes: dict[str, Quote], session: Session, settings: Settings
) -> DataCheck:
    """A symbol without a quote costs that symbol; where none at all has one of now, there is no market to act on."""
    missing = [symbol for symbol in symbols if symbol not in quotes or quotes[symbol].note]
    notes = dict.fromkeys(quote.note for quote in quotes.values() if quote.note)
    reasons = "".join(f"; {note}" for note in [*notes][:MOST_REASONS])
    oldest = session.now - timedelta(seconds=settings.max_quote_age_seconds)
    if session.is_open and not any(
        quote.as_of and quote.as_of + quote.age_by_nature >= oldest for quote in quotes.values()
    ):
        count, silent = len(symbols) - len(contracts), 0 if notes else len(missing)
        lacks = {"have no contract of exactly that name": count, "no quote": silent}
        lacking = ", ".join(f"{number} {words}" for words, number in lacks.items() if number)
        unknown = f" ({lacking})" if lacking else ""
        latest = f"a quote of the last {settings.max_quote_age_seconds} s"
        why = f"none of {len(symbols)} symbols has {latest}{unknown}{reasons}"
        return DataCheck(name="quotes", passed=False, required=True, why=why)
    why = (
        f"no quote for {', '.join(missing)}: not traded{reasons}"
        if missing
        else f"{len(symbols)} of {len(symbols)} symbols"
    )
    return DataCheck(name="quotes", passed=not missing, required=False, why=why)
