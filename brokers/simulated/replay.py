"""A market replayed from a file of real daily prices, of which nothing after the day of trading is kept.

The file is judged before anything trades on it: every row up to that day must be sound, and what is wrong is told with
file, line and column. Rows may stand in any order, and columns beyond the known ones are ignored.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

from brokers.simulated.market import DayBar, Instrument, MarketError
from brokers.simulated.price_rows import PRICES, PriceRow, fault, shown, symbol_fault
from brokers.simulated.universe import instrument_of

REQUIRED = ("date", "symbol", *PRICES)
_GZIP_MAGIC = b"\x1f\x8b"


class PriceFileError(MarketError):
    """A file of prices that must not be traded on; the message names file, line, column and what to do."""


class ReplayMarket:
    """Prices of `path` (.csv or .csv.gz) up to and including `until`; all of them where `until` is None.

    Raises `PriceFileError` for a file that cannot be read or holds an unsound row.
    """

    def __init__(self, path: Path, until: date | None) -> None:
        self._path = path
        text, digest = _read(path)
        self._table = _parse(path, text, until)
        self._days: dict[str, list[date]] = {}
        self._name = f"replay-{_stem(path)}-{digest}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def last_day(self) -> date:
        """The latest day of the file, though what comes after `until` was not kept."""
        return max(self._table.dates.values())

    def judge_day(self, day: date) -> None:
        """Raise `PriceFileError` unless the file has prices of `day`, a session to trade in."""
        if day in self._table.days:
            return
        first, last = min(self._table.dates.values()), self.last_day
        if first <= day <= last:
            why = "has no row of that session. Add its rows, or take another day."
        else:
            why = f"goes from {first} to {last}. Take a day between them."
        raise PriceFileError(f"{self._path}, line 1, column date: cannot be traded on for {day}, as the file {why}")

    def judge_symbol(self, symbol: str, day: date) -> None:
        """Raise `PriceFileError` unless the file has a price of `symbol` for `day`."""
        if day not in self._table.rows.get(symbol, {}):
            raise PriceFileError(self.why_no_price(symbol, day))

    def symbols(self) -> Sequence[str]:
        return tuple(self._table.rows)

    def instrument(self, symbol: str) -> Instrument:
        return instrument_of(symbol)

    def bars(self, symbol: str, until: date, count: int) -> list[DayBar]:
        rows = self._table.rows.get(symbol, {})
        if symbol not in self._days:
            self._days[symbol] = sorted(rows)
        after = bisect_right(self._days[symbol], until)
        days = self._days[symbol][max(after - count, 0) : after]
        return [_bar(day, rows[day]) for day in days]

    def why_no_price(self, symbol: str, day: date) -> str:
        rows = {known: row for known, row in self._table.rows.get(symbol, {}).items() if known <= day}
        place = f"{self._path}, line {self._table.days.get(day, 1)}, column symbol"
        known = "nor any before"
        if rows:
            first, last = min(rows), max(rows)
            known = f"though rows from {first} (line {rows[first].line}) to {last} (line {rows[last].line})"
        return (
            f"{place}: {symbol} has no row of {day}, {known}. "
            f"Add the row, take another day, or leave {symbol} out of the rules."
        )


def _bar(day: date, row: PriceRow) -> DayBar:
    volume = Decimal(row.volume.strip() or 0)
    return DayBar(day, Decimal(row.open), Decimal(row.high), Decimal(row.low), Decimal(row.close), volume)


def _stem(path: Path) -> str:
    bare = re.sub(r"(\.csv)?(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9_]+", "-", bare)[:40]


def _read(path: Path) -> tuple[str, str]:
    """The text of the file and a digest of its content, which packing does not change."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PriceFileError(f"{path}: cannot be read ({error.strerror}). Give the path of a CSV file.") from error
    except ValueError as error:  # a NUL, or what the file system cannot encode
        why = "holds characters that no file name can have"
        raise PriceFileError(f"{str(path)!a}: {why}. Give the path of a CSV file.") from error
    if raw.startswith(_GZIP_MAGIC) or path.suffix.lower() == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise PriceFileError(f"{path}: is not whole gzip data ({error}). Pack it again, or give a .csv.") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise PriceFileError(
            f"{path}, line {line}, column {column}: is not UTF-8 text. Save the file as UTF-8."
        ) from error
    return text, sha256(raw).hexdigest()[:8]


def _parse(path: Path, text: str, until: date | None) -> _Table:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        columns = _columns(path, next(reader, []))
        table = _Table(path, columns)
        for cells in reader:
            if not cells:
                continue
            day = table.day_of(reader.line_num, cells)
            if until is None or day <= until:
                table.keep(reader.line_num, day, cells)
    except csv.Error as error:
        raise PriceFileError(f"{path}, line {reader.line_num}: is not CSV ({error}). Correct the line.") from error
    if not table.dates:
        raise PriceFileError(f"{path}, line 1: holds no prices. Give a file with at least one row below its header.")
    return table


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in header]
    if not any(names):
        raise PriceFileError(f"{path}, line 1: is empty. Begin the file with a header: {','.join(REQUIRED)}.")
    for name in (*REQUIRED, "volume"):
        if name in REQUIRED and name not in names:
            raise PriceFileError(
                f"{path}, line 1, column {name}: is missing. The header must name {', '.join(REQUIRED)}."
            )
        if names.count(name) > 1:
            raise PriceFileError(f"{path}, line 1, column {name}: stands twice. Rename or remove one of them.")
    return {name: names.index(name) for name in (*REQUIRED, "volume") if name in names}


class _Table:
    """What is kept of a file: sound rows by symbol and day, and the line on which each kept day begins."""

    def __init__(self, path: Path, columns: dict[str, int]) -> None:
        self.rows: dict[str, dict[date, PriceRow]] = {}
        self.days: dict[date, int] = {}
        self.dates: dict[str, date] = {}
        self._path = path
        self._columns = columns
        self._cells = itemgetter(*(columns[name] for name in (*PRICES, "symbol")))

    def day_of(self, line: int, cells: list[str]) -> date:
        """The day of a row; each way of writing a date is read once, as a day has many rows."""
        place = self._columns["date"]
        raw = cells[place] if place < len(cells) else ""
        if raw not in self.dates:
            self.dates[raw] = self._date(line, raw.strip())
        return self.dates[raw]

    def keep(self, line: int, day: date, cells: list[str]) -> None:
        try:
            opening, high, low, close, symbol = self._cells(cells)
            volume = cells[self._columns["volume"]] if "volume" in self._columns else ""
        except IndexError:
            missing = next(name for name, place in self._columns.items() if place >= len(cells))
            raise self._error(line, missing, "is missing, as the row ends before it. Complete the row.") from None
        symbol = symbol.strip().upper()
        row = PriceRow(line, opening, high, low, close, volume)
        wrong = fault(row) or symbol_fault(symbol)
        if wrong:
            raise self._error(line, *wrong)
        rows = self.rows.setdefault(symbol, {})
        if day in rows:
            said = f"{symbol} on {day} stands on line {rows[day].line} already. Remove one of the two."
            raise self._error(line, "symbol", said)
        rows[day] = row
        self.days.setdefault(day, line)

    def _date(self, line: int, raw: str) -> date:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", raw):
            with suppress(ValueError):
                return date.fromisoformat(raw)
        raise self._error(line, "date", f"{shown(raw)} is not a date. Write it as 2020-03-23.")

    def _error(self, line: int, column: str, words: str) -> PriceFileError:
        return PriceFileError(f"{self._path}, line {line}, column {column}: {words}")
