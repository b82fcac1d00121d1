"""Every tool the agent uses, misbehaving in every way: the run ends in words, and the broker's books and ours agree."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.protocol import Broker, OrderRequest
from cli.brokers import Market, simulated_broker
from cli.exit_codes import ExitCode, exit_code
from cli.wiring import Start, Timing, run_over
from config.home import Home
from graph.journal import JournalledOrder
from graph.record import Outcome, RunRecord
from portfolio.models import BrokerOrder
from tests.graph.conftest import TRADING_DAY, Faulty, drain, settings_with
from tests.simulators.delegating_broker import DelegatingBroker
from tests.simulators.misbehaving_tools import SILENT, UNDONE, MisbehavingServer, Misdeed
from tests.simulators.slow_broker import SlowBroker
from tools.contract import Tool
from tools.server import build_server

LIMIT_SECONDS = 2.0
"""For answers that never come; long enough for every other one on a busy machine."""


class Books(DelegatingBroker):
    """What reached the broker: every request to place an order."""

    def __init__(self, inner: Broker) -> None:
        super().__init__(inner)
        self.placed: list[OrderRequest] = []

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.placed.append(order)
        return await super().place(order)


class ForgetsStatus(DelegatingBroker):
    """Its executions alone tell what became of an order."""

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:  # noqa: ARG002
        return None


# What makes a run use a tool that an ordinary one does without.
NEEDED_BY: dict[Tool, Faulty] = {Tool.GET_EXECUTIONS: ForgetsStatus, Tool.CANCEL_ORDER: SlowBroker}
READ_FIRST = (
    Tool.GET_ACCOUNTS, Tool.GET_PORTFOLIO_SUMMARY, Tool.GET_POSITIONS, Tool.GET_LIVE_ORDERS, Tool.GET_TRADING_SCHEDULE,
    Tool.FIND_CONTRACTS, Tool.FIND_CONTRACT, Tool.GET_MARKET_SNAPSHOTS,
)  # fmt: skip
WHILE_TRADING = (Tool.WHATIF_ORDER, Tool.PLACE_ORDER, Tool.GET_ORDER_STATUS, Tool.GET_EXECUTIONS, Tool.CANCEL_ORDER)
CONTRACTS = (Tool.FIND_CONTRACTS, Tool.FIND_CONTRACT)
READ_AGAIN = tuple(tool for tool in READ_FIRST if tool not in CONTRACTS)


@dataclass
class Ran:
    record: RunRecord
    placed: list[OrderRequest]
    journalled: tuple[JournalledOrder, ...]
    unsettled: tuple[JournalledOrder, ...]
    at_the_broker: list[str | None]
    calls: Counter[str]

    @property
    def code(self) -> ExitCode:
        return exit_code(self.record.outcome)


async def run(home: Home, tool: Tool, misdeed: Misdeed | None, *, once_placed: bool = False) -> Ran:
    """One run in which `tool` misbehaves, from the start or once an order was placed; None: in which none does."""
    settings = settings_with(fill_timeout_seconds=1)
    simulated = simulated_broker(home, Market(as_of=TRADING_DAY))
    account = (await simulated.accounts())[0].account_id
    twin = NEEDED_BY.get(tool) if misdeed else None
    books = Books(twin(simulated) if twin else simulated)
    is_silent = misdeed in SILENT
    now, limit = datetime.now(UTC), LIMIT_SECONDS if is_silent else 30.0

    async def pause(seconds: float) -> None:
        nonlocal now
        now += timedelta(seconds=seconds)

    served = build_server(books)
    if tool is Tool.FIND_CONTRACT:
        served.remove_tool(Tool.FIND_CONTRACTS)  # or nobody would ask for one alone
    server = MisbehavingServer(
        served,
        tool.value,
        misdeed or Misdeed.FAILS,
        lambda: misdeed is not None and (bool(books.placed) or not once_placed),
        too_late=1.1 * limit,
    )
    start = Start(timing=Timing(clock=lambda: now, pause=pause, limit_seconds=limit))
    async with run_over(server, settings, home, start) as one:
        await drain(one.start())
        record = await one.record()
        await server.settled()
        orders = one.context.journal.orders
        journalled, unsettled = orders.of_run(record.run_id), orders.unsettled()
        assert one.context.journal.runs.find(record.run_id) == record
    fills = await simulated.executions(account, now - timedelta(days=9999))
    known = [*(fill.client_order_id for fill in fills), *(one.client_order_id for one in books.placed)]
    await books.close()
    ran = Ran(record, books.placed, journalled, unsettled, known, server.calls)
    assert_sound(ran, home)
    return ran


def assert_sound(ran: Ran, home: Home) -> None:
    """What must hold whatever a tool does."""
    record, settings = ran.record, settings_with()
    # The run ended in words, and is written down.
    assert record.reflection is not None
    files = [json.loads(file.read_text(encoding="utf-8")) for file in home.reflections.iterdir()]
    assert record.run_id in {file["run_id"] for file in files}
    assert record.message.isprintable()
    assert 0 < len(record.message) < 1500
    assert "Unexpected" not in record.message
    # No order without its intent, and none twice.
    sent = {order.client_order_id: order for order in ran.journalled if order.submitting_at}
    assert Counter(order.client_order_id for order in ran.placed).keys() <= sent.keys()
    assert max(Counter(order.client_order_id for order in ran.placed).values(), default=1) == 1
    for order in ran.placed:
        approved = sent[order.client_order_id or ""].approved
        assert approved is not None
        terms = approved.terms
        assert (order.account_id, order.conid, order.side, order.quantity, order.limit_price) == (
            terms.account_id, terms.conid, terms.side, Decimal(terms.quantity), terms.limit_price,
        )  # fmt: skip
    # No limit broken.
    values = [order.quantity * (order.limit_price or Decimal(0)) for order in ran.placed]
    assert max(values, default=Decimal(0)) <= settings.risk_threshold
    if record.snapshot:
        assert sum(values) * 100 <= record.snapshot.net_liquidation * Decimal(str(settings.max_portfolio_change))
    # The exit code tells of orders that may be out there, and of those alone.
    lost = [order for order in ran.journalled if order.state.is_unsettled]
    assert (ran.code is ExitCode.ORDER_UNKNOWN) is bool(ran.unsettled)
    assert all(order.client_order_id in record.message for order in lost[:1])
    assert len(lost) <= 1
    assert {order.client_order_id for order in record.orders} >= sent.keys()


async def then_settle(home: Home, first: Ran) -> None:
    """The next run, with nothing wrong: what the first lost is found or left alone, and nothing is made up for."""
    second = await run(home, Tool.GET_ACCOUNTS, None)
    known = {order.client_order_id for order in (*first.journalled, *second.journalled) if order.submitting_at}
    assert set(second.at_the_broker) <= known
    blocked = {order.symbol for order in second.unsettled}
    assert not blocked & {order.symbol for order in second.record.orders}
    assert second.record.outcome in (Outcome.TRADED, Outcome.NOTHING_TO_DO, Outcome.ORDER_UNKNOWN)


def names_it(ran: Ran, tool: Tool) -> bool:
    """Whether somebody who reads the record learns which tool it was, or what it was to tell."""
    said = [ran.record.message, *(check.why for verdict in ran.record.verdicts for check in verdict.failures)]
    said += [check.why for check in ran.record.snapshot.data_quality if not check.passed] if ran.record.snapshot else []
    matters = {
        Tool.FIND_CONTRACT: "contract",
        Tool.FIND_CONTRACTS: "contract",
        Tool.GET_MARKET_SNAPSHOTS: "quote",
        Tool.GET_ACCOUNTS: "Account",
    }
    matter = matters.get(tool, tool.value)
    return any(tool.value in words or matter in words for words in said)


# --- what each tool's misdeeds may end in -----------------------------------------------------------------------

# What is spoilt does not occur in that tool's answer, or not while no order is open.
HARMLESS = {
    (Tool.GET_LIVE_ORDERS, Misdeed.OTHER_ACCOUNT),
    (Tool.GET_LIVE_ORDERS, Misdeed.LONG_NAMES),
    (Tool.GET_TRADING_SCHEDULE, Misdeed.OTHER_ACCOUNT),
    (Tool.GET_TRADING_SCHEDULE, Misdeed.NOT_A_NUMBER),
    (Tool.GET_MARKET_SNAPSHOTS, Misdeed.OTHER_ACCOUNT),
    (Tool.FIND_CONTRACT, Misdeed.OTHER_ACCOUNT),
}
CALM = {Outcome.TRADED, Outcome.NOTHING_TO_DO, Outcome.NOTHING_APPROVED, Outcome.REFUSED, Outcome.NOTHING_FILLED}


def allowed(tool: Tool, misdeed: Misdeed) -> set[Outcome]:  # noqa: PLR0911  (a table)
    """How a run may end in which `tool` misbehaves from the start."""
    if (tool, misdeed) in HARMLESS:
        return {Outcome.TRADED}
    if misdeed is Misdeed.SAME_AGAIN:
        # Its first answer is right; what is only looked at does no harm by being old.
        return {*CALM, Outcome.DATA_UNFIT} if tool not in WHILE_TRADING[1:] else {*CALM, Outcome.ORDER_UNKNOWN}
    if tool in CONTRACTS:
        # In vain for many at once, each is asked for alone; in vain for each, nothing can be traded.
        return {Outcome.DATA_UNFIT} if tool is Tool.FIND_CONTRACT else {*CALM, Outcome.DATA_UNFIT}
    if tool in READ_FIRST:
        return {Outcome.UNREACHABLE} if misdeed in SILENT else {Outcome.DATA_UNFIT}
    if tool is Tool.CANCEL_ORDER:
        return {Outcome.ORDER_UNKNOWN} if misdeed in (*UNDONE, Misdeed.LATE) else {Outcome.NOTHING_FILLED}
    if tool is Tool.PLACE_ORDER:
        # Done all the same: its own books tell, whatever the receipt looked like; of a late one, as soon as it is done.
        if misdeed is Misdeed.LATE:
            return {Outcome.ORDER_UNKNOWN, Outcome.TRADED}
        return {Outcome.ORDER_UNKNOWN} if misdeed in UNDONE else {Outcome.TRADED}
    return {Outcome.REFUSED if tool is Tool.WHATIF_ORDER else Outcome.ORDER_UNKNOWN}


def cases(tools: tuple[Tool, ...]) -> list[tuple[Tool, Misdeed]]:
    return [(tool, misdeed) for tool in tools for misdeed in Misdeed]


def name_of(value: object) -> str:
    return value.value if isinstance(value, Tool) else value.name if isinstance(value, Misdeed) else str(value)


async def check(home: Home, tool: Tool, misdeed: Misdeed) -> None:
    ran = await run(home, tool, misdeed)
    assert ran.calls[tool.value], "the tool was not used, so nothing was tested"
    assert ran.record.outcome in allowed(tool, misdeed), ran.record.message
    if ran.record.outcome not in CALM - {Outcome.REFUSED} and misdeed is not Misdeed.SAME_AGAIN:
        assert names_it(ran, tool) or ran.record.outcome is Outcome.ORDER_UNKNOWN, ran.record.message
    await then_settle(home, ran)


async def test_the_table_covers_every_tool_that_a_run_uses(home: Home) -> None:
    used: Counter[str] = Counter()
    for tool in (Tool.GET_ACCOUNTS, *NEEDED_BY):
        used += (await run(home, tool, Misdeed.SAME_AGAIN)).calls
    assert set(used) <= {tool.value for tool in (*READ_FIRST, *WHILE_TRADING)}


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "misdeed"), cases((*READ_FIRST, *WHILE_TRADING)), ids=name_of)
async def test_whatever_a_tool_does_the_run_ends_in_words(home: Home, tool: Tool, misdeed: Misdeed) -> None:
    await check(home, tool, misdeed)


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "misdeed"), cases(READ_AGAIN), ids=name_of)
async def test_whatever_a_tool_does_once_an_order_was_placed_the_order_is_accounted_for(
    home: Home, tool: Tool, misdeed: Misdeed
) -> None:
    ran = await run(home, tool, misdeed, once_placed=True)
    assert ran.placed
    assert ran.record.outcome in {Outcome.TRADED, Outcome.ORDER_UNKNOWN, Outcome.FAILED, Outcome.UNREACHABLE}
    await then_settle(home, ran)


@pytest.mark.parametrize(
    ("tool", "misdeed"),
    [
        (Tool.GET_ACCOUNTS, Misdeed.FAILS_UNMARKED),
        (Tool.GET_PORTFOLIO_SUMMARY, Misdeed.NOT_A_NUMBER),
        (Tool.GET_POSITIONS, Misdeed.OTHER_ACCOUNT),
        (Tool.GET_LIVE_ORDERS, Misdeed.HTML),
        (Tool.GET_TRADING_SCHEDULE, Misdeed.EMPTY),
        (Tool.FIND_CONTRACTS, Misdeed.LONG_NAMES),
        (Tool.FIND_CONTRACT, Misdeed.SAME_AGAIN),
        (Tool.GET_MARKET_SNAPSHOTS, Misdeed.ALL_NULL),
        (Tool.WHATIF_ORDER, Misdeed.OTHER_TOOL),
        (Tool.PLACE_ORDER, Misdeed.TWICE),
        (Tool.PLACE_ORDER, Misdeed.LATE),
        (Tool.GET_ORDER_STATUS, Misdeed.WRONG_TYPES),
        (Tool.GET_EXECUTIONS, Misdeed.FAILS),
        (Tool.CANCEL_ORDER, Misdeed.LONG_NAMES),
    ],
    ids=name_of,
)
async def test_one_misdeed_of_each_tool_ends_as_it_must(home: Home, tool: Tool, misdeed: Misdeed) -> None:
    await check(home, tool, misdeed)
