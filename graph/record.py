"""What a run leaves behind: its reflection, its lesson for the next run, and the RunRecord that is a public interface.

The keys of `RunRecord` are promised to scripts (docs/run-record.schema.json); keys may be added, none renamed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from config.rules import ticker
from portfolio.drift import DriftTable
from portfolio.limits.tightening import Limit, Tightening
from portfolio.models import DataCheck, Fact, OrderRecord, OrderTerms, TradePlan, Utc, Verdict, Whole


class Outcome(StrEnum):
    """How a run ended, in one word; the command line turns it into an exit code."""

    TRADED = "traded"
    NOTHING_TO_DO = "nothing_to_do"
    NOTHING_APPROVED = "nothing_approved"
    NOTHING_FILLED = "nothing_filled"
    REFUSED = "refused"
    DECLINED = "declined"
    EXPIRED = "expired"
    INTERRUPTED = "interrupted"
    HALTED = "halted"
    MARKET_CLOSED = "market_closed"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    DATA_UNFIT = "data_unfit"
    UNREACHABLE = "unreachable"
    ORDER_UNKNOWN = "order_unknown"
    FAILED = "failed"


class Failure(Fact):
    """Why a run could not go on: the step it broke in and one sentence for the investor.

    `halted_trading` says that what broke made the agent halt itself.
    """

    step: str
    outcome: Outcome
    message: str
    halted_trading: bool = False


class Approval(Fact):
    """The answer to the orders the guard let through; `only` are the symbols it is about, empty for all.

    `expired` says that nobody answered in time. `seen` names what the person was shown, see the function of that name.
    """

    granted: bool
    why: str = ""
    only: tuple[str, ...] = ()
    expired: bool = False
    seen: str = ""

    def covers(self, symbol: str) -> bool:
        """Whether orders in `symbol` may be sent."""
        return self.granted and (not self.only or ticker(symbol) in {ticker(wanted) for wanted in self.only})


def seen(orders: Iterable[OrderTerms], warnings: Iterable[str]) -> str:
    """A hash of the orders and warnings that a person is shown."""
    parts = [*(order.model_dump_json() for order in orders), *warnings]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Scope(StrEnum):
    """What a lesson is about: one symbol, one bucket, a limit, or how orders are carried out."""

    SYMBOL = "symbol"
    BUCKET = "bucket"
    LIMIT = "limit"
    EXECUTION = "execution"


class Occasion(Fact):
    """A run that bore a lesson out, the figures by which it did, and the limit that it would have made smaller."""

    run_id: str
    at: Utc
    figures: dict[str, str]
    wants: Limit | None = None


class Lesson(Fact):
    """What runs have taught: a `statement` about `about`, a thing of the kind `scope`, and what it rests on.

    `source` is "rules", or the model that said it. `times` counts the runs that bore it out, of which `occasions` are
    the last. `weight` grows with each and is halved by each that contradicts it, the last of those `contradicted_by`; a
    lesson without weight is forgotten. What one has done to a limit stands in the journal, and nowhere else.
    """

    id: str
    source: str
    scope: Scope
    about: str
    statement: str
    learned_at: Utc
    seen_at: Utc
    times: Annotated[Whole, Field(ge=1)]
    weight: Annotated[Whole, Field(ge=0)]
    occasions: Annotated[tuple[Occasion, ...], Field(min_length=1)]
    contradicted_by: str | None = None


class Reflection(Fact):
    """Intended against done. Values in USD, allocations and drift in % of net liquidation and % points.

    `results` and `lessons_learned` are sentences: what the run came to, and what it taught later ones.
    """

    run_id: str
    reflected_at: Utc
    portfolio_value_before: Decimal | None
    portfolio_value_after: Decimal | None
    decisions_made: int
    trades_executed: int
    successful_trades: int
    total_trade_value: Decimal
    commissions: Decimal
    lessons_learned: tuple[str, ...]
    next_actions: tuple[str, ...]
    current_allocations: dict[str, float]
    drift_before: dict[str, float]
    drift_after: dict[str, float]
    failure: str | None = None
    results: tuple[str, ...] = ()


class PositionLine(Fact):
    symbol: str
    quantity: Decimal
    average_cost: Decimal
    market_price: Decimal | None
    market_value: Decimal | None


class SnapshotLine(Fact):
    net_liquidation: Decimal
    cash: Decimal
    positions: tuple[PositionLine, ...]
    data_quality: tuple[DataCheck, ...]
    drift: DriftTable


class Usage(Fact):
    """What the language model cost this run; zeros when none was asked.

    `estimated` says that its server did not count the tokens of every call. `cost` in USD by `model_prices`, None where
    those do not name the model.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    estimated: bool = False
    cost: Decimal | None = None


class ToolUse(Fact):
    """A call of a tool by the model; `result` in a few words. `refused` where there is no such tool for it to call."""

    name: str
    arguments: str
    result: str
    refused: bool = False


class Struck(Fact):
    """Words of the model that nothing bears out; `symbol` says in which trade, None for the plan as a whole."""

    symbol: str | None
    words: str
    why: str


class Thought(Fact):
    """How the model came to its plan. `trouble` says in a sentence why the rules' plan stands instead of one of its.

    `baseline` is the rules' plan that it started from, and `sent_back` are the guard's verdicts that went back to it.
    `shadow` is its plan where it was only looked at, with what the guard says of that.
    """

    mode: str
    model: str
    trouble: str | None = None
    baseline: TradePlan | None = None
    tool_uses: tuple[ToolUse, ...] = ()
    struck: tuple[Struck, ...] = ()
    sent_back: tuple[Verdict, ...] = ()
    shadow: TradePlan | None = None
    shadow_verdicts: tuple[Verdict, ...] = ()
    usage: Usage = Usage()


class Exchange(Fact):
    """A person's question in a chat, and the answer.

    `moments` say of when the figures are that were looked up, `tools` where. `unfounded` are the numbers of the answer
    that are in nothing the model was told.
    """

    question: str
    answer: str
    asked_at: Utc
    moments: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    unfounded: tuple[str, ...] = ()


class Timings(Fact):
    """Wall seconds of each step; None for a step that did not run."""

    sense: float | None = None
    think: float | None = None
    act: float | None = None
    reflect: float | None = None


class RunRecord(Fact):
    """One run from beginning to end. Money in USD; times in UTC; `as_of` is the broker's clock when it was read."""

    run_id: str
    mode: str
    account: str | None
    strategy: str
    started_at: Utc
    finished_at: Utc
    as_of: Utc | None
    outcome: Outcome
    message: str
    snapshot: SnapshotLine | None
    lessons: tuple[Lesson, ...]
    tightenings: tuple[Tightening, ...] = ()
    plan: TradePlan | None
    verdicts: tuple[Verdict, ...]
    orders: tuple[OrderRecord, ...]
    reflection: Reflection | None
    notes: tuple[str, ...]
    usage: Usage
    thought: Thought | None
    timings: Timings


def json_schema() -> dict[str, Any]:
    """The JSON schema of a RunRecord as it is printed."""
    return RunRecord.model_json_schema(mode="serialization")
