"""How amounts are written on every screen; imports nothing heavy."""

from __future__ import annotations

from decimal import Decimal


def money(amount: Decimal) -> str:
    """USD, to the cent."""
    return f"${amount:,.2f}" if amount >= 0 else f"-${-amount:,.2f}"
