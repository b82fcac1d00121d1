"""How decisions were carried out, and what fills cost against the price of the moment they were decided on."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from portfolio.models import Fact
from portfolio.percent import in_percent
from portfolio.performance.books import ZERO
from portfolio.performance.scoring import Decision, Fate

BASIS_POINTS = 100
"""In one percent."""


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
