"""Every trade that was ever proposed, and what it was worth 1, 5 and 20 trading days later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, select

from graph.journal.database import DECISIONS, MARKS, SCORES, Database, put
from graph.journal.history import runs_from
from portfolio.models import Fact
from portfolio.performance.scoring import Decision, Score

MANY = TypeAdapter(list[Decision])


class Due(Fact):
    """A score that can be given: the decision by its number, and the day whose price it wants."""

    number: int
    decision: Decision
    horizon: int
    day: date


class Decisions:
    """Every method raises `JournalError` when the database cannot be used, and commits before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, decisions: Iterable[Decision], days: Mapping[int, date]) -> None:
        """Keep what a run decided, to be scored on these days by horizon; a run that is kept already stays as it is."""
        with self._database.change() as connection:
            for decision in decisions:
                row = {
                    "account_id": decision.account_id,
                    "run_id": decision.run_id,
                    "source": decision.source,
                    "decision": decision.model_dump_json(),
                }
                (number,) = connection.execute(DECISIONS.insert().values(row)).inserted_primary_key or (None,)
                for horizon, day in days.items():
                    score = {"decision": number, "horizon": horizon, "due": day}
                    connection.execute(SCORES.insert().values(score))

    def since(self, account_id: str, first: int) -> tuple[tuple[Decision, ...], tuple[Score, ...]]:
        """Those of the runs that began with the look of that number or later, and their scores, oldest first."""
        of_account = DECISIONS.c.account_id == account_id
        return self._read(of_account, DECISIONS.c.run_id.in_(runs_from(account_id, first)))

    def are_kept(self, run_id: str) -> bool:
        query = select(DECISIONS.c.number).where(DECISIONS.c.run_id == run_id).limit(1)
        with self._database.change() as connection:
            return connection.execute(query).first() is not None

    def mark(self, day: date, prices: Mapping[int, Decimal]) -> None:
        """Keep the last prices of a day by contract, in USD."""
        with self._database.change() as connection:
            for conid, price in prices.items():
                put(connection, MARKS, {"conid": conid, "trading_day": day, "price": str(price)})

    def marks(self, day: date) -> dict[int, Decimal]:
        query = select(MARKS.c.conid, MARKS.c.price).where(MARKS.c.trading_day == day)
        with self._database.change() as connection:
            return {conid: Decimal(price) for conid, price in connection.execute(query)}

    def due(self, account_id: str, until: date, since: date) -> tuple[Due, ...]:
        """Scores of the account that are not given yet and want the price of a day from `since` to `until`."""
        query = select(SCORES.c.decision, SCORES.c.horizon, SCORES.c.due, DECISIONS.c.decision.label("text"))
        query = query.join(DECISIONS, DECISIONS.c.number == SCORES.c.decision).where(
            SCORES.c.effect.is_(None),
            SCORES.c.due <= until,
            SCORES.c.due >= since,
            DECISIONS.c.account_id == account_id,
        )
        with self._database.change() as connection:
            return tuple(
                Due(
                    number=row.decision,
                    decision=Decision.model_validate_json(row.text),
                    horizon=row.horizon,
                    day=row.due,
                )
                for row in connection.execute(query.order_by(SCORES.c.due, SCORES.c.decision))
            )

    def score(self, due: Due, later: Decimal, ratio: Decimal) -> Score:
        """Give the score: a share was at `later` USD, and one of then is `ratio` of now."""
        effect = due.decision.effect(later, ratio)
        change = SCORES.update().where(SCORES.c.decision == due.number, SCORES.c.horizon == due.horizon)
        with self._database.change() as connection:
            connection.execute(change.values(later=str(later), effect=str(effect)))
        return Score(decision=due.decision, horizon=due.horizon, later=later, effect=effect)

    def scores(self, account_id: str) -> tuple[Score, ...]:
        """Every score that is given, oldest decision first."""
        _, scores = self._read(DECISIONS.c.account_id == account_id)
        return scores

    def lately(self, account_id: str, horizon: int, since: date) -> tuple[Score, ...]:
        """The scores after so many trading days that were due on `since` or later, oldest decision first."""
        query = select(SCORES.c.later, SCORES.c.effect, DECISIONS.c.decision.label("text"))
        query = query.join(DECISIONS, DECISIONS.c.number == SCORES.c.decision).where(
            SCORES.c.due >= since,
            SCORES.c.horizon == horizon,
            SCORES.c.effect.is_not(None),
            DECISIONS.c.account_id == account_id,
        )
        with self._database.change() as connection:
            return tuple(
                Score(
                    decision=Decision.model_validate_json(row.text),
                    horizon=horizon,
                    later=Decimal(row.later),
                    effect=Decimal(row.effect),
                )
                for row in connection.execute(query.order_by(SCORES.c.decision))
            )

    def _read(self, *conditions: ColumnElement[bool]) -> tuple[tuple[Decision, ...], tuple[Score, ...]]:
        """Decisions, and the scores they have been given; read as one list, which is much quicker than one by one."""
        texts = select(DECISIONS.c.number, DECISIONS.c.decision).where(*conditions).order_by(DECISIONS.c.number)
        query = select(SCORES.c.decision, SCORES.c.horizon, SCORES.c.later, SCORES.c.effect)
        query = query.join(DECISIONS, DECISIONS.c.number == SCORES.c.decision)
        query = query.where(SCORES.c.effect.is_not(None), *conditions).order_by(SCORES.c.decision, SCORES.c.horizon)
        with self._database.change() as connection:
            kept, rows = connection.execute(texts).all(), connection.execute(query).all()
            read = MANY.validate_json(f"[{','.join(text for _, text in kept)}]")
            decisions = dict(zip((number for number, _ in kept), read, strict=True))
            scores = tuple(
                Score(decision=decisions[number], horizon=horizon, later=Decimal(later), effect=Decimal(effect))
                for number, horizon, later, effect in rows
            )
            return tuple(read), scores
