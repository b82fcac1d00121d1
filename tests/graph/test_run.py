"""The whole loop, end to end: the compiled graph over MCP on the simulated broker."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import jsonschema
import pytest

from cli.wiring import Start
from config.home import Home
from graph.checkpoints import open_checkpoints
from graph.record import Approval, Outcome, RunRecord, json_schema
from portfolio.limits import RULES
from portfolio.models import OrderStatus, Side
from tests.graph.conftest import RunOnce, drain, opened, settings_with

SUNDAY = date(2026, 6, 14)


async def test_a_first_run_trades_towards_the_targets(run_once: RunOnce) -> None:
    record = await run_once()
    assert record.outcome is Outcome.TRADED
    assert record.snapshot is not None
    assert record.snapshot.net_liquidation == 50_000
    assert {order.status for order in record.orders} == {OrderStatus.FILLED}
    assert record.reflection is not None
    before, after = record.reflection.drift_before, record.reflection.drift_after
    assert sum(map(abs, after.values())) < sum(map(abs, before.values()))


async def test_totals_are_rounded_once(run_once: RunOnce) -> None:
    """What the result says and what the table above it says are the same number."""
    record = await run_once()
    assert record.snapshot is not None
    assert record.reflection is not None
    told = " ".join(record.reflection.results)
    assert f"went from {record.snapshot.drift.total:.1f} to" in told


async def test_an_unfinished_exit_asks_for_another_run(run_once: RunOnce) -> None:
    rules = [
        {"name": "Core", "target_allocation": 50, "symbols": ["SPY", "IWM"], "max_position_size": 50, "stop_loss": -1},
        {"name": "Rest", "target_allocation": 50, "symbols": ["AAPL", "MSFT", "NVDA"], "max_position_size": 50},
    ]
    record = await run_once(max_trade_value=Decimal(1000), trading_rules=rules)
    assert record.plan is not None
    assert record.plan.unfinished
    assert record.reflection is not None
    assert record.reflection.next_actions == (
        f"Run again: the exit of {', '.join(record.plan.unfinished)} is not finished.",
    )


async def test_a_symbol_the_broker_does_not_know_costs_that_symbol_alone(run_once: RunOnce) -> None:
    rules = [
        {"name": "Core", "target_allocation": 50, "symbols": ["ZZZZZ", "SPY"], "max_position_size": 50},
        {"name": "Rest", "target_allocation": 50, "symbols": ["AAPL", "MSFT", "NVDA"], "max_position_size": 50},
    ]
    record = await run_once(trading_rules=rules)
    assert record.outcome is Outcome.TRADED
    assert record.snapshot is not None
    assert any("ZZZZZ" in check.why for check in record.snapshot.data_quality)


async def test_sales_are_sent_before_purchases(run_once: RunOnce) -> None:
    record = await run_once()
    sides = [order.side for order in record.orders]
    assert {Side.SELL, Side.BUY} == set(sides)
    assert sides == sorted(sides, key=lambda side: side is Side.BUY)


async def test_every_order_answers_to_every_rule(run_once: RunOnce) -> None:
    """A rule that is skipped is a limit that does not hold."""
    record = await run_once()
    assert {len(verdict.checks) for verdict in record.verdicts} == {len(RULES)}
    assert "whatif" in {check.rule for check in record.verdicts[0].checks}


async def test_the_next_run_continues_from_the_new_positions_and_knows_the_lesson(run_once: RunOnce) -> None:
    first = await run_once()
    second = await run_once()
    assert first.reflection is not None
    assert second.snapshot is not None
    assert second.snapshot.net_liquidation == first.reflection.portfolio_value_after
    assert second.lessons
    assert {one.run_id for lesson in second.lessons for one in lesson.occasions} == {first.run_id}
    assert {lesson.statement for lesson in second.lessons} <= set(first.reflection.lessons_learned)


async def kept_steps(home: Home) -> set[str]:
    """The runs of which there are checkpoints."""
    async with open_checkpoints(home.checkpoints) as saver:
        return {found.config["configurable"]["thread_id"] async for found in saver.alist(None)}


async def test_the_steps_of_a_run_are_kept_until_it_is_over_and_no_longer(run_once: RunOnce, home: Home) -> None:
    await run_once()
    assert await kept_steps(home) == set()
    waits = await run_once(day=date(2026, 6, 16), require_approval="always")
    assert await kept_steps(home) == {waits.run_id}
    async with opened(home, settings_with(), date(2026, 6, 16), start=Start(run_id=waits.run_id)) as run:
        await drain(run.resume(Approval(granted=False, why="no")))
        await run.record()
    assert await kept_steps(home) == set()


@pytest.mark.slow
async def test_runs_go_on_until_every_bucket_is_inside_its_band(run_once: RunOnce) -> None:
    """Fifteen sessions later there is nothing left to do, and nothing is churned."""
    days = [date(2026, 6, day) for day in (15, 16, 17, 18, 22, 23, 24, 25, 26, 29, 30)]
    days += [date(2026, 7, day) for day in (1, 2, 6, 7, 8, 9, 10, 13, 14)]
    records = [await run_once(day=day) for day in days]
    assert records[-1].outcome is Outcome.NOTHING_TO_DO
    assert records[-1].orders == ()


async def test_on_a_closed_day_nothing_is_planned_or_sent(run_once: RunOnce) -> None:
    record = await run_once(day=SUNDAY)
    assert record.outcome is Outcome.MARKET_CLOSED
    assert "closed until Mon 2026-06-15 13:30 UTC" in record.message
    assert record.plan is None
    assert record.orders == ()


async def test_a_clock_set_back_is_told_and_brings_no_lessons_from_the_future(run_once: RunOnce) -> None:
    await run_once(day=date(2026, 6, 16))
    earlier = await run_once(day=date(2026, 6, 15))
    assert earlier.lessons == ()
    assert earlier.snapshot is not None
    (warned,) = (check for check in earlier.snapshot.data_quality if not check.passed)
    assert "last sent an order at 2026-06-16" in warned.why


async def test_a_tighter_limit_makes_smaller_orders(run_once: RunOnce) -> None:
    record = await run_once(risk_threshold=Decimal(300))
    values = [order.quantity * order.limit_price for order in record.orders]
    assert values
    assert max(values) <= 300


async def test_the_reflection_file_holds_the_promised_keys(run_once: RunOnce, home: Home) -> None:
    record = await run_once()
    (file,) = home.reflections.iterdir()
    assert file.name.startswith("reflection_")
    written = json.loads(file.read_text(encoding="utf-8"))
    assert {
        "portfolio_value_before",
        "decisions_made",
        "trades_executed",
        "successful_trades",
        "total_trade_value",
        "results",
        "lessons_learned",
        "current_allocations",
        "drift_before",
        "drift_after",
        "commissions",
    } <= written.keys()
    assert written["decisions_made"] == written["successful_trades"] == len(record.orders) > 0


async def test_without_save_reflections_no_file_is_written(run_once: RunOnce, home: Home) -> None:
    await run_once(save_reflections=False)
    assert list(home.reflections.iterdir()) == []


async def test_the_record_fits_its_schema(run_once: RunOnce) -> None:
    record = await run_once()
    jsonschema.validate(json.loads(record.model_dump_json()), json_schema())
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


async def test_money_moves_by_the_fills_and_their_commissions_alone(run_once: RunOnce) -> None:
    first = await run_once()
    second = await run_once(day=SUNDAY)
    assert first.snapshot is not None
    assert second.snapshot is not None
    cash = first.snapshot.cash
    for order in first.orders:
        assert order.average_price is not None
        assert order.commission is not None
        cash -= order.side.sign * order.filled_quantity * order.average_price + order.commission
    assert second.snapshot.cash == cash


@pytest.mark.parametrize("granted", [True, False])
async def test_with_approval_required_nothing_is_sent_before_the_answer(run_once: RunOnce, *, granted: bool) -> None:
    record = await run_once(require_approval="always", answer=Approval(granted=granted, why="a test"))
    assert record.outcome is (Outcome.TRADED if granted else Outcome.DECLINED)
    assert bool(record.orders) is granted


async def test_an_unanswered_approval_leaves_the_run_waiting_with_nothing_sent(run_once: RunOnce) -> None:
    record = await run_once(require_approval="always")
    assert record.outcome is Outcome.WAITING_FOR_APPROVAL
    assert record.orders == ()
    assert record.verdicts


async def test_what_no_run_can_bring_back_is_not_answered_by_another_run(run_once: RunOnce) -> None:
    """Three quarters of the account are in holdings that these rules do not name."""
    rules = [{"name": "Gold", "target_allocation": 100, "symbols": ["GLD"], "max_position_size": 100}]
    record = await run_once(trading_rules=rules, max_portfolio_change=50, risk_threshold=10_000)
    assert record.reflection is not None
    (advice,) = record.reflection.next_actions
    assert advice.startswith("Name the holdings that no rule names")
    assert "Gold" in advice
