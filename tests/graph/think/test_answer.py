"""A model's words become an Answer, or are Unusable with a reason: nothing else may come of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain_core.messages import AIMessage

from graph.think.answer import PLAN, Answer, Unusable, read_answer

CLAIM = {"statement": "so it is", "source": "account.cash", "value": 1.5, "unit": "USD"}
TRADE = {"symbol": "SPY", "side": "BUY", "quantity": 1, "reason": "r", "expected_effect": "e", "evidence": [CLAIM]}
ANSWER = {"trades": [TRADE], "deviations": [{"symbol": "VTI", "why": "no"}], "summary": "s", "confidence": 0.5}


def said(text: str) -> Answer:
    return read_answer(AIMessage(text))


def handed_in(*arguments: dict[str, Any], text: str = "") -> Answer:
    """The answer in calls of the function."""
    calls = [{"name": PLAN.name, "args": one, "id": f"call_{place}"} for place, one in enumerate(arguments)]
    return read_answer(AIMessage(text, tool_calls=calls))


def with_trade(**changes: Any) -> str:
    return json.dumps({**ANSWER, "trades": [{**TRADE, **changes}]})


GOOD = said(json.dumps(ANSWER))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ANSWER, indent=2),
        f"Here is the plan:\n```json\n{json.dumps(ANSWER)}\n```\nGood luck!",
        json.dumps(ANSWER)[:-1] + ', "confidence": 0.1, "confidence": 0.5}',
    ],
)
def test_the_json_object_is_found_in_its_fence_amid_prose_and_the_last_of_two_values_counts(text: str) -> None:
    assert said(text) == GOOD


def test_a_call_of_the_function_is_the_answer_the_last_of_several_whatever_is_said_beside_it() -> None:
    assert handed_in({}, ANSWER, text="{}") == GOOD


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the answer is empty"),
        (" \n", "the answer is empty"),
        ("Buy SPY.", "the answer is not a JSON object"),
        ("} {", "the answer is not a JSON object"),
        ("[1, 2]", "the answer is not a JSON object"),
        ("{'trades': []}", "the answer is not JSON"),
        ('{"trades": [', "the answer is not a JSON object"),
        ('{"trades": []} and {"trades": []}', "the answer is not JSON"),
        ("{}", "trades: Field required"),
        (json.dumps({**ANSWER, "orders": []}), "orders: Extra inputs are not permitted"),
        (json.dumps({**ANSWER, "confidence": float("nan")}), "NaN is not a number"),
        (json.dumps({**ANSWER, "confidence": float("-inf")}), "-Infinity is not a number"),
        (json.dumps(ANSWER).replace("0.5", "1e999"), "confidence: Input should be a finite number"),
        (json.dumps(ANSWER).replace("0.5", "9" * 4000), "confidence: "),
        (json.dumps(ANSWER).replace("0.5", "9" * 5000), "the answer is not JSON"),
        ('{"trades": ' + "[" * 100_000 + "]" * 100_000 + "}", "the answer is not JSON"),
        ('{"trades": ' * 100_000 + "1" + "}" * 100_000, "the answer is not JSON"),
        ('{"trades": ' + "[" * 500 + "]" * 500 + "}", "trades.0: "),
        ('{"\\ud800": 1}', "answer: "),
        (json.dumps({**ANSWER, "trades": [TRADE] * 101}), "trades: "),
        (with_trade(evidence=[CLAIM] * 21), "trades.0.evidence: "),
        (with_trade(evidence=[{**CLAIM, "value": 1e16}]), "trades.0.evidence.0.value: "),
        (with_trade(evidence=[{**CLAIM, "value": "a lot"}]), "trades.0.evidence.0.value: "),
        (with_trade(symbol=" "), "trades.0.symbol: "),
        (with_trade(symbol=["SPY"]), "trades.0.symbol: "),
        (with_trade(side="HOLD"), "trades.0.side: "),
        (with_trade(quantity=0), "trades.0.quantity: "),
        (with_trade(quantity=-5), "trades.0.quantity: "),
        (with_trade(quantity=1.5), "trades.0.quantity: "),
        (with_trade(quantity=10**9), "trades.0.quantity: "),
        (with_trade(quantity=10**4000), "trades.0.quantity: "),
        (with_trade(quantity="many"), "trades.0.quantity: "),
        (with_trade(quantity=True), "trades.0.quantity: "),
        (with_trade(reason=None), "trades.0.reason: "),
        (json.dumps({**ANSWER, "trades": {}}), "trades: "),
        (json.dumps({**ANSWER, "confidence": 1.01}), "confidence: "),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_no_answer_is_unusable_and_says_why(text: str, why: str) -> None:
    with pytest.raises(Unusable) as refused:
        said(text)
    assert why in str(refused.value)


def test_of_many_faults_only_the_first_are_told() -> None:
    with pytest.raises(Unusable, match=r"; and 2 more$"):
        said(json.dumps({**ANSWER, **{f"key_{number}": 1 for number in range(10)}}))


def test_what_is_wrong_is_told_on_one_printable_line_of_bounded_length() -> None:
    """The person reads it, and the model; the names of keys are the model's own words."""
    with pytest.raises(Unusable) as refused:
        said(json.dumps({**ANSWER, "\x1b[2J\n" + "x" * 100_000: 1}))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1500


def test_words_are_cut_to_one_printable_line_and_symbols_are_spelt_as_the_house_does() -> None:
    answer = said(with_trade(symbol=" brk.b\n", reason="a\x1b[31mb\n\tc\u2028d", expected_effect="x" * 10_000))
    assert answer.trades[0].symbol == "BRK B"
    assert answer.trades[0].reason == "a [31mb c d"
    assert len(answer.trades[0].expected_effect) == 400
    assert len(said(with_trade(symbol="x" * 10_000)).trades[0].symbol) == 64


def test_a_figure_that_no_arithmetic_could_tell_from_zero_is_zero() -> None:
    assert said(with_trade(evidence=[{**CLAIM, "value": 1e-300}])).trades[0].evidence[0].value == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def nearly(whole: dict[str, Any], **others: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """`whole`, with some of its values something else."""
    return st.fixed_dictionaries({key: st.just(value) | others.get(key, JSON) for key, value in whole.items()})


TRADES = st.lists(nearly(TRADE, evidence=st.lists(nearly(CLAIM), max_size=2)), max_size=2)
ANSWERS = nearly(ANSWER, trades=TRADES)


def is_answer_or_unusable(message: AIMessage) -> None:
    with suppress(Unusable):
        assert isinstance(read_answer(message), Answer)


@examples(deadline=None)
@given(JSON | ANSWERS)
def test_any_json_is_an_answer_or_unusable(value: Any) -> None:
    is_answer_or_unusable(AIMessage(json.dumps(value)))


@examples(deadline=None)
@given(ANSWERS | st.dictionaries(st.text(max_size=8), JSON))
def test_any_arguments_of_the_function_are_an_answer_or_unusable(arguments: dict[str, Any]) -> None:
    with suppress(Unusable):
        handed_in(arguments)


@examples(max_examples=200, deadline=None)
@given(
    st.text() | st.lists(st.sampled_from(["{", "}", '"trades"', ":", "[", "]", "```", "NaN", "1e9", ","])).map("".join)
)
def test_any_text_is_an_answer_or_unusable(text: str) -> None:
    is_answer_or_unusable(AIMessage(text))


# --- the form that is asked for ------------------------------------------------------------------------------------


def parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    """`schema` and every schema in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    for one in [*inner, *([schema["items"]] if "items" in schema else [])]:
        yield from parts_of(one)


def test_the_schema_is_one_that_strict_servers_take() -> None:
    Draft202012Validator.check_schema(PLAN.schema)
    parts = list(parts_of(PLAN.schema))
    objects = [part for part in parts if part.get("type") == "object"]
    assert len(objects) == 4
    for part in objects:
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
    assert set().union(*parts) <= {
        "$defs", "$ref", "additionalProperties", "enum", "items", "properties", "required", "type",
    }  # fmt: skip


def test_an_answer_in_the_form_asked_for_is_one() -> None:
    Draft202012Validator(PLAN.schema).validate(ANSWER)
    assert json.loads(GOOD.model_dump_json()) == ANSWER
