"""A run that waits for a person: asked, answered in another process, too late, in part, or never."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.errors import Unreachable
from brokers.protocol import Broker, OrderRequest
from cli.wiring import Start
from config.home import Home
from graph.failure import AccountBusy
from graph.journal import Answer, Closing, Halted, OrderState
from graph.record import Approval, Outcome, RunRecord
from graph.runner import NotWaiting
from portfolio.models import Account, AccountSummary, BrokerOrder, Contract, OrderStatus, Position, Quote, Side, WhatIf
from tests.graph.conftest import TRADING_DAY, Faulty, RunOnce, drain, hurried, opened, settings_with
from tests.permits import journal_in
from tests.simulators.delegating_broker import DelegatingBroker

YES = Approval(granted=True, why="a test")


async def answered(
    home: Home,
    run_id: str,
    answer: Approval = YES,
    *,
    later: timedelta = timedelta(0),
    faulty: Faulty | None = None,
    **changes: object,
) -> RunRecord:
    """What becomes of a waiting run that another process answers `later`."""
    settings = settings_with(**{"require_approval": "always", **changes})
    async with opened(home, settings, TRADING_DAY, faulty, Start(run_id=run_id, timing=hurried())) as run:
        run.context = replace(run.context, clock=lambda: datetime.now(UTC) + later)
        await drain(run.resume(answer))
        return await run.record()


async def waiting(run_once: RunOnce, **changes: object) -> RunRecord:
    record = await run_once(**{"require_approval": "always", **changes})
    assert record.outcome is Outcome.WAITING_FOR_APPROVAL
    assert record.orders == ()
    return record


async def test_a_run_approved_by_another_process_sends_what_it_asked_about(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once)
    record = await answered(home, asked.run_id)
    assert record.outcome is Outcome.TRADED
    assert record.plan == asked.plan
    assert {order.status for order in record.orders} == {OrderStatus.FILLED}
    with journal_in(home.root) as journal:
        assert journal.questions.closing_of(asked.run_id) == Closing(answer=Answer.APPROVED, why="a test")


async def test_a_rejected_run_sends_nothing_and_keeps_the_reason(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once)
    record = await answered(home, asked.run_id, Approval(granted=False, why="not before the elections"))
    assert record.outcome is Outcome.DECLINED
    assert "not before the elections" in record.message
    assert record.reflection is not None
    with journal_in(home.root) as journal:
        orders = journal.orders.of_run(asked.run_id)
        assert {order.state for order in orders} == {OrderState.CANCELLED}
        assert "not before the elections" in journal.orders.changes(orders[0].client_order_id)[-1].why


async def test_only_the_symbols_a_person_names_are_traded(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once)
    assert asked.plan is not None
    wanted = asked.plan.trades[0].symbol
    record = await answered(home, asked.run_id, Approval(granted=True, why="a test", only=(wanted.lower(),)))
    assert [order.symbol for order in record.orders] == [wanted]
    assert record.outcome is Outcome.TRADED


async def test_an_answer_counts_once(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once)
    await answered(home, asked.run_id)
    with pytest.raises(NotWaiting, match="its question is closed: approved"):
        await answered(home, asked.run_id)


async def test_an_approval_that_comes_too_late_sends_nothing(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once, approval_expires_hours=0.5)
    record = await answered(home, asked.run_id, later=timedelta(minutes=31))
    assert record.outcome is Outcome.EXPIRED
    assert record.orders == ()
    with pytest.raises(NotWaiting, match="its question is closed: expired"):
        await answered(home, asked.run_id)


async def test_an_approval_never_holds_past_the_session(run_once: RunOnce, home: Home) -> None:
    """The simulated clock stands five minutes before the close."""
    asked = await waiting(run_once, approval_expires_hours=24)
    with journal_in(home.root) as journal:
        (question,) = journal.questions.open()
        assert question.to_close
    record = await answered(home, asked.run_id, later=timedelta(minutes=6))
    assert record.outcome is Outcome.EXPIRED


async def test_a_later_run_takes_the_place_of_one_that_waits(run_once: RunOnce, home: Home) -> None:
    """Both together could do everything twice."""
    asked = await waiting(run_once)
    later = await run_once(require_approval="never")
    assert later.notes == (f"The question of run {asked.run_id} is closed, as this run plans anew.",)
    assert later.outcome is Outcome.TRADED
    with pytest.raises(NotWaiting, match=f"superseded by run {later.run_id}"):
        await answered(home, asked.run_id)
    with journal_in(home.root) as journal:
        assert {order.state for order in journal.orders.of_run(asked.run_id)} == {OrderState.CANCELLED}


async def test_a_run_that_asked_nothing_cannot_be_approved(run_once: RunOnce, home: Home) -> None:
    done = await run_once()
    with pytest.raises(NotWaiting, match="it asked for no approval"):
        await answered(home, done.run_id)


class MovedAway(DelegatingBroker):
    """While the person thought it over the market went up by 3 %."""

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        return [self._moved(quote) for quote in await super().quotes(conids)]

    def _moved(self, quote: Quote) -> Quote:
        prices = {name: getattr(quote, name) for name in ("bid", "ask", "last")}
        up = {name: (price * Decimal("1.03")).quantize(Decimal("0.01")) for name, price in prices.items() if price}
        return quote.model_copy(update=up)


async def test_prices_are_looked_at_again_and_nothing_is_sent_far_from_what_was_shown(
    run_once: RunOnce, home: Home
) -> None:
    """Neither the purchases that became dearer nor the sales that would bring more than anybody was told."""
    asked = await waiting(run_once)
    record = await answered(home, asked.run_id, faulty=MovedAway)
    assert {verdict.side for verdict in record.verdicts} == set(Side)
    assert all("as_approved" in {check.rule for check in verdict.failures} for verdict in record.verdicts)
    assert record.orders == ()


class AnotherListing(DelegatingBroker):
    """Every quote and contract is of the same tickers, under other conids than before."""

    AWAY = 1_000_000_000

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        contract = await super().find_contract(symbol, sec_type)
        return contract.model_copy(update={"conid": contract.conid + self.AWAY})

    async def positions(self, account_id: str) -> list[Position]:
        held = await super().positions(account_id)
        return [position.model_copy(update={"conid": position.conid + self.AWAY}) for position in held]

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        found = await super().quotes([conid - self.AWAY for conid in conids])
        return [quote.model_copy(update={"conid": quote.conid + self.AWAY}) for quote in found]

    async def what_if(self, order: OrderRequest) -> WhatIf:
        return await super().what_if(order.model_copy(update={"conid": order.conid - self.AWAY}))


async def test_an_approval_is_of_the_contract_that_was_shown(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once)
    record = await answered(home, asked.run_id, faulty=AnotherListing)
    assert record.verdicts
    assert {check.rule for verdict in record.verdicts for check in verdict.failures} == {"as_approved"}
    assert record.orders == ()


class Warns(DelegatingBroker):
    text = "399: your order will be held until tomorrow"
    placed = 0

    async def what_if(self, order: OrderRequest) -> WhatIf:
        return (await super().what_if(order)).model_copy(update={"warning": self.text})

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.placed += 1
        return await super().place(order)


class WarnsOtherwise(Warns):
    text = "201: and now for something completely different"


async def test_a_warning_waits_for_a_person_even_where_nobody_is_to_be_asked(run_once: RunOnce, home: Home) -> None:
    brokers: list[Warns] = []

    def warning(inner: Broker) -> Warns:
        brokers.append(Warns(inner))
        return brokers[-1]

    asked = await waiting(run_once, require_approval="never", faulty=warning)
    assert brokers[0].placed == 0
    with journal_in(home.root) as journal:
        (question,) = journal.questions.open()
        assert question.why == "the broker warns"
        assert all(Warns.text in text for text in question.warnings)
        assert len(question.warnings) == len(question.orders)
    record = await answered(home, asked.run_id, faulty=Warns, require_approval="never")
    assert record.outcome is Outcome.TRADED


async def test_a_warning_that_nobody_has_seen_is_not_covered_by_the_approval(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once, require_approval="never", faulty=Warns)
    record = await answered(home, asked.run_id, faulty=WarnsOtherwise)
    assert record.outcome is Outcome.NOTHING_APPROVED
    assert record.orders == ()


class WarnsAtLength(Warns):
    text = "399: " + "this order will be held until the open " * 9 + "A harmless note."


class WarnsOtherwiseAtLength(Warns):
    text = "399: " + "this order will be held until the open " * 9 + "YOUR ACCOUNT WILL BE LIQUIDATED."


async def test_a_long_warning_is_not_covered_by_the_approval_of_one_that_begins_alike(
    run_once: RunOnce, home: Home
) -> None:
    asked = await waiting(run_once, require_approval="never", faulty=WarnsAtLength)
    record = await answered(home, asked.run_id, faulty=WarnsOtherwiseAtLength)
    assert record.outcome is Outcome.NOTHING_APPROVED
    assert record.orders == ()


async def test_the_same_long_warning_stays_approved(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once, require_approval="never", faulty=WarnsAtLength)
    assert (await answered(home, asked.run_id, faulty=WarnsAtLength)).outcome is Outcome.TRADED


@pytest.mark.parametrize(
    ("wanted", "asks"),
    [("never", False), ("live", False), ("above:50000", False), ("above:100", True), ("always", True)],
)
async def test_who_is_asked_when(run_once: RunOnce, wanted: str, *, asks: bool) -> None:
    record = await run_once(require_approval=wanted)
    assert (record.outcome is Outcome.WAITING_FOR_APPROVAL) is asks


async def test_an_approval_during_a_halt_sends_nothing_and_leaves_the_question_open(
    run_once: RunOnce, home: Home
) -> None:
    asked = await waiting(run_once)
    with journal_in(home.root) as journal:
        journal.halts.halt("a test", datetime.now(UTC))
    with pytest.raises(Halted, match="waits on; nothing was sent"):
        await answered(home, asked.run_id)
    with journal_in(home.root) as journal:
        journal.halts.resume("the test goes on", datetime.now(UTC))
    assert (await answered(home, asked.run_id)).outcome is Outcome.TRADED


async def test_an_approval_that_finds_no_broker_leaves_the_question_open(run_once: RunOnce, home: Home) -> None:
    class Down(DelegatingBroker):
        async def accounts(self) -> list[Account]:
            raise Unreachable("the gateway is not logged in")

    asked = await waiting(run_once)
    with pytest.raises(Unreachable):
        await answered(home, asked.run_id, faulty=Down)
    assert (await answered(home, asked.run_id)).outcome is Outcome.TRADED


async def test_a_rejection_needs_neither_a_broker_nor_a_market(run_once: RunOnce, home: Home) -> None:
    class Down(DelegatingBroker):
        async def summary(self, account_id: str) -> AccountSummary:  # noqa: ARG002
            raise Unreachable("the gateway is not logged in")

    asked = await waiting(run_once)
    with journal_in(home.root) as journal:
        journal.halts.halt("a test", datetime.now(UTC))
    record = await answered(home, asked.run_id, Approval(granted=False, why="no"), faulty=Down)
    assert record.outcome is Outcome.DECLINED
    assert record.reflection is not None
    told = record.reflection.lessons_learned
    assert told
    assert all(re.fullmatch(r"(BUY|SELL) \w+ was not approved: no\.", one) for one in told)


async def test_an_answer_is_to_what_was_shown_and_to_nothing_else(run_once: RunOnce, home: Home) -> None:
    """A run that died between its question and its checkpoint asks anew, and an old answer must not fit that."""
    asked = await waiting(run_once)
    with journal_in(home.root) as journal:
        (question,) = journal.questions.open()
        journal.questions.ask(question.model_copy(update={"orders": question.orders[:1]}))
    record = await answered(home, asked.run_id)
    assert record.outcome is Outcome.DECLINED
    assert "changed after they were shown" in record.message
    assert record.orders == ()


async def test_an_answered_question_is_not_asked_again(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once)
    with journal_in(home.root) as journal:
        (question,) = journal.questions.open()
        assert journal.questions.answer(asked.run_id, Answer.REJECTED, "no", datetime.now(UTC))
        journal.questions.ask(question)
        assert journal.questions.open() == ()


async def test_an_approval_elsewhere_does_not_trade_beside_another_run(run_once: RunOnce, home: Home) -> None:
    def busy(_account_id: str) -> None:
        raise AccountBusy("another run is at work on this account")

    asked = await waiting(run_once)
    settings = settings_with(require_approval="always")
    async with opened(home, settings, TRADING_DAY, None, Start(run_id=asked.run_id)) as run:
        run.context = replace(run.context, claim=busy)
        await drain(run.resume(YES))
        record = await run.record()
    assert record.outcome is Outcome.FAILED
    assert record.orders == ()


async def test_on_another_day_an_old_approval_finds_its_session_over(run_once: RunOnce, home: Home) -> None:
    asked = await waiting(run_once)
    settings = settings_with(require_approval="always")
    async with opened(home, settings, date(2026, 6, 13), None, Start(run_id=asked.run_id)) as run:
        await drain(run.resume(YES))
        record = await run.record()
    assert record.orders == ()
    assert all("session_open" in {check.rule for check in verdict.failures} for verdict in record.verdicts)
