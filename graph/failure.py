"""What broke, in one sentence, and how the run therefore ended."""

from __future__ import annotations

from brokers.errors import OutcomeUnknown, Retryable
from graph.record import Failure, Outcome


def describe(step: str, error: BaseException) -> Failure:
    if isinstance(error, OutcomeUnknown):
        outcome = Outcome.ORDER_UNKNOWN
    elif isinstance(error, Retryable):
        outcome = Outcome.UNREACHABLE
    else:
        outcome = Outcome.FAILED
    return Failure(step=step, outcome=outcome, message=str(error) or type(error).__name__)
