"""An account in round numbers, and trades on it that every rule passes: each test changes the one thing it is about.

100,000 USD: 10,000 in cash, and shares that cost and are worth exactly 100 USD each, so a cent or a share too many is a
cent or a share in the expectation too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from config.settings import Settings, TradingRule
from portfolio.limits import Case, TradingDay, judge
from portfolio.models import (
    Account,
    AccountSummary,
    BrokerOrder,
    Check,
    Contract,
    DataCheck,
    OrderStatus,
    OrderTerms,
    PortfolioSnapshot,
    Position,
    ProposedTrade,
    Quote,
    Session,
    Side,
    TradePlan,
    Verdict,
    WhatIf,
    all_passed,
)
from portfolio.pricing import limit_price_of

PAPER = "DU1234567"
LIVE = "U7654321"
NOW = datetime(2026, 3, 3, 17, 0, tzinfo=UTC)
PRICE = Decimal(100)
CASH = Decimal(10_000)
NET = Decimal(100_000)

CONIDS = {"SPY": 1, "VTI": 2, "VOO": 3, "AAPL": 4, "BRK B": 5, "GME": 6}
SHARES = {"SPY": 300, "VTI": 300, "AAPL": 200, "BRK B": 50, "GME": 50}

CORE = TradingRule(
    name="Core", target_allocation=60, symbols=("SPY", "VTI", "VOO"), max_position_size=40, stop_loss=-20
)
GROWTH = TradingRule(name="Growth", target_allocation=40, symbols=("AAPL", "BRK B"), max_position_size=30)


def make_settings(**changes: Any) -> Settings:
    """The defaults, with rules for the symbols above and limit prices exactly at the quote."""
    return Settings(**{"trading_rules": (CORE, GROWTH), "limit_offset": 0.0, **changes})


def contract(symbol: str, /, **changes: Any) -> Contract:
    return Contract(**{"conid": CONIDS[symbol], "symbol": symbol, "exchange": "NYSE", **changes})


def quote(symbol: str, /, price: Decimal = PRICE, **changes: Any) -> Quote:
    """A quote without a spread: bid, ask and last are `price`."""
    known = {"conid": CONIDS[symbol], "symbol": symbol, "bid": price, "ask": price, "last": price, "as_of": NOW}
    return Quote(**{**known, **changes})


def position(symbol: str, quantity: Decimal | int, price: Decimal | None = PRICE, **changes: Any) -> Position:
    known = {
        "account_id": PAPER,
        "conid": CONIDS.get(symbol, 0),
        "symbol": symbol,
        "quantity": quantity,
        "average_cost": PRICE,
        "market_price": price,
        "market_value": None if price is None else quantity * price,
    }
    return Position(**{**known, **changes})


def open_order(symbol: str, side: Side, quantity: int, /, **changes: Any) -> BrokerOrder:
    known = {
        "order_id": "77",
        "client_order_id": "elsewhere",
        "account_id": PAPER,
        "conid": CONIDS.get(symbol, 0),
        "symbol": symbol,
        "side": side,
        "quantity": quantity,
        "order_type": "LMT",
        "limit_price": PRICE,
        "status": OrderStatus.SUBMITTED,
    }
    return BrokerOrder(**{**known, **changes})


def terms(symbol: str, side: Side, quantity: int, /, **changes: Any) -> OrderTerms:
    known = {
        "client_order_id": f"run-{symbol}-{side}",
        "account_id": PAPER,
        "conid": CONIDS.get(symbol, 0),
        "symbol": symbol,
        "side": side,
        "quantity": quantity,
        "limit_price": PRICE,
    }
    return OrderTerms(**{**known, **changes})


def make_summary(
    account_id: str = PAPER, cash: Decimal = CASH, net: Decimal = NET, currency: str = "USD"
) -> AccountSummary:
    return AccountSummary(
        account_id=account_id,
        currency=currency,
        net_liquidation=net,
        total_cash=cash,
        available_funds=net / 2,
        excess_liquidity=net / 2,
        buying_power=net,
        equity_with_loan=net,
        gross_position_value=net - cash,
        initial_margin=net / 2,
        maintenance_margin=net / 4,
    )


SESSION = Session(
    now=NOW,
    is_open=True,
    opens_at=datetime(2026, 3, 3, 14, 30, tzinfo=UTC),
    closes_at=datetime(2026, 3, 3, 21, 0, tzinfo=UTC),
)
FIT = DataCheck(name="positions_add_up", passed=True, required=True, why="")


def make_snapshot(
    *,
    cash: Decimal = CASH,
    positions: Iterable[Position] | None = None,
    quotes: Mapping[str, Quote] | None = None,
    **changes: Any,
) -> PortfolioSnapshot:
    """The account above; net liquidation follows the cash and the positions given."""
    held = (
        tuple(position(symbol, shares) for symbol, shares in SHARES.items()) if positions is None else tuple(positions)
    )
    net = cash + sum((row.market_value or Decimal(0) for row in held), Decimal(0))
    known = {
        "account": Account(account_id=PAPER),
        "summary": make_summary(cash=cash, net=net),
        "positions": held,
        "contracts": {symbol: contract(symbol) for symbol in CONIDS},
        "quotes": {symbol: quote(symbol) for symbol in CONIDS} | dict(quotes or {}),
        "open_orders": (),
        "session": SESSION,
        "data_quality": (FIT,),
    }
    return PortfolioSnapshot(**{**known, **changes})


SNAPSHOT = make_snapshot()
SETTINGS = make_settings()
DAY = TradingDay(first_net_liquidation=NET, orders_sent=0, past_trades=())
WHAT_IF = WhatIf(
    initial_margin_after=Decimal(50_250), equity_after=Decimal(99_999), commission=Decimal("1.00"), equity_before=NET
)


def trade(symbol: str, side: Side, quantity: int, *, protective: bool = False) -> ProposedTrade:
    return ProposedTrade(symbol=symbol, side=side, quantity=quantity, reason="a test", protective=protective)


def buy(symbol: str = "SPY", quantity: int = 5, **changes: Any) -> Case:
    return make_case(trade(symbol, Side.BUY, quantity), **changes)


def sell(symbol: str = "SPY", quantity: int = 5, *, protective: bool = False, **changes: Any) -> Case:
    return make_case(trade(symbol, Side.SELL, quantity, protective=protective), **changes)


def make_case(wanted: ProposedTrade, **changes: Any) -> Case:
    known: dict[str, Any] = {
        "limit_price": PRICE,
        "batch": (),
        "discretionary_value": Decimal(0),
        "snapshot": SNAPSHOT,
        "settings": SETTINGS,
        "day": DAY,
        "what_if": WHAT_IF,
    }
    return Case(trade=wanted, **{**known, **changes})


def hours_ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def checks_of(case: Case) -> dict[str, Check]:
    return {check.rule: check for check in judge(case)}


def make_verdict(checks: tuple[Check, ...], wanted: ProposedTrade | None = None, *, passed: bool) -> Verdict:
    wanted = wanted or trade("SPY", Side.BUY, 1)
    return Verdict(
        client_order_id="run-1",
        symbol=wanted.symbol,
        side=wanted.side,
        quantity=wanted.quantity,
        limit_price=None,
        judged_at=NOW,
        evidence="e" * 64,
        passed=passed,
        checks=checks,
    )


def good_preview(snapshot: PortfolioSnapshot) -> WhatIf:
    """What a broker with nothing to object to would answer to any order."""
    equity = snapshot.summary.equity_with_loan
    return WhatIf(initial_margin_after=equity / 2, equity_after=equity, commission=Decimal(0))


def judge_batch(
    plan: TradePlan, snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay = DAY
) -> tuple[list[Verdict], list[tuple[ProposedTrade, OrderTerms]]]:
    """Every trade judged in the guard's order, each with those approved before it; and the approved ones."""
    verdicts: list[Verdict] = []
    passed: list[tuple[ProposedTrade, OrderTerms]] = []
    for wanted in sorted(plan.trades, key=lambda it: (not it.protective, it.side is Side.BUY)):
        known, listed = snapshot.quotes.get(wanted.symbol), snapshot.contracts.get(wanted.symbol)
        limit = limit_price_of(wanted.side, known, listed, settings) if known and listed else None
        case = make_case(
            wanted,
            limit_price=limit,
            batch=tuple(order for _, order in passed),
            discretionary_value=sum(
                (order.quantity * order.limit_price for one, order in passed if not one.protective), Decimal(0)
            ),
            snapshot=snapshot,
            settings=settings,
            day=day,
            what_if=good_preview(snapshot),
        )
        checks = judge(case)
        verdict = make_verdict(checks, wanted, passed=all_passed(checks))
        verdicts.append(verdict)
        if verdict.passed and limit is not None and listed is not None:
            order = terms(
                wanted.symbol,
                wanted.side,
                wanted.quantity,
                account_id=snapshot.account.account_id,
                conid=listed.conid,
                limit_price=limit,
            )
            passed.append((wanted, order))
    return verdicts, passed
