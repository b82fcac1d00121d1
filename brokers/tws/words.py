"""What TWS says in numbers, as errors a caller can react to and sentences a person can act on.

The codes are those of IB's own list of message codes.
"""

from __future__ import annotations

from brokers.errors import BrokerError, Retryable, Terminal, Unreachable

CONNECTION_LOST, CONNECTION_BACK_EMPTY, CONNECTION_BACK = (1100, 2110), 1101, 1102
ID_IN_USE = 326
NO_SUCH_ORDER = (135, 10147)
NO_HISTORY, PACING = 162, "pacing"
REQUESTS_TOO_FAST = 100

REFUSALS = frozenset({103, 109, 110, 116, 131, 132, 133, 152, 200, 201, 203, 321, 382, 434, 463, 10043, 10052, 10243})
"""Codes after which a new order is not at the broker, unless its books show it all the same."""
REMARKS = frozenset({399, 404, 10349, *range(2100, 2200)})
"""Codes that only remark on an order which goes on living."""

SUBSCRIBE = "subscribe to the market data of the exchange at IB, and share it with the paper user"
CURES = {
    100: "the program asked too much at once; wait a minute and run again",
    200: "look whether the symbol is right and trades in USD",
    322: "too many account queries are open; restart the other programs on this login",
    354: SUBSCRIBE,
    504: "the connection was lost; run again",
    10089: SUBSCRIBE,
    10090: SUBSCRIBE,
    10168: SUBSCRIBE,
    10186: SUBSCRIBE,
    10197: "the same login takes market data elsewhere; log out there",
    10243: "whole shares alone can be ordered through the API",
}
"""What a person can do about it."""
READ_ONLY = "read-only"
MOST = 400
"""Characters of what TWS says."""


def refusal(what: str, code: int, text: str) -> BrokerError:
    """The error for a question that TWS answered with `code`; nothing happened."""
    words = f"{what}: {sentence(code, text)}"
    if code == NO_HISTORY and PACING in text.lower():
        return Retryable(f"{words} (IB permits 60 such requests in ten minutes; wait, and run again)", code=code)
    if code in (REQUESTS_TOO_FAST, 322):
        return Retryable(words, code=code)
    if code == 504:  # noqa: PLR2004  (not connected)
        return Unreachable(words, code=code)
    return Terminal(words, code=code)


def sentence(code: int, text: str) -> str:
    """What TWS said, on one line, with what to do about it where that is known."""
    said, cure = _said(code, text), _cure(code, text)
    return f"{said} ({code}): {cure}" if cure else f"{said} ({code})"


def led(code: int, text: str) -> str:
    """The same as a message of an order, which is led by its code."""
    said, cure = _said(code, text), _cure(code, text)
    return f"{code}: {said}: {cure}" if cure else f"{code}: {said}"


def _said(code: int, text: str) -> str:
    """IB's words, or shorter ones where they name each symbol and exchange, or what a request is made of."""
    if CURES.get(code) is SUBSCRIBE:
        return "IB sends no prices, live or delayed"
    if READ_ONLY in text.lower():
        return "the API is in Read-Only mode"
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:MOST].replace("<br>", " "))
    return " ".join(printable.split()).rstrip(".")


def _cure(code: int, text: str) -> str | None:
    if READ_ONLY in text.lower():
        return "switch off 'Read-Only API' in the API settings of TWS or IB Gateway"
    return CURES.get(code)
