"""Accounts to rebalance, drawn at random but the same for the same seed, and the limits they are rebalanced within.

An account is worth 20 thousand to a million USD. Prices are lognormal around 120 USD; buckets have random targets, and
their symbols equal shares of them. What is held is lognormal around that, a quarter of the symbols is not held at all,
85 to 99 % is invested, and at least one bucket is out of its band, since there is else nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from string import ascii_uppercase
from typing import Any

import numpy as np

from config.settings import Settings, TradingRule
from portfolio.drift import drift_table
from portfolio.limits import TradingDay
from portfolio.models import Account, AccountSummary, Contract, DataCheck, PortfolioSnapshot, Position, Quote, Session
from portfolio.rebalance.problem import Floats, Ints

BUCKETS = {18: 3, 50: 5, 200: 8, 500: 10, 2000: 20}
"""Buckets of an account, by its symbols."""

WORTH = (20_000, 1_000_000)
PRICE, PRICE_SPREAD, PRICES = 120, 0.8, (5, 900)
"""USD: the middle, the sigma of its logarithm, and the extremes."""
EVENNESS = 5.0
"""Of the targets: the parameter of their Dirichlet distribution."""
HOLDING_SPREAD, NOT_HELD, INVESTED = 0.5, 0.25, (0.85, 0.99)
HALF_SPREAD = 0.0005
CAP, MIN_CASH, THRESHOLD = 25.0, 0.5, 1.0
"""In % of net liquidation: `max_position_size`, `min_cash`, `rebalance_threshold`."""
RISK_SHARE, LEAST_RISK = Decimal("0.04"), Decimal(2000)
TURNOVER = 20.0
MOST_DOLLARS, MOST_PERCENT, MOST_COUNT = Decimal(1_000_000_000), 100.0, 10_000
"""The largest values that `Settings` takes."""

ACCOUNT_ID = "DU1234567"
NOW = datetime(2026, 3, 3, 17, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """An account, and the settings it is rebalanced by: `limited`, and `lifted`, which bound no order and no turnover.

    `snapshot` has a quote for every symbol, in the order of the settings' symbols.
    """

    snapshot: PortfolioSnapshot
    limited: Settings
    lifted: Settings
    day: TradingDay


@dataclass(frozen=True)
class _Draw:
    """Arrays of one entry a symbol, but for `targets`, in % a bucket; prices in cents."""

    cents: Ints
    bucket: Ints
    targets: Floats
    shares: Floats


def sample(symbols: int, seed: int) -> Sample:
    """The account of so many symbols with this seed."""
    random = np.random.default_rng([symbols, seed])
    worth = float(np.exp(random.uniform(*np.log(WORTH))))
    while True:
        drawn = _draw(random, symbols, worth)
        if not _is_valid(drawn, worth):
            continue
        found = _sample(drawn, Decimal(round(worth * 100)).scaleb(-2))
        if any(bucket.is_outside(THRESHOLD) for bucket in drift_table(found.snapshot, found.limited).buckets):
            return found


def _draw(random: np.random.Generator, symbols: int, worth: float) -> _Draw:
    buckets = BUCKETS[symbols]
    prices = np.exp(random.normal(np.log(PRICE), PRICE_SPREAD, symbols)).clip(*PRICES)
    bucket = np.sort(np.concatenate([np.arange(buckets), random.integers(0, buckets, symbols - buckets)]))
    targets = _percent(random.dirichlet(np.full(buckets, EVENNESS)))
    share = (targets / np.bincount(bucket))[bucket]
    wanted = share * random.lognormal(0, HOLDING_SPREAD, symbols) * (random.random(symbols) >= NOT_HELD)
    wanted *= worth * random.uniform(*INVESTED) / wanted.sum()
    # Rounded up or down at random, or a small account of many symbols would hold next to nothing.
    shares = np.floor(wanted / prices + random.random(symbols))
    return _Draw(np.rint(prices * 100).astype(np.int64), bucket, targets, shares)


def _percent(parts: Floats) -> Floats:
    """`parts` of one in %, to two places, still a whole; what rounding takes is the largest one's."""
    percent = np.round(100 * parts, 2)
    percent[np.argmax(percent)] += 100 - percent.sum()
    return np.round(percent, 2)


def _is_valid(drawn: _Draw, worth: float) -> bool:
    """Whether the configuration would be accepted, and as much is invested as should be."""
    reachable = (CAP * np.bincount(drawn.bucket) >= drawn.targets).all() and (drawn.targets > 0).all()
    least, most = INVESTED
    return bool(reachable and least <= drawn.shares @ drawn.cents / 100 / worth <= most)


def _sample(drawn: _Draw, worth: Decimal) -> Sample:
    names = tickers(len(drawn.cents))
    rules = _rules(drawn, names)
    most = Decimal(max(RISK_SHARE * worth, LEAST_RISK)).quantize(Decimal(1))
    return Sample(
        snapshot=_snapshot(drawn, names, worth),
        limited=_settings(rules, most, TURNOVER),
        lifted=_settings(rules, MOST_DOLLARS, MOST_PERCENT),
        day=TradingDay(first_net_liquidation=worth, orders_sent=0, past_trades=()),
    )


def tickers(count: int) -> list[str]:
    """So many different tickers, of four letters each."""
    letters = len(ascii_uppercase)
    return [
        "".join(ascii_uppercase[number // letters**place % letters] for place in reversed(range(4)))
        for number in range(count)
    ]


def _rules(drawn: _Draw, names: Sequence[str]) -> tuple[TradingRule, ...]:
    return tuple(
        TradingRule(
            name=f"Bucket {number}",
            target_allocation=float(target),
            symbols=tuple(names[symbol] for symbol in np.flatnonzero(drawn.bucket == number).tolist()),
            max_position_size=CAP,
        )
        for number, target in enumerate(drawn.targets)
    )


def _settings(rules: tuple[TradingRule, ...], order: Decimal, turnover: float) -> Settings:
    """At most `order` USD an order and `turnover` % in all."""
    values: dict[str, Any] = {
        "trading_rules": rules,
        "risk_threshold": order,
        "max_trade_value": order,
        "max_portfolio_change": turnover,
        "max_orders_per_day": MOST_COUNT,
        "max_positions": MOST_COUNT,
        "min_cash": MIN_CASH,
        "min_order_value": Decimal(100),
        "rebalance_threshold": THRESHOLD,
        "limit_offset": 0.1,
    }
    return Settings(**values)


def _snapshot(drawn: _Draw, names: Sequence[str], worth: Decimal) -> PortfolioSnapshot:
    positions = tuple(
        _position(number, names[number], int(drawn.shares[number]), _dollars(drawn.cents[number]))
        for number in np.flatnonzero(drawn.shares).tolist()
    )
    invested = sum((held.market_value or Decimal(0) for held in positions), Decimal(0))
    return PortfolioSnapshot(
        account=Account(account_id=ACCOUNT_ID),
        summary=_summary(worth, worth - invested),
        positions=positions,
        contracts={name: Contract(conid=number + 1, symbol=name, exchange="NYSE") for number, name in enumerate(names)},
        quotes={name: _quote(number, name, int(drawn.cents[number])) for number, name in enumerate(names)},
        open_orders=(),
        session=Session(now=NOW, is_open=True, opens_at=NOW - timedelta(hours=2), closes_at=NOW + timedelta(hours=4)),
        data_quality=(DataCheck(name="positions_add_up", passed=True, required=True, why=""),),
    )


def _dollars(cents: float) -> Decimal:
    return Decimal(int(cents)).scaleb(-2)


def _position(number: int, name: str, shares: int, price: Decimal) -> Position:
    return Position(
        account_id=ACCOUNT_ID,
        conid=number + 1,
        symbol=name,
        quantity=Decimal(shares),
        average_cost=price,
        market_price=price,
        market_value=shares * price,
    )


def _quote(number: int, name: str, cents: int) -> Quote:
    return Quote(
        conid=number + 1,
        symbol=name,
        bid=_dollars(np.floor(cents * (1 - HALF_SPREAD))),
        ask=_dollars(np.ceil(cents * (1 + HALF_SPREAD))),
        last=_dollars(cents),
        as_of=NOW,
    )


def _summary(worth: Decimal, cash: Decimal) -> AccountSummary:
    half = worth / 2
    return AccountSummary(
        account_id=ACCOUNT_ID,
        currency="USD",
        net_liquidation=worth,
        total_cash=cash,
        available_funds=half,
        excess_liquidity=half,
        buying_power=worth,
        equity_with_loan=worth,
        gross_position_value=worth - cash,
        initial_margin=half,
        maintenance_margin=half / 2,
    )
