"""Limit prices from quotes. The model never prices an order; this policy does, and the guard checks its result."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from portfolio.models import Contract, Quote, Side
from portfolio.percent import share_of


def marketable_limit(side: Side, quote: Quote, contract: Contract, offset_percent: float) -> Decimal | None:
    """A limit that should fill at once: the ask plus, or the bid minus, `offset_percent` %, on the tick.

    Rounding goes towards the touch, so the offset is never exceeded. None where no such price exists: the side of the
    quote that is needed is missing or not positive, the tick is not positive, or no tick lies within the offset.
    """
    touch = quote.ask if side is Side.BUY else quote.bid
    if touch is None or touch <= 0 or contract.min_tick <= 0:
        return None
    furthest = touch + side.sign * share_of(touch, offset_percent)
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    limit = (furthest / contract.min_tick).to_integral_value(rounding) * contract.min_tick
    is_marketable = limit >= touch if side is Side.BUY else limit <= touch
    return limit if is_marketable and limit > 0 else None
