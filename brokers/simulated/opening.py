"""The portfolio every simulated account begins with: 50,000 USD, of which a little over 5,000 in cash.

It is far from the shipped targets on purpose, short of broad ETFs and long of growth, so that a first run has something
to do; and its average costs differ from today's prices, but never by so much that a stop-loss acts on the first day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from brokers.simulated.accounting import Holding
from portfolio.costs import to_cents

NET_LIQUIDATION = Decimal("50000.00")

_COST_STEP = Decimal("0.0001")


@dataclass(frozen=True)
class _Sample:
    """Share of the portfolio and gain on its cost so far, both as fractions."""

    weight: Decimal
    gain: Decimal


_SAMPLES = {
    symbol: _Sample(Decimal(weight), Decimal(gain))
    for symbol, weight, gain in (
        ("SPY", "0.22", "0.08"),
        ("QQQ", "0.16", "0.14"),
        ("IWM", "0.12", "-0.04"),
        ("JNJ", "0.06", "0.05"),
        ("KO", "0.06", "-0.03"),
        ("AAPL", "0.10", "0.18"),
        ("MSFT", "0.09", "0.11"),
        ("NVDA", "0.09", "0.19"),
    )
}
SYMBOLS = tuple(_SAMPLES)


def opening_portfolio(prices: Mapping[str, Decimal]) -> tuple[Decimal, dict[str, Holding]]:
    """Cash in USD and holdings by symbol, worth 50,000.00 USD together at `prices`.

    A sample symbol without a price stays in cash. Of the rest, less is left over than one share of the cheapest costs.
    """
    samples = {symbol: sample for symbol, sample in _SAMPLES.items() if symbol in prices}
    shares = {
        symbol: (NET_LIQUIDATION * sample.weight / prices[symbol]).to_integral_value(ROUND_FLOOR)
        for symbol, sample in samples.items()
    }
    budget = NET_LIQUIDATION * sum((sample.weight for sample in samples.values()), Decimal(0))
    left = budget - sum((shares[symbol] * prices[symbol] for symbol in samples), Decimal(0))
    for symbol in sorted(samples, key=lambda symbol: prices[symbol], reverse=True):
        more = (left / prices[symbol]).to_integral_value(ROUND_FLOOR)
        shares[symbol] += more
        left -= more * prices[symbol]
    holdings = {
        symbol: Holding(shares[symbol], (prices[symbol] / (1 + sample.gain)).quantize(_COST_STEP))
        for symbol, sample in samples.items()
        if shares[symbol]
    }
    invested = sum((to_cents(holding.quantity * prices[symbol]) for symbol, holding in holdings.items()), Decimal(0))
    return NET_LIQUIDATION - invested, holdings
