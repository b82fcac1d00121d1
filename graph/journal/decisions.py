"""Every trade that was ever proposed, and what it was worth 1, 5 and 20 trading days later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import select

from graph.journal.database import DECISIONS, MARKS, SCORES, Database, put
from portfolio.models import Fact
from portfolio.performance.scoring import Decision, Score

EVER = datetime(1970, 1, 1, tzinfo=UTC)


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

    def of_account(self, account_id: str, since: datetime) -> tuple[Decision, ...]:
        """Every decision from then on, oldest first."""
        query = select(DECISIONS.c.decision).where(DECISIONS.c.account_id == account_id).order_by(DECISIONS.c.number)
        with self._database.change() as connection:
            kept = [Decision.model_validate_json(text) for text in connection.scalars(query)]
        return tuple(decision for decision in kept if decision.decided_at >= since)

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

    def scores(self, account_id: str, since: datetime = EVER) -> tuple[Score, ...]:
        """Every score that is given to decisions from then on, oldest decision first."""
        query = select(SCORES, DECISIONS.c.decision.label("text"))
        query = query.join(DECISIONS, DECISIONS.c.number == SCORES.c.decision)
        query = query.where(SCORES.c.effect.is_not(None), DECISIONS.c.account_id == account_id)
        with self._database.change() as connection:
            return tuple(
                Score(
                    decision=Decision.model_validate_json(row.text),
                    horizon=row.horizon,
                    later=Decimal(row.later),
                    effect=Decimal(row.effect),
                )
                for row in connection.execute(query.order_by(SCORES.c.decision, SCORES.c.horizon))
                if Decision.model_validate_json(row.text).decided_at >= since
            )
