"""The US stocks and ETFs the simulated markets know by name, read from the table beside this file.

`level` is where a synthetic price reverts to (USD), `volatility` is a year's, `market` the correlation with the whole
market, `spread_bps` the usual gap of bid and ask in hundredths of a percent, and `volume` the shares of a usual day.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files

from brokers.simulated.market import Instrument

_UNKNOWN_SPREAD = Decimal("0.0005")


@dataclass(frozen=True)
class Listing:
    """One line of the table."""

    instrument: Instrument
    sector: str
    level: float
    volatility: float
    market: float
    volume: float


@cache
def universe() -> dict[str, Listing]:
    """Every listing by its symbol."""
    table = files("brokers.simulated").joinpath("universe.csv").read_text(encoding="utf-8")
    return {row["symbol"]: _listing(row) for row in csv.DictReader(table.splitlines())}


def instrument_of(symbol: str) -> Instrument:
    """What is known of `symbol`; one the table does not know gets its symbol as name and a usual spread."""
    known = universe().get(symbol)
    return known.instrument if known else Instrument(symbol, symbol, "SMART", _UNKNOWN_SPREAD)


def _listing(row: dict[str, str]) -> Listing:
    return Listing(
        instrument=Instrument(row["symbol"], row["name"], row["exchange"], Decimal(row["spread_bps"]) / 10_000),
        sector=row["sector"],
        level=float(row["level"]),
        volatility=float(row["volatility"]),
        market=float(row["market"]),
        volume=float(row["volume"]),
    )
