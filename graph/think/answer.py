"""What the model is to answer with, and how its words become one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from langchain_core.messages import AIMessage
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from config.rules import NotTruth, ticker
from graph.think.mind import Form
from portfolio.limits.case import MOST_SHARES
from tools.wire.foreign_text import MOST_OF_A_NAME, one_line, read_json

MOST_TRADES = 40
MOST_CLAIMS = 20
MOST_CLAIMED = 1e15
MOST_OF_A_REASON = 400
MOST_PROBLEMS = 8
# Bounds are checked here all the same; some servers know no such words.
LEFT_OUT = {
    "title", "description", "default", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum",
    "exclusiveMinimum", "maxProperties",
}  # fmt: skip


class Unusable(Exception):
    """The answer is not in its form; the message says what is wrong, for the model to read."""


def _cut(text: Any) -> Any:
    return one_line(text, MOST_OF_A_REASON) if isinstance(text, str) else text


def _named(text: Any) -> Any:
    return ticker(one_line(text, MOST_OF_A_NAME)) if isinstance(text, str) else text


def _of_this_world(value: float) -> float:
    return round(value, 12)


Words = Annotated[str, BeforeValidator(_cut)]
Symbol = Annotated[str, BeforeValidator(_named), Field(min_length=1)]
Quantity = Annotated[int, Field(ge=1, le=MOST_SHARES), NotTruth]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AnyPart = TypeVar("AnyPart", bound=Part)


class Claim(Part):
    statement: Words
    source: Words
    value: Annotated[float, Field(ge=-MOST_CLAIMED, le=MOST_CLAIMED), AfterValidator(_of_this_world)]
    unit: Words


class Trade(Part):
    symbol: Symbol
    side: Literal["BUY", "SELL"]
    quantity: Quantity
    reason: Words
    expected_effect: Words
    evidence: Annotated[tuple[Claim, ...], Field(max_length=MOST_CLAIMS)]


class LeftOut(Part):
    symbol: Symbol
    why: Words


class Answer(Part):
    """The whole list of discretionary trades, those of the baseline that are kept among them."""

    trades: Annotated[tuple[Trade, ...], Field(max_length=MOST_TRADES)]
    deviations: Annotated[tuple[LeftOut, ...], Field(max_length=MOST_TRADES)]
    summary: Words
    confidence: Annotated[float, Field(ge=0, le=1)]


def bare(schema: Any) -> Any:
    """`schema` without what only people read and what strict servers refuse."""
    if isinstance(schema, list):
        return [bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: bare(part) for name, part in value.items()} if key in ("properties", "$defs") else bare(value)
        for key, value in schema.items()
        if key not in LEFT_OUT
    }


PLAN = Form("trade_plan", "Hand in the final plan.", bare(Answer.model_json_schema()))


def read_answer(message: AIMessage) -> Answer:
    """The plan in `message`; raises as `read_as`."""
    return read_as(Answer, PLAN, message)


def read_as(kind: type[AnyPart], form: Form, message: AIMessage) -> AnyPart:
    """The answer in `message`: the arguments of a call by the form's name, else the JSON object in its text.

    Raises:
        Unusable: there is none, or it is not in that form.
    """
    handed_in = [call["args"] for call in message.tool_calls if call["name"] == form.name]
    raw: Any = handed_in[-1] if handed_in else _parsed(message.text)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        places = (one_line(".".join(map(str, problem["loc"])), MOST_OF_A_NAME) or "answer" for problem in problems)
        told = [f"{place}: {one_line(problem['msg'], 100)}" for place, problem in zip(places, problems, strict=True)]
        more = f"; and {len(told) - MOST_PROBLEMS} more" if len(told) > MOST_PROBLEMS else ""
        raise Unusable("; ".join(told[:MOST_PROBLEMS]) + more) from error


def _parsed(text: str) -> Any:
    """The JSON object in `text`, whatever stands before and after it."""
    start, end = text.find("{"), text.rfind("}")
    if not text.strip():
        raise Unusable("the answer is empty")
    if start < 0 or end < start:
        raise Unusable("the answer is not a JSON object")
    try:
        return read_json(text[start : end + 1])
    except (ValueError, RecursionError) as error:
        raise Unusable(f"the answer is not JSON ({one_line(str(error), 120)})") from error
