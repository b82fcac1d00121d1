"""Can the figures of a broker's what-if be true? Held against the account's balances and the order itself.

Wide enough for house requirements and portfolio margin, which no formula of ours foretells: a broker may ask for up to
the whole value of everything held. Too narrow for figures that are not of this account or not of this order, and for
the known fault of a server that writes "40,000", "953" and "40,953" as 4000095340953.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from typing import NamedTuple

from portfolio.exposure import ZERO
from portfolio.limits.case import Case
from portfolio.models import Side, WhatIf
from portfolio.percent import share_of

MOST_MOVE = 5.0
"""How far prices may have moved since the balances were read, in % of what is held and ordered."""

NEEDED = {"initial_margin_after": "initial margin", "equity_after": "equity", "commission": "commission"}


class Range(NamedTuple):
    """Where a figure in USD must lie: from `lowest` to `highest`, beside what the account says it is `now`."""

    name: str
    now: Decimal
    lowest: Decimal
    highest: Decimal
    above_zero: bool = False

    def holds(self, figure: Decimal) -> bool:
        return self.lowest <= figure <= self.highest and (figure > 0 or not self.above_zero)


def missing_figures(said: WhatIf) -> dict[str, str]:
    """The figures without which an answer decides nothing: by field, words that say so."""
    return {field: f"its {name} is missing" for field, name in NEEDED.items() if getattr(said, field) is None}


def impossible_figures(case: Case, value: Decimal, said: WhatIf) -> dict[str, str]:
    """The figures that cannot be true of an order worth `value` USD: by field, words that say why."""
    moved = share_of(abs(case.snapshot.summary.gross_position_value) + value, MOST_MOVE)
    found: dict[str, str] = {}
    for field, bounds in _ranges(case, value, moved):
        figure: Decimal | None = getattr(said, field)
        if figure is None or bounds.holds(figure):
            continue
        if are_run_together(figure, bounds.now, moved):
            found[field] = f"its {bounds.name} {figure:f} looks like three figures run together"
        else:
            found[field] = f"its {bounds.name} of {figure:f} USD cannot be true where {bounds.now:.2f} USD is read now"
    if said.commission is not None and said.commission < 0:
        found["commission"] = f"its commission of {said.commission:f} USD is below 0"
    return found


def _ranges(case: Case, value: Decimal, moved: Decimal) -> Iterator[tuple[str, Range]]:
    summary = case.snapshot.summary
    margins = {
        "initial_margin": ("initial margin", summary.initial_margin),
        "maintenance_margin": ("maintenance margin", summary.maintenance_margin),
    }
    for field, (name, now) in margins.items():
        yield f"{field}_before", Range(f"{name} before the order", now, now - moved, now + moved)
        yield f"{field}_after", _margin_after(case, value, moved, name, now)
    now = summary.equity_with_loan
    yield "equity_before", Range("equity before the order", now, now - moved, now + moved, above_zero=True)
    # A cash account may count settled cash only, which a purchase uses up.
    yield "equity_after", Range("equity", now, now - value - moved, now + value + moved, above_zero=True)


def _margin_after(case: Case, value: Decimal, moved: Decimal, name: str, now: Decimal) -> Range:
    """A purchase takes up to its whole value of margin more, and leaves some; a sale can free all there is.

    Nothing is asked of a sale from below: a margin that is told too low lets nothing through that adds to risk.
    """
    most = max(now, abs(case.snapshot.summary.gross_position_value)) + moved
    if case.trade.side is Side.SELL:
        return Range(name, now, ZERO, most)
    return Range(name, now, now - moved, most + value, above_zero=True)


def are_run_together(figure: Decimal, now: Decimal, moved: Decimal) -> bool:
    """Whether the digits read as what was, the change and what will be, with nothing between them.

    4000095340953 is 40000, 953 and 40953. What was must be near `now`, or any digits could be read so. A zero that
    leads is lost, so 250250 is 0, 250 and 250. Whole dollars may be off by one.
    """
    digits = f"{figure:f}".partition(".")[0]
    cuts = [(0, cut) for cut in range(1, len(digits))] + list(combinations(range(1, len(digits)), 2))
    for first, second in cuts:
        parts = digits[:first] or "0", digits[first:second], digits[second:]
        if not all(part == "0" or part[0] in "123456789" for part in parts):
            continue
        was, change, will_be = map(int, parts)
        if abs(was + change - will_be) <= 1 and abs(was - now) <= moved:
            return True
    return False
