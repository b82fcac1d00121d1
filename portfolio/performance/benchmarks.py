"""What the account would have become by itself, and what its targets alone would have made of the money.

Both begin with what the account was worth at the first look, get and give the investor's deposits and withdrawals at
the same looks, and know neither costs, dividends nor interest. A symbol without a price at a look keeps its last known
one, and before its first price it stands at that. Prices of what is not held tell nothing of splits, so only those
count that the account itself went through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from portfolio.costs import to_cents
from portfolio.models import Fact
from portfolio.percent import share_of
from portfolio.performance.books import ZERO, Event, Split
from portfolio.performance.changes import Observed
from portfolio.performance.returns import Valuation, gain, linked

Prices = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Marked:
    """A look, with the prices in USD and the targets in % of the account as they were then, both by symbol."""

    look: Valuation
    prices: Prices
    targets: Mapping[str, float]


class Benchmark(Fact):
    """Another way the same money could have gone: its time-weighted return in %, and what it gained, in USD.

    `ahead` is what the account gained more, in USD; `growth` what 1 USD became by each day's last look.
    """

    time_weighted_return: float
    gained: Decimal
    ahead: Decimal
    growth: tuple[float, ...]


class Benchmarks(Fact):
    """None is one that cannot be told: something held or aimed at never had a price, or no targets are known."""

    doing_nothing: Benchmark | None
    target_mix: Benchmark | None


def benchmarks_of(first: Observed, marked: Sequence[Marked], events: Iterable[Event]) -> Benchmarks:
    """From the look `first`, the first of `marked`, through `events` to the last.

    Each day's last look must be there, and each that money came at; a look between them changes nothing.
    """
    splits = [event for event in events if isinstance(event, Split)]
    return Benchmarks(
        doing_nothing=_benchmark(doing_nothing(first, marked, splits), marked),
        target_mix=_benchmark(target_mix(first.value, marked, splits), marked),
    )


def doing_nothing(first: Observed, marked: Sequence[Marked], splits: Sequence[Split]) -> list[Decimal] | None:
    """What the account would be worth at each look, in USD, had it kept what it held at the first."""
    shares, cash = {symbol: held for symbol, held in first.shares.items() if held}, first.cash - marked[0].look.flow
    if not shares.keys() <= _first_prices(marked).keys():
        return None
    values = []
    for look, prices, split in _looks(marked, splits):
        _split(shares, split)
        cash += look.flow
        values.append(cash + _worth(shares, prices))
    return values


def target_mix(began_with: Decimal, marked: Sequence[Marked], splits: Sequence[Split]) -> list[Decimal] | None:
    """What the targets alone would be worth at each look, in USD.

    They are bought at the first look, in any fraction of a share and without cost, and again at each day's last one, as
    they are then. What they leave of the account is cash, where money that comes waits until the day's last look too.
    """
    aimed_at = {symbol for one in marked for symbol in one.targets}
    if not marked[0].targets or not aimed_at <= _first_prices(marked).keys():
        return None
    shares: dict[str, Decimal] = {}
    cash, values, last_looks = began_with - marked[0].look.flow, [], set(_last_looks(marked).values())
    for place, (look, prices, split) in enumerate(_looks(marked, splits)):
        _split(shares, split)
        cash += look.flow
        worth = cash + _worth(shares, prices)
        values.append(worth)
        targets = marked[place].targets
        if targets and (place == 0 or place in last_looks):
            invested = max(worth, ZERO)
            shares = {symbol: share_of(invested, target) / prices[symbol] for symbol, target in targets.items()}
            cash = worth - _worth(shares, prices)
    return values


def _benchmark(values: Sequence[Decimal] | None, marked: Sequence[Marked]) -> Benchmark | None:
    if values is None:
        return None
    flows = [one.look.flow for one in marked]
    grown = linked(values, flows)
    gained = values[-1] - values[0] - sum(flows[1:], ZERO)
    return Benchmark(
        time_weighted_return=100 * (grown[-1] - 1),
        gained=to_cents(gained),
        ahead=to_cents(gain([one.look for one in marked]) - gained),
        growth=tuple(grown[place] for place in _last_looks(marked).values()),
    )


def _last_looks(marked: Sequence[Marked]) -> dict[date, int]:
    """Where the last look of each day is."""
    return {one.look.at.date(): place for place, one in enumerate(marked)}


def _looks(marked: Sequence[Marked], splits: Sequence[Split]) -> Iterator[tuple[Valuation, Prices, list[Split]]]:
    """Each look with the prices known by then, and the splits since the one before."""
    prices, left = _first_prices(marked), list(splits)
    for one in marked:
        prices.update(one.prices)
        happened = [split for split in left if split.at <= one.look.at]
        left = left[len(happened) :]
        yield one.look, prices, happened


def _first_prices(marked: Sequence[Marked]) -> dict[str, Decimal]:
    """Of each symbol the first price there is."""
    first: dict[str, Decimal] = {}
    for one in reversed(marked):
        first.update(one.prices)
    return first


def _split(shares: dict[str, Decimal], splits: Iterable[Split]) -> None:
    for split in splits:
        if split.symbol in shares:
            shares[split.symbol] *= split.ratio


def _worth(shares: Mapping[str, Decimal], prices: Prices) -> Decimal:
    return sum((held * prices[symbol] for symbol, held in shares.items()), ZERO)
