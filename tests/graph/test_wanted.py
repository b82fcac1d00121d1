"""A run that is given its plan: it thinks of no other, asks a person in any case, and the guard is the same."""

from __future__ import annotations

import pytest

from config.home import Home
from graph.record import Approval, Outcome, RunRecord
from portfolio.models import ProposedTrade, Side, TradePlan
from tests.graph.conftest import TRADING_DAY, drain, opened, settings_with

YES, NO = Approval(granted=True, why="yes"), Approval(granted=False, why="not today")


def plan_of(symbol: str, side: Side, quantity: int, *, protective: bool = False) -> TradePlan:
    trade = ProposedTrade(symbol=symbol, side=side, quantity=quantity, reason="asked for", protective=protective)
    return TradePlan(source="chat", trades=(trade,))


SALE = plan_of("NVDA", Side.SELL, 2)


async def run_with(home: Home, plan: TradePlan, answer: Approval | None, **changes: object) -> tuple[bool, RunRecord]:
    async with opened(home, settings_with(**changes), TRADING_DAY) as run:
        asked = await drain(run.start(plan))
        if asked and answer:
            await drain(run.resume(answer))
        return asked, await run.record()


@pytest.mark.parametrize("require_approval", ["never", "live", "always", "above:1000000"])
async def test_it_asks_whatever_the_settings_say_and_sends_only_after_a_yes(home: Home, require_approval: str) -> None:
    asked, waiting = await run_with(home, SALE, None, require_approval=require_approval)
    assert asked
    assert (waiting.outcome, waiting.orders) == (Outcome.WAITING_FOR_APPROVAL, ())
    asked, done = await run_with(home, SALE, YES, require_approval=require_approval)
    assert asked
    assert [(one.side, one.symbol, one.quantity) for one in done.orders] == [(Side.SELL, "NVDA", 2)]
    assert done.plan == SALE


async def test_a_no_sends_nothing(home: Home) -> None:
    _, record = await run_with(home, SALE, NO)
    assert (record.outcome, record.orders) == (Outcome.DECLINED, ())


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        (plan_of("SPY", Side.BUY, 999_999), "risk_threshold"),
        (plan_of("NVDA", Side.SELL, 10_000), "no_short"),
        (plan_of("NVDA", Side.SELL, 2, protective=True), "protective_exit"),
        (plan_of("GME", Side.BUY, 1), "contract_resolved"),
    ],
)
async def test_what_the_guard_refuses_is_not_even_asked_about(home: Home, plan: TradePlan, rule: str) -> None:
    asked, record = await run_with(home, plan, YES)
    assert not asked
    assert record.orders == ()
    assert rule in {check.rule for verdict in record.verdicts for check in verdict.failures}


async def test_while_halted_it_does_not_come_so_far(home: Home) -> None:
    async with opened(home, settings_with(), TRADING_DAY) as run:
        run.context.journal.halts.halt("a person halted it", run.context.clock())
        assert not await drain(run.start(SALE))
        assert (await run.record()).outcome is Outcome.HALTED
