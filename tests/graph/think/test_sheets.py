"""What a model reads and what it is held to are the same figures, and nobody else's words pass for the program's."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from graph.think.sheets import Cell, Column, Figure, Sheet, facts, fenced, numbers_in

COLUMNS = (Column("last", "USD", 2), Column("weight", "%", 1), Column("shares", "shares"), Column("says"))
NUMBERS = st.none() | st.decimals(-(10**15), 10**15, allow_nan=False) | st.floats(-1e15, 1e15) | st.integers(0, 10**9)
WORDS = (
    st.text() | st.text("<>/|data \n1,.", max_size=20) | st.from_regex(r"\d{1,3}(,\d{3})?(\.\d\d)? %", fullmatch=True)
)
ROWS = st.lists(st.tuples(WORDS, st.tuples(NUMBERS, NUMBERS, NUMBERS, WORDS | st.none())), max_size=4).map(tuple)


def one_cell(cell: Cell, places: int | None = 2) -> Sheet:
    return Sheet((Column("last", "USD", places),), (("SPY", (cell,)),))


def test_a_sheet_is_a_head_and_a_line_a_row_with_what_is_not_known_left_open() -> None:
    rows = (("SPY", (Decimal("543.210"), 30.26, 40, "held")), ("VTI", (None, -0.01, 0, None)))
    sheet = Sheet(COLUMNS, rows, words=("Two rows.",))
    assert sheet.text().splitlines() == [
        "Two rows.",
        "symbol|last USD|weight %|shares|says",
        "SPY|543.21|30.3|40|held",
        "VTI|-|0.0|0|-",
    ]
    assert sheet.figures() == (
        Figure(("SPY", "last"), Decimal("543.21"), "USD"),
        Figure(("SPY", "weight"), Decimal("30.3"), "%"),
        Figure(("SPY", "shares"), Decimal(40), "shares"),
        Figure(("VTI", "weight"), Decimal("0.0"), "%"),
        Figure(("VTI", "shares"), Decimal(0), "shares"),
    )


def test_numbers_in_somebody_elses_words_are_no_figures() -> None:
    """A name such as "up 742 % this year" is not what a reason may rest on; the house's own sentences are."""
    columns = (Column("name"), Column("reason", ours=True))
    sheet = Sheet(columns, (("SPY", ("up 742 % this year", "12.2 points above")),), words=("34.5 points",))
    assert [one.value for one in sheet.figures()] == [Decimal("34.5"), Decimal("12.2")]


def test_single_facts_stand_on_one_line_and_are_figures_like_any_other() -> None:
    sheet = facts([("cash", Decimal("10.005"), "USD"), ("weight", None, "%"), ("places", 7, ""), ("name", "A 5", "")])
    assert sheet.text() == "cash 10.00 USD, weight - %, places 7.00, name A 5"
    assert [(one.path[-1], one.value, one.unit) for one in sheet.figures()] == [
        ("cash", Decimal("10.00"), "USD"),
        ("places", Decimal(7), ""),
    ]
    assert facts([("max_positions", 50, "")], places=None).text() == "max_positions 50"


def test_an_empty_sheet_says_so() -> None:
    assert Sheet().text() == "nothing"
    assert Sheet().figures() == ()


def test_rows_beyond_the_most_are_counted_and_are_no_figures() -> None:
    sheet = Sheet((Column("last"),), tuple((f"row {number}", (number,)) for number in range(70)))
    assert sheet.text().splitlines()[-1] == "and 10 more"
    assert len(sheet.figures()) == 60


@examples(deadline=None)
@given(ROWS, st.lists(WORDS, max_size=2))
def test_every_figure_is_found_in_the_text(rows: tuple[tuple[str, tuple[Cell, ...]], ...], words: list[str]) -> None:
    sheet = Sheet(COLUMNS, rows, words=tuple(words))
    shown = set(numbers_in(sheet.text()))
    assert all(abs(figure.value) in shown for figure in sheet.figures())


def test_what_is_cut_off_is_no_figure() -> None:
    """The guard's opinion on a trade is often longer than a cell."""
    sheet = one_cell("refused " + "x" * 200 + " 77 USD")
    assert "77" not in sheet.text()
    assert sheet.figures() == ()


@examples(deadline=None)
@given(ROWS)
def test_no_cell_and_no_name_ends_the_data_a_row_or_a_cell(rows: tuple[tuple[str, tuple[Cell, ...]], ...]) -> None:
    lines = fenced("r1", Sheet(COLUMNS, rows).text()).splitlines()
    assert (lines[0], lines[-1]) == ('<data name="r1">', "</data>")
    assert len(lines) == 3 + len(rows)
    assert not any("<" in line or ">" in line for line in lines[1:-1])
    assert {line.count("|") for line in lines[1:-1]} == {len(COLUMNS)}


@examples(deadline=None)
@given(WORDS)
def test_no_word_ends_the_data_or_its_line(word: str) -> None:
    lines = fenced("r1", Sheet(words=(word, "the end")).text()).splitlines()
    assert lines[-2:] == ["the end", "</data>"]
    assert not any("<" in line or ">" in line for line in lines[1:-1])
    assert len(lines) <= 4


@pytest.mark.parametrize("amount", [Decimal("1e-40"), Decimal("-1e15"), Decimal("1e48"), 1e57, -1e57])
@pytest.mark.parametrize("places", [None, 0, 2, 4])
def test_no_figure_is_too_absurd_to_be_shown(amount: Decimal | float, places: int | None) -> None:
    """Previews go up to 1e48, and gains are quotients of what a broker tells."""
    assert "\n" in one_cell(amount, places).text()
