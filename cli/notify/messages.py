"""What a run amounts to for somebody who reads it on a phone: a title, a few lines, and how much it matters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum

from cli.amounts import money
from cli.exit_codes import ExitCode, exit_code
from cli.hints import hinted, in_home
from config.home import Home
from graph.journal import Question
from graph.record import Outcome, RunRecord
from portfolio.models import OrderRecord, OrderStatus
from tools.wire.foreign_text import one_line

MOST_OF_A_LINE = 300
MOST_LINES = 12
NO_SPACE = "\u200b"
"""Of no width, and none of a name."""
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
    if question and record.outcome is Outcome.WAITING_FOR_APPROVAL:
        body = _body(_wanted(question), _commands(question, place))
    else:
        body = _body([record.message, *_orders(record), *_drift(record)], place=place)
    return Notification(_calling_nobody(title), body, level)


def of_failure(sentence: str, code: ExitCode, place: Home) -> Notification:
    """A run that came to no record, but to an exit code."""
    title = next((words for outcome, words in URGENT.items() if exit_code(outcome) is code), URGENT[Outcome.FAILED])
    return Notification(title, _body([sentence], place=place), Level.URGENT)


def of_halt(why: str, place: Home, at: datetime) -> Notification:
    """That somebody halted trading; two halts are told apart by their time."""
    resume = f"No order is sent until: smart-agent resume{in_home(place, ELSEWHERE)}"
    return Notification("Trading is halted", _body([_since(why, at)], [resume]), Level.URGENT)


def of_resume(why: str, at: datetime) -> Notification:
    return Notification("Trading goes on", _body([_since(why, at)]), Level.URGENT)


def _since(why: str, at: datetime) -> str:
    return f"{why} ({at:%Y-%m-%d %H:%M:%S} UTC)"


def _head(record: RunRecord) -> tuple[str, Level]:
    outcome = record.outcome
    if outcome in URGENT:
        return URGENT[outcome], Level.URGENT
    stopped = _at_stop_loss(record)
    rejected = [one for one in record.orders if one.status is OrderStatus.REJECTED]
    if stopped:
        return f"Stop loss hit: {', '.join(stopped)}", Level.IMPORTANT
    if rejected:
        return f"The broker rejected {_named(rejected[0])}", Level.IMPORTANT
    if outcome is Outcome.TRADED:
        return f"Traded: {', '.join(_named(one) for one in _filled(record))}", Level.IMPORTANT
    if outcome in IMPORTANT:
        return IMPORTANT[outcome], Level.IMPORTANT
    return ROUTINE[outcome], Level.ROUTINE


def _at_stop_loss(record: RunRecord) -> list[str]:
    """The symbols that were to be sold since they hit their stop loss, whatever became of it."""
    trades = record.plan.trades if record.plan else ()
    return [one.symbol for one in trades if one.protective and "stop_loss" in one.reason]


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


def _calling_nobody(words: str) -> str:
    """One line in which a chat finds nobody to call, as it would in a broker's "@everyone" or "<!channel>"."""
    return one_line(words, MOST_OF_A_LINE).replace("@", f"@{NO_SPACE}").replace("<", f"<{NO_SPACE}")


def _body(lines: Iterable[str], commands: Iterable[str] = (), place: Home | None = None) -> str:
    """The first line, the commands, which are never cut, and the other lines, each one line whoever wrote it.

    Commands within the lines are given the home of `place` last, whose path has to stay as it is.
    """
    told = map(_calling_nobody, lines)
    first, *others = (hinted(line, place, ELSEWHERE) for line in told) if place else told
    if len(others) > MOST_LINES:
        others = [*others[:MOST_LINES], f"… and {len(others) - MOST_LINES} more lines"]
    return "\n".join([first, *commands, *others])
