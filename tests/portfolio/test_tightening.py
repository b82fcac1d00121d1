"""A tightening only ever makes a limit smaller, whatever it says, and the guard and the plan both keep to it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import ValidationError

from config.settings import Settings
from portfolio.limits import Batch, Limit, Tightening, TradingDay, evidence_of, first_refusal, tightened
from portfolio.limits.tightening import LEAST_PERCENT, MOST_PERCENT, smaller
from portfolio.models import ProposedTrade, Side, TradePlan
from portfolio.rebalance import baseline_plan
from tests.portfolio.auditor import Auditor
from tests.portfolio.cases import DAY, NOW, SETTINGS, SNAPSHOT, make_settings, make_snapshot, position, quote, trade
from tests.portfolio.rebalance.adversarial import World, worlds
from tests.portfolio.rebalance.test_limits import as_orders

ENDS = NOW + timedelta(days=30)
TINIEST = dict.fromkeys(Limit, "0.01")


def tightening(limit: Limit | str, value: Any) -> Tightening:
    return Tightening.model_validate({"limit": limit, "value": value, "expires_at": ENDS})


def day(**limits: str) -> TradingDay:
    """A day on which these are in force."""
    return DAY.model_copy(update={"tightenings": tuple(tightening(name, value) for name, value in limits.items())})


VALUES = st.decimals("1e-40", "1e15", allow_nan=False) | st.sampled_from([Decimal("1e-40"), Decimal("1e15")])
TIGHTENINGS = st.lists(st.builds(tightening, st.sampled_from(Limit), VALUES), max_size=6)


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    return make_settings(
        risk_threshold=draw(st.decimals(1, 10_000, places=2)),
        max_portfolio_change=draw(st.floats(0.001, 100)),
        max_positions=draw(st.integers(1, 10_000)),
        max_daily_loss=draw(st.floats(0.001, 100)),
        min_order_value=Decimal(0),
    )


# --- smaller, never larger -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "value", "left"),
    [
        (Limit.RISK_THRESHOLD, "999.99", Decimal("999.99")),
        (Limit.RISK_THRESHOLD, "1000.01", Decimal(1000)),
        (Limit.MAX_PORTFOLIO_CHANGE, "2.5", 2.5),
        (Limit.MAX_PORTFOLIO_CHANGE, "99", 5.0),
        (Limit.MAX_POSITIONS, "25", 25),
        (Limit.MAX_POSITIONS, "25.9", 25),
        (Limit.MAX_POSITIONS, "51", 50),
        (Limit.MAX_DAILY_LOSS, "0.1", 0.1),
        (Limit.MAX_DAILY_LOSS, "100", 5.0),
    ],
)
def test_the_smaller_of_two_numbers_counts_in_the_type_of_the_setting(limit: Limit, value: str, left: Any) -> None:
    found = getattr(tightened(SETTINGS, [tightening(limit, value)]), limit)
    assert found == left
    assert type(found) is type(getattr(SETTINGS, limit))


def test_of_several_the_smallest_counts() -> None:
    made = [tightening(Limit.RISK_THRESHOLD, value) for value in ("500", "250", "700")]
    assert tightened(SETTINGS, made).risk_threshold == 250


@given(any_settings(), TIGHTENINGS)
@example(SETTINGS, [tightening(limit, Decimal("1e15")) for limit in Limit])
@example(SETTINGS, [tightening(limit, Decimal("1e-40")) for limit in Limit])
def test_nothing_is_ever_loosened(settings: Settings, made: list[Tightening]) -> None:
    """And nothing else is touched: a limit that is not named stays as it is set."""
    after = tightened(settings, made).model_dump()
    for name, before in settings.model_dump().items():
        if name in set(Limit):
            assert after[name] <= before
            assert after[name] == before or name in {one.limit for one in made}
        else:
            assert after[name] == before, name


@given(any_settings(), TIGHTENINGS, st.randoms(use_true_random=False))
def test_twice_is_once_and_the_order_does_not_matter(settings: Settings, made: list[Tightening], random: Any) -> None:
    once = tightened(settings, made)
    assert tightened(once, made) == once
    shuffled = list(made)
    random.shuffle(shuffled)
    assert tightened(settings, shuffled) == once
    assert tightened(tightened(settings, made[:2]), made[2:]) == once


def test_nothing_in_force_is_the_settings_as_they_are() -> None:
    assert tightened(SETTINGS, ()) == SETTINGS


@pytest.mark.parametrize(
    "value", ["0", "-0", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "1e16", "1e-41", "all", "", None, [], {}]
)
def test_what_is_no_amount_above_zero_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        tightening(Limit.RISK_THRESHOLD, value)


@pytest.mark.parametrize(
    "limit",
    ["max_trade_value", "min_cash", "price_collar", "require_approval", "paper_trading", "RISK_THRESHOLD", "", None, 1],
)
def test_a_limit_that_experience_may_not_touch_is_refused(limit: Any) -> None:
    with pytest.raises(ValidationError):
        tightening(limit, "1")


def test_every_limit_that_may_be_tightened_is_a_setting() -> None:
    assert set(Limit) <= Settings.model_fields.keys()


# --- how much smaller ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "percent", "value"),
    [
        (Limit.RISK_THRESHOLD, 50, "500"),
        (Limit.RISK_THRESHOLD, 1, "250"),
        (Limit.RISK_THRESHOLD, 100, "900"),
        (Limit.RISK_THRESHOLD, -50, "250"),
        (Limit.RISK_THRESHOLD, 10**9, "900"),
        (Limit.MAX_PORTFOLIO_CHANGE, 50, "2.5"),
        (Limit.MAX_POSITIONS, 90, "45"),
        (Limit.MAX_DAILY_LOSS, 30, "1.5"),
    ],
)
def test_a_part_of_the_limit_by_hand(limit: Limit, percent: int, value: str) -> None:
    """Of 1,000 USD, 5 %, 50 positions and 5 %."""
    assert smaller(limit, percent, SETTINGS) == Decimal(value)


def test_an_order_of_the_least_value_still_fits() -> None:
    settings = make_settings(risk_threshold=300, min_order_value=200)
    assert smaller(Limit.RISK_THRESHOLD, 25, settings) == 200
    # The method first_symbol allows a least value above the threshold, which then stays as it is.
    odd = make_settings(risk_threshold=300, min_order_value=400, rebalance_method="first_symbol")
    assert smaller(Limit.RISK_THRESHOLD, 25, odd) == 300


@pytest.mark.parametrize(
    ("set_to", "percent", "left"), [(1, 25, 1), (2, 90, 1), (3, 90, 2), (3, 50, 1), (5, 50, 2), (7, 25, 2), (10, 25, 3)]
)
def test_a_position_at_least_is_left_and_of_parts_of_one_none(set_to: int, percent: int, left: int) -> None:
    assert smaller(Limit.MAX_POSITIONS, percent, make_settings(max_positions=set_to)) == left


@given(any_settings(), st.sampled_from(Limit), st.integers())
def test_it_is_between_25_and_90_percent_and_can_be_kept_to(settings: Settings, limit: Limit, percent: int) -> None:
    set_to = Decimal(str(getattr(settings, limit)))
    value = smaller(limit, percent, settings)
    one_position = limit is Limit.MAX_POSITIONS and set_to == 1
    assert set_to * LEAST_PERCENT / 100 <= value <= (set_to if one_position else set_to * MOST_PERCENT / 100)
    assert tightening(limit, value).value == value
    assert getattr(tightened(settings, [tightening(limit, value)]), limit) >= (1 if limit is Limit.MAX_POSITIONS else 0)


# --- what keeps to it ----------------------------------------------------------------------------------------------


def refused_on(wanted: ProposedTrade, on: TradingDay) -> str | None:
    check = first_refusal(TradePlan(source="a test", trades=(wanted,)), SNAPSHOT, SETTINGS, on)
    return check.rule if check else None


@pytest.mark.parametrize(
    ("limit", "fits", "does_not"),
    [
        (Limit.RISK_THRESHOLD, "500", "499.99"),
        (Limit.MAX_PORTFOLIO_CHANGE, "0.5", "0.49"),
        (Limit.MAX_POSITIONS, "6", "5"),
    ],
)
def test_a_trade_that_passes_without_it_is_refused_with_it(limit: Limit, fits: str, does_not: str) -> None:
    """5 VOO of 100 USD: 500 USD, 0.5 % of the account, and its sixth symbol."""
    wanted = trade("VOO", Side.BUY, 5)
    assert refused_on(wanted, DAY) is None
    assert refused_on(wanted, day(**{limit: fits})) is None
    assert refused_on(wanted, day(**{limit: does_not})) == limit


def test_a_loss_that_the_setting_allows_stops_purchases_with_it() -> None:
    """Of 102,400 USD 100,000 are left: 2.34375 % are lost."""
    lost = {"first_net_liquidation": Decimal(102_400)}
    wanted = trade("SPY", Side.BUY, 5)
    assert refused_on(wanted, DAY.model_copy(update=lost)) is None
    assert refused_on(wanted, day(max_daily_loss="2.34375").model_copy(update=lost)) is None
    assert refused_on(wanted, day(max_daily_loss="2.34").model_copy(update=lost)) == "max_daily_loss"
    assert refused_on(trade("SPY", Side.SELL, 5), day(max_daily_loss="2.34").model_copy(update=lost)) is None


def test_the_orders_of_a_batch_share_what_it_leaves() -> None:
    trades = (trade("VOO", Side.BUY, 5), trade("VTI", Side.BUY, 5))
    plan = TradePlan(source="a test", trades=trades)
    assert first_refusal(plan, SNAPSHOT, SETTINGS, day(max_portfolio_change="1")) is None
    check = first_refusal(plan, SNAPSHOT, SETTINGS, day(max_portfolio_change="0.9"))
    assert check
    assert (check.rule, check.limit, check.actual) == ("max_portfolio_change", "0.9", "1.00")


def test_one_that_came_or_went_makes_another_verdict_necessary() -> None:
    wanted = trade("VOO", Side.BUY, 5)

    def evidence(on: TradingDay) -> str:
        batch = Batch(SNAPSHOT, SETTINGS, on)
        return evidence_of(batch.case(wanted, batch.draft(wanted), None))

    told = [evidence(DAY), evidence(day(risk_threshold="700")), evidence(day(risk_threshold="600"))]
    assert len(set(told)) == 3


def test_a_stop_loss_sells_whatever_is_tightened() -> None:
    """100 SPY that fell from 100 to 80: 8,000 USD in one order, 8 % of the account."""
    stopped = Decimal(80)
    snapshot = make_snapshot(
        cash=Decimal(92_000), positions=[position("SPY", 100, stopped)], quotes={"SPY": quote("SPY", stopped)}
    )
    lost = {"first_net_liquidation": Decimal(102_000)}

    def exits(on: TradingDay) -> list[tuple[str, int]]:
        plan = baseline_plan(snapshot, SETTINGS, on.model_copy(update=lost))
        assert first_refusal(plan, snapshot, SETTINGS, on) is None
        return [(one.symbol, one.quantity) for one in plan.trades if one.protective]

    assert exits(DAY) == exits(day(**TINIEST)) == [("SPY", 100)]
    assert baseline_plan(snapshot, SETTINGS, DAY).trades[1:]
    assert not baseline_plan(snapshot, SETTINGS, day(**TINIEST)).trades[1:]


@pytest.mark.parametrize("method", ["optimal", "first_symbol"])
def test_the_plan_stays_inside(method: str) -> None:
    settings = make_settings(rebalance_method=method)
    before = baseline_plan(SNAPSHOT, settings, DAY)
    assert max(100 * one.quantity for one in before.trades) > 300
    after = baseline_plan(SNAPSHOT, settings, day(risk_threshold="300", max_portfolio_change="0.5"))
    assert after.trades
    assert max(100 * one.quantity for one in after.trades) <= 300
    assert sum(100 * one.quantity for one in after.trades) <= 500


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.lists(st.tuples(st.sampled_from(Limit), st.integers(-10, 110)), max_size=4))
def test_no_plan_breaks_a_tightened_limit(world: World, wishes: list[tuple[Limit, int]]) -> None:
    """By an auditor who is told the tighter limits as if a person had set them."""
    made = tuple(tightening(limit, smaller(limit, percent, world.settings)) for limit, percent in wishes)
    on = world.day.model_copy(update={"tightenings": made})
    plan = baseline_plan(world.snapshot, world.settings, on)
    orders = as_orders(plan, world.snapshot, world.settings)
    assert Auditor(world.snapshot, tightened(world.settings, made), world.day).broken(orders) == set()
