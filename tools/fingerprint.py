"""What an MCP server is like, by what is observed of it and not by its name, and what is done about each of it here.

The numbered faults are those of the Client Portal server that many investors run. What it does to orders cannot be seen
by reading; it follows from what its tools take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from brokers.errors import BrokerError, Retryable
from portfolio.models import AccountSummary, Contract, Position
from tools.contract import TOOL_CLASSES, Tool
from tools.listings import NO_EXCHANGE
from tools.looks import Look
from tools.offer import Offer
from tools.rows.base import Row
from tools.rows.market import FoundContract
from tools.snapshots import MOST_LOOKS
from tools.wire.foreign_text import one_line

AnyRow = TypeVar("AnyRow", bound=Row)

INSTEAD = {
    Tool.FIND_CONTRACTS: "contracts are asked for one by one",
    Tool.GET_MARKET_SNAPSHOTS: "quotes are asked for one by one",
    Tool.GET_EXECUTIONS: "the shares held tell what was filled, at the limit",
    Tool.GET_TRADING_SCHEDULE: "the exchange calendar tells, by this machine's clock",
}
"""What is done without a tool of our own server; a missing order status is a fault's trait."""


@dataclass(frozen=True)
class Trait:
    """`seen` says whether the server has it, None where that could not be observed; `fault` is its number."""

    about: str
    seen: bool | None
    what: str
    so: str
    fault: int | None = None


@dataclass(frozen=True)
class Reading:
    """What the reader made of the same server; `doubts` are the figures of a what-if that cannot be believed.

    `misfit` is a symbol without a contract and what the server answered to it all the same.
    """

    summary: AccountSummary | BrokerError | None = None
    positions: tuple[Position, ...] | BrokerError | None = None
    contracts: Mapping[str, Contract] | None = None
    misfit: tuple[str, FoundContract] | None = None
    doubts: tuple[str, ...] | None = None


def fingerprint(offer: Offer, looked: Look, reading: Reading) -> tuple[Trait, ...]:
    """Every trait, those without a number first."""
    traits = (*_offered(offer), *_read(reading), *_told(offer, looked))
    return tuple(sorted(traits, key=lambda trait: trait.fault or 0))


def _offered(offer: Offer) -> Iterator[Trait]:
    ours = [tool for tool in offer.tools if tool.name in TOOL_CLASSES]
    yield Trait(
        "annotations",
        any(not tool.is_annotated for tool in ours),
        "its tools do not say whether they only read",
        "the contract's names tell, and no other tool is touched",
    )
    yield Trait(
        "form",
        any(not tool.has_form for tool in ours),
        "its answers have no promised form",
        "each row is held against the contract",
    )
    for tool, so in INSTEAD.items():
        yield Trait(tool.value, not offer.has(tool), f"no {tool}", so)
    yield Trait(
        "open orders",
        not offer.has(Tool.GET_ORDER_STATUS),
        f"no {Tool.GET_ORDER_STATUS}, and open orders may not be listed",
        "an order is found by its terms, the shares held and the cash",
        fault=3,
    )
    without_id = not offer.orders_take("client_order_id")
    yield Trait(
        "receipts",
        without_id,
        "a receipt may be empty, and orders carry no id of ours",
        "an empty one means unknown, never done and never failed",
        fault=4,
    )
    yield Trait(
        "repeated orders",
        without_id,
        "an order may be sent twice, as it carries no id of ours",
        "more shares than ordered halt all trading",
        fault=5,
    )
    side = offer.find(Tool.WHATIF_ORDER)
    yield Trait(
        "sides",
        None if side is None else not _names_its_words(side.parameters.get("side")),
        "any word passes for a side, and what is not BUY may be sold",
        "only BUY and SELL are sent",
        fault=6,
    )


def _names_its_words(schema: object) -> bool:
    return isinstance(schema, dict) and ("enum" in schema or "const" in schema)


def _read(reading: Reading) -> Iterator[Trait]:
    doubts = reading.doubts
    yield Trait(
        "what-if",
        None if doubts is None else bool(doubts),
        f"what-if: {doubts[0] if doubts else ''}{' and more' if len(doubts or ()) > 1 else ''}",
        "our own estimate decides on paper (whatif_fallback), a live order is refused",
        fault=1,
    )
    yield Trait(
        "positions",
        _is_refused(reading.positions),
        "the positions cannot be believed",
        "nothing is traded on them",
        fault=2,
    )
    found = reading.contracts
    nameless = sum(contract.exchange == NO_EXCHANGE for contract in (found or {}).values())
    yield Trait(
        "exchanges",
        None if found is None else nameless > 0,
        f"{nameless} of {len(found or {})} contracts name no exchange",
        "symbol, quote and the contract held must agree",
        fault=9,
    )
    symbol, answer = reading.misfit or ("", None)
    yield Trait(
        "contracts",
        None if found is None else answer is not None,
        f"asked for {symbol} it tells of {one_line(f'{answer.symbol} on {answer.exchange}') if answer else ''}",
        "another contract than the one asked for, or held, is not traded",
        fault=9,
    )
    yield Trait(
        "summary",
        _is_refused(reading.summary),
        "the balances cannot be read",
        "nothing is traded without them",
        fault=10,
    )


def _is_refused(answer: object) -> bool | None:
    """Whether there was an answer that cannot be used; None where there was none at all."""
    return None if answer is None or isinstance(answer, Retryable) else isinstance(answer, BrokerError)


def _told(offer: Offer, looked: Look) -> Iterator[Trait]:
    yield Trait(
        "profit and loss",
        _tell_nothing(looked.profit),
        f"{Tool.GET_PNL} tells nothing",
        "positions and prices tell the gains",
        fault=7,
    )
    yield Trait(
        "ledger",
        _tell_nothing(looked.ledger),
        f"{Tool.GET_LEDGER} tells nothing",
        "the summary must name its currency, or nothing is traded",
        fault=7,
    )
    first, row = looked.first, looked.snapshot
    believed = "only last, bid and ask are believed"
    if offer.has(Tool.GET_MARKET_SNAPSHOTS):
        believed = "it is left out"
    yield Trait(
        "first prices",
        None if first is None else (first.last_price, first.bid, first.ask) == (None, None, None) and not first.note,
        "the first snapshot has no prices",
        f"asked for up to {MOST_LOOKS} times; what stays empty is not traded",
        fault=8,
    )
    priced = row is not None and row.last_price is not None
    yield Trait(
        "quote times",
        None if row is None or not priced else row.as_of is None,
        "snapshots have no time, and a delay is not told",
        "the newest minute bar dates them; the undated are not traded",
        fault=8,
    )
    yield Trait(
        "opening prices", None if row is None or not priced else row.open is None, "`open` is empty", believed, fault=8
    )
    yield Trait(
        "previous close",
        None if row is None or not priced else not _is_close(row.close, row.last_price),
        f"`close` is {'empty' if row is None or row.close is None else f'{row.close:f}, which is no price'}",
        believed,
        fault=8,
    )


def _is_close(close: Decimal | None, last: Decimal | None) -> bool:
    """Whether it can be the price of the session before: no stock of a strategy halves or doubles in a day."""
    return close is not None and last is not None and last / 2 <= close <= last * 2


def _tell_nothing(rows: tuple[AnyRow, ...] | None) -> bool | None:
    """Whether there are rows, and none of them has anything in it."""
    return None if rows is None else bool(rows) and not any(row.model_dump(exclude_none=True) for row in rows)
