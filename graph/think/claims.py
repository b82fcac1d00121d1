"""What a model says, held against what its sources really returned.

A claim names its source ("drift.Bonds.weight", "r2.SPY.volatility"), and holds when a figure there says the same in as
many digits as the model wrote. Prose is looked through for further numbers; those that nothing bears out are struck.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum

from graph.think.sheets import Figure, normalised
from portfolio.models import STRUCK, Evidence

Sources = Mapping[str, tuple[Figure, ...]]
"""The figures of each source by its label."""

UNITS = {
    "usd": "USD", "$": "USD", "us$": "USD", "dollar": "USD", "dollars": "USD",
    "%": "%", "percent": "%", "pct": "%",
    "points": "%", "point": "%", "% points": "%", "pp": "%", "percentage points": "%",
    "shares": "shares", "share": "shares",
}  # fmt: skip
"""Spellings of units; weights and drift are both of the kind %, as people say either."""

NUMBER = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"|(?:(?P<dollar>\$\s?|\bUSD\s?)|(?<!\w)(?<!\w\.))"
    r"(?P<digits>(?:\d+(?:,\d+)*(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?)"
    r"(?P<scale>\s?(?:k|thousand|m|mn|million|bn|billion)\b)?"
    r"(?P<unit>\s?%|\s?(?:percent|pct|pp|points?)\b|\s?(?:USD|dollars?)\b)?",
    re.IGNORECASE,
)
SCALES = {"k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "bn": 9, "billion": 9}
MOST_PLACES = 6
SMALL_COUNTS = 12
"""Whole numbers up to here, without a unit, may count things rather than tell a figure."""


class Standing(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"
    UNFOUND = "unfound"
    CONTRADICTED = "contradicted"


def standing(claim: Evidence, sources: Sources) -> tuple[Standing, str]:
    """Whether the claim's source bears it out, and why not."""
    label, _, rest = claim.source.strip().partition(".")
    figures = sources.get(label.strip().lower())
    if figures is None:
        return Standing.UNFOUND, f"there is no source {label!r}"
    near = [figure for figure in figures if _leads_to(rest, figure)]
    if not near:
        return Standing.UNFOUND, f"{claim.source} holds no figure"
    if any(_says(claim, figure) for figure in near):
        return Standing.HOLDS, ""
    told = ", ".join(f"{figure.value} {figure.unit}".rstrip() for figure in near[:3])
    if len(near) == 1:
        return Standing.CONTRADICTED, f"{claim.source} is {told}"
    return Standing.UNFOUND, f"{claim.source} is none of it"


def _leads_to(rest: str, figure: Figure) -> bool:
    """Whether the path written in `rest` is the figure's, or the beginning or the end of it; empty leads to all."""
    asked, parts = normalised([rest])[0], normalised(figure.path)
    joins = ["".join(parts[:count]) for count in range(len(parts) + 1)] + ["".join(parts[-1:])]
    return asked in joins


def _says(claim: Evidence, figure: Figure) -> bool:
    said, meant = UNITS.get(claim.unit.strip().lower(), claim.unit), UNITS.get(figure.unit, figure.unit)
    return (not claim.unit.strip() or not meant or said == meant) and agrees(claim.value.normalize(), figure.value)


def agrees(said: Decimal, true: Decimal) -> bool:
    """Whether `said` is `true`, or `true` rounded to as many places as `said` has."""
    places = said.as_tuple().exponent
    if not isinstance(places, int) or places < -MOST_PLACES:
        return False
    return said in _both_ways(true, min(places, 0))


def _both_ways(true: Decimal, places: int) -> tuple[Decimal, ...]:
    """`true` rounded as people do, and as machines do; nothing where it has more digits than any figure."""
    step = Decimal(1).scaleb(places)
    try:
        return true.quantize(step, ROUND_HALF_UP), true.quantize(step, ROUND_HALF_EVEN)
    except InvalidOperation:
        return ()


def figures_about(subject: str, others: Iterable[str], sources: Sources) -> tuple[Figure, ...]:
    """Every figure that may be told of `subject`: those on its row, and those on no row of one of the `others`."""
    strangers = set(normalised(list(others))) - set(normalised([subject]))
    return tuple(
        figure
        for figures in sources.values()
        for figure in figures
        if strangers.isdisjoint(normalised(figure.path[:1]))
    )


def strike(text: str, figures: Iterable[Figure] | Known) -> tuple[str, tuple[str, ...]]:
    """`text` with every number marked that is no known figure, and those numbers."""
    known, found = figures if isinstance(figures, Known) else Known(figures), list[str]()

    def judge(match: re.Match[str]) -> str:
        words = match.group()
        if _is_borne_out(match, known):
            return words
        found.append(words.strip())
        return f"{STRUCK}{words}{STRUCK}"

    return NUMBER.sub(judge, text.replace(STRUCK, "")), tuple(found)


class Known:
    """Figures to look numbers up in; each way of rounding them is worked out once, as a text may hold many numbers."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        self._figures = [(abs(figure.value), UNITS.get(figure.unit, figure.unit)) for figure in figures]
        self._rounded: dict[tuple[int, int], dict[str, set[Decimal]]] = {}

    def tells(self, said: Decimal, unit: str, power: int) -> bool:
        """Whether `said`, times ten to the `power`, is a figure in `unit`, in as many places as `said` has."""
        places = said.as_tuple().exponent
        if not isinstance(places, int) or places < -MOST_PLACES:
            return False
        by_unit = self._in(min(places, 0), power)
        return any(said in values for meant, values in by_unit.items() if not unit or not meant or unit == meant)

    def _in(self, places: int, power: int) -> dict[str, set[Decimal]]:
        if (places, power) not in self._rounded:
            by_unit: dict[str, set[Decimal]] = defaultdict(set)
            for value, unit in self._figures:
                by_unit[unit].update(_both_ways(value.scaleb(-power), places))
            self._rounded[places, power] = by_unit
        return self._rounded[places, power]


def _is_borne_out(match: re.Match[str], known: Known) -> bool:
    if match["date"]:
        return True  # a day is no price; what happened on it has figures of its own
    try:
        return _is_told(match, Decimal(match["digits"].replace(",", "")), known)
    except ArithmeticError:  # beyond all arithmetic, so nothing real
        return False


def _is_told(match: re.Match[str], said: Decimal, known: Known) -> bool:
    scale = (match["scale"] or "").strip().lower()
    in_dollars = bool(match["dollar"]) or (match["unit"] or "").strip().lower() in ("usd", "dollar", "dollars")
    in_percent = bool(match["unit"]) and not in_dollars
    if not (scale or in_dollars or in_percent) and said <= SMALL_COUNTS and said == said.to_integral_value():
        return True
    unit = "USD" if in_dollars else "%" if in_percent else ""
    return known.tells(said, unit, SCALES[scale] if scale else 0)
