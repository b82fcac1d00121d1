"""The rebalancing problem as arrays: which whole numbers of shares to trade, and what a choice costs.

A choice is an array `x` of signed shares, one entry a tradable symbol: above 0 bought, below 0 sold. Its cost in USD is

    .02 Σ_b |g_b| + .005 Σ_b max(|g_b| - band, 0) + .002 Σ_i |d_i| + Σ_i commission(x_i) + F·(orders) + shortfall

with g and d what bucket and symbol are above their targets after the trades, at the last price. A dollar in the wrong
bucket is worth 2 cents of mending, so that an order pays from 100 USD on; half a cent more where the bucket is
outside its band, which it is to leave first; and one of the wrong symbol in the right bucket a tenth. A dollar of
cash below `min_cash` costs a dollar, so that raising it comes before everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from portfolio.costs import MAXIMUM_SHARE_OF_VALUE, MINIMUM, PER_SHARE
from portfolio.rebalance.market import Room, Tradable

OFF_BUCKET = 0.02
BEYOND_BAND = 0.005
OFF_SHARE = 0.002
SHORTFALL = 1.0
TOLERANCE = 1e-6
"""USD that binary fractions may be off where a limit is met exactly; exact arithmetic has the last word."""
HALF_CENT = 0.005
"""A commission is rounded to the cent, so it may be this much above what its formula says."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """One side of every symbol: limit price in USD a share, fewest and most shares of an order (both 0: none)."""

    price: Floats
    least: Floats
    most: Floats

    def of(self, symbols: Ints) -> Side:
        return Side(self.price[symbols], self.least[symbols], self.most[symbols])


@dataclass(frozen=True)
class Budget:
    """What the batch as a whole may use: USD of cash (below 0: missing) and of turnover, orders, and new positions."""

    cash: float
    turnover: float
    orders: int
    places: int


@dataclass(frozen=True)
class Problem:
    """Arrays of one entry a symbol, but for `bucket_gap`; gaps are values less their targets, `band` in USD too."""

    gap: Floats
    last: Floats
    bucket: Ints
    bucket_gap: Floats
    band: float
    buy: Side
    sell: Side
    is_new: NDArray[np.bool_]
    budget: Budget
    order_penalty: float

    @property
    def size(self) -> int:
        return len(self.last)

    def around(self, choice: Floats, kept: Ints) -> Problem:
        """The smaller problem of the symbols at `kept`, while all others stay as in `choice`."""
        others = choice.copy()
        others[kept] = 0
        used = spent(self, others)
        return Problem(
            gap=self.gap[kept],
            last=self.last[kept],
            bucket=self.bucket[kept],
            bucket_gap=self.bucket_gap + bucket_sums(self, (self.last * others)[None, :])[0],
            band=self.band,
            buy=self.buy.of(kept),
            sell=self.sell.of(kept),
            is_new=self.is_new[kept],
            budget=Budget(
                cash=self.budget.cash - used.cash,
                turnover=self.budget.turnover - used.turnover,
                orders=self.budget.orders - used.orders,
                places=self.budget.places - used.places,
            ),
            order_penalty=self.order_penalty,
        )


def problem(
    tradable: Sequence[Tradable],
    bucket_gap: Sequence[Decimal],
    band: Decimal,
    budget: Budget,
    order_penalty: Decimal,
    *,
    may_buy: bool = True,
) -> Problem:
    return Problem(
        gap=_floats([one.value - one.share for one in tradable]),
        last=_floats([one.last for one in tradable]),
        bucket=np.array([one.bucket for one in tradable], dtype=np.int64),
        bucket_gap=_floats(bucket_gap),
        band=float(band),
        buy=_side([one.buy if may_buy else None for one in tradable]),
        sell=_side([one.sell for one in tradable]),
        is_new=np.array([not one.is_held for one in tradable], dtype=np.bool_),
        budget=budget,
        order_penalty=float(order_penalty),
    )


def _floats(amounts: Sequence[Decimal]) -> Floats:
    return np.array([float(amount) for amount in amounts], dtype=np.float64)


def _side(rooms: Sequence[Room | None]) -> Side:
    some = [room or Room(price=Decimal(1), least=0, most=0) for room in rooms]
    return Side(
        price=_floats([room.price for room in some]),
        least=np.array([room.least for room in some], dtype=np.float64),
        most=np.array([room.most for room in some], dtype=np.float64),
    )


def fee(shares: Floats, value: Floats) -> Floats:
    """Commissions in USD of orders of that many shares and that value; never below the exact ones, see `costs`."""
    most = float(MAXIMUM_SHARE_OF_VALUE) * value
    formula = np.maximum(float(PER_SHARE) * shares + HALF_CENT, float(MINIMUM))
    least: Floats = np.minimum(formula, most)
    return least


def cost(problem: Problem, choices: Floats) -> Floats:
    """What each of `choices`, an array of choices by symbols, costs in USD; its limits are not looked at."""
    bought, sold = np.maximum(choices, 0), np.maximum(-choices, 0)
    value = bought * problem.buy.price + sold * problem.sell.price
    fees = fee(bought + sold, value)
    moved = problem.last * choices
    off_bucket = off_target(problem, problem.bucket_gap + bucket_sums(problem, moved)).sum(axis=1)
    off_share = np.abs(problem.gap + moved).sum(axis=1)
    cash = problem.budget.cash - (bought * problem.buy.price - sold * problem.sell.price + fees).sum(axis=1)
    orders = np.count_nonzero(choices, axis=1)
    total: Floats = (
        off_bucket
        + OFF_SHARE * off_share
        + fees.sum(axis=1)
        + problem.order_penalty * orders
        + SHORTFALL * np.maximum(-cash, 0)
    )
    return total


def off_target(problem: Problem, bucket_gap: Floats) -> Floats:
    """What it costs, in USD, that buckets are so much above or below their targets."""
    off = np.abs(bucket_gap)
    costs: Floats = OFF_BUCKET * off + BEYOND_BAND * np.maximum(off - problem.band, 0)
    return costs


def within_limits(problem: Problem, choice: Floats) -> bool:
    """Whether `choice`, each order of it possible, is within the limits of the batch as a whole."""
    used = spent(problem, choice)
    left, bought = problem.budget, choice > 0
    return bool(
        used.turnover <= left.turnover + TOLERANCE
        and used.orders <= left.orders
        and used.places <= left.places
        and (used.cash <= left.cash + TOLERANCE or not bought.any())
    )


def spent(problem: Problem, choice: Floats) -> Budget:
    """What `choice` uses of the budget."""
    bought, sold = np.maximum(choice, 0), np.maximum(-choice, 0)
    paid, received = bought * problem.buy.price, sold * problem.sell.price
    return Budget(
        cash=float((paid - received + fee(bought + sold, paid + received)).sum()),
        turnover=float((paid + received).sum()),
        orders=int(np.count_nonzero(choice)),
        places=int(np.count_nonzero((choice > 0) & problem.is_new)),
    )


def bucket_sums(problem: Problem, amounts: Floats) -> Floats:
    """`amounts`, an array of choices by symbols, summed over the symbols of each bucket."""
    sums: Floats = amounts @ np.equal.outer(problem.bucket, np.arange(len(problem.bucket_gap))).astype(np.float64)
    return sums
