"""Accounts, days, settings and trades with something wrong in them, one thing in fifteen.

Most of each world is in order, since a guard that lets nothing through is easily safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from config.settings import Settings
from portfolio.limits import PastTrade, TradingDay
from portfolio.models import Account, BrokerOrder, PortfolioSnapshot, Position, Side
from tests.portfolio.cases import (
    FIT,
    LIVE,
    NOW,
    PAPER,
    SESSION,
    contract,
    hours_ago,
    make_settings,
    make_snapshot,
    make_summary,
    open_order,
    position,
    quote,
    terms,
    trade,
)

LISTED = ("SPY", "VTI", "VOO", "AAPL", "BRK B", "GME")
ASKED = (*LISTED * 3, "BRK.B", "spy", "NEVERHEARD")
SIDES = st.sampled_from(Side)
PRICES = st.sampled_from([Decimal(price) for price in ("0.37", "12.34", "100", "100", "100", "455.10")])


def mostly(usual: Any, /, *odd: Any) -> st.SearchStrategy[Any]:
    """`usual` 14 times out of 15."""
    return st.sampled_from([usual] * (14 * len(odd)) + list(odd))


ODD_QUOTES: tuple[dict[str, Any], ...] = (
    {"bid": None},
    {"ask": None},
    {"last": None},
    {"as_of": None},
    {"bid": Decimal(-1)},
    {"bid": Decimal(0)},
    {"ask": Decimal("0.01")},
    {"ask": Decimal(100_000)},
    {"last": Decimal(-100)},
    {"last": Decimal(1)},
    {"as_of": NOW - timedelta(hours=1)},
    {"as_of": NOW + timedelta(hours=1)},
    {"conid": 99},
)
ODD_CONTRACTS: tuple[dict[str, Any], ...] = (
    {"currency": "EUR"},
    {"sec_type": "OPT"},
    {"conid": 99},
    {"symbol": "OTHER"},
    {"min_tick": Decimal(0)},
    {"min_tick": Decimal(3)},
)
ODD_ROWS: tuple[dict[str, Any], ...] = (
    {"market_value": None, "market_price": None},
    {"quantity": Decimal("0.5")},
    {"quantity": Decimal(-200), "market_value": Decimal(-20_000)},
    {"quantity": Decimal(-200), "market_value": None},
    {"quantity": Decimal(0), "market_value": Decimal(0)},
    {"average_cost": Decimal(0)},
    {"market_price": Decimal(70)},
    {"market_price": Decimal(80)},
    {"conid": 99},
    {"currency": "EUR"},
)


@st.composite
def holdings(draw: st.DrawFn, prices: Mapping[str, Decimal]) -> list[Position]:
    rows = []
    for symbol in LISTED:
        shares = draw(st.sampled_from([0, 0, 1, 3, 50, 200, 395, 400]))
        row = position(symbol, shares, prices[symbol]).model_copy(update=draw(mostly({}, *ODD_ROWS)))
        rows.append(row.model_copy(update={"symbol": "BRK.B"}) if symbol == "BRK B" and draw(st.booleans()) else row)
    return [*rows, *rows[: draw(mostly(0, 1))]]


@st.composite
def waiting_orders(draw: st.DrawFn) -> tuple[BrokerOrder, ...]:
    order = st.builds(
        lambda symbol, side, quantity, change: open_order(symbol, side, quantity).model_copy(update=change),
        st.sampled_from(LISTED),
        SIDES,
        st.sampled_from([1, 10, 40]),
        mostly({}, {"order_type": "MKT", "limit_price": None}, {"filled_quantity": Decimal(60)}),
    )
    return tuple(draw(st.lists(order, max_size=2)))


@st.composite
def accounts(draw: st.DrawFn) -> PortfolioSnapshot:
    prices = {symbol: draw(PRICES) for symbol in LISTED}
    quotes = {
        symbol: quote(symbol, price).model_copy(update=draw(mostly({}, *ODD_QUOTES)))
        for symbol, price in prices.items()
    }
    contracts = {symbol: contract(symbol).model_copy(update=draw(mostly({}, *ODD_CONTRACTS))) for symbol in LISTED}
    snapshot = make_snapshot(
        cash=draw(
            st.sampled_from([Decimal(-500), Decimal("5000.01"), Decimal(20_000), Decimal(50_000), Decimal(200_000)])
        ),
        positions=draw(holdings(prices)),
        quotes=quotes | {"BRK.B": quotes["BRK B"]},
        contracts=contracts | {"BRK.B": contract("BRK B", symbol="BRK.B")},
        open_orders=draw(waiting_orders()),
        account=Account(account_id=draw(mostly(PAPER, LIVE))),
        session=SESSION.model_copy(update=draw(mostly({}, {"is_open": False}, {"closes_at": NOW}))),
        data_quality=(draw(mostly(FIT, FIT.model_copy(update={"passed": False}))),),
    )
    left = draw(mostly(None, -1, 0, 1, 3))
    snapshot = snapshot.model_copy(
        update={"summary": snapshot.summary.model_copy(update={"day_trades_remaining": left})}
    )
    odd_net = draw(mostly(None, Decimal(0), Decimal(-1_000)))
    return snapshot if odd_net is None else snapshot.model_copy(update={"summary": make_summary(net=odd_net)})


@st.composite
def days(draw: st.DrawFn, net: Decimal) -> TradingDay:
    past = st.builds(
        PastTrade,
        symbol=st.sampled_from(ASKED),
        side=SIDES,
        traded_at=st.sampled_from([0, 1, 23.99, 24, 48]).map(hours_ago),
    )
    lost = st.builds(lambda symbol, side: terms(symbol, side, 10), st.sampled_from(LISTED), SIDES)
    return TradingDay(
        first_net_liquidation=draw(mostly(net, None, net * 2, Decimal(0))),
        lowest_net_liquidation=draw(mostly(None, net, net * 2, net / 2)),
        orders_sent=draw(st.sampled_from([0, 0, 0, 17, 19, 20])),
        past_trades=tuple(draw(st.lists(past, max_size=2))),
        unresolved=tuple(draw(st.lists(lost, max_size=1))),
    )


CONFIRMED = {"paper_trading": False, "live_account_confirmed": LIVE, "live_accounts": (LIVE,)}


def any_settings() -> st.SearchStrategy[Settings]:
    def build(most: int, change: float, cash: float, places: int, offset: float, live: dict[str, Any]) -> Settings:
        return make_settings(
            risk_threshold=most,
            max_trade_value=2 * most,
            max_portfolio_change=change,
            min_cash=cash,
            max_positions=places,
            limit_offset=offset,
            **live,
        )

    return st.builds(
        build,
        st.sampled_from([1_000, 10_000, 500_000]),
        st.sampled_from([5.0, 33.3, 100.0]),
        st.sampled_from([0.0, 1.0, 12.5]),
        st.sampled_from([5, 6, 50, 50]),
        st.sampled_from([0.0, 0.1, 0.99]),
        mostly(
            {},
            {"paper_trading": False},
            {"paper_trading": False, "live_account_confirmed": LIVE, "live_accounts": (LIVE,)},
        ),
    )


TRADES = st.builds(
    lambda symbol, side, quantity, protective: trade(symbol, side, quantity, protective=protective),
    st.sampled_from(ASKED),
    SIDES,
    st.sampled_from([-5, 0, 1, 2, 5, 10, 10, 50, 100, 200, 10**6]),
    st.integers(0, 9).map(lambda tenth: tenth == 9),
)
