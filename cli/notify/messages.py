"""What a run amounts to for somebody who reads it on a phone: a title, a few lines, and how much it matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum

from cli.amounts import money
from cli.hints import in_home
from config.home import Home
from graph.journal import Question
from graph.record import Outcome, RunRecord
from portfolio.models import OrderRecord, OrderStatus
from tools.wire.foreign_text import one_line

MOST_OF_A_LINE = 300
MOST_LINES = 12
ELSEWHERE: Mapping[str, str] = {}
"""What is set in the shell of whoever reads it is not known."""


class Level(IntEnum):
    """How much a message matters; urgent ones are sent in quiet hours too."""

    ROUTINE = 1
    IMPORTANT = 2
    URGENT = 3


@dataclass(frozen=True)
class Notification:
    title: str
    body: str
    level: Level


TEST = Notification(
    "Smart Trading Agent: a test", "If you read this, notifications arrive. Nothing was traded.", Level.URGENT
)
URGENT = {
    Outcome.WAITING_FOR_APPROVAL: "Approval wanted",
    Outcome.ORDER_UNKNOWN: "An order's outcome is unknown",
    Outcome.HALTED: "Trading is halted",
    Outcome.UNREACHABLE: "The broker cannot be reached",
    Outcome.DATA_UNFIT: "The data is not fit to trade on",
    Outcome.FAILED: "A run failed",
}
IMPORTANT = {
    Outcome.TRADED: "Traded",
    Outcome.NOTHING_FILLED: "No order was filled",
    Outcome.REFUSED: "The orders were refused",
    Outcome.INTERRUPTED: "A run was stopped",
    Outcome.EXPIRED: "An approval was not given in time",
}
ROUTINE = {
    Outcome.NOTHING_TO_DO: "Nothing to do",
    Outcome.NOTHING_APPROVED: "The guard refused every trade",
    Outcome.DECLINED: "The orders were declined",
    Outcome.MARKET_CLOSED: "The market is closed",
}


def of_run(record: RunRecord, question: Question | None, place: Home) -> Notification:
    """What became of a run; with the `question` it waits with, what to type."""
    title, level = _head(record)
    lines = [record.message, *_orders(record), *_drift(record)]
    if question and record.outcome is Outcome.WAITING_FOR_APPROVAL:
        lines = [*_wanted(question), *_commands(question, place)]
    return Notification(one_line(title, MOST_OF_A_LINE), _body(lines), level)


def of_failure(sentence: str, level: Level = Level.URGENT) -> Notification:
    """A run that came to no record."""
    return Notification("A run failed", _body([sentence]), level)


def of_halt(why: str, place: Home, at: datetime) -> Notification:
    """That somebody halted trading; two halts are told apart by their time."""
    resume = f"smart-agent resume{in_home(place, ELSEWHERE)}"
    words = [_since(why, at), f"No order is sent until: {resume}"]
    return Notification("Trading is halted", _body(words), Level.URGENT)


def of_resume(why: str, at: datetime) -> Notification:
    return Notification("Trading goes on", _body([_since(why, at)]), Level.URGENT)


def _since(why: str, at: datetime) -> str:
    return f"{why} ({at:%Y-%m-%d %H:%M:%S} UTC)"


def _head(record: RunRecord) -> tuple[str, Level]:
    outcome = record.outcome
    if outcome in URGENT:
        return URGENT[outcome], Level.URGENT
    stopped = [one.symbol for one in _filled(record) if one.symbol in _stopped_out(record)]
    rejected = [one for one in record.orders if one.status is OrderStatus.REJECTED]
    if stopped:
        return f"Stop loss: sold {', '.join(dict.fromkeys(stopped))}", Level.IMPORTANT
    if rejected:
        return f"The broker rejected {_named(rejected[0])}", Level.IMPORTANT
    if outcome is Outcome.TRADED:
        return f"Traded: {', '.join(_named(one) for one in _filled(record))}", Level.IMPORTANT
    if outcome in IMPORTANT:
        return IMPORTANT[outcome], Level.IMPORTANT
    return ROUTINE[outcome], Level.ROUTINE


def _stopped_out(record: RunRecord) -> set[str]:
    """The symbols whose stop loss was hit."""
    trades = record.plan.trades if record.plan else ()
    return {one.symbol for one in trades if one.protective and "stop_loss" in one.reason}


def _filled(record: RunRecord) -> list[OrderRecord]:
    return [one for one in record.orders if one.filled_quantity > 0]


def _named(order: OrderRecord) -> str:
    return f"{order.side} {order.quantity} {order.symbol}"


def _orders(record: RunRecord) -> Iterator[str]:
    for order in record.orders:
        filled = f"{order.filled_quantity:f} filled at {order.average_price:,.2f}" if order.average_price else ""
        message = order.message or ""
        yield f"{_named(order)}: {order.status}{f', {filled}' if filled else ''}{f' ({message})' if message else ''}"


def _drift(record: RunRecord) -> Iterator[str]:
    reflection = record.reflection
    if reflection and record.orders and reflection.drift_before:
        before, after = (sum(map(abs, one.values())) for one in (reflection.drift_before, reflection.drift_after))
        yield f"Total drift {before:.1f} → {after:.1f} points"
    if reflection and reflection.portfolio_value_after is not None:
        yield f"Portfolio value {money(reflection.portfolio_value_after)}"


def _wanted(question: Question) -> Iterator[str]:
    total = sum((order.value for order in question.orders), Decimal(0))
    yield f"{money(total)} in all; {question.why}. Open until {question.expires_at:%Y-%m-%d %H:%M} UTC."
    for order in question.orders:
        yield f"{order.side} {order.quantity} {order.symbol} at limit {order.limit_price:,.2f}, {money(order.value)}"
    yield from (f"The broker warns of {warning}" for warning in question.warnings)


def _commands(question: Question, place: Home) -> Iterator[str]:
    here = in_home(place, ELSEWHERE)
    yield f"smart-agent approve {question.run_id}{here}"
    yield f'smart-agent reject {question.run_id}{here} --why "…"'


def _body(lines: list[str]) -> str:
    """Somebody else's words among them are one line each, and never a command."""
    told = [one_line(line, MOST_OF_A_LINE) for line in lines]
    *first, last = told
    kept = [*first[: MOST_LINES - 1], last] if len(told) > MOST_LINES else told
    return "\n".join(kept)
