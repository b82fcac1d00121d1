"""Small tables for a model to read, whose figures code can look up again to hold the model to them.

What a sheet shows is rounded once, when it is made: the figure that is looked up is the one that was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tools.wire.foreign_text import MOST_OF_A_NAME, one_line

Cell = Decimal | float | int | str | None

MOST_ROWS = 60
MOST_OF_WORDS = 300
MOST_SHOWN = 10**15
NOTHING = "-"
MARKS = str.maketrans("<>|", "()/")
"""What ends data, or a cell, and what is written instead."""


@dataclass(frozen=True)
class Column:
    """`unit` is "USD", "%", "points" (% points), "shares", or "" for figures without one and for words."""

    name: str
    unit: str = ""
    places: int | None = None
    ours: bool = False


@dataclass(frozen=True)
class Figure:
    """A number and where it stands: the row's name, then the column's."""

    path: tuple[str, ...]
    value: Decimal
    unit: str


@dataclass(frozen=True)
class Sheet:
    """Rows by name; every row has a cell for each of `columns`. `words` are sentences that go with it.

    `key` says what the rows are; a sheet of single facts has one row and no key. Numbers in `words`, and in cells of a
    column that is `ours`, are figures too: the house's own sentences, and nobody else's.
    """

    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, tuple[Cell, ...]], ...] = ()
    key: str = "symbol"
    words: tuple[str, ...] = ()

    def text(self) -> str:
        """One line a row, cells between bars; the units stand in the head."""
        lines = [plain(words, MOST_OF_WORDS) for words in self.words]
        if not self.key:
            told = zip(self.columns, self.rows[0][1], strict=True)
            return ", ".join(f"{one.name} {_shown(cell, one)} {one.unit}".rstrip() for one, cell in told)
        if self.columns:
            lines.append("|".join([self.key, *(_head(column) for column in self.columns)]))
        for name, cells in self.rows[:MOST_ROWS]:
            shown = (_shown(cell, column) for cell, column in zip(cells, self.columns, strict=True))
            lines.append("|".join([plain(name), *shown]))
        if len(self.rows) > MOST_ROWS:
            lines.append(f"and {len(self.rows) - MOST_ROWS} more")
        return "\n".join(lines) or "nothing"

    def gist(self) -> str:
        """What a person wants to see of it on one line."""
        if len(self.rows) > 1:
            return f"{len(self.rows)} rows"
        told = [
            f"{column.name} {_shown(cell, column)} {column.unit}".rstrip()
            for _, cells in self.rows
            for cell, column in zip(cells, self.columns, strict=True)
            if cell is not None
        ]
        return ", ".join(told) or " ".join(self.words)

    def figures(self) -> tuple[Figure, ...]:
        """Every number that `text` shows."""
        told = (plain(words, MOST_OF_WORDS) for words in self.words)
        found = [Figure(("words",), number, "") for words in told for number in numbers_in(words)]
        for name, cells in self.rows[:MOST_ROWS]:
            for cell, column in zip(cells, self.columns, strict=True):
                shown = _shown(cell, column)
                if isinstance(cell, str) and column.ours:
                    found.extend(Figure((name, column.name), number, "") for number in numbers_in(shown))
                elif not isinstance(cell, str) and shown != NOTHING:
                    found.append(Figure((name, column.name), Decimal(shown), column.unit))
        return tuple(found)


def facts(entries: Iterable[tuple[str, Cell, str]], *, places: int | None = 2) -> Sheet:
    """A sheet of single facts: the name, the value and the unit of each."""
    rows, units = [], []
    for name, value, unit in entries:
        rows.append((name, value))
        units.append(unit)
    columns = tuple(Column(name, unit, places) for (name, _), unit in zip(rows, units, strict=True))
    return Sheet(columns, (("", tuple(value for _, value in rows)),), key="")


def plain(text: str, most: int = MOST_OF_A_NAME) -> str:
    """Somebody else's words as a cell: on one line, and without what marks where data ends."""
    return one_line(text, most).translate(MARKS)


def fenced(name: str, body: str) -> str:
    """`body` marked as data: whatever it says, it is not the program that says it."""
    return f'<data name="{name}">\n{body}\n</data>'


def numbers_in(words: str) -> list[Decimal]:
    return [Decimal(digits.replace(",", "")) for digits in re.findall(r"\d[\d,]*(?:\.\d+)?", words)]


def _head(column: Column) -> str:
    return f"{column.name} {column.unit}".rstrip() if column.unit != column.name else column.name


def _shown(cell: Cell, column: Column) -> str:
    match cell:
        case None:
            return NOTHING
        case str():
            return plain(cell, 160)
        case _ if not -MOST_SHOWN <= cell <= MOST_SHOWN:
            return NOTHING
        case _ if column.places is None:
            return format(Decimal(str(cell)).normalize(), "f")
        case _:
            return format(round(Decimal(str(cell)), column.places) + 0, "f")


def normalised(path: Sequence[str]) -> list[str]:
    """The parts of a path with nothing left but letters and digits, in small letters."""
    return [re.sub(r"[\W_]+", "", part.casefold()) for part in path]
