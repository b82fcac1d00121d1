"""What runs leave in the history is what the account did, to the cent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from config.home import Home
from graph.journal import Journal, JournalError
from graph.journal.history import Entry
from graph.record import Outcome
from portfolio.performance import Payment, PaymentKind, Trade, gain
from tests.graph.conftest import RunOnce
from tests.permits import journal_in

DAYS = [date(2026, 6, day) for day in (15, 16, 17)]


def entries(journal: Journal, account: str) -> tuple[Entry, ...]:
    return journal.history.entries(account)


async def test_runs_leave_their_trades_and_what_the_account_was_worth(run_once: RunOnce, home: Home) -> None:
    records = [await run_once(day=day) for day in DAYS]
    account = records[0].account
    assert account
    filled = [order for record in records for order in record.orders if order.filled_quantity]
    with journal_in(home.root) as journal:
        kept = [entry.event for entry in entries(journal, account)]
        assert all(isinstance(event, Trade) for event in kept)
        told = [(one.client_order_id, one.quantity, one.price) for one in kept if isinstance(one, Trade)]
        assert told == [(order.client_order_id, order.filled_quantity, order.average_price) for order in filled]
        valuations, opening = journal.history.valuations(account), journal.history.opening(account)
        latest = journal.history.latest(account)
    assert opening
    assert latest
    assert len(valuations) == 2 * len(DAYS)
    assert valuations[0].value == Decimal(50_000)
    books = opening.after(*kept)
    assert books.cash == latest.seen.cash
    assert books.value(latest.seen.prices) == latest.seen.value == latest.net_liquidation
    first_prices = {symbol: opening.held(symbol).average_cost or Decimal(0) for symbol in opening.holdings}
    assert books.commissions == sum(order.commission or 0 for order in filled)
    assert opening.value(first_prices) != latest.seen.value
    assert gain(valuations) == latest.net_liquidation - 50_000


async def test_the_gains_of_the_symbols_sum_to_the_gain_of_the_account(run_once: RunOnce, home: Home) -> None:
    records = [await run_once(day=day) for day in DAYS]
    account = records[0].account
    assert account
    with journal_in(home.root) as journal:
        opening, valuations = journal.history.opening(account), journal.history.valuations(account)
        events, latest = [entry.event for entry in entries(journal, account)], journal.history.latest(account)
    assert opening
    assert latest
    books = opening.after(*events)
    unrealised_at_first = valuations[0].value - opening.cash - sum(held.cost for held in opening.holdings.values())
    parts = books.realised_total + books.unrealised(latest.seen.prices) - unrealised_at_first + books.income
    assert parts == gain(valuations)


async def test_a_run_on_a_closed_day_and_a_run_twice_change_nothing_they_should_not(
    run_once: RunOnce, home: Home
) -> None:
    first = await run_once(day=DAYS[0])
    assert first.account
    closed = await run_once(day=date(2026, 6, 20))
    assert closed.outcome is Outcome.MARKET_CLOSED
    with journal_in(home.root) as journal:
        kept = entries(journal, first.account)
        assert len(journal.history.valuations(first.account)) == 3
        assert len(kept) == len(first.orders)


async def test_cash_that_came_is_a_deposit_until_a_person_says_otherwise(run_once: RunOnce, home: Home) -> None:
    first = await run_once(day=DAYS[0])
    assert first.account
    with journal_in(home.root) as journal:
        latest = journal.history.latest(first.account)
        assert latest
        richer = latest.seen.model_copy(update={"cash": latest.seen.cash + 2_000})
        journal.history.keep(first.account, latest.model_copy(update={"seen": richer}))
        *_, entry = entries(journal, first.account)
        assert isinstance(entry.event, Payment)
        assert (entry.event.kind, entry.confirmed) == (PaymentKind.DEPOSIT, False)
        assert journal.history.valuations(first.account)[-1].flow == 2_000
        with pytest.raises(JournalError, match=r"came, so it was no fee"):
            journal.history.confirm(entry.number, PaymentKind.FEE)
        with pytest.raises(JournalError, match="no such payment"):
            journal.history.confirm(1, PaymentKind.DIVIDEND)
        journal.history.confirm(entry.number, PaymentKind.DIVIDEND)
        assert entries(journal, first.account)[-1].confirmed
        assert journal.history.valuations(first.account)[-1].flow == 0
