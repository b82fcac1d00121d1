"""The durable memory of orders, runs and halts, in one SQL database.

An order's intent is committed here before it is sent, under the id the broker gets with it, so that after any crash the
next run knows what may be out there. Nothing is ever deleted.
"""

from graph.journal.database import JournalError, JournalUnusable
from graph.journal.halts import Halt
from graph.journal.journal import Journal
from graph.journal.orders import ApprovalVoid, Change, Halted, JournalledOrder, trading_day
from graph.journal.questions import Answer, Closing, Question
from graph.journal.states import OrderState

__all__ = [
    "Answer",
    "ApprovalVoid",
    "Change",
    "Closing",
    "Halt",
    "Halted",
    "Journal",
    "JournalError",
    "JournalUnusable",
    "JournalledOrder",
    "OrderState",
    "Question",
    "trading_day",
]
