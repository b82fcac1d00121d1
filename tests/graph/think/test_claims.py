"""A model's figures against those its sources returned: what holds, what does not, and what is struck out of prose."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from graph.think.claims import Standing, agrees, figures_about, standing, strike
from graph.think.sheets import Figure, facts
from portfolio.models import STRUCK, Evidence

HOLDS, UNFOUND, CONTRADICTED = Standing


def figure(row: str, column: str, value: str, unit: str = "") -> Figure:
    return Figure((row, column), Decimal(value), unit)


SOURCES = {
    "drift": (
        figure("Growth/Speculative", "weight", "12.3", "%"),
        figure("U.S. Stocks", "weight", "60.1", "%"),
        figure("U.S. Stocks", "drift", "-4.9", "points"),
    ),
    "r2": (
        figure("SPY", "volatility", "18.37", "%"),
        figure("SPY", "last", "543.21", "USD"),
        figure("SPYG", "volatility", "22.2", "%"),
    ),
}


def judged(source: str, value: float, unit: str = "") -> tuple[Standing, str]:
    claim = Evidence(statement="so it is", source=source, value=Decimal(repr(value)), unit=unit)
    return standing(claim, SOURCES)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("drift.Growth/Speculative.weight", 12.3),
        ("drift.growth speculative.Weight", 12.3),
        (" Drift . U.S. Stocks . weight ", 60.1),
        ("DRIFT.US Stocks.drift", -4.9),
        ("r2.SPY.volatility", 18.37),
        ("r2.spy/last", 543.21),
    ],
)
def test_a_source_is_found_however_its_name_is_written(source: str, value: float) -> None:
    assert judged(source, value) == (HOLDS, "")


@pytest.mark.parametrize("source", ["r2", "r2.", "r2.SPYG", "r2.volatility", "r2.SPYG.volatility"])
def test_a_path_may_be_named_by_its_beginning_or_its_end(source: str) -> None:
    assert judged(source, 22.2, "%")[0] is HOLDS


def test_a_symbol_that_begins_like_another_is_not_that_other() -> None:
    assert judged("r2.SPYG.volatility", 18.37)[0] is CONTRADICTED
    assert judged("r2.SPY.volatility", 22.2)[0] is CONTRADICTED
    assert judged("r2.SPY", 22.2)[0] is UNFOUND
    assert judged("r2.SP", 18.37)[0] is UNFOUND


def test_buckets_that_are_named_in_another_script_are_told_apart() -> None:
    sources = {"drift": (figure("Акции", "weight", "60", "%"), figure("Облигации", "weight", "40", "%"))}
    wrong = Evidence(statement="", source="drift.Акции.weight", value=Decimal(40), unit="%")
    assert standing(wrong, sources)[0] is CONTRADICTED


@pytest.mark.parametrize(
    ("source", "value", "unit", "expected"),
    [
        ("r2.SPY.last", 543.21, "$", HOLDS),
        ("r2.SPY.last", 543.21, " Dollars ", HOLDS),
        ("r2.SPY.last", 543.21, "%", CONTRADICTED),
        ("r2.SPY.last", 543.21, "EUR", CONTRADICTED),
        ("r2.SPY.volatility", 18.37, "percent", HOLDS),
        ("drift.U.S. Stocks.drift", -4.9, "points", HOLDS),
        ("drift.U.S. Stocks.drift", -4.9, "%", HOLDS),
        ("drift.U.S. Stocks.drift", -4.9, "USD", CONTRADICTED),
        ("drift.U.S. Stocks.drift", 4.9, "points", CONTRADICTED),
    ],
)
def test_the_unit_counts_in_any_spelling_and_so_does_the_sign(
    source: str, value: float, unit: str, expected: Standing
) -> None:
    assert judged(source, value, unit)[0] is expected


def test_one_figure_contradicts_and_says_itself_where_several_are_only_none_of_it() -> None:
    assert judged("r2.SPY.last", 540, "USD") == (CONTRADICTED, "r2.SPY.last is 543.21 USD")
    assert judged("r2.SPY", 540) == (UNFOUND, "r2.SPY is none of it")
    assert judged("r2.SPY.beta", 1.1) == (UNFOUND, "r2.SPY.beta holds no figure")
    assert judged("r9.SPY.last", 543.21) == (UNFOUND, "there is no source 'r9'")


@pytest.mark.parametrize(
    ("said", "true", "expected"),
    [
        ("18.4", "18.37", True),
        ("18", "18.37", True),
        ("18.3", "18.37", False),
        ("18.370", "18.37", True),
        ("18.371", "18.37", False),
        ("0.12", "0.125", True),
        ("0.13", "0.125", True),
        ("0.11", "0.125", False),
        ("2", "2.5", True),
        ("3", "2.5", True),
        ("1200", "1234", False),
        ("-5", "-4.9", True),
        ("5", "-4.9", False),
        ("0", "0.4", True),
        ("1e999999", "1", False),
        ("1e-999999", "0", False),
        ("NaN", "1", False),
        ("Infinity", "1", False),
    ],
)
def test_a_figure_may_be_said_in_fewer_places_rounded_either_way(
    said: str,
    true: str,
    expected: bool,  # noqa: FBT001  (a table)
) -> None:
    assert agrees(Decimal(said), Decimal(true)) is expected


def test_what_stands_on_the_row_of_another_symbol_is_not_told_of_this_one() -> None:
    sources = {**SOURCES, "snapshot": (figure("BRK B", "weight", "5"),)}
    told = {one.path[0] for one in figures_about("SPY", ["SPY", "SPYG", "BRK B"], sources)}
    assert told == {"Growth/Speculative", "U.S. Stocks", "SPY"}
    assert "BRK B" in {one.path[0] for one in figures_about("BRK.B", ["SPY", "BRK B"], sources)}


def test_the_accounts_own_figures_may_be_told_of_any_symbol_though_one_is_called_now() -> None:
    """ServiceNow trades as NOW."""
    sources = {"account": facts([("cash", Decimal(500), "USD")]).figures()}
    assert figures_about("SPY", ["SPY", "NOW"], sources)


# --- prose ---------------------------------------------------------------------------------------------------------

KNOWN = (
    figure("SPY", "worth", "1234.56", "USD"),
    figure("SPY", "weight", "12.3", "%"),
    figure("SPY", "drift", "-4.9", "points"),
    figure("SPY", "volume", "3000000", "shares"),
    figure("SPY", "bars", "123"),
)


@pytest.mark.parametrize(
    "words",
    [
        "$1,234.56, or 1,234.56 USD, or $ 1235, or 1234.6 Dollars",
        "12.3 %, or 12.3%, or 12 percent",
        "1.2k, or $1.23 thousand",
        "3 million, or 3M shares",
        "-4.9 %, or 4.9 points below its target",
        "1.23e2 bars",
        "١٢٣ bars",
        "on 2026-03-03",
        "10 orders in 2 of 3 buckets",
        "BRK.B2 in Q3 by F15A",
    ],
)
def test_what_a_source_bears_out_and_what_tells_no_figure_is_left_as_it_is(words: str) -> None:
    assert strike(words, KNOWN) == (words, ())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("at $1,234.57.", "at ~~$1,234.57~~."),
        ("at 1,234.56 %", "at ~~1,234.56 %~~"),
        ("at $12.3", "at ~~$12.3~~"),
        ("1.3k or 4 million", "~~1.3k~~ or ~~4 million~~"),
        ("up 7 %", "up ~~7 %~~"),
        ("13 days, not 14, as", "~~13~~ days, not ~~14~~, as"),
        ("5-10 %", "5-~~10 %~~"),
        ("55-60 %", "~~55~~-~~60 %~~"),
        ("my 401k", "my ~~401k~~"),
        ("٤٥٦ %", "~~٤٥٦ %~~"),
        ("1.23e3 bars", "~~1.23e3~~ bars"),
        ("~~$99~~ and ~~12.3 %~~", "~~$99~~ and 12.3 %"),
    ],
)
def test_a_figure_that_no_source_has_is_struck(words: str, expected: str) -> None:
    marked, found = strike(words, KNOWN)
    assert marked == expected
    assert list(found) == expected.split(STRUCK)[1::2]


@pytest.mark.parametrize("digits", ["1e999999999", "1e-999999999", "1e99999999999999999999", "9" * 5000])
def test_a_number_beyond_all_arithmetic_is_struck(digits: str) -> None:
    assert strike(f"at {digits} now", KNOWN) == (f"at {STRUCK}{digits}{STRUCK} now", (digits,))


@pytest.mark.parametrize("words", ["$.57", ".57 %", "USD 7", "USD57.11", "7 points", "7 pct"])
def test_a_figure_is_one_however_it_is_written(words: str) -> None:
    assert strike(f"It is {words} now.", KNOWN)[1]


def test_places_that_are_written_out_are_claimed_though_they_are_zeros() -> None:
    assert strike("at $1,235", KNOWN)[1] == ()
    assert strike("at $1,235.00", KNOWN)[1] == ("$1,235.00",)


PIECES = st.sampled_from((
    "1e999999999", "1e-99", "9" * 40, "12", "12.3", "2026-03-03", "٣", "²", "$", "%", " %", ",", ".", "-", " ", "\n",
    "k", " million", "e", "E+", "SPY", STRUCK, "~",
))  # fmt: skip
ANY_TEXT = st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join)
FIGURES = st.lists(
    st.builds(
        Figure,
        st.just(("SPY", "last")),
        st.decimals(-1000, 1000, allow_nan=False, places=2),
        st.sampled_from(["USD", "%", "points", "shares", ""]),
    ),
    max_size=4,
)


@examples(deadline=None)
@given(ANY_TEXT, FIGURES)
@example("1e999999999 %", [KNOWN[0]])
def test_striking_only_adds_marks_whatever_the_text(text: str, known: list[Figure]) -> None:
    marked, found = strike(text, known)
    assert marked.replace(STRUCK, "") == text.replace(STRUCK, "")
    assert all(word in text.replace(STRUCK, "") for word in found)
    assert bool(found) is (STRUCK in marked)


WRITTEN = {
    "USD": ["${:,f}", "$ {:f}", "{:,f} USD", "{:f} dollars"],
    "%": ["{:f} %", "{:f}%", "{:,f} percent"],
    "points": ["{:f} %", "{:f} points"],
    "shares": ["{:,f} shares"],
    "": ["{:f}", "{:,f}"],
}


@examples(deadline=None)
@given(
    st.decimals(-(10**12), 10**12, allow_nan=False, places=6),
    st.integers(0, 6),
    st.integers(0, 6),
    st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN]),
    st.sampled_from([(unit, form) for unit, forms in WRITTEN.items() for form in forms]),
)
def test_a_known_figure_is_never_struck_in_as_many_places_as_it_has_or_fewer(
    value: Decimal, places: int, fewer: int, rounding: str, written: tuple[str, str]
) -> None:
    unit, form = written
    true = value.quantize(Decimal(1).scaleb(-places))
    said = abs(true.quantize(Decimal(1).scaleb(-min(places, fewer)), rounding))
    words = f"It is {form.format(said)} now."
    assert strike(words, [figure("SPY", "last", str(true), unit)]) == (words, ())


@examples(max_examples=200, deadline=None)
@given(
    FIGURES,
    st.decimals(2000, 10**9, allow_nan=False, places=2),
    st.sampled_from(["${:,f}", "$ {:f}", "{:f} USD", "{:f} dollars", "{:f} %", "{:f}%", "{:f} percent", "${:f}k"]),
)
def test_a_figure_with_a_unit_that_no_source_has_is_always_struck(
    known: list[Figure], said: Decimal, form: str
) -> None:
    """No known figure is above 1000, and this one is at least twice that."""
    words = form.format(said)
    assert strike(f"It is {words} now.", known) == (f"It is {STRUCK}{words}{STRUCK} now.", (words,))
