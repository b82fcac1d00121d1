"""What a decision was worth, by hand, and how many of them are told apart from chance."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from statistics import mean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.models import Side
from portfolio.performance.execution import Execution, Helped, helped
from portfolio.performance.scoring import Decision, Fate, Score, Standing, standings, t_value

AT = datetime(2026, 6, 15, 20, tzinfo=UTC)


def decision(side: Side = Side.BUY, price: str = "100", **changes: Any) -> Decision:
    facts = {
        "run_id": "r", "account_id": "DU1", "source": "rules", "decided_at": AT, "symbol": "SPY", "conid": 1,
        "side": side, "quantity": Decimal(10), "price": Decimal(price), "cost": Decimal(1), "arrival": None,
        "fate": Fate.EXECUTED,
    }  # fmt: skip
    return Decision.model_validate(facts | changes)


def score(effect: str, **changes: Any) -> Score:
    return Score(decision=decision(**changes), horizon=1, later=Decimal(100), effect=Decimal(effect))


def test_a_purchase_is_worth_the_rise_less_its_cost_and_a_sale_the_fall() -> None:
    assert decision().effect(Decimal(103)) == 29
    assert decision(Side.SELL).effect(Decimal(103)) == -31
    assert decision(Side.SELL).effect(Decimal(97)) == 29


def test_a_split_in_between_is_no_fall() -> None:
    assert decision().effect(Decimal("25.75"), ratio=Decimal(4)) == 29


def test_scores_together_by_hand() -> None:
    """+2 %, -1 % and +5 % of 1,000 USD: mean 2 %, deviation 3 %, so t is 2 / (3 / sqrt 3) = 1.155."""
    together = Standing.of([score("20"), score("-10"), score("50")])
    assert together
    assert (together.count, together.helped, together.effect) == (3, 2, Decimal(60))
    assert together.mean == pytest.approx(2)
    assert together.worst == pytest.approx(-1)
    assert together.t_value == pytest.approx(1.1547, abs=1e-4)
    assert Standing.of([]) is None


def test_what_helped_is_counted_of_what_was_done_and_once() -> None:
    """The model's copy of a trade of the rules is the same trade, and a refused one was not done."""
    scores = [
        score("20"),
        score("20", source="a model"),
        score("-10", symbol="KO"),
        score("50", symbol="KO", fate=Fate.REJECTED),
        score("5").model_copy(update={"horizon": 20}),
    ]
    assert helped(scores) == (
        Helped(horizon=1, scored=2, helped=1),
        Helped(horizon=5, scored=0, helped=0),
        Helped(horizon=20, scored=1, helped=1),
    )


@pytest.mark.parametrize("sample", [[], [1.0], [2.0, 2.0]])
def test_where_nothing_varies_there_is_no_t(sample: list[float]) -> None:
    assert t_value(sample) is None


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=40).filter(lambda sample: stdev(sample) > 1e-6))
def test_t_is_that_of_the_textbook(sample: list[float]) -> None:
    assert t_value(sample) == pytest.approx(mean(sample) / (stdev(sample) / len(sample) ** 0.5))


def test_they_are_told_apart_by_source_fate_and_horizon() -> None:
    held = score("5", fate=Fate.HELD)
    model = score("7", source="gpt")
    told = standings([score("1"), score("3"), held, model])
    assert {key: one.count for key, one in told.items()} == {
        ("rules", Fate.EXECUTED, 1): 2,
        ("rules", Fate.HELD, 1): 1,
        ("gpt", Fate.EXECUTED, 1): 1,
    }


def test_slippage_is_what_a_fill_cost_above_the_arrival_mid() -> None:
    """10 bought at 100.05 and 5 sold at 99.90 of a mid of 100 cost 0.50 each: 1 USD of 1,500, which is 6.7 bps."""
    bought = decision(price="100.05", arrival=Decimal(100))
    sold = decision(Side.SELL, "99.90", arrival=Decimal(100), quantity=Decimal(5), symbol="KO")
    refused = decision(fate=Fate.REJECTED, arrival=Decimal(100), symbol="BND")
    assert (bought.slippage, sold.slippage, refused.slippage) == (Decimal("0.5"), Decimal("0.5"), None)
    assert decision().slippage is None
    looked_at = decision(fate=Fate.SHADOW, symbol="QQQ")
    same = bought.model_copy(update={"source": "gpt"})
    together = Execution.of([bought, same, sold, refused, looked_at])
    assert (together.decided, together.executed, together.unfilled, together.rejected) == (3, 2, 0, 1)
    assert together.slippage == 1
    assert together.slippage_bps == pytest.approx(100 * 100 * 1 / 1500)
    assert Execution.of([]).slippage_bps is None
