"""The life of one order as the journal tells it, and which change may follow which."""

from __future__ import annotations

from enum import StrEnum

from portfolio.models import OrderStatus


class OrderState(StrEnum):
    """Where an order stands. From SUBMITTING on it may have reached the broker.

    A word of another version of this program is read as UNKNOWN: nothing says that such an order is over.
    """

    PLANNED = "PLANNED"
    APPROVED = "APPROVED"
    SUBMITTING = "SUBMITTING"
    SUBMITTED = "SUBMITTED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> OrderState:  # noqa: ARG003
        return cls.UNKNOWN

    @classmethod
    def of(cls, status: OrderStatus) -> OrderState:
        return cls(status.value)

    @property
    def is_final(self) -> bool:
        return self in FINAL

    @property
    def is_unsettled(self) -> bool:
        """Whether the order may have reached the broker and may still trade."""
        return self in UNSETTLED


FINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED})
UNSENT = frozenset({OrderState.PLANNED, OrderState.APPROVED})
UNSETTLED = frozenset(OrderState) - FINAL - UNSENT

_ONCE_SENT = frozenset(OrderState) - UNSENT - {OrderState.SUBMITTING}
MAY_FOLLOW = {
    OrderState.PLANNED: frozenset({OrderState.APPROVED, OrderState.REJECTED, OrderState.CANCELLED}),
    OrderState.APPROVED: frozenset(
        {OrderState.APPROVED, OrderState.SUBMITTING, OrderState.REJECTED, OrderState.CANCELLED}
    ),
    OrderState.SUBMITTING: _ONCE_SENT,
    OrderState.SUBMITTED: _ONCE_SENT,
    OrderState.PARTIAL: _ONCE_SENT - {OrderState.REJECTED},
    OrderState.UNKNOWN: _ONCE_SENT,
    **dict.fromkeys(FINAL, frozenset[OrderState]()),
}
"""Nothing goes back to before it was sent, and nothing follows an end."""
