"""What of a model's answer stands, laid over a baseline of one protective exit, a sale and a purchase."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from config.rules import ticker
from graph.think.answer import Answer, Claim, LeftOut, Trade
from graph.think.claims import Standing, standing
from graph.think.scrutiny import hold_to_facts, laid_over
from graph.think.sheets import Figure
from portfolio.models import Evidence, ProposedTrade, Side, TradePlan
from tests.portfolio.cases import SNAPSHOT, trade

EXIT = trade("SPY", Side.SELL, 100, protective=True)
SALE = trade("VTI", Side.SELL, 3)
PURCHASE = trade("AAPL", Side.BUY, 5)
BASELINE = TradePlan(source="rules", trades=(EXIT, SALE, PURCHASE), notes=("A note.",), unfinished=("SPY",))
SOURCES = {
    "snapshot": (
        *(Figure((symbol, "weight"), Decimal(weight), "%") for symbol, weight in (("SPY", 30), ("VTI", 30))),
        Figure(("VTI", "gain"), Decimal("2.5"), "%"),
    ),
    "account": (Figure(("now", "cash"), Decimal(10_000), "USD"),),
}
TRUE = Claim(statement="cash is at hand", source="account.cash", value=10_000, unit="USD")
FALSE = Claim(statement="cash is at hand", source="account.cash", value=77, unit="USD")
UNFOUND = Claim(statement="it says so", source="r9.SPY.last", value=1, unit="USD")


def wanted(symbol: str, side: Side, quantity: int, *evidence: Claim, reason: str = "so be it") -> Trade:
    claims = evidence or (TRUE,)
    return Trade(symbol=symbol, side=side.value, quantity=quantity, reason=reason, expected_effect="", evidence=claims)


def weighed(*trades: Trade, why: dict[str, str] | None = None, summary: str = "") -> TradePlan:
    """The plan that becomes of such an answer."""
    left_out = tuple(LeftOut(symbol=symbol, why=words) for symbol, words in (why or {}).items())
    answer = Answer(trades=trades, deviations=left_out, summary=summary, confidence=0.5)
    return laid_over(BASELINE, hold_to_facts(answer, SOURCES, SNAPSHOT), "it", answer.confidence)


def comes_to(plan: TradePlan) -> list[tuple[str, Side, int]]:
    """The plan's discretionary trades."""
    return [one.is_as for one in plan.trades if not one.protective]


def notes_on(symbol: str, plan: TradePlan) -> list[str]:
    return [note for note in plan.notes if note.startswith(f"{symbol}:")]


KEEP = wanted("VTI", Side.SELL, 3), wanted("AAPL", Side.BUY, 5)


@pytest.mark.parametrize(
    ("trades", "why"),
    [
        ((), {}),
        ((wanted("SPY", Side.BUY, 100),), {}),
        ((wanted("spy", Side.SELL, 1), *KEEP), {}),
        ((), {"SPY": "It will rise again.", "VTI": "No.", "AAPL": "No."}),
    ],
)
def test_protective_exits_stay_first_and_unchanged_whatever_the_answer(
    trades: tuple[Trade, ...], why: dict[str, str]
) -> None:
    plan = weighed(*trades, why=why)
    assert plan.trades[0] == EXIT
    assert [one for one in plan.trades if ticker(one.symbol) == "SPY"] == [EXIT]
    assert plan.unfinished == ("SPY",)
    assert plan.notes[0] == "A note."


def test_a_trade_in_an_exits_symbol_is_not_done_and_said() -> None:
    plan = weighed(wanted("SPY", Side.BUY, 7), *KEEP)
    assert comes_to(plan) == [SALE.is_as, PURCHASE.is_as]
    assert notes_on("SPY", plan) == ["SPY: left to its protective exit; what it wanted there is not done."]
    assert plan.deviations == ()


def test_of_two_trades_in_one_symbol_the_first_is_done_and_that_is_said() -> None:
    plan = weighed(wanted("BRK.B", Side.BUY, 1), wanted("brk b", Side.SELL, 2), *KEEP)
    assert comes_to(plan) == [("BRK B", Side.BUY, 1), SALE.is_as, PURCHASE.is_as]
    assert notes_on("BRK B", plan) == ["BRK B: it wanted two trades there; only the first is done."]


def test_a_trade_bears_the_name_that_the_snapshot_has_for_its_symbol() -> None:
    plan = weighed(wanted("BRK-B", Side.BUY, 1), *KEEP)
    assert "BRK B" in [one.symbol for one in plan.trades]


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        ((UNFOUND,), "no figure that its reason rests on holds"),
        ((TRUE, FALSE), "its own source contradicts it: account.cash is 10000 USD"),
    ],
)
def test_where_a_trade_is_dropped_the_rules_trade_stands(evidence: tuple[Claim, ...], why: str) -> None:
    plan = weighed(wanted("VTI", Side.SELL, 1, *evidence), KEEP[1])
    assert set(comes_to(plan)) == {SALE.is_as, PURCHASE.is_as}
    assert notes_on("VTI", plan) == [f"VTI: it's trade was dropped, as {why}; the rules' trade stands."]
    assert plan.deviations == ()


def test_a_trade_with_no_evidence_at_all_is_dropped() -> None:
    bare = Trade(symbol="GME", side="SELL", quantity=1, reason="", expected_effect="", evidence=())
    assert comes_to(weighed(bare, *KEEP)) == [SALE.is_as, PURCHASE.is_as]


def test_only_evidence_that_holds_is_kept_and_the_rest_is_struck() -> None:
    answer = Answer(trades=(wanted("VTI", Side.SELL, 3, TRUE, UNFOUND),), deviations=(), summary="", confidence=0.5)
    held = hold_to_facts(answer, SOURCES, SNAPSHOT)
    assert [one.source for one in held.trades[0].evidence] == ["account.cash"]
    assert [(one.symbol, one.words) for one in held.struck] == [("VTI", "it says so (r9.SPY.last 1.0 USD)")]


def test_a_second_trade_does_not_stand_beside_a_word_that_the_rules_trade_does() -> None:
    """The first was dropped, the second is done instead of the rules' own."""
    plan = weighed(wanted("VTI", Side.SELL, 1, UNFOUND), wanted("VTI", Side.SELL, 2), KEEP[1])
    assert comes_to(plan) == [("VTI", Side.SELL, 2), PURCHASE.is_as]
    assert not [note for note in notes_on("VTI", plan) if "the rules' trade stands" in note]


@pytest.mark.parametrize("why", [{}, {"VTI": ""}, {"VTI": " "}])
def test_what_is_left_out_without_a_reason_stands(why: dict[str, str]) -> None:
    plan = weighed(KEEP[1], why=why)
    assert set(comes_to(plan)) == {SALE.is_as, PURCHASE.is_as}
    assert notes_on("VTI", plan) == ["VTI: it left it out without a reason; the rules' trade stands."]


def test_deviations_say_what_is_added_done_instead_and_left_out_and_why() -> None:
    plan = weighed(
        wanted("GME", Side.SELL, 1, reason="Nobody wants it."),
        wanted("AAPL", Side.BUY, 4, reason="Less of it."),
        why={"VTI": "It is the cheapest.", "AAPL": "Too dear."},
    )
    assert comes_to(plan) == [("GME", Side.SELL, 1), ("AAPL", Side.BUY, 4)]
    assert [(one.symbol, one.what, one.why) for one in plan.deviations] == [
        ("GME", "added", "Nobody wants it."),
        ("AAPL", "instead of BUY 5", "Too dear."),
        ("VTI", "left out SELL 3", "It is the cheapest."),
    ]


def test_what_a_trade_itself_comes_to_needs_no_source_and_what_others_come_to_is_not_its_own() -> None:
    reason = "Buys 14 shares at $100, $1,400 in all, with 10,000 USD at hand, and VTI up 2.5 %."
    plan = weighed(wanted("AAPL", Side.BUY, 14, reason=reason), KEEP[0])
    assert plan.trades[1].reason == reason.replace("2.5 %", "~~2.5 %~~")


def test_a_summary_may_tell_any_figure_and_no_other() -> None:
    plan = weighed(*KEEP, summary="VTI gained 2.5 %, and 99 % is certain.")
    assert plan.summary == "VTI gained 2.5 %, and ~~99 %~~ is certain."
    assert (plan.source, plan.confidence) == ("it", 0.5)


# --- whatever the answer -------------------------------------------------------------------------------------------

SYMBOLS = st.sampled_from(["SPY", "spy", ".SPY", "VTI", "AAPL", "BRK.B", "BRK B", "GME", "NEVERHEARD"]) | st.text(
    min_size=1, max_size=8
)
WORDS = st.sampled_from(["", "It is cheap.", "Cash is 10,000 USD.", "Up 99 %."]) | st.text(max_size=12)
CLAIMS = st.builds(
    Claim,
    statement=WORDS,
    source=st.sampled_from(["account.cash", "snapshot.SPY.weight", "snapshot.VTI", "snapshot", "r9"]) | st.text(),
    value=st.sampled_from([10_000.0, 30.0, 2.5, 77.0]) | st.floats(-1e15, 1e15),
    unit=st.sampled_from(["USD", "%", "", "EUR"]),
)
TRADES = st.builds(
    Trade,
    symbol=SYMBOLS.filter(lambda symbol: bool(symbol.strip() and symbol.isprintable())),
    side=st.sampled_from(["BUY", "SELL"]),
    quantity=st.integers(1, 10**9 - 1),
    reason=WORDS,
    expected_effect=WORDS,
    evidence=st.lists(st.just(TRUE) | CLAIMS, max_size=3),
)
LEFT_OUT = st.builds(LeftOut, symbol=st.sampled_from(["SPY", "VTI", "AAPL", "GME"]), why=WORDS)
ANSWERS = st.builds(
    Answer,
    trades=st.lists(TRADES, max_size=6),
    deviations=st.lists(LEFT_OUT, max_size=3),
    summary=WORDS,
    confidence=st.floats(0, 1),
)


def is_borne_out(one: Trade) -> bool:
    claims = [
        Evidence(statement="", source=claim.source, value=Decimal(repr(claim.value)), unit=claim.unit)
        for claim in one.evidence
    ]
    stands = {standing(claim, SOURCES)[0] for claim in claims}
    return Standing.HOLDS in stands and Standing.CONTRADICTED not in stands


@examples(max_examples=200, deadline=None)
@given(ANSWERS)
def test_whatever_the_answer_every_trade_is_the_rules_own_or_one_that_its_sources_bear_out(answer: Answer) -> None:
    plan = laid_over(BASELINE, hold_to_facts(answer, SOURCES, SNAPSHOT), "it", answer.confidence)
    borne_out: list[Any] = [(ticker(one.symbol), one.side, one.quantity) for one in answer.trades if is_borne_out(one)]
    assert plan.trades[0] == EXIT
    free: tuple[ProposedTrade, ...] = plan.trades[1:]
    assert not any(one.protective for one in free)
    assert all(one in BASELINE.trades or one.is_as in borne_out for one in free)
    assert all(one.evidence for one in free if one not in BASELINE.trades)
    symbols = [ticker(one.symbol) for one in free]
    assert len(set(symbols)) == len(symbols)
    assert "SPY" not in symbols
