"""Small price files for tests: one row a symbol and day, written as a user would."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

HEADER = "date,symbol,open,high,low,close,volume"

# Friday, Monday and Tuesday around a weekend.
FRIDAY, SUNDAY, MONDAY, TUESDAY = "2020-03-20", "2020-03-22", "2020-03-23", "2020-03-24"


def row(day: str, symbol: str, close: str, volume: str = "20000000") -> str:
    return f"{day},{symbol},{close},{close},{close},{close},{volume}"


def write(path: Path, rows: Iterable[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def three_days(path: Path) -> Path:
    """SPY, KO and the thinly traded THIN, on three sessions."""
    return write(
        path,
        [
            row(FRIDAY, "SPY", "200.00"),
            row(FRIDAY, "KO", "40.00"),
            row(FRIDAY, "THIN", "10.00", "0"),
            row(MONDAY, "SPY", "210.00"),
            row(MONDAY, "KO", "39.00"),
            row(MONDAY, "THIN", "10.00", "0"),
            row(TUESDAY, "SPY", "250.00"),
            row(TUESDAY, "KO", "50.00"),
            row(TUESDAY, "THIN", "9.00", "0"),
        ],
    )
