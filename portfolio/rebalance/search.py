"""Whole numbers of shares, by local search: from a start, always the best move, until no move helps.

For one symbol, all else held fixed, the cost is piecewise linear in its shares, so the best number is at one of a few
points: none, what fills its bucket or its own share, what a limit leaves, one more or one less. All points of all
symbols are priced in one sweep of array arithmetic. Where no single move helps, chains do (Lin and Kernighan, "An
effective heuristic algorithm for the traveling-salesman problem", 1973): one or two symbols are moved off their places,
whether that is allowed or not, then others by the best answer there is, and many chains at once; that is how shares are
handed from one symbol to another. Effort is counted in points priced, never in seconds, so the same input gives the
same plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portfolio.costs import MINIMUM, PER_SHARE
from portfolio.rebalance.problem import (
    OFF_SHARE,
    SHORTFALL,
    TOLERANCE,
    Floats,
    Problem,
    bucket_sums,
    cost,
    fee,
    off_target,
)

LEAST_EFFORT = 1_000
"""Points that a sweep counts for, however few it prices: it takes the same time."""
WORTH_A_MOVE = 1e-6
"""USD; what gains less is rounding."""
PAIR = 2
"""Moves of the shortest chain."""
GROUPS, FIRSTS_A_GROUP = 4, 8
"""Beginnings of chains are tried a group at a time, since one that helps is cheaper to find than the best of all."""


class Search:
    """Local search on one problem; `effort` is how many points it may price in all before it stops where it is."""

    def __init__(self, problem: Problem, effort: int) -> None:
        self._problem = problem
        self.effort = effort

    def descend(self, start: Floats) -> Floats:
        """Single moves from `start`, which must be within the limits, until none helps."""
        choice, now = start, self._cost_of(start)
        while self.effort > 0:
            costs, moved = self._answers(choice[None, :])
            if costs[0] >= now - WORTH_A_MOVE:
                break
            choice, now = moved[0], float(costs[0])
        return choice

    def improve(self, start: Floats, longest: int) -> Floats:
        """Chains of up to `longest` moves, and single ones after each that helps, until none does."""
        choice = start
        while (better := self._by_chain(choice, longest)) is not None:
            choice = self.descend(better)
        return choice

    def _by_chain(self, choice: Floats, longest: int) -> Floats | None:
        """The end of a chain that ends cheaper than `choice`; None where none is found."""
        now = self._cost_of(choice)
        for beginnings in self._beginnings(choice, longest):
            chains = beginnings
            for _ in range(1, longest):
                if self.effort <= 0 or not len(chains):
                    break
                costs, ends = self._answers(chains, chains == choice)
                if costs.min() < now - WORTH_A_MOVE:
                    better: Floats = ends[np.argmin(costs)]
                    return better
                chains = ends[np.isfinite(costs)]
        return None

    def _beginnings(self, choice: Floats, longest: int) -> Iterator[Floats]:
        """Choices one move away from `choice` and then, where chains may be longer than pairs, two moves away."""
        firsts = self._first_moves(choice[None, :])
        yield from (firsts[group::GROUPS] for group in range(GROUPS))
        if longest > PAIR:
            for at in range(0, len(firsts), FIRSTS_A_GROUP):
                yield self._first_moves(firsts[at : at + FIRSTS_A_GROUP])

    def _cost_of(self, choice: Floats) -> float:
        return float(cost(self._problem, choice[None, :])[0])

    def _first_moves(self, choices: Floats) -> Floats:
        """Choices that differ from one of `choices` in one symbol, whether they keep the limits or not."""
        of = self._problem
        gap = of.bucket_gap + bucket_sums(of, of.last * choices)
        fill_bucket = np.rint(choices - gap[:, of.bucket] / of.last)
        fill_share = np.trunc(-of.gap / of.last)
        away = np.where(choices > 0, of.buy.most, np.where(choices < 0, -of.sell.most, fill_share))
        points = np.stack([np.zeros_like(choices), choices + 1, choices - 1, away, fill_bucket], axis=1)
        points = np.sort(allowed(of, points), axis=1)
        is_new = points != choices[:, None, :]
        is_new[:, 1:] &= points[:, 1:] != points[:, :-1]
        choice, point, symbol = np.nonzero(is_new)
        firsts = choices[choice]
        firsts[np.arange(len(symbol)), symbol] = points[choice, point, symbol]
        return firsts

    def _answers(self, choices: Floats, free: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
        """For each of `choices` its cheapest neighbour within the limits: the costs, infinite without one, and choices.

        A neighbour differs in one symbol, one that is `free` where that is given.
        """
        rest = _Rest.of(self._problem, choices)
        points = rest.points()
        self.effort -= max(points.size, LEAST_EFFORT)
        gains = np.where(points == choices[:, None, :], -np.inf, rest.gains(points))
        if free is not None:
            gains = np.where(free[:, None, :], gains, -np.inf)
        gains = gains.reshape(len(choices), -1)
        best, row = np.argmax(gains, axis=1), np.arange(len(choices))
        moved = choices.copy()
        moved[row, best % self._problem.size] = points.reshape(len(choices), -1)[row, best]
        return cost(self._problem, choices) - gains[row, best], moved


def allowed(of: Problem, points: Floats) -> Floats:
    """`points`, symbols along the last axis, each made the nearest number of shares an order may have, or none."""
    bought = np.minimum(np.maximum(points, of.buy.least), of.buy.most)
    sold = np.minimum(np.maximum(-points, of.sell.least), of.sell.most)
    allowed: Floats = np.where(points > 0, bought, np.where(points < 0, -sold, 0.0))
    return allowed


@dataclass(frozen=True)
class _Rest:
    """Choices without one symbol at a time: arrays of choices by symbols, what is left for that symbol's order.

    `gap` is how far its bucket is above target, `cash` and `turnover` in USD and `orders` and `places` are what the
    rest leaves; `buys` says whether the rest buys anything.
    """

    problem: Problem
    shares: Floats
    gap: Floats
    cash: Floats
    turnover: Floats
    orders: Floats
    places: Floats
    buys: NDArray[np.bool_]

    @classmethod
    def of(cls, problem: Problem, choices: Floats) -> _Rest:
        bought, sold = np.maximum(choices, 0), np.maximum(-choices, 0)
        paid, received = bought * problem.buy.price, sold * problem.sell.price
        value = paid + received
        spent = paid - received + fee(bought + sold, value)
        moved = problem.last * choices
        gap = problem.bucket_gap + bucket_sums(problem, moved)
        budget = problem.budget

        def left(whole: float, used: Floats) -> Floats:
            without: Floats = whole - used.sum(axis=1, keepdims=True) + used
            return without

        return cls(
            problem=problem,
            shares=choices,
            gap=gap[:, problem.bucket] - moved,
            cash=left(budget.cash, spent),
            turnover=left(budget.turnover, value) + TOLERANCE,
            orders=left(budget.orders, (choices != 0).astype(np.float64)),
            places=left(budget.places, ((choices > 0) & problem.is_new).astype(np.float64)),
            buys=left(0, bought) < 0,
        )

    def points(self) -> Floats:
        """Shares that may be best: an array of choices by points by symbols."""
        of = self.problem
        fill_bucket = -self.gap / of.last
        fill_share = np.broadcast_to(-of.gap / of.last, self.gap.shape)
        left = np.maximum(self.turnover, 0)
        bought_with, sold_with = np.floor(left / of.buy.price), -np.floor(left / of.sell.price)
        spent = np.floor((self.cash - float(MINIMUM)) / (of.buy.price + float(PER_SHARE)))
        raised = np.maximum(np.floor((self.cash - float(MINIMUM)) / of.sell.price), sold_with)
        wanted = np.stack(
            [
                np.zeros_like(self.shares),
                np.floor(fill_bucket),
                np.ceil(fill_bucket),
                np.floor(fill_share),
                np.ceil(fill_share),
                np.where(fill_bucket > 0, bought_with, sold_with),
                np.where(self.cash > 0, spent, raised),
                self.shares + 1,
                self.shares - 1,
                np.where(fill_bucket > 0, of.buy.most, -of.sell.most),
            ],
            axis=1,
        )
        return allowed(of, wanted)

    def gains(self, points: Floats) -> Floats:
        """What each of `points` saves against the choice as it is, in USD; minus infinity beyond a limit."""
        orders = _Orders.of(points, self)
        now = _Orders.of(self.shares[:, None, :], self)
        gains: Floats = np.where(orders.within_limits(), now.costs() - orders.costs(), -np.inf)
        return gains


@dataclass(frozen=True)
class _Orders:
    """Orders of so many `shares` beside the rest: arrays of choices by points by symbols."""

    rest: _Rest
    shares: Floats
    value: Floats
    fees: Floats
    cash: Floats

    @classmethod
    def of(cls, shares: Floats, rest: _Rest) -> _Orders:
        of = rest.problem
        paid, received = np.maximum(shares, 0) * of.buy.price, np.maximum(-shares, 0) * of.sell.price
        value = paid + received
        fees = fee(np.abs(shares), value)
        return cls(rest, shares, value, fees, rest.cash[:, None, :] - paid + received - fees)

    def costs(self) -> Floats:
        """The part of the problem's cost that these orders have a hand in."""
        of, rest = self.rest.problem, self.rest
        moved = of.last * self.shares
        costs: Floats = (
            off_target(of, rest.gap[:, None, :] + moved)
            + OFF_SHARE * np.abs(of.gap + moved)
            + self.fees
            + of.order_penalty * (self.shares != 0)
            + SHORTFALL * np.maximum(-self.cash, 0)
        )
        return costs

    def within_limits(self) -> NDArray[np.bool_]:
        of, rest = self.rest.problem, self.rest
        is_buy = self.shares > 0
        within: NDArray[np.bool_] = (
            (self.value <= rest.turnover[:, None, :])
            & ((self.shares != 0) <= rest.orders[:, None, :])
            & ((is_buy & of.is_new) <= rest.places[:, None, :])
            & ((self.cash >= -TOLERANCE) | ~(is_buy | rest.buys[:, None, :]))
        )
        return within
