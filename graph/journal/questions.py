"""What persons were asked to approve, until when, and what came of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import select

from graph.journal.database import QUESTIONS, Database, put
from portfolio.models import Fact, OrderTerms, Utc


class Answer(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class Closing(Fact):
    """How a question came to its end: what the answer was, and the reason that was given for it, or ""."""

    answer: Answer
    why: str

    @property
    def in_words(self) -> str:
        """A superseded question's reason says by what, and so says all."""
        if self.answer is Answer.SUPERSEDED:
            return self.why
        return f"{self.answer} ({self.why})" if self.why else self.answer.value


class Question(Fact):
    """The orders of a run that wait for a person, and why one is asked.

    `to_close` says that it is the market's close that it expires at, sooner than it would otherwise. `command` is what
    the run was started with, so that another process goes on with the same.
    """

    run_id: str
    account_id: str
    asked_at: Utc
    expires_at: Utc
    to_close: bool = False
    why: str
    orders: tuple[OrderTerms, ...]
    warnings: tuple[str, ...]
    command: dict[str, str | None]


class Questions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, question: Question) -> None:
        """Keep the question. One that was answered stays as it is: the answer was to what was shown then."""
        row = {
            "run_id": question.run_id,
            "account_id": question.account_id,
            "asked_at": question.asked_at.isoformat(),
            "expires_at": question.expires_at.isoformat(),
            "question": question.model_dump_json(),
            "answer": None,
        }
        with self._database.change() as connection:
            query = select(QUESTIONS.c.answer).where(QUESTIONS.c.run_id == question.run_id)
            if connection.execute(query).scalar_one_or_none() is None:
                put(connection, QUESTIONS, row)

    def answer(self, run_id: str, answer: Answer, why: str, now: datetime) -> bool:
        """Keep the answer; whether the question was still open."""
        change = QUESTIONS.update().where(QUESTIONS.c.run_id == run_id, QUESTIONS.c.answer.is_(None))
        with self._database.change() as connection:
            done = connection.execute(change.values(answer=answer.value, answered_at=now.isoformat(), why=why))
            return bool(done.rowcount == 1)

    def open(self) -> tuple[Question, ...]:
        """Those without an answer, expired or not, oldest first."""
        query = select(QUESTIONS.c.question).where(QUESTIONS.c.answer.is_(None)).order_by(QUESTIONS.c.asked_at)
        with self._database.change() as connection:
            return tuple(Question.model_validate_json(text) for text in connection.scalars(query))

    def closing_of(self, run_id: str) -> Closing | None:
        """What came of a run's question; None while it is open, or where nothing was asked."""
        query = select(QUESTIONS.c.answer, QUESTIONS.c.why).where(QUESTIONS.c.run_id == run_id)
        with self._database.change() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None or row.answer is None else Closing(answer=Answer(row.answer), why=row.why)
