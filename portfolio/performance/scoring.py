"""What a decision was worth: the trade, done or not, against not having done it, after some trading days."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from statistics import mean, stdev

from portfolio.models import Amount, Fact, Side, Utc

HORIZONS = (1, 5, 20)
"""Trading days after which a decision is scored."""


class Fate(StrEnum):
    """What became of a trade that somebody proposed.

    `held` is one that a model left out of the rules' plan; `shadow` one that was only looked at.
    """

    EXECUTED = "executed"
    UNFILLED = "unfilled"
    REJECTED = "rejected"
    HELD = "held"
    DECLINED = "declined"
    SHADOW = "shadow"


class Decision(Fact):
    """A trade that was proposed by `source` ("rules", or a model).

    `price` is what a share is taken to have cost: the fill, or the last price where there was none; `cost` is the
    commission paid, or that would have been. `arrival` is the mid of bid and ask when it was decided. All in USD.
    """

    run_id: str
    account_id: str
    source: str
    decided_at: Utc
    symbol: str
    conid: int
    side: Side
    quantity: Amount
    price: Amount
    cost: Amount
    arrival: Amount | None
    fate: Fate

    @property
    def value(self) -> Decimal:
        return self.quantity * self.price

    @property
    def slippage(self) -> Decimal | None:
        """What the fill cost above the arrival mid, in USD; None where nothing filled, or no mid is known."""
        if self.fate is not Fate.EXECUTED or not self.arrival:
            return None
        return self.side.sign * self.quantity * (self.price - self.arrival)

    def effect(self, later: Decimal, ratio: Decimal = Decimal(1)) -> Decimal:
        """USD gained by the trade against not doing it, net of cost, with a share at `later` USD.

        `ratio` are the shares that one of then has become by splits.
        """
        return self.side.sign * self.quantity * (later * ratio - self.price) - self.cost


class Score(Fact):
    """The effect of one decision `horizon` trading days later, in USD, and in % of the trade's value."""

    decision: Decision
    horizon: int
    later: Amount
    effect: Decimal

    @property
    def percent(self) -> float:
        return float(100 * self.effect / self.decision.value) if self.decision.value else 0.0


class Standing(Fact):
    """Scores together: `mean` and `worst` in % of a trade's value, `effect` the sum in USD.

    `t_value` says how many standard errors the mean is from 0 (Student's t for one sample); None for fewer than two, or
    where all are the same.
    """

    count: int
    helped: int
    effect: Decimal
    mean: float
    t_value: float | None
    worst: float

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Standing | None:
        if not scores:
            return None
        percents = [score.percent for score in scores]
        return cls(
            count=len(scores),
            helped=sum(score.effect > 0 for score in scores),
            effect=sum((score.effect for score in scores), Decimal(0)),
            mean=mean(percents),
            t_value=t_value(percents),
            worst=min(percents),
        )


def t_value(sample: Sequence[float]) -> float | None:
    """Mean over standard error; None where there is no error to measure it by."""
    if len(sample) < 2:  # noqa: PLR2004
        return None
    error = stdev(sample) / math.sqrt(len(sample))
    return mean(sample) / error if error > 0 else None


def standings(scores: Iterable[Score]) -> dict[tuple[str, Fate, int], Standing]:
    """By who proposed it, what became of it, and how many trading days later."""
    groups: dict[tuple[str, Fate, int], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.decision.source, score.decision.fate, score.horizon), []).append(score)
    return {key: standing for key, group in groups.items() if (standing := Standing.of(group))}
