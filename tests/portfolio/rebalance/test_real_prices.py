"""Day after day on real prices, from 15 points off target: every bucket gets inside its band, then there is peace.

No broker and no graph: a day's plan is filled at its limit prices, and the next day has its own closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache

import pytest

from brokers.simulated.replay import ReplayMarket
from config.settings import Settings
from portfolio.drift import drift_table
from portfolio.limits import Batch, PastTrade, TradingDay
from portfolio.models import Contract, PortfolioSnapshot, Position, Quote, Session, Side, TradePlan
from portfolio.rebalance import baseline_plan
from tests.conftest import REAL_PRICES
from tests.portfolio.cases import PAPER, make_snapshot
from tests.portfolio.rebalance.test_limits import audited

pytestmark = pytest.mark.skipif(not REAL_PRICES.exists(), reason="the file of real prices is not here")

STARTS = (
    *("2010-11-15", "2011-08-08", "2012-06-01", "2013-07-01", "2014-10-15"),
    *("2015-08-24", "2016-11-09", "2018-02-05", "2018-12-24", "2020-03-23"),
)
OFF_TARGET = {"Broad ETFs": 55.0, "Dividend Stocks": 22.5, "Growth/Speculative": 22.5}
"""Of a portfolio that is to be 70, 15 and 15 %."""
MOST_DAYS = 30
PEACE = 20
CENT = Decimal("0.01")


@cache
def closes() -> Mapping[str, Mapping[date, Decimal]]:
    market = ReplayMarket(REAL_PRICES, None)
    return {
        symbol: {bar.day: bar.close.quantize(CENT) for bar in market.bars(symbol, market.last_day, 100_000)}
        for symbol in Settings().symbols
    }


@dataclass
class Investor:
    """Cash and shares, and what is remembered of the trades."""

    settings: Settings
    cash: Decimal
    shares: dict[str, int] = field(default_factory=dict)
    paid: dict[str, Decimal] = field(default_factory=dict)
    traded: list[PastTrade] = field(default_factory=list)

    def invest(self, day: date) -> None:
        """Whole shares of every symbol, buckets at `OFF_TARGET` and symbols equal in each."""
        worth = self.cash
        for rule in self.settings.rules:
            for symbol in rule.symbols:
                price = closes()[symbol][day]
                count = int(worth * Decimal(OFF_TARGET[rule.name]) / 100 / len(rule.symbols) / price)
                self.shares[symbol], self.paid[symbol] = count, price
                self.cash -= count * price

    def sees(self, day: date) -> PortfolioSnapshot:
        now = datetime.combine(day, time(19, 55), tzinfo=UTC)
        prices = {symbol: closes()[symbol][day] for symbol in self.settings.symbols}
        return make_snapshot(
            cash=self.cash,
            positions=[
                Position(
                    account_id=PAPER,
                    conid=number,
                    symbol=symbol,
                    quantity=self.shares[symbol],
                    average_cost=self.paid[symbol],
                    market_price=price,
                    market_value=self.shares[symbol] * price,
                )
                for number, (symbol, price) in enumerate(prices.items(), start=1)
                if self.shares[symbol]
            ],
            contracts={s: Contract(conid=n, symbol=s, exchange="SMART") for n, s in enumerate(prices, start=1)},
            session=Session(
                now=now, is_open=True, opens_at=now - timedelta(hours=6), closes_at=now + timedelta(hours=1)
            ),
        ).model_copy(
            update={
                "quotes": {
                    symbol: Quote(conid=n, symbol=symbol, bid=price, ask=price, last=price, as_of=now)
                    for n, (symbol, price) in enumerate(prices.items(), start=1)
                }
            }
        )

    def is_off_target(self, day: date) -> bool:
        table = drift_table(self.sees(day), self.settings)
        return any(bucket.is_outside(self.settings.rebalance_threshold) for bucket in table.buckets)

    def trades(self, day: date) -> TradePlan:
        """Plans as the agent would, has the plan audited, and fills it."""
        snapshot = self.sees(day)
        since = snapshot.as_of - timedelta(hours=24)
        today = TradingDay(
            first_net_liquidation=snapshot.summary.net_liquidation,
            orders_sent=0,
            past_trades=tuple(past for past in self.traded if past.traded_at > since),
        )
        plan = baseline_plan(snapshot, self.settings, today)
        assert audited(plan, snapshot, self.settings, today) == set()
        batch = Batch(snapshot, self.settings, today)
        for trade in plan.trades:
            order = batch.draft(trade)
            assert order is not None
            self._fill(order.symbol, order.side, order.quantity, order.limit_price)
            self.traded.append(PastTrade(symbol=order.symbol, side=order.side, traded_at=snapshot.as_of))
        return plan

    def _fill(self, symbol: str, side: Side, quantity: int, price: Decimal) -> None:
        before = self.shares[symbol]
        self.shares[symbol] += side.sign * quantity
        self.cash -= side.sign * quantity * price + Decimal(1)
        if side is Side.BUY:
            self.paid[symbol] = (before * self.paid[symbol] + quantity * price) / self.shares[symbol]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("worth", "risk_threshold"), [(50_000, 1_000), (1_000_000, 10_000)], ids=["50k", "1M"])
def test_from_15_points_off_every_bucket_gets_inside_its_band_and_then_there_is_peace(
    start: str, worth: int, risk_threshold: int
) -> None:
    days = sorted(day for day in closes()["SPY"] if day >= date.fromisoformat(start))
    investor = Investor(Settings(risk_threshold=risk_threshold), Decimal(worth))
    investor.invest(days[0])
    plans: list[TradePlan] = []
    needs: list[bool] = []
    for day in days[: MOST_DAYS + PEACE]:
        needs.append(investor.is_off_target(day))
        plans.append(investor.trades(day))
    calm_from = next(number for number, plan in enumerate(plans) if not plan.trades)
    assert 1 <= calm_from < MOST_DAYS
    assert not needs[calm_from], "a bucket outside its band was given up"
    for plan, need in zip(plans[calm_from:], needs[calm_from:], strict=True):
        wanted = [trade for trade in plan.trades if not trade.protective]
        assert need or len(wanted) < len(plan.trades) or not plan.trades, "churned without need"
    way = {(trade.symbol, trade.side) for plan in plans[:calm_from] for trade in plan.trades if not trade.protective}
    assert len({symbol for symbol, _ in way}) == len(way), "bought and sold again on the way"
