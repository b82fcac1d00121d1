"""What the same money would have become otherwise, by hand, and where it must be the account itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.performance import Observed, Split, Surroundings, Valuation
from portfolio.performance.benchmarks import Marked, benchmarks_of, doing_nothing, target_mix

FIRST = datetime(2026, 6, 15, 20, tzinfo=UTC)
Prices = dict[str, float]


def at(look: int, a_day: int = 1) -> datetime:
    return FIRST + timedelta(days=look // a_day, minutes=look % a_day)


def around(rows: Sequence[Prices], *targets: Prices) -> list[Surroundings]:
    """`targets` look by look; the last of them holds on."""
    aims = [*targets, *[targets[-1] if targets else {}] * len(rows)]
    return [
        Surroundings(prices={name: Decimal(str(price)) for name, price in row.items()}, targets=aim)
        for row, aim in zip(rows, aims, strict=False)
    ]


def looks(count: int, *flows: int, a_day: int = 1, value: int = 10_000) -> list[Valuation]:
    """The account stays at `value`, since only times and flows are read; `flows` are of the first looks."""
    known = [*flows, *[0] * count]
    return [Valuation(at=at(place, a_day), value=Decimal(value), flow=Decimal(known[place])) for place in range(count)]


def marked(valuations: Sequence[Valuation], rows: Sequence[Surroundings]) -> list[Marked]:
    return [Marked(look, row.prices, row.targets) for look, row in zip(valuations, rows, strict=True)]


def held(cash: int, **shares: int) -> Observed:
    quantities = {name: Decimal(count) for name, count in shares.items()}
    return Observed(at=FIRST, cash=Decimal(cash), shares=quantities, prices={})


def usd(*amounts: int) -> list[Decimal]:
    return [*map(Decimal, amounts)]


def test_what_was_held_is_kept_and_money_that_comes_stays_cash() -> None:
    """10 SPY and 5,000 in cash: 5,000 at 500, 5,500 at 550 with 2,000 more, and 5,000 again."""
    rows = around([{"SPY": 500}, {"SPY": 550}, {"SPY": 500}])
    assert doing_nothing(held(5_000, SPY=10), marked(looks(3, 0, 2_000), rows), []) == usd(10_000, 12_500, 12_000)
    told = benchmarks_of(held(5_000, SPY=10), marked(looks(3, 0, 2_000), rows), []).doing_nothing
    assert told
    assert told.time_weighted_return == pytest.approx(100 * (1.05 * 12_000 / 12_500 - 1))
    assert told.growth == pytest.approx([1, 1.05, 1.008])
    assert [told.gained, told.ahead] == usd(0, -2_000)


def test_the_account_is_compared_by_what_it_gained_itself() -> None:
    valuations = [
        one.model_copy(update={"value": value}) for one, value in zip(looks(2), (10_000, 10_300), strict=True)
    ]
    told = benchmarks_of(
        held(5_000, SPY=10), marked(valuations, around([{"SPY": 500}, {"SPY": 510}])), []
    ).doing_nothing
    assert told
    assert [told.gained, told.ahead] == usd(100, 200)


def test_targets_are_bought_anew_at_the_last_look_of_each_day() -> None:
    """1,000 in halves: A doubles in the morning, 1,500, which are halves of 750 from the evening on; then A halves."""
    rows = around([{"A": 10, "B": 10}, {"A": 20, "B": 10}, {"A": 20, "B": 10}, {"A": 10, "B": 10}], {"A": 50, "B": 50})
    valuations = looks(4, a_day=2, value=1_000)
    assert target_mix(Decimal(1_000), marked(valuations, rows), []) == usd(1_000, 1_500, 1_500, 1_125)


def test_a_look_within_the_day_buys_nothing() -> None:
    """A doubles and halves again between two last looks, which leaves what was there."""
    rows = around([{"A": 10, "B": 10}, {"A": 10, "B": 10}, {"A": 20, "B": 10}, {"A": 10, "B": 10}], {"A": 50, "B": 50})
    assert target_mix(Decimal(1_000), marked(looks(4, a_day=2), rows), []) == usd(1_000, 1_000, 1_500, 1_000)


def test_what_the_targets_leave_is_cash_and_new_ones_hold_from_their_look_on() -> None:
    """40 % in A, which doubles: 1,400. Then all of it in B, which rises by a tenth: 1,540."""
    rows = around([{"A": 10, "B": 10}, {"A": 20, "B": 10}, {"A": 20, "B": 11}], {"A": 40}, {"B": 100})
    assert target_mix(Decimal(1_000), marked(looks(3), rows), []) == usd(1_000, 1_400, 1_540)


def test_money_that_comes_is_invested_at_the_last_look_of_the_day() -> None:
    rows = around([{"A": 10}, {"A": 20}, {"A": 40}, {"A": 40}], {"A": 100})
    valuations = looks(4, 0, 0, 1_000, a_day=2)
    assert target_mix(Decimal(1_000), marked(valuations, rows), []) == usd(1_000, 2_000, 5_000, 5_000)


def test_a_split_changes_nothing() -> None:
    split = Split(at=at(1), symbol="A", ratio=Decimal(4))
    rows = around([{"A": 100}, {"A": 25}], {"A": 100})
    assert doing_nothing(held(0, A=10), marked(looks(2), rows), [split]) == usd(1_000, 1_000)
    assert target_mix(Decimal(1_000), marked(looks(2), rows), [split]) == usd(1_000, 1_000)


def test_a_symbol_without_a_price_keeps_the_last_one_or_stands_at_its_first() -> None:
    rows = around([{"A": 10}, {"B": 5}, {"A": 12}, {"B": 6}], {"A": 50, "B": 50})
    assert doing_nothing(held(0, A=10, B=20), marked(looks(4), rows), []) == usd(200, 200, 220, 240)


def test_what_cannot_be_told_is_not_made_up() -> None:
    rows = around([{"A": 10}, {"A": 11}])
    assert doing_nothing(held(100, X=1), marked(looks(2), rows), []) is None
    assert target_mix(Decimal(100), marked(looks(2), rows), []) is None
    assert target_mix(Decimal(100), marked(looks(2), around([{"A": 10}, {"A": 11}], {"A": 50, "X": 50})), []) is None
    told = benchmarks_of(held(100, X=1), marked(looks(2), rows), [])
    assert (told.doing_nothing, told.target_mix) == (None, None)


def test_an_account_that_owes_holds_no_mix() -> None:
    rows = around([{"A": 10}, {"A": 20}, {"A": 40}], {"A": 100})
    assert target_mix(Decimal(1_000), marked(looks(3, 0, -5_000), rows), []) == usd(1_000, -3_000, -3_000)


def test_looks_between_change_nothing() -> None:
    """As long as each day's last look is there, and the one that money came at."""
    rows = around(
        [
            {"A": 10, "B": 10},
            {"A": 14, "B": 9},
            {"A": 12, "B": 8},
            {"A": 13, "B": 9},
            {"A": 9, "B": 11},
            {"A": 8, "B": 8},
        ],
        {"A": 50, "B": 30},
    )
    every = marked(looks(6, 0, 0, 0, 0, 500, a_day=3), rows)
    few = [every[place] for place in (0, 2, 4, 5)]
    of_all, of_few = (benchmarks_of(held(100, A=5), one, []) for one in (every, few))
    for one, other in ((of_all.doing_nothing, of_few.doing_nothing), (of_all.target_mix, of_few.target_mix)):
        assert one
        assert other
        assert other.growth == pytest.approx(one.growth)
        assert other.gained == one.gained


prices = st.decimals("0.5", 2000, places=2)
paths = st.lists(st.fixed_dictionaries(dict.fromkeys(("A", "B", "C"), prices)), min_size=2, max_size=12)


def surroundings(path: Sequence[dict[str, Decimal]], targets: dict[str, float]) -> list[Surroundings]:
    return [Surroundings(prices=row, targets=targets) for row in path]


@given(path=paths, cash=st.decimals(0, 9999, places=2), shares=st.lists(st.integers(0, 99), min_size=3, max_size=3))
def test_where_nothing_is_traded_doing_nothing_is_the_account(
    path: list[dict[str, Decimal]], cash: Decimal, shares: list[int]
) -> None:
    quantities = dict(zip("ABC", map(Decimal, shares), strict=True))
    seen = [Observed(at=at(day), cash=cash, shares=quantities, prices=row) for day, row in enumerate(path)]
    valuations = [Valuation(at=one.at, value=one.value) for one in seen]
    told = benchmarks_of(seen[0], marked(valuations, surroundings(path, {})), []).doing_nothing
    assert told
    assert told.ahead == 0
    assert doing_nothing(seen[0], marked(valuations, surroundings(path, {})), []) == [one.value for one in valuations]


@given(path=paths, a_day=st.integers(1, 4))
def test_one_symbol_at_a_hundred_percent_is_that_symbol(path: list[dict[str, Decimal]], a_day: int) -> None:
    told = benchmarks_of(
        held(10_000), marked(looks(len(path), a_day=a_day), surroundings(path, {"A": 100.0})), []
    ).target_mix
    assert told
    assert told.time_weighted_return == pytest.approx(float(100 * (path[-1]["A"] / path[0]["A"] - 1)))


@given(path=paths, ratio=st.sampled_from(["2", "0.1", "4"]), place=st.integers(1, 11), flow=st.integers(-500, 5_000))
def test_splits_change_no_return(path: list[dict[str, Decimal]], ratio: str, place: int, flow: int) -> None:
    place, factor = min(place, len(path) - 1), Decimal(ratio)
    split = [
        {**row, "A": row["A"] / factor} if number >= place else row for number, row in enumerate(path)
    ]  # fmt: skip
    valuations, targets = looks(len(path), 0, flow, a_day=2), {"A": 40.0, "B": 35.0}
    event = Split(at=at(place, 2), symbol="A", ratio=factor)
    before = benchmarks_of(held(1_000, A=10, C=3), marked(valuations, surroundings(path, targets)), [])
    after = benchmarks_of(held(1_000, A=10, C=3), marked(valuations, surroundings(split, targets)), [event])
    for one, other in ((before.doing_nothing, after.doing_nothing), (before.target_mix, after.target_mix)):
        assert one
        assert other
        assert other.growth == pytest.approx(one.growth)
        assert abs(other.gained - one.gained) <= Decimal("0.01")
