"""What broke, in one sentence, and how the run therefore ended."""

from __future__ import annotations

import logging

from brokers.errors import BrokerError, OutcomeUnknown, Retryable
from graph.checkpoints import StepsNotKept
from graph.journal import Halted, JournalError, JournalUnusable
from graph.record import Failure, Outcome
from tools.wire.foreign_text import one_line


class AccountBusy(Exception):
    """Another run is at work on the same account."""


class MoreThanOrdered(Exception):
    """More shares changed hands than were ordered: something sent an order twice. Trading is halted."""


log = logging.getLogger("smart_agent")


def describe(step: str, error: BaseException) -> Failure:
    """The failure of `step`; one that no broker explains is a mistake of ours, and the log gets all of it."""
    if isinstance(error, MoreThanOrdered):
        return Failure(step=step, outcome=Outcome.HALTED, message=str(error), halted_trading=True)
    if isinstance(error, (Halted, JournalUnusable)):
        return Failure(step=step, outcome=Outcome.HALTED, message=str(error))
    if isinstance(error, (JournalError, AccountBusy, StepsNotKept)):
        return Failure(step=step, outcome=Outcome.FAILED, message=str(error))
    if not isinstance(error, BrokerError):
        log.error("%s broke off", step, exc_info=error)
        words = f"Unexpected {type(error).__name__}: {one_line(str(error))}"
        return Failure(step=step, outcome=Outcome.FAILED, message=words)
    if isinstance(error, OutcomeUnknown):
        outcome = Outcome.ORDER_UNKNOWN
    elif isinstance(error, Retryable):
        outcome = Outcome.UNREACHABLE
    else:
        # Sense only reads: an answer it cannot use is data nobody should trade on.
        outcome = Outcome.DATA_UNFIT if step == "sense" else Outcome.FAILED
    return Failure(step=step, outcome=outcome, message=str(error))
