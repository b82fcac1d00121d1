"""What runs leave in the history is what the account did, to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from config.home import Home
from graph.journal import JournalError
from graph.journal.history import Period
from graph.record import Outcome
from portfolio.performance import Payment, PaymentKind, Trade, gain
from portfolio.performance.report import Report, report_of
from tests.graph.conftest import RunOnce, settings_with
from tests.permits import journal_in

MIDNIGHT = datetime(2026, 6, 16, tzinfo=UTC)
DAYS = [date(2026, 6, day) for day in (15, 16, 17)]
SATURDAY = date(2026, 6, 20)


async def test_runs_leave_their_trades_and_what_the_account_was_worth(run_once: RunOnce, home: Home) -> None:
    records = [await run_once(day=day) for day in DAYS]
    account = records[0].account
    assert account
    filled = [order for record in records for order in record.orders if order.filled_quantity]
    with journal_in(home.root) as journal:
        assert journal.history.accounts() == (account,)
        period = journal.history.period(account)
    assert period
    kept = [entry.event for entry in period.entries]
    told = [(one.client_order_id, one.quantity, one.price) for one in kept if isinstance(one, Trade)]
    assert told == [(order.client_order_id, order.filled_quantity, order.average_price) for order in filled]
    assert len(kept) == len(told)
    assert len(period.valuations) == 2 * len(DAYS)
    assert period.valuations[0].value == Decimal(50_000)
    books, latest = period.books.after(*kept), period.last
    assert books.cash == latest.seen.cash
    assert books.value(latest.seen.prices) == latest.seen.value == latest.net_liquidation
    assert books.commissions == sum(order.commission or 0 for order in filled)
    assert gain(period.valuations) == latest.net_liquidation - 50_000


async def test_a_look_keeps_every_price_every_target_and_where_the_buckets_stood(run_once: RunOnce, home: Home) -> None:
    record = await run_once(day=DAYS[0])
    settings = settings_with()
    with journal_in(home.root) as journal:
        period = journal.history.period(record.account or "")
        ends = journal.orders.ends(record.account or "", 1)
        later = journal.orders.ends(record.account or "", 2)
        decisions, _ = journal.decisions.since(record.account or "", 1)
        decided_later, _ = journal.decisions.since(record.account or "", 2)
    assert period
    before, after = period.buckets
    first, last = period.marked
    assert set(first.prices) == set(settings.symbols) == set(first.targets)
    assert sum(first.targets.values()) == pytest.approx(100)
    assert record.snapshot
    assert {name: stand.drift for name, stand in before.items()} == pytest.approx(
        {bucket.name: bucket.drift for bucket in record.snapshot.drift.buckets}
    )
    assert record.reflection
    assert {name: round(stand.drift, 2) for name, stand in after.items()} == record.reflection.drift_after
    assert period.last.seen.prices.items() <= last.prices.items()
    assert (ends.filled, ends.sent, ends.not_sent) == (len(record.orders), len(record.orders), 0)
    assert len(decisions) == len(record.orders)
    assert (later.sent, decided_later) == (0, ())


def report(period: Period) -> Report:
    events = [entry.event for entry in period.entries]
    return report_of(period.books, period.first.seen.prices, events, period.valuations, period.last.seen.prices)


@pytest.mark.parametrize(
    "since",
    [datetime(2026, 6, 16, 23, tzinfo=UTC), *(pytest.param(one, marks=pytest.mark.slow) for one in (None, MIDNIGHT))],
)
async def test_the_gains_of_the_symbols_sum_to_the_gain_of_the_account(
    run_once: RunOnce, home: Home, since: datetime | None
) -> None:
    records = [await run_once(day=day) for day in DAYS]
    account = records[0].account or ""
    with journal_in(home.root) as journal:
        period = journal.history.period(account, since)
    assert period
    told = report(period)
    assert told.since == period.first.seen.at
    assert since is None or told.since <= since
    assert told.gained == told.ended_with - told.began_with - told.paid_in
    assert sum(line.gained or 0 for line in told.lines) + told.income == told.gained
    assert told.realised == sum(line.realised for line in told.lines)


async def test_a_run_on_a_closed_day_looks_and_changes_nothing(run_once: RunOnce, home: Home) -> None:
    first = await run_once(day=DAYS[0])
    assert first.account
    closed = await run_once(day=SATURDAY)
    assert closed.outcome is Outcome.MARKET_CLOSED
    with journal_in(home.root) as journal:
        assert len(journal.history.valuations(first.account)) == 3
        assert len(journal.history.entries(first.account)) == len(first.orders)


async def test_a_look_that_is_older_than_the_last_is_left_out_and_warned_of(run_once: RunOnce, home: Home) -> None:
    """A simulated market that was set back knows nothing of what happened later, were it a look on a closed day."""
    later = await run_once(day=SATURDAY)
    earlier = await run_once(day=DAYS[0])
    assert earlier.snapshot is not None
    (warned,) = (check for check in earlier.snapshot.data_quality if check.name == "clock")
    assert not warned.passed
    assert "`smart-agent performance` leaves out what runs see" in warned.why
    with journal_in(home.root) as journal:
        assert {one.at.date() for one in journal.history.valuations(later.account or "")} == {SATURDAY}


async def test_cash_that_came_is_a_deposit_until_a_person_says_otherwise(run_once: RunOnce, home: Home) -> None:
    account = (await run_once(day=DAYS[0])).account or ""
    with journal_in(home.root) as journal:
        history = journal.history
        period = history.period(account)
        assert period
        richer = period.last.seen.model_copy(update={"cash": period.last.seen.cash + 2_000})
        history.keep(account, period.last.model_copy(update={"seen": richer}))
        *_, entry = history.entries(account)
        assert isinstance(entry.event, Payment)
        assert (entry.event.kind, entry.confirmed) == (PaymentKind.DEPOSIT, False)
        assert history.valuations(account)[-1].flow == 2_000
        with pytest.raises(JournalError, match=r"came, so it was no fee"):
            history.confirm(entry.number, PaymentKind.FEE)
        with pytest.raises(JournalError, match="no such payment"):
            history.confirm(1, PaymentKind.DIVIDEND)
        history.confirm(entry.number, PaymentKind.DIVIDEND)
        assert history.entries(account)[-1].confirmed
        assert history.valuations(account)[-1].flow == 0
