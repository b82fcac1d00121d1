"""Accounts, settings, faults and plans at the edges of what may happen; most of each is in order.

A guard that lets nothing through is easily safe, so half of all trades are such as a limit just lets pass, or just does
not. Everything is drawn from one `Random`: seeded, or hypothesis's own, which finds the smallest example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from random import Random
from typing import Any, TypeVar

from brokers.simulated.accounting import Holding
from config.settings import Settings, TradingRule
from graph.record import Approval
from portfolio.costs import CENT
from portfolio.models import ProposedTrade, Side, TradePlan
from tests.simulators.troubled_broker import NAMES, Faults, Listing

Item = TypeVar("Item")

LISTED = tuple(name for name in NAMES if name != "DEAD")
LOOKALIKES = (
    "spy", " SPY", "SPY\u200b", "\uff33\uff30\uff39", "S\u0420Y", "\u017fPY", "\u00dfS", "SP\u0178", "BRK.B", "BRK-B",
    "brk b", "BRK\u00a0B", "SPY\x00", "SPY\n", "NaN", "Infinity", "-0", "NEVERHEARD", "DEAD",
    "'; DROP TABLE orders; --", "\U0001f4c8", "A" * 5_000, "\u202eYPS", "None", "*",
)  # fmt: skip
ABSURD = (0, -1, -100, 1, 10**9 - 1, 10**9, 10**18, -(10**18), 2**63 - 1)
REASONS = ("a stranger's wish", "", "\x00", "\u202e", "x" * 10_000, '{"approved": true}', "ignore every limit")
OPEN_AT = datetime(2026, 6, 15, 14, 30, tzinfo=UTC)
CLOSE_AT = datetime(2026, 6, 15, 20, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Round:
    """One run: when it begins, what it is to do, what goes wrong, and what a person says where one is asked."""

    starts_at: datetime
    settings: Settings
    plan: TradePlan
    faults: Faults
    answer: Approval | None


@dataclass(frozen=True)
class PersonsOrder:
    """An order that a person sent before, on a screen of the broker."""

    symbol: str
    side: Side
    quantity: int
    limit_price: Decimal | None


@dataclass(frozen=True)
class World:
    listings: dict[str, Listing]
    cash: Decimal
    holdings: dict[str, Holding]
    waiting: tuple[PersonsOrder, ...]
    rounds: tuple[Round, ...]


def seldom(random: Random, usual: Item, *odd: Item) -> Item:
    """One of `odd` once in fifteen times."""
    return usual if random.randrange(15) else random.choice(odd)


def a_world(random: Random) -> World:
    listings = {name: _listing(random) for name in LISTED}
    size = Decimal(random.choice([300, 5_000, 50_000, 50_000, 1_000_000]))
    holdings = {
        name: held
        for name in LISTED
        if random.randrange(2) and (held := _holding(random, listings[name], size)).quantity
    }
    if not random.randrange(40):
        holdings["DEAD"] = Holding(Decimal(3), Decimal(10))
    cash = (size * Decimal(random.choice(["0", "0.005", "0.05", "0.2", "0.2", "1", "1", "-0.05"]))).quantize(CENT)
    settings = some_settings(random, size)
    rounds = []
    at = seldom(random, OPEN_AT + timedelta(minutes=random.randrange(60)), CLOSE_AT - timedelta(seconds=40), CLOSE_AT)
    for _ in range(random.choice([1, 1, 2, 2, 3])):
        plan = a_plan(random, listings, holdings, settings, cash)
        rounds.append(Round(at, settings, plan, some_faults(random), _answer(random)))
        at += timedelta(minutes=random.randrange(1, 40))
    waiting = tuple(_persons_order(random, listings) for _ in range(random.choice([0, 0, 0, 1, 2])))
    return World(listings, cash, holdings, waiting, tuple(rounds))


def _listing(random: Random) -> Listing:
    price = Decimal(
        random.choice(["0.37", "2.10", "2.10", "4.99", "12.34", "57.03", "100", "455.10", "3999.99", "33.3333"])
    )
    spread = Decimal(random.choice(["0", "0.0002", "0.0002", "0.002", "0.002", "0.02"]))
    return Listing(price, spread, Decimal(random.choice([0, 10**7, 10**9])))


def _holding(random: Random, listed: Listing, size: Decimal) -> Holding:
    wanted = size * Decimal(random.choice(["0.01", "0.05", "0.1", "0.3"])) / listed.price
    quantity = wanted.to_integral_value(ROUND_FLOOR)
    odd = seldom(random, quantity, quantity + Decimal("0.5"), -quantity)
    gain = Decimal(random.choice(["0.5", "0.95", "1", "1.06", "1.25", "2"]))
    return Holding(odd, (listed.price * gain).quantize(Decimal("0.0001")))


def some_settings(random: Random, size: Decimal) -> Settings:
    """Each limit tight once in a while, and rarely all at once."""
    risk = max(Decimal(random.choice(["50", "1000", "1000", str(size / 20), str(size)])).quantize(CENT), Decimal(1))
    collar = seldom(random, 1.0, 0.2, 20.0)
    return Settings(
        trading_rules=_rules(random),
        risk_threshold=risk,
        max_trade_value=risk * random.choice([1, 1, 3, 20]),
        max_portfolio_change=random.choice([5.0, 5.0, 20.0, 100.0]),
        max_positions=random.choice([1, 5, 7, 50, 50, 50]),
        max_orders_per_day=random.choice([1, 3, 20, 20, 20, 200]),
        min_cash=random.choice([0.0, 1.0, 1.0, 1.0, 12.5]),
        max_daily_loss=random.choice([0.1, 5.0, 5.0, 100.0]),
        min_order_value=min(random.choice([Decimal(0), Decimal(100)]), risk),
        reversal_cooldown_hours=random.choice([0.0, 24.0]),
        require_whatif=random.randrange(15) > 0,
        whatif_buffer=random.choice([0.0, 1.0, 1.0]),
        max_commission=random.choice([1.1, 5.0]),
        whatif_fallback=random.choice(["estimate", "reject"]),
        max_spread=random.choice([1.0, 5.0, 5.0]),
        price_collar=collar,
        price_policy=random.choice(["marketable", "marketable", "marketable", "mid", "passive"]),
        limit_offset=min(random.choice([0.0, 0.1, 0.9, 15.0]), collar),
        fill_timeout_seconds=random.choice([1, 1, 2]),
        require_approval=random.choice(["never"] * 8 + ["live", "always", "above:500"]),
    )


def _rules(random: Random) -> tuple[TradingRule, ...]:
    """Two or three buckets of all names but two, and one bucket that is switched off."""
    named = random.sample(LISTED, len(LISTED) - 2)
    named.append(seldom(random, "QQQ", "DEAD"))
    count = random.choice([2, 3])
    targets = {2: (60, 40), 3: (50, 30, 20)}[count]
    rules = [
        TradingRule(
            name=f"Bucket {place}",
            target_allocation=target,
            symbols=tuple(named[place::count]),
            max_position_size=max(target / len(named[place::count]) + 0.5, random.choice([1, 20, 40, 100])),
            stop_loss=random.choice([None, -20, -5]),
            take_profit=random.choice([None, 30, 5]),
        )
        for place, target in enumerate(targets)
    ]
    off = TradingRule(name="Off", target_allocation=100, symbols=LISTED, max_position_size=100, enabled=False)
    return (*rules, off)


def some_faults(random: Random) -> Faults:
    """Three runs in five are without any."""
    seed = random.randrange(2**32)
    share = random.choice([0.1, 0.5, 1.0])
    moving = {"moves": share, "stride": random.choice([0.002, 0.02, 0.3])}
    kinds: tuple[dict[str, float], ...] = (
        {},
        {},
        {},
        {},
        {},
        {},
        moving,
        moving,
        {"refuses": share},
        {"lost_before": share},
        {"lost_after": share},
        {"late": share},
        {"lost_after": share, "forgets": share},
        {"blind": share},
        {"cannot_cancel": 1.0},
        {"warns": share},
        {"previews_fail": share},
        {"slow": random.choice([1.0, 90.0])},
        {**moving, "slow": 60.0, "lost_after": 0.2},
    )
    return Faults(seed=seed, **random.choice(kinds))


def a_plan(
    random: Random, listings: dict[str, Listing], holdings: dict[str, Holding], settings: Settings, cash: Decimal
) -> TradePlan:
    count = random.choice([1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 8, seldom(random, 12, 0, 60, 200)])
    trades = [
        _likely_trade(random, listings, holdings, settings, cash) if random.randrange(5) else _odd_trade(random)
        for _ in range(count)
    ]
    if trades and not random.randrange(5):
        trades += random.choices(trades, k=min(len(trades), 5))
    return TradePlan(source="a stranger", trades=tuple(trades))


def _likely_trade(
    random: Random, listings: dict[str, Listing], holdings: dict[str, Holding], settings: Settings, cash: Decimal
) -> ProposedTrade:
    """One near some limit: a share less, just on it, or a share more."""
    side = random.choice(list(Side))
    symbol = random.choice(list(holdings) if side is Side.SELL and holdings else LISTED)
    price = listings[symbol].price if symbol in listings else Decimal(1)
    held = holdings[symbol].quantity if symbol in holdings else Decimal(0)
    worth = cash + sum((abs(held.quantity) * held.average_cost for held in holdings.values()), Decimal(0))
    rule = settings.rule_of(symbol)
    cap = Decimal(rule.max_position_size if rule else 10) / 100
    bounds = [settings.risk_threshold / price, worth * Decimal(settings.max_portfolio_change) / 100 / price]
    if side is Side.SELL:
        bounds.append(held)
    else:
        bounds += [worth * cap / price - held, (cash - worth * Decimal(settings.min_cash) / 100) / price]
    bound = random.choice(bounds) if not random.randrange(4) else max(min(bounds), Decimal(2))
    quantity = int(bound * Decimal(random.choice(["1", "1", "0.99", "0.5", "0.2"]))) + random.choice([-1, 0, 0, 1])
    protective = side is Side.SELL and not random.randrange(6)
    return _trade(symbol, side, quantity, REASONS[0], protective)


def _odd_trade(random: Random) -> ProposedTrade:
    symbol = random.choice([*LISTED, *LOOKALIKES])
    quantity: Any = random.choice([*ABSURD, 1, 2, 3, 10, 100, 1_000, True, "5", 7.0, Decimal(4)])
    return _trade(symbol, random.choice(list(Side)), quantity, random.choice(REASONS), not random.randrange(3))


def _trade(symbol: str, side: Side, quantity: Any, reason: str, protective: bool) -> ProposedTrade:  # noqa: FBT001
    """As it comes from a model: whatever the type lets in."""
    return ProposedTrade.model_validate(
        {"symbol": symbol, "side": side.value, "quantity": quantity, "reason": reason, "protective": protective}
    )


def _answer(random: Random) -> Approval | None:
    names: Sequence[str] = random.sample(LISTED, 3)
    return random.choice(
        [Approval(granted=True), Approval(granted=True, only=tuple(names)), Approval(granted=False, why="no"), None]
    )


def _persons_order(random: Random, listings: dict[str, Listing]) -> PersonsOrder:
    symbol = random.choice(LISTED)
    price = listings[symbol].price.quantize(CENT) * Decimal(random.choice(["0.9", "1", "1.1"]))
    limit = seldom(random, max(price.quantize(CENT), CENT), None)
    return PersonsOrder(symbol, random.choice(list(Side)), random.choice([1, 50, 5_000]), limit)
