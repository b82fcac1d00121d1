from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolio.limits import Case
from portfolio.limits.prices import MOST_SECONDS_AHEAD, price_collar, quote_quality
from tests.portfolio.cases import NOW, buy, make_settings, make_snapshot, quote

MOMENT = timedelta(microseconds=1)


def with_quote(**changes: Any) -> Case:
    return buy(snapshot=make_snapshot(quotes={"SPY": quote("SPY", **changes)}))


def sides(bid: str | None, ask: str | None) -> Case:
    return with_quote(bid=None if bid is None else Decimal(bid), ask=None if ask is None else Decimal(ask))


class TestQuoteQuality:
    def test_a_fresh_quote_passes(self) -> None:
        assert quote_quality(buy()).passed

    def test_a_spread_of_exactly_the_limit_passes_and_a_tick_more_fails(self) -> None:
        assert quote_quality(sides("99.50", "100.50")).passed  # 1 % of the mid of 100
        wider = quote_quality(sides("99.50", "100.51"))
        assert wider.passed is False
        assert "spread 1.01 %" in wider.actual

    @pytest.mark.parametrize(
        ("bid", "ask"),
        [
            (None, "100"),
            ("100", None),
            (None, None),
            ("0", "1"),
            ("0", "0"),
            ("-1", "1"),
            ("1", "-1"),
            ("100.01", "100"),
            ("1", "0"),
        ],
    )
    def test_a_quote_with_a_side_missing_not_positive_or_crossed_fails(self, bid: str | None, ask: str | None) -> None:
        assert quote_quality(sides(bid, ask)).passed is False

    def test_a_symbol_without_a_quote_fails(self) -> None:
        snapshot = make_snapshot()
        bare = snapshot.model_copy(update={"quotes": {}})
        assert quote_quality(buy(snapshot=bare)).passed is False

    def test_a_quote_of_another_contract_fails(self) -> None:
        assert quote_quality(with_quote(conid=2)).passed is False
        assert quote_quality(buy(snapshot=make_snapshot(contracts={}))).passed is False

    def test_a_quote_of_unknown_age_is_not_evaluated(self) -> None:
        assert quote_quality(with_quote(as_of=None)).passed is None

    def test_the_age_may_be_exactly_the_limit_and_not_a_moment_more(self) -> None:
        oldest = NOW - timedelta(seconds=900)
        assert quote_quality(with_quote(as_of=oldest)).passed
        older = quote_quality(with_quote(as_of=oldest - MOMENT))
        assert older.passed is False
        assert "age 901 s" in older.actual

    def test_a_quote_may_be_a_little_ahead_but_not_of_the_future(self) -> None:
        """A live quote is read after the broker's clock; one from tomorrow is of some other clock."""
        ahead = NOW + timedelta(seconds=MOST_SECONDS_AHEAD)
        assert quote_quality(with_quote(as_of=ahead)).passed
        assert quote_quality(with_quote(as_of=ahead + MOMENT)).passed is False


class TestPriceCollar:
    def test_exactly_the_collar_passes_on_both_sides_and_a_cent_more_fails(self) -> None:
        assert price_collar(buy(limit_price=Decimal("101.00"))).passed
        assert price_collar(buy(limit_price=Decimal("99.00"))).passed
        assert price_collar(buy(limit_price=Decimal("101.01"))).passed is False
        assert price_collar(buy(limit_price=Decimal("98.99"))).passed is False

    def test_a_collar_of_a_tenth_of_a_percent_is_exactly_that(self) -> None:
        """0.1 has no exact binary fraction; 100.10 must still be within it."""
        settings = make_settings(price_collar=0.1)
        assert price_collar(buy(limit_price=Decimal("100.10"), settings=settings)).passed
        assert price_collar(buy(limit_price=Decimal("100.11"), settings=settings)).passed is False

    @pytest.mark.parametrize("last", [None, Decimal(0), Decimal(-100)])
    def test_without_a_positive_last_trade_it_is_not_evaluated(self, last: Decimal | None) -> None:
        """In % of a negative price every distance looks small."""
        assert price_collar(with_quote(last=last)).passed is None

    def test_without_a_limit_price_or_a_quote_it_is_not_evaluated(self) -> None:
        assert price_collar(buy(limit_price=None)).passed is None
        bare = make_snapshot().model_copy(update={"quotes": {}})
        assert price_collar(buy(snapshot=bare)).passed is None
