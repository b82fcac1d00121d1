"""What a fill does to cash and shares, and what an account is worth: pure arithmetic, in USD.

Average cost is kept as Interactive Brokers keeps it: commission belongs to the cost of what is opened, and closing part
of a position leaves the average alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from portfolio.costs import initial_margin, maintenance_margin, to_cents
from portfolio.models import AccountSummary, Side

ZERO = Decimal(0)

_AVERAGE_COST_STEP = Decimal("0.00000001")
_REG_T_LEVERAGE = 2


@dataclass(frozen=True)
class Holding:
    """Shares held (negative: short) and what one of them cost on average, in USD."""

    quantity: Decimal
    average_cost: Decimal


@dataclass(frozen=True)
class Booking:
    """What one fill leaves: the holding after it, the change of cash, and the profit realised by what it closed."""

    holding: Holding
    cash_change: Decimal
    realized: Decimal


@dataclass(frozen=True)
class Working:
    """What is left of an order that may still fill."""

    symbol: str
    side: Side
    remaining: Decimal


def book_fill(held: Holding, side: Side, quantity: Decimal, price: Decimal, commission: Decimal) -> Booking:
    """The effect of filling `quantity` (positive) shares at `price`, with `commission` USD for this fill alone."""
    direction = 1 if held.quantity > 0 else -1
    closing = min(quantity, abs(held.quantity)) if held.quantity * side.sign < 0 else ZERO
    opening = quantity - closing
    closing_commission = commission * closing / quantity
    realized = closing * (price - held.average_cost) * direction - closing_commission
    average = held.average_cost
    if opening:
        kept = abs(held.quantity) - closing
        cost = kept * average + opening * price + (commission - closing_commission) * side.sign
        average = (cost / (kept + opening)).quantize(_AVERAGE_COST_STEP)
    return Booking(
        holding=Holding(held.quantity + quantity * side.sign, average),
        cash_change=-quantity * price * side.sign - commission,
        realized=realized,
    )


def summary_of(account_id: str, cash: Decimal, values: Iterable[Decimal]) -> AccountSummary:
    """Balances of a Regulation T margin account with `cash` and positions worth `values` (negative: short)."""
    worth = list(values)
    equity = to_cents(cash + sum(worth, ZERO))
    initial, maintenance = initial_margin(worth), maintenance_margin(worth)
    return AccountSummary(
        account_id=account_id,
        currency="USD",
        net_liquidation=equity,
        total_cash=to_cents(cash),
        available_funds=equity - initial,
        excess_liquidity=equity - maintenance,
        buying_power=max(equity - initial, ZERO) * _REG_T_LEVERAGE,
        equity_with_loan=equity,
        gross_position_value=sum((abs(value) for value in worth), ZERO),
        initial_margin=initial,
        maintenance_margin=maintenance,
    )


def worst_margin(held: Mapping[str, Decimal], marks: Mapping[str, Decimal], working: Iterable[Working]) -> Decimal:
    """The initial margin, in USD, of `held` shares if those of the `working` orders fill that need the most of it."""
    buys: defaultdict[str, Decimal] = defaultdict(Decimal)
    sells: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in working:
        (buys if order.side is Side.BUY else sells)[order.symbol] += order.remaining
    return initial_margin(
        max(abs(held.get(symbol, ZERO) + buys[symbol]), abs(held.get(symbol, ZERO) - sells[symbol])) * marks[symbol]
        for symbol in {*held, *buys, *sells}
    )
