"""Limit prices from quotes. The model never prices an order; these policies do, and the guard checks the result."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from config.settings import Settings
from portfolio.models import Contract, Quote, Side
from portfolio.percent import share_of


def limit_price_of(side: Side, quote: Quote, contract: Contract, settings: Settings) -> Decimal | None:
    """The limit in USD a share that `price_policy` asks for, on the tick; None where there is no such price."""
    match settings.price_policy:
        case "marketable":
            return marketable_limit(side, quote, contract, settings.limit_offset)
        case "mid":
            return patient_limit(side, quote.mid, contract)
        case "passive":
            return patient_limit(side, quote.bid if side is Side.BUY else quote.ask, contract)


def marketable_limit(side: Side, quote: Quote, contract: Contract, offset_percent: float) -> Decimal | None:
    """A limit that should fill at once: the ask plus, or the bid minus, `offset_percent` %, on the tick.

    Rounding goes towards the touch, so the offset is never exceeded. None where no such price exists: the side of the
    quote that is needed is missing or not positive, the tick is not positive, or no tick lies within the offset.
    """
    touch = quote.ask if side is Side.BUY else quote.bid
    if touch is None or touch <= 0 or contract.min_tick <= 0:
        return None
    limit = _on_the_tick(touch + side.sign * share_of(touch, offset_percent), side, contract)
    is_marketable = limit >= touch if side is Side.BUY else limit <= touch
    return limit if is_marketable and limit > 0 else None


def patient_limit(side: Side, price: Decimal | None, contract: Contract) -> Decimal | None:
    """`price`, or the nearest tick that is better for us; None where there is no positive price."""
    if price is None or price <= 0 or contract.min_tick <= 0:
        return None
    limit = _on_the_tick(price, side, contract)
    return limit if limit > 0 else None


def _on_the_tick(price: Decimal, side: Side, contract: Contract) -> Decimal:
    """The tick at or below the price of a purchase, at or above that of a sale."""
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / contract.min_tick).to_integral_value(rounding) * contract.min_tick
