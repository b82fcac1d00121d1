"""How orders ended and decisions were carried out, and what fills cost against the price when they were decided on."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from portfolio.models import Fact
from portfolio.percent import in_percent
from portfolio.performance.books import ZERO
from portfolio.performance.scoring import HORIZONS, Decision, Fate, Score

BASIS_POINTS = 100
"""In one percent."""


class Ends(Fact):
    """How many orders came to which end, and how many have come to none yet; a part of a cancelled one may have filled.

    `not_sent` are those that the guard refused or that were given up before the broker got them.
    """

    filled: int
    rejected: int
    cancelled: int
    open: int
    not_sent: int

    @property
    def sent(self) -> int:
        return self.filled + self.rejected + self.cancelled + self.open


class Helped(Fact):
    """How many of the `scored` decisions were better than not having done them, so many trading days later."""

    horizon: int
    scored: int
    helped: int


def helped(scores: Iterable[Score]) -> tuple[Helped, ...]:
    """By horizon, of what was done; one trade that rules and model both proposed was done once."""
    done = {
        (one.horizon, one.decision.run_id, one.decision.symbol, one.decision.side): one
        for one in scores
        if one.decision.fate is Fate.EXECUTED
    }
    return tuple(
        Helped(
            horizon=horizon,
            scored=sum(one.horizon == horizon for one in done.values()),
            helped=sum(one.horizon == horizon and one.effect > 0 for one in done.values()),
        )
        for horizon in HORIZONS
    )


class Execution(Fact):
    """Of many decisions: how many were made, done, not filled and refused, and the slippage of those done.

    `slippage` in USD is what they cost above the mid of bid and ask when they were decided on (Perold 1988:
    implementation shortfall), below 0 what they gained; `slippage_bps` in basis points of what was traded at that mid.
    """

    decided: int
    executed: int
    unfilled: int
    rejected: int
    slippage: Decimal
    slippage_bps: float | None

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> Execution:
        """One trade that rules and model both proposed was done once; what was only looked at was not decided."""
        made = {(one.run_id, one.symbol, one.side): one for one in decisions if one.fate is not Fate.SHADOW}

        def count(fate: Fate) -> int:
            return sum(one.fate is fate for one in made.values())

        done = [one for one in made.values() if one.slippage is not None]
        slippage = sum((one.slippage or ZERO for one in done), ZERO)
        traded = sum((one.quantity * (one.arrival or ZERO) for one in done), ZERO)
        return cls(
            decided=len(made),
            executed=count(Fate.EXECUTED),
            unfilled=count(Fate.UNFILLED),
            rejected=count(Fate.REJECTED),
            slippage=slippage,
            slippage_bps=float(BASIS_POINTS * in_percent(slippage, traded)) if traded else None,
        )
