"""The best choice of a small rebalancing problem by trying them all: its own arithmetic, nothing of the solver's."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from portfolio.rebalance.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Best:
    shares: tuple[int, ...]
    cost: float


def every_choice(of: Problem) -> Array:
    """All orders that are possible one by one, combined: an array of choices by symbols."""
    options = [
        [
            0,
            *(-n for n in range(int(of.sell.least[i]), int(of.sell.most[i]) + 1) if n),
            *(n for n in range(int(of.buy.least[i]), int(of.buy.most[i]) + 1) if n),
        ]
        for i in range(len(of.last))
    ]
    return np.array(list(product(*options)), dtype=np.float64)


def fees(shares: Array, price: Array) -> Array:
    n = np.abs(shares)
    return np.minimum(np.where(n > 0, np.maximum(1.0, 0.005 * n), 0.0), 0.01 * n * price)


def costs(of: Problem, choices: Array) -> Array:
    price = np.where(choices > 0, of.buy.price, of.sell.price)
    total = fees(choices, price).sum(axis=1) + of.order_penalty * (choices != 0).sum(axis=1)
    total += 0.002 * np.abs(of.gap + of.last * choices).sum(axis=1)
    for number, gap in enumerate(of.bucket_gap):
        off = np.abs(gap + (of.last * choices)[:, of.bucket == number].sum(axis=1))
        total += 0.02 * off + 0.005 * np.maximum(off - of.band, 0)
    return np.asarray(total + np.maximum(-cash_after(of, choices), 0))


def cash_after(of: Problem, choices: Array) -> Array:
    price = np.where(choices > 0, of.buy.price, of.sell.price)
    return np.asarray(of.budget.cash - (choices * price + fees(choices, price)).sum(axis=1))


def allowed(of: Problem, choices: Array) -> NDArray[np.bool_]:
    price = np.where(choices > 0, of.buy.price, of.sell.price)
    bought = choices > 0
    return np.asarray(
        ((np.abs(choices) * price).sum(axis=1) <= of.budget.turnover + 1e-9)
        & ((choices != 0).sum(axis=1) <= of.budget.orders)
        & ((bought & of.is_new).sum(axis=1) <= of.budget.places)
        & ((cash_after(of, choices) >= -1e-9) | ~bought.any(axis=1))
    )


def brute_force(of: Problem) -> Best:
    choices = every_choice(of)
    choices = choices[allowed(of, choices)]
    values = costs(of, choices)
    best = int(np.argmin(values))
    return Best(tuple(int(n) for n in choices[best]), float(values[best]))
