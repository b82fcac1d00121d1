"""Limit prices from quotes. The model never prices an order; this policy does, and the guard checks its result."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from portfolio.models import Contract, Quote, Side
from portfolio.percent import share_of


def marketable_limit(side: Side, quote: Quote, contract: Contract, offset_percent: float) -> Decimal | None:
    """A limit that should fill at once: the ask plus, or the bid minus, `offset_percent` %, on the tick.

    Rounding goes towards the touch, never past it, so the offset is not exceeded and the order stays marketable.
    None when the side of the quote that is needed is missing or not positive.
    """
    touch = quote.ask if side is Side.BUY else quote.bid
    if touch is None or touch <= 0:
        return None
    wanted = touch + side.sign * share_of(touch, offset_percent)
    rounding = ROUND_DOWN if side is Side.BUY else ROUND_UP
    ticks = (wanted / contract.min_tick).to_integral_value(rounding)
    limit = ticks * contract.min_tick
    return max(limit, touch) if side is Side.BUY else min(limit, touch)
