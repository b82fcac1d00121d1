"""What an MCP server is like, by what is observed of it and not by its name: what it offers, and which faults it shows.

The faults are those of the Client Portal server that many investors run; each trait says what is done about it here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator

from brokers.errors import BrokerError
from portfolio.models import Check, Fact, PortfolioSnapshot
from tools.account import AccountReader
from tools.contract import Tool
from tools.listings import NO_EXCHANGE

WITHOUT = {
    Tool.GET_ORDER_STATUS: "what became of an order is told by the list of orders, by shares and by cash",
    Tool.GET_EXECUTIONS: "prices of fills are not told; the limit stands in for them",
    Tool.GET_TRADING_SCHEDULE: "trading hours are those of the exchange calendar, by the clock of this machine",
    Tool.GET_MARKET_SNAPSHOTS: "quotes come one by one, dated by the newest minute bar; a delay is not told",
    Tool.FIND_CONTRACTS: "contracts are asked for one by one",
}
"""What is done without a tool that only our own server has."""


class Trait(Fact):
    """One thing observed, and what it leads to; `is_fault` where the server answers wrongly rather than less."""

    what: str
    so: str
    is_fault: bool = False


def lacks(reader: AccountReader, *, keeps_order_ids: bool) -> Iterator[Trait]:
    """What the server does not offer, `keeps_order_ids` being whether it takes a client order id with an order."""
    for tool, so in WITHOUT.items():
        if not reader.offers(tool):
            yield Trait(what=f"no {tool}", so=so)
    if not keeps_order_ids:
        yield Trait(
            what="orders carry no client order id",
            so="an order is never sent again, a receipt without an id counts as unknown, and more shares than were "
            "ordered halt trading",
        )
        yield Trait(what="the list of open orders may lack some", so="that an order is not in it proves nothing")


async def silences(reader: AccountReader, account_id: str) -> tuple[Trait, ...]:
    """What the server answers with rows that tell nothing."""
    seen: list[Trait] = []
    if not await _certainly(reader.tells_profit()):
        so = "profit is worked out from what was paid and what it is worth"
        seen.append(Trait(what="the day's profit is not told", so=so, is_fault=True))
    if not await _certainly(reader.tells_ledger(account_id)):
        seen.append(Trait(what="cash by currency is not told", so="the summary must name its currency", is_fault=True))
    return tuple(seen)


def of_the_reading(snapshot: PortfolioSnapshot) -> Iterator[Trait]:
    """What the server was seen to answer wrongly while `snapshot` was read."""
    undated = [symbol for symbol, quote in snapshot.quotes.items() if quote.as_of is None]
    if undated:
        yield Trait(
            what=f"quotes of {', '.join(undated)} do not say of when they are",
            so="they are not traded on",
            is_fault=True,
        )
    nameless = [symbol for symbol, found in snapshot.contracts.items() if found.exchange == NO_EXCHANGE]
    if nameless:
        so = "the symbol, and the contract held under it, must agree"
        yield Trait(what=f"{', '.join(nameless)}: no exchange is named", so=so, is_fault=True)


def of_the_preview(previewed: Check | None) -> Iterator[Trait]:
    """What the guard's check of a what-if says of the server; None where there was none to check."""
    if previewed is None:
        return
    if any(words in previewed.why for words in ("cannot be true", "run together", "margin is missing")):
        yield Trait(
            what=f"what-if figures are not to be believed ({previewed.why})",
            so="on a paper account our own estimate decides (whatif_fallback); a live one is not traded",
            is_fault=True,
        )
    elif "missing" in previewed.why:
        so = "on a paper account it is estimated (whatif_fallback); a live one is not traded"
        yield Trait(what="the what-if tells no commission", so=so)


async def _certainly(answer: Awaitable[bool]) -> bool:
    """The answer; no where there is none."""
    try:
        return await answer
    except BrokerError:
        return False
