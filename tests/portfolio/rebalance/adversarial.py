"""Accounts, markets and rules at the edges of what may happen, up to 60 symbols, one oddity in eight.

A few figures are drawn by hypothesis, so that they shrink; what each symbol is comes from a seed among them, since
hundreds of separate draws would leave little time for plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from random import Random
from string import ascii_uppercase
from typing import Any

from hypothesis import strategies as st

from config.settings import Settings, TradingRule
from portfolio.limits import PastTrade, TradingDay
from portfolio.models import BrokerOrder, Contract, OrderTerms, PortfolioSnapshot, Position, Quote, Side
from tests.portfolio.cases import NOW, PAPER, hours_ago, make_snapshot, make_summary, open_order, terms
from tests.portfolio.hostile import mostly

CENT = Decimal("0.01")
PRICES = [Decimal(price) for price in ("0.01", "0.37", "4.99", "12.34", "100", "455.10", "3999.99", "700000")]
ODD_QUOTES: tuple[dict[str, Any], ...] = (
    {"bid": None},
    {"ask": None},
    {"last": None},
    {"last": Decimal(-1)},
    {"bid": Decimal(0)},
    {"as_of": None},
    {"as_of": NOW - timedelta(hours=1)},
    {"conid": 0},
)


@dataclass(frozen=True)
class World:
    snapshot: PortfolioSnapshot
    settings: Settings
    day: TradingDay


def symbols(count: int) -> list[str]:
    return [f"Q{ascii_uppercase[n // 26]}{ascii_uppercase[n % 26]}" for n in range(count)]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = symbols(draw(st.integers(1, 60)))
    random = Random(draw(st.integers(0, 2**32)))  # noqa: S311  (chance, not secrets)
    size = Decimal(draw(st.sampled_from([50, 1_000, 25_000, 25_000, 400_000, 400_000, 50_000_000])))
    settings = _settings(draw, random, names, size)
    rows = [_row(random, number, name, size / len(names)) for number, name in enumerate(names) if random.random() < 0.8]
    held = [row for row, _ in rows if row.quantity or random.random() < 0.5]
    quotes = {row.symbol: quote for row, quote in rows}
    cash = draw(st.sampled_from([Decimal(0), size * 2, size / 4, size / 10, -size / 10, Decimal("50.01")]))
    snapshot = make_snapshot(
        cash=cash,
        positions=held,
        contracts={
            name: Contract(conid=number + 1, symbol=name, exchange="NYSE", min_tick=random.choice([CENT, CENT / 100]))
            for number, name in enumerate(names)
            if random.random() < 0.97
        },
        open_orders=tuple(_open_order(random, names) for _ in range(random.choice([0, 0, 0, 2]))),
    )
    snapshot = snapshot.model_copy(update={"quotes": quotes})
    if draw(st.sampled_from([False] * 9 + [True])):
        net = draw(st.sampled_from([Decimal(0), Decimal(-1000), Decimal("0.01")]))
        snapshot = snapshot.model_copy(update={"summary": make_summary(cash=cash, net=net)})
    return World(snapshot, settings, _day(draw, random, names, snapshot.summary.net_liquidation))


def _settings(draw: st.DrawFn, random: Random, names: list[str], size: Decimal) -> Settings:
    risk = draw(
        st.sampled_from(
            [
                Decimal(100),
                Decimal(1000),
                max(size / 10, Decimal(100)),
                max(size / 10, Decimal(100)),
                Decimal(100_000_000),
            ]
        )
    )
    return Settings(
        trading_rules=_rules(random, names),
        risk_threshold=risk.quantize(CENT),
        max_trade_value=(risk * draw(st.sampled_from([1, 2]))).quantize(CENT),
        max_portfolio_change=draw(st.sampled_from([0.1, 3.3, 5.0, 20.0, 100.0])),
        rebalance_threshold=draw(st.sampled_from([0.01, 0.01, 1.0, 5.0])),
        min_order_value=min(draw(st.sampled_from([Decimal(0), Decimal(100)])), risk),
        order_penalty=draw(st.sampled_from([Decimal(0), Decimal(1), Decimal(25)])),
        min_cash=draw(st.sampled_from([0.0, 1.0, 1.0, 10.0])),
        max_positions=draw(mostly(60, 1, 5, 30)),
        max_orders_per_day=draw(st.sampled_from([3, 20, 20, 60])),
        limit_offset=draw(st.sampled_from([0.0, 0.1, 0.99])),
    )


def _rules(random: Random, names: list[str]) -> tuple[TradingRule, ...]:
    """One to five buckets; a cap may be just what the target needs, so that whole shares cannot reach it."""
    count = random.randint(1, min(5, len(names)))
    cuts = sorted(random.sample(range(1, 100), count - 1))
    targets = [after - before for before, after in zip([0, *cuts], [*cuts, 100], strict=True)]
    rules = []
    for number, target in enumerate(targets):
        mine = tuple(names[number::count])
        weights = {name: float(random.randint(1, 5)) for name in mine} if random.random() < 0.3 else None
        needed = target / len(mine) if weights is None else target * max(weights.values()) / sum(weights.values())
        rules.append(
            TradingRule(
                name=f"Bucket {number}",
                target_allocation=target,
                symbols=mine,
                weights=weights,
                max_position_size=min(ceil(100 * needed) / 100 * random.choice([1, 1.2, 3]), 100),
                stop_loss=random.choice([None, -20, -5]),
                take_profit=random.choice([None, 30, 5]),
            )
        )
    return tuple(rules)


def _row(random: Random, number: int, name: str, about: Decimal) -> tuple[Position, Quote]:
    price = random.choice(PRICES) if random.random() < 0.5 else Decimal(random.randint(1, 50_000)) / 100
    spread = (price * random.choice([0, 2, 40]) / 10_000).quantize(CENT, ROUND_HALF_UP)
    quote = Quote(conid=number + 1, symbol=name, bid=price, ask=price + spread, last=price, as_of=NOW)
    shares = (about * Decimal(random.choice([0, 0, 0.3, 1, 1, 2.5])) / price).quantize(Decimal(1))
    held = Position(
        account_id=PAPER,
        conid=number + 1,
        symbol=name,
        quantity=shares,
        average_cost=(price * Decimal(random.choice([0.5, 0.9, 1, 1, 1.04, 1.3]))).quantize(Decimal("0.0001")),
        market_price=price,
        market_value=shares * price,
    )
    if random.random() < 1 / 8:
        held = held.model_copy(update=random.choice(_odd_holdings(held)))
    if random.random() < 1 / 8:
        quote = quote.model_copy(update=random.choice(ODD_QUOTES))
    return held, quote


def _odd_holdings(held: Position) -> list[dict[str, Any]]:
    price = held.market_price or CENT
    return [
        {"quantity": -held.quantity, "market_value": -held.quantity * price},
        {"quantity": held.quantity + Decimal("0.4"), "market_value": (held.quantity + Decimal("0.4")) * price},
        {"market_price": None, "market_value": None},
        {"currency": "EUR"},
        {"average_cost": Decimal(0)},
        {"conid": 9_999},
    ]


def _open_order(random: Random, names: list[str]) -> BrokerOrder:
    name = random.choice(names)
    return open_order(name, random.choice(list(Side)), random.randint(1, 50), conid=names.index(name) + 1)


def _day(draw: st.DrawFn, random: Random, names: list[str], net: Decimal) -> TradingDay:
    def lost() -> OrderTerms:
        name = random.choice(names)
        return terms(name, random.choice(list(Side)), 10, conid=names.index(name) + 1)

    return TradingDay(
        first_net_liquidation=draw(mostly(net, None, net * 2)),
        orders_sent=draw(mostly(0, 3, 20)),
        past_trades=tuple(
            PastTrade(symbol=random.choice(names), side=random.choice(list(Side)), traded_at=hours_ago(age))
            for age in random.sample([0.0, 1.0, 23.9, 24.0, 48.0], random.choice([0, 1, 5]))
        ),
        unresolved=tuple(lost() for _ in range(random.choice([0, 0, 0, 1]))),
    )
