"""Why a broker could not do what it was asked; one type for each way a caller can react.

BrokerError
├── Retryable        nothing happened: the same call may be made again
│   └── Unreachable  there is no connection at all
├── Terminal         nothing happened, and asking again will not help
└── OutcomeUnknown   an order may have been placed: look before doing anything else
"""

from __future__ import annotations


class BrokerError(Exception):
    """A broker failed; the message is one sentence fit for the investor. `code` is IB's error code, if it has one."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class Retryable(BrokerError):
    """Nothing happened; the same call may be made again."""


class Unreachable(Retryable):
    """No connection to the broker; nothing was asked."""


class Terminal(BrokerError):
    """Nothing happened, and the same call will fail again."""


class OutcomeUnknown(BrokerError):
    """An order may have been placed; only the broker's books can tell."""
