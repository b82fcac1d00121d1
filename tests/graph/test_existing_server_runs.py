"""Whole runs over the server that investors already run: how each of its faults ends a run, and never a wrong order."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from typer.testing import CliRunner

from brokers.errors import Terminal
from cli.brokers import Market, simulated_broker
from cli.exit_codes import ExitCode, exit_code
from cli.main import app
from cli.wiring import Start, Timing, run_over
from config.home import Home
from config.settings import Settings
from graph.emergency import Cancelled, cancel_open_orders
from graph.journal import JournalledOrder, OrderState
from graph.record import Outcome, RunRecord
from portfolio.models import BrokerOrder, Execution, OrderStatus, Side
from tests.graph.conftest import TRADING_DAY, Faulty, drain, settings_with
from tests.permits import journal_in
from tests.simulators.client_portal_server import CancelCall, ClientPortalServer, Fault, PlaceCall
from tests.simulators.slow_broker import SlowBroker

NEXT_DAY = TRADING_DAY + timedelta(days=1)


@dataclass
class Ran:
    """One run, with what its server was asked and what the broker's books and the journal show after it."""

    record: RunRecord
    server: ClientPortalServer
    settings: Settings
    before: dict[str, Decimal]
    after: dict[str, Decimal]
    fills: list[Execution]
    open_orders: list[BrokerOrder]
    journalled: tuple[JournalledOrder, ...]
    emergency: tuple[Cancelled, ...]

    @property
    def placed(self) -> list[PlaceCall]:
        return [request for request in self.server.requests if isinstance(request, PlaceCall)]

    @property
    def cancelled(self) -> list[CancelCall]:
        return [request for request in self.server.requests if isinstance(request, CancelCall)]

    @property
    def ending(self) -> tuple[Outcome, ExitCode]:
        return self.record.outcome, exit_code(self.record.outcome)

    @property
    def traded(self) -> dict[str, Decimal]:
        """Shares that changed hands, by symbol."""
        both = self.before.keys() | self.after.keys()
        moved = {symbol: self.after.get(symbol, Decimal(0)) - self.before.get(symbol, Decimal(0)) for symbol in both}
        return {symbol: shares for symbol, shares in moved.items() if shares}


@dataclass
class Theirs:
    """The existing server over this home's simulated broker, run by run."""

    home: Home

    async def run(
        self,
        *faults: Fault,
        day: date = TRADING_DAY,
        faulty: Faulty | None = None,
        posts: int = 3,
        empty: int = 2,
        emergency: bool = False,
        **changes: object,
    ) -> Ran:
        settings = settings_with(**{"fill_timeout_seconds": 1, **changes})
        simulated = simulated_broker(self.home, Market(as_of=day))
        account = (await simulated.accounts())[0].account_id
        now = (await simulated.session("SPY")).now

        async def pause(seconds: float) -> None:
            nonlocal now
            now += timedelta(seconds=seconds)

        async def held() -> dict[str, Decimal]:
            return {held.symbol: held.quantity for held in await simulated.positions(account)}

        broker = faulty(simulated) if faulty else simulated
        server = ClientPortalServer(broker, faults, posts=posts, null_snapshots=empty)
        before, since = await held(), len(await simulated.executions(account, now - timedelta(days=9)))
        start = Start(timing=Timing(clock=lambda: now, pause=pause))
        async with run_over(server, settings, self.home, start) as run:
            await drain(run.start())
            record = await run.record()
            told = await cancel_open_orders(run.context) if emergency else ()
            journalled = run.context.journal.orders.of_run(record.run_id)
            assert run.context.journal.runs.find(record.run_id) == record
        fills = (await simulated.executions(account, now - timedelta(days=9)))[since:]
        resting = await broker.open_orders(account)
        ran = Ran(record, server, settings, before, await held(), fills, resting, journalled, told)
        await broker.close()
        assert_sound(ran)
        return ran

    def state_of(self, client_order_id: str) -> OrderState:
        with journal_in(self.home.root) as journal:
            order = journal.orders.find(client_order_id)
        assert order is not None
        return order.state

    def command(self, *words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--home", str(self.home.root)])
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())


@pytest.fixture
def theirs(home: Home) -> Theirs:
    return Theirs(home)


def assert_sound(ran: Ran) -> None:
    """What must hold however a run ends."""
    record, settings = ran.record, ran.settings
    assert record.reflection is not None
    assert record.message
    assert record.message.isprintable()
    # Every request was in the journal before, and none was made twice.
    intents = [order.approved.terms for order in ran.journalled if order.submitting_at and order.approved]
    asked = Counter((call.conid, call.side, call.quantity, call.price) for call in ran.placed)
    assert asked == Counter((one.conid, one.side.value, one.quantity, float(one.limit_price)) for one in intents)
    assert max(asked.values(), default=1) == 1
    # The limits hold for what was sent.
    assert {(call.side, call.order_type) for call in ran.placed} <= {("BUY", "LMT"), ("SELL", "LMT")}
    values = [Decimal(str(call.price)) * Decimal(str(call.quantity)) for call in ran.placed]
    assert max(values, default=Decimal(0)) <= settings.risk_threshold
    if record.snapshot:
        assert sum(values) * 100 <= record.snapshot.net_liquidation * Decimal(str(settings.max_portfolio_change))
        assert {call.account_id for call in ran.placed} <= {record.account}
    assert all(shares >= 0 for shares in ran.after.values())
    # What the record says was filled has changed hands, and what changed hands is on record.
    if not {Fault.ORDER_POSTED_AGAIN} & ran.server.faults:
        filled = Counter[str]()
        for order in record.orders:
            filled[order.symbol] += int(order.side.sign * order.filled_quantity)
        unknown = {order.symbol for order in record.orders if order.status is OrderStatus.UNKNOWN}
        for symbol in (filled.keys() | ran.traded.keys()) - unknown:
            assert filled[symbol] == ran.traded.get(symbol, 0), symbol


async def test_without_a_fault_the_agent_trades_and_the_brokers_books_agree_with_the_journal(theirs: Theirs) -> None:
    ran = await theirs.run()
    assert ran.ending == (Outcome.TRADED, ExitCode.DONE)
    assert {order.side for order in ran.record.orders} == {Side.BUY, Side.SELL}
    assert {order.state for order in ran.journalled} == {OrderState.FILLED}
    booked = [(fill.symbol, fill.side, fill.quantity, fill.price) for fill in ran.fills]
    told = [(one.symbol, one.side, one.filled_quantity, one.average_price) for one in ran.record.orders]
    assert told == booked
    whatifs = [check for verdict in ran.record.verdicts for check in verdict.checks if check.rule == "whatif"]
    assert {check.actual.startswith("estimate: ") for check in whatifs} == {True}
    assert all("its commission is missing, so our own estimate decides" in check.why for check in whatifs)


async def test_where_the_brokers_figures_are_demanded_nothing_is_sent_there(theirs: Theirs) -> None:
    ran = await theirs.run(whatif_fallback="reject")
    assert ran.ending == (Outcome.REFUSED, ExitCode.DATA_UNFIT)
    assert ran.server.requests == []
    assert {check.rule for verdict in ran.record.verdicts for check in verdict.failures} == {"whatif"}


TRADES = (Outcome.TRADED, ExitCode.DONE, "Completed 3 of 3 trades")
ENDINGS = {
    Fault.WHATIF_GARBLED: TRADES,
    Fault.POSITIONS_LOOK_EMPTY: (Outcome.DATA_UNFIT, ExitCode.DATA_UNFIT, "lists no positions of"),
    Fault.LIVE_ORDERS_DROPPED: TRADES,
    Fault.REPLY_SWALLOWED_NOT_PLACED: (
        Outcome.ORDER_UNKNOWN, ExitCode.ORDER_UNKNOWN, "NVDA: the order may have been placed",
    ),
    Fault.REPLY_SWALLOWED_PLACED: TRADES,
    Fault.ORDER_POSTED_AGAIN: (Outcome.HALTED, ExitCode.HALTED, "18 shares changed hands where SELL 6 was ordered"),
    Fault.OTHER_SIDES_SOLD: TRADES,
    Fault.PNL_AND_LEDGER_NULL: (Outcome.DATA_UNFIT, ExitCode.DATA_UNFIT, "which currency its balances are in"),
    Fault.SNAPSHOT_FIELDS_ODD: TRADES,
    Fault.FIRST_SNAPSHOTS_NULL: TRADES,
    Fault.PRIOR_CLOSE_UNMARKED: (
        Outcome.DATA_UNFIT, ExitCode.DATA_UNFIT, "none of 18 symbols has a quote of the last 900 s",
    ),
    Fault.FIRST_HIT_OTHER_SYMBOL: (
        Outcome.DATA_UNFIT, ExitCode.DATA_UNFIT, "18 have no contract of exactly that name",
    ),
    Fault.FIRST_HIT_OTHER_LISTING: (
        Outcome.DATA_UNFIT, ExitCode.DATA_UNFIT, "18 have no contract of exactly that name",
    ),
    Fault.EXCHANGE_UNKNOWN: TRADES,
    Fault.SUMMARY_FAILS: (Outcome.DATA_UNFIT, ExitCode.DATA_UNFIT, "get_portfolio_summary: .*daytradesremaining"),
}  # fmt: skip


def test_every_fault_has_its_ending() -> None:
    assert ENDINGS.keys() == set(Fault)


@pytest.mark.parametrize("fault", Fault)
async def test_each_fault_ends_as_it_must(theirs: Theirs, fault: Fault) -> None:
    ran = await theirs.run(fault)
    outcome, code, words = ENDINGS[fault]
    assert ran.ending == (outcome, code)
    assert re.search(words, ran.record.message)
    if outcome is Outcome.DATA_UNFIT:
        assert ran.server.requests == []
    elif outcome is Outcome.TRADED:
        assert len(ran.placed) == 3
        assert {order.state for order in ran.journalled} == {OrderState.FILLED}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "outcome", "words"),
    [
        ({Fault.LIVE_ORDERS_DROPPED, Fault.REPLY_SWALLOWED_PLACED}, Outcome.TRADED, "3 of 3"),
        ({Fault.LIVE_ORDERS_DROPPED, Fault.ORDER_POSTED_AGAIN}, Outcome.HALTED, "more than once"),
        ({Fault.REPLY_SWALLOWED_PLACED, Fault.ORDER_POSTED_AGAIN}, Outcome.HALTED, "more than once"),
        ({Fault.POSITIONS_LOOK_EMPTY, Fault.SUMMARY_FAILS}, Outcome.DATA_UNFIT, "get_portfolio_summary"),
        ({Fault.EXCHANGE_UNKNOWN, Fault.FIRST_HIT_OTHER_LISTING}, Outcome.DATA_UNFIT, "get_market_snapshot"),
    ],
)
async def test_faults_that_hide_each_other_end_as_they_must(
    theirs: Theirs, faults: set[Fault], outcome: Outcome, words: str
) -> None:
    ran = await theirs.run(*faults)
    assert ran.record.outcome is outcome, ran.record.message
    assert words in ran.record.message


@pytest.mark.slow
async def test_snapshots_that_stay_empty_are_no_market(theirs: Theirs) -> None:
    ran = await theirs.run(Fault.FIRST_SNAPSHOTS_NULL, empty=99)
    assert ran.ending == (Outcome.DATA_UNFIT, ExitCode.DATA_UNFIT)
    assert "18 no quote" in ran.record.message


# --- an order sent more than once -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("posts", [2, 3])
async def test_an_order_sent_twice_behind_our_back_halts_until_a_person_has_settled_it(
    theirs: Theirs, posts: int
) -> None:
    """Fault 5: loud, with nothing more sent, and not forgotten by the next run, nor by a resume alone."""
    first = await theirs.run(Fault.ORDER_POSTED_AGAIN, posts=posts)
    assert first.ending == (Outcome.HALTED, ExitCode.HALTED)
    assert len(first.placed) == 1
    lost, *rest = first.record.orders
    assert first.traded == {lost.symbol: lost.side.sign * lost.quantity * posts}
    assert lost.status is OrderStatus.UNKNOWN
    assert all("not sent" in (order.message or "") for order in rest)
    for words in (f"{posts * lost.quantity} shares changed hands", lost.client_order_id, "orders resolve", "resume"):
        assert words in first.record.message

    for resumed in (False, True):
        if resumed:
            theirs.command("resume")
        again = await theirs.run()
        assert again.ending == (Outcome.HALTED, ExitCode.HALTED)
        assert again.server.requests == []
        assert "more than once" in again.record.message

    theirs.command("orders", "resolve", lost.client_order_id, "--as", "filled")
    still = await theirs.run()
    assert still.ending == (Outcome.HALTED, ExitCode.HALTED)
    assert "Trading is halted" in still.record.message
    assert still.server.requests == []

    theirs.command("resume")
    last = await theirs.run()
    assert last.ending == (Outcome.TRADED, ExitCode.DONE)


@pytest.mark.slow
@pytest.mark.parametrize("posts", [2, 3])
async def test_copies_of_an_order_that_did_not_fill_are_noticed_before_they_trade(theirs: Theirs, posts: int) -> None:
    """Fault 5: the one on the receipt is cancelled, and its copies would have worked on with nobody looking."""
    ran = await theirs.run(Fault.ORDER_POSTED_AGAIN, posts=posts, faulty=SlowBroker)
    assert ran.ending == (Outcome.HALTED, ExitCode.HALTED)
    assert len(ran.placed) == 1
    copies = [order.order_id for order in ran.open_orders]
    assert len(copies) == posts - 1
    assert f"the broker lists the same as order {', '.join(copies)} too" in ran.record.message
    assert (await theirs.run()).ending == (Outcome.HALTED, ExitCode.HALTED)


# --- an order whose reply nobody saw ----------------------------------------------------------------------------


async def test_a_swallowed_reply_to_an_order_that_was_placed_is_found_by_the_shares_held(theirs: Theirs) -> None:
    """Fault 4: with no receipt and, by fault 3, no list, only the shares tell; the limit stands in for the price."""
    ran = await theirs.run(Fault.REPLY_SWALLOWED_PLACED, Fault.LIVE_ORDERS_DROPPED)
    assert ran.ending == (Outcome.TRADED, ExitCode.DONE)
    for order, fill in zip(ran.record.orders, ran.fills, strict=True):
        assert order.average_price == order.limit_price
        assert (fill.price - order.limit_price) * order.side.sign <= 0
        assert order.message == "its price is not told; the limit is given"


async def unsettled(theirs: Theirs, *faults: Fault, faulty: Faulty | None = None) -> str:
    """The id of the order that a first run cannot account for; the second run leaves its symbol alone."""
    first = await theirs.run(*faults, faulty=faulty)
    assert first.ending == (Outcome.ORDER_UNKNOWN, ExitCode.ORDER_UNKNOWN)
    assert len(first.placed) == 1
    lost, *rest = first.record.orders
    assert lost.status is OrderStatus.UNKNOWN
    assert rest
    assert all("not sent, since nobody can tell" in (order.message or "") for order in rest)
    assert lost.client_order_id in first.record.message
    assert "orders resolve" in first.record.message

    second = await theirs.run()
    assert second.ending == (Outcome.ORDER_UNKNOWN, ExitCode.ORDER_UNKNOWN)
    assert lost.client_order_id in second.record.message
    assert second.record.orders
    assert lost.symbol not in {order.symbol for order in second.record.orders}
    return lost.client_order_id


LOSING = [
    pytest.param((Fault.REPLY_SWALLOWED_NOT_PLACED,), None, id="reply swallowed"),
    pytest.param((Fault.LIVE_ORDERS_DROPPED,), SlowBroker, id="order not listed"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("faults", "faulty"), LOSING)
async def test_the_next_session_settles_an_order_that_never_was(
    theirs: Theirs, faults: tuple[Fault, ...], faulty: Faulty | None
) -> None:
    order_id = await unsettled(theirs, *faults, faulty=faulty)
    tomorrow = await theirs.run(day=NEXT_DAY)
    assert tomorrow.ending == (Outcome.TRADED, ExitCode.DONE)
    assert theirs.state_of(order_id) is OrderState.CANCELLED


@pytest.mark.slow
@pytest.mark.parametrize(("faults", "faulty"), LOSING)
async def test_a_persons_word_settles_it_at_once(
    theirs: Theirs, faults: tuple[Fault, ...], faulty: Faulty | None
) -> None:
    order_id = await unsettled(theirs, *faults, faulty=faulty)
    assert "is now CANCELLED" in theirs.command("orders", "resolve", order_id, "--as", "not-sent")
    assert theirs.command("orders", "list") == "Every order is settled."
    ran = await theirs.run()
    assert exit_code(ran.record.outcome) is ExitCode.DONE
    assert theirs.state_of(order_id) is OrderState.CANCELLED


# --- an order that does not fill at once ------------------------------------------------------------------------


def filling_at(looks: int) -> Faulty:
    return lambda inner: SlowBroker(inner, looks)


@pytest.mark.slow
@pytest.mark.parametrize("faults", [(), (Fault.LIVE_ORDERS_DROPPED,)], ids=["listed", "not listed"])
async def test_an_order_that_takes_its_time_is_waited_for(theirs: Theirs, faults: tuple[Fault, ...]) -> None:
    """Fault 3: that the list does not show it at first is no reason to give it up."""
    ran = await theirs.run(*faults, faulty=filling_at(4))
    assert ran.ending == (Outcome.TRADED, ExitCode.DONE)
    assert {order.state for order in ran.journalled} == {OrderState.FILLED}
    assert ran.cancelled == []


async def test_an_unfilled_order_is_cancelled_and_the_list_says_so(theirs: Theirs) -> None:
    ran = await theirs.run(faulty=SlowBroker)
    assert ran.ending == (Outcome.NOTHING_FILLED, ExitCode.DONE)
    assert len(ran.cancelled) == len([order for order in ran.journalled if order.submitting_at])
    assert {order.state for order in ran.journalled} == {OrderState.CANCELLED}
    assert ran.open_orders == []


@pytest.mark.slow
async def test_an_unfilled_order_that_is_not_listed_is_cancelled_by_its_receipt_and_stays_unknown(
    theirs: Theirs,
) -> None:
    """Fault 3: nothing confirms the cancellation, but the order is not left working for want of trying."""
    ran = await theirs.run(Fault.LIVE_ORDERS_DROPPED, faulty=SlowBroker)
    assert ran.ending == (Outcome.ORDER_UNKNOWN, ExitCode.ORDER_UNKNOWN)
    assert [call.order_id for call in ran.cancelled] == ["slow-1"]
    assert ran.open_orders == []
    assert ran.record.orders[0].broker_order_id == "slow-1"


class CannotCancel(SlowBroker):
    """Cancellations are lost once, and heard the second time."""

    tries = 0

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        self.tries += 1
        if self.tries == 1:
            raise Terminal("the cancellation was lost")
        return await super().cancel(account_id, order_id)


async def test_an_emergency_stop_cancels_by_its_receipt_what_is_not_listed(theirs: Theirs) -> None:
    ran = await theirs.run(Fault.LIVE_ORDERS_DROPPED, faulty=CannotCancel, emergency=True)
    assert ran.ending == (Outcome.ORDER_UNKNOWN, ExitCode.ORDER_UNKNOWN)
    assert ran.open_orders == []
    (told,) = ran.emergency
    assert not told.done
    assert "its cancellation was sent, and the broker does not show it" in told.words


@pytest.mark.slow
@pytest.mark.parametrize("pair", list(combinations(Fault, 2)), ids=lambda pair: "+".join(one.name for one in pair))
async def test_two_faults_at_once_never_make_a_wrong_order(theirs: Theirs, pair: tuple[Fault, Fault]) -> None:
    """Beside the invariants of every run: the worse of the two endings, unless one keeps the other from mattering."""
    ran = await theirs.run(*pair)
    allowed = {ENDINGS[fault][0] for fault in pair} | {Outcome.TRADED}
    assert ran.record.outcome in allowed, ran.record.message
