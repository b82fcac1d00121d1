"""What a run may spend on its model, at every limit and just below, whatever the server says it counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from langchain_core.messages.ai import UsageMetadata

from config.settings import ModelPrice
from graph.checkpoints import serializer
from graph.record import Usage
from graph.think.budget import is_last_call, priced, why_over, with_call
from tests.portfolio.cases import NOW, make_settings

BOUNDS = {"max_model_calls": 8, "max_tool_calls": 20, "max_input_tokens": 10_000, "max_output_tokens": 1_000}
SETTINGS = make_settings(**BOUNDS, model="m", model_prices={"m": ModelPrice(input=0.5, output=2)})
ABSURD = 10**30


def counted(read: int, written: int) -> UsageMetadata:
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)


@pytest.mark.parametrize(
    ("spent", "request_tokens", "why"),
    [
        ({"model_calls": 7}, 0, None),
        ({"model_calls": 8}, 0, "no call is left of max_model_calls (8)"),
        ({"input_tokens": 9_000}, 1_000, None),
        ({"input_tokens": 9_000}, 1_001, "no room for another call is left in max_input_tokens (10,000)"),
        ({}, 10_001, "no room for another call is left in max_input_tokens (10,000)"),
        ({"output_tokens": 936}, 0, None),
        ({"output_tokens": 937}, 0, "no room for an answer is left in max_output_tokens (1,000)"),
        ({"input_tokens": ABSURD}, 0, "no room for another call is left in max_input_tokens (10,000)"),
    ],
)
def test_a_limit_holds_at_its_very_edge(spent: dict[str, int], request_tokens: int, why: str | None) -> None:
    assert why_over(Usage(**spent), request_tokens, SETTINGS, NOW, NOW + timedelta(seconds=1)) == why


def test_time_is_over_when_it_is_over_and_not_before() -> None:
    assert why_over(Usage(), 0, SETTINGS, NOW, NOW + timedelta(microseconds=1)) is None
    assert why_over(Usage(), 0, SETTINGS, NOW, NOW) == "the 180 s of max_think_seconds are over"


def test_a_bound_below_any_answer_leaves_one_call() -> None:
    tight = make_settings(max_output_tokens=10)
    assert why_over(Usage(), 0, tight, NOW, NOW + timedelta(seconds=1)) is None
    assert why_over(Usage(output_tokens=1), 0, tight, NOW, NOW + timedelta(seconds=1)) is not None


@pytest.mark.parametrize(
    ("spent", "is_last"),
    [
        ({}, False),
        ({"model_calls": 6, "tool_calls": 19}, False),
        ({"model_calls": 7}, True),
        ({"tool_calls": 20}, True),
    ],
)
def test_the_last_call_is_the_one_after_which_nothing_may_follow(
    spent: dict[str, int],
    is_last: bool,  # noqa: FBT001  (a table)
) -> None:
    assert is_last_call(Usage(**spent), SETTINGS) is is_last


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (counted(100, 20), {"input_tokens": 100, "output_tokens": 20, "estimated": False}),
        (counted(100, 0), {"input_tokens": 100, "output_tokens": 0, "estimated": False}),
        (counted(0, 0), {"input_tokens": 90, "output_tokens": 10, "estimated": True}),
        (counted(-100, -20), {"input_tokens": 90, "output_tokens": 10, "estimated": True}),
        (None, {"input_tokens": 90, "output_tokens": 10, "estimated": True}),
    ],
)
def test_a_call_costs_what_the_server_counted_else_what_we_estimate(
    told: UsageMetadata | None, expected: dict[str, Any]
) -> None:
    assert with_call(Usage(), told, 90, 10) == Usage(model_calls=1, **expected)


def test_a_call_that_came_to_nothing_is_no_estimate_and_one_estimate_makes_all_of_it_one() -> None:
    assert with_call(Usage(), None, 0, 0) == Usage(model_calls=1)
    guessed = with_call(Usage(), None, 90, 10)
    assert with_call(guessed, counted(100, 20), 90, 10).estimated


COUNTS = st.sampled_from([-ABSURD, -1, 0, 1, ABSURD]) | st.integers()


@examples(deadline=None)
@given(st.none() | st.builds(counted, COUNTS, COUNTS), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_count_of_a_server_lowers_what_was_spent(told: UsageMetadata | None, read: int, written: int) -> None:
    before = Usage(input_tokens=500, output_tokens=50, model_calls=2, tool_calls=3)
    after = with_call(before, told, read, written)
    assert after.input_tokens >= 500
    assert after.output_tokens >= 50
    assert (after.model_calls, after.tool_calls) == (3, 3)


def test_a_count_however_absurd_can_be_priced_and_kept() -> None:
    """A server that claims it must not be able to break the run."""
    spent = priced(with_call(Usage(), counted(ABSURD, ABSURD), 90, 10), SETTINGS)
    assert serializer().dumps_typed(spent)
    assert why_over(spent, 0, SETTINGS, NOW, NOW + timedelta(seconds=1)) is not None


def test_a_price_is_in_usd_for_a_million_tokens_to_the_millionth_and_unknown_where_none_is_set() -> None:
    """3,000 at 0.5 and 301 at 2 USD a million are 0.0015 and 0.000602."""
    assert priced(Usage(input_tokens=3_000, output_tokens=301), SETTINGS).cost == Decimal("0.002102")
    assert priced(Usage(input_tokens=1), SETTINGS).cost == Decimal(0)
    assert priced(Usage(input_tokens=3_000), make_settings(model="another")).cost is None
