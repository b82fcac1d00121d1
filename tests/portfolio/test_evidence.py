"""A figure that a reason rests on, as a person reads it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.models import Evidence


@pytest.mark.parametrize(
    ("source", "unit", "words"),
    [
        ("drift.Broad ETFs.drift", "points", "drift of Broad ETFs 12.50 points (drift)"),
        ("price_statistics.BRK.B.last_close", "USD", "last close of BRK.B 12.50 USD (price statistics)"),
        ("account.cash", "", "cash 12.50 (account)"),
    ],
)
def test_a_figure_names_what_it_is_of_and_where_it_stands(source: str, unit: str, words: str) -> None:
    evidence = Evidence(statement="", source=source, value=Decimal("12.50"), unit=unit)
    assert evidence.in_words == words
