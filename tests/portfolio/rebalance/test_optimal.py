"""The solver against every choice there is, on problems small enough to try them all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portfolio.rebalance.optimal import is_sane, solve
from portfolio.rebalance.problem import Budget, Problem, Side, cost
from portfolio.rebalance.search import Search
from tests.portfolio.rebalance.brute_force import allowed, brute_force, costs

CASES = 40
NEAR = 1.01


def small_problem(seed: int, size: int) -> Problem:
    """One to three buckets, a few shares a symbol, and budgets that bind now and then."""
    random = np.random.default_rng([seed, size])
    worth = random.uniform(5e3, 2e5)
    last = np.maximum(np.round(random.uniform(0.004, 0.06, size) * worth, 2), 10.0)
    buckets = int(random.integers(1, min(3, size) + 1))
    bucket = np.sort(np.concatenate([np.arange(buckets), random.integers(0, buckets, size - buckets)]))
    targets = random.dirichlet(np.full(buckets, 3.0))
    share = (targets / np.bincount(bucket, minlength=buckets))[bucket] * worth
    held = np.floor(share * np.exp(random.normal(0, 0.5, size)) * (random.random(size) < 0.8) / last)
    ask, bid = np.round(last * 1.001, 2), np.round(last * 0.999, 2)
    most = max(2, int(6 - 0.6 * size))
    room = np.floor(np.maximum(random.uniform(0.2, 0.6) * worth - held * last, 0) / ask)
    return Problem(
        gap=held * last - share,
        last=last,
        bucket=bucket.astype(np.int64),
        bucket_gap=np.bincount(bucket, weights=held * last - share, minlength=buckets).astype(np.float64),
        band=0.05 * worth,
        buy=_side(ask, np.clip(room, 0, most)),
        sell=_side(bid, np.clip(held, 0, most)),
        is_new=held == 0,
        budget=Budget(
            cash=float(random.uniform(-0.02, 0.2) * worth),
            turnover=float(random.choice([0.05, 0.1, 0.2, 1.0]) * worth),
            orders=int(random.choice([2, 3, 20])),
            places=int(random.choice([0, 1, 50])),
        ),
        order_penalty=float(random.choice([0.0, 1.0, 20.0])),
    )


def _side(
    price: np.ndarray[tuple[int], np.dtype[np.float64]], most: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Side:
    least = np.ceil(100 / price)
    possible = most >= least
    return Side(price, np.where(possible, least, 0.0), np.where(possible, most, 0.0))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_on_small_problems_the_plan_is_the_best_there_is(size: int) -> None:
    exact = 0
    for seed in range(CASES):
        of = small_problem(seed, size)
        best = brute_force(of)
        found = solve(of).choices[0]
        assert allowed(of, found[None, :]).all(), f"seed {seed}: beyond a limit"
        ours = costs(of, found[None, :])[0]
        assert best.cost - 1e-6 <= ours <= NEAR * best.cost, f"seed {seed}: {ours} against {best.cost} of {best.shares}"
        exact += ours <= best.cost + 1e-6
    assert exact >= 0.9 * CASES


def test_what_the_solver_takes_for_the_cost_is_what_it_costs() -> None:
    """But for half a cent an order, since a commission that is rounded up must not cost cash that is not there."""
    for seed in range(CASES):
        of = small_problem(seed, 6)
        choices = np.stack(solve(of).choices)
        assert np.allclose(cost(of, choices), costs(of, choices), atol=0.01 * of.size)


def test_choices_come_cheapest_first_and_each_once() -> None:
    for seed in range(CASES):
        of = small_problem(seed, 6)
        choices = np.stack(solve(of).choices)
        assert (np.diff(cost(of, choices)) >= -1e-9).all()
        assert len(np.unique(choices, axis=0)) == len(choices)


def test_a_dollar_outside_the_band_goes_before_one_inside() -> None:
    """Both buckets lack money, one of them too much: the one order that turnover allows goes there."""
    one = np.ones(2)
    of = Problem(
        gap=np.array([-3_000.0, -9_000.0]),
        last=100 * one,
        bucket=np.array([0, 1]),
        bucket_gap=np.array([-3_000.0, -9_000.0]),
        band=5_000.0,
        buy=Side(100 * one, one, 10 * one),
        sell=Side(100 * one, 0 * one, 0 * one),
        is_new=np.array([False, False]),
        budget=Budget(cash=1_100.0, turnover=1_000.0, orders=20, places=20),
        order_penalty=1.0,
    )
    assert solve(of).choices[0].tolist() == [0, 10]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e200])
def test_numbers_that_cannot_be_true_are_not_given_to_the_solver(wrong: float) -> None:
    of = small_problem(0, 3)
    assert is_sane(of)
    assert not is_sane(replace(of, gap=np.array([1.0, wrong, 1.0])))
    assert not is_sane(replace(of, budget=replace(of.budget, cash=wrong)))
    assert not is_sane(replace(of, last=np.array([1.0, -1.0, 1.0])))


def test_where_the_relaxation_has_no_solution_the_greedy_choice_is_left_and_said_to_be() -> None:
    of = small_problem(0, 3)
    assert not solve(of).failed
    found = solve(replace(of, budget=replace(of.budget, turnover=-1.0)))
    assert found.failed
    assert [choice.tolist() for choice in found.choices] == [[0, 0, 0]]


def test_missing_cash_is_raised_in_one_step_and_not_share_by_share() -> None:
    """The bucket is below target, so that selling is the wrong way, and turnover ends before the shares do."""
    of = Problem(
        gap=np.array([-700_000.0]),
        last=np.array([0.5]),
        bucket=np.array([0]),
        bucket_gap=np.array([-700_000.0]),
        band=50_000.0,
        buy=Side(np.array([0.51]), np.array([0.0]), np.array([0.0])),
        sell=Side(np.array([0.5]), np.array([200.0]), np.array([200_000.0])),
        is_new=np.array([False]),
        budget=Budget(cash=-100_000.0, turnover=50_000.0, orders=20, places=20),
        order_penalty=1.0,
    )
    search = Search(of, effort=100_000)
    assert search.descend(np.zeros(1)).tolist() == [-100_000]
    assert search.effort > 90_000
