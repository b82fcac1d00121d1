"""Which contract a symbol is.

Some servers answer with the first that is like it, so every answer is held against what is known: the symbol, the
contract held under it, and where it trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from brokers.errors import Retryable, Terminal, Unreachable
from config.rules import ticker
from portfolio.models import Contract, Position
from tools.answers import ask, complete, strange, understood
from tools.client import Tools
from tools.contract import Tool
from tools.rows.market import FoundContract, FoundContracts
from tools.wire.market import read_contract

SHARES = "STK"
NO_EXCHANGE = "UNKNOWN"
# Where a contract's currency is not told, its exchange must be one of these, where everything trades in USD.
US_EXCHANGES = frozenset({
    "SMART", "NYSE", "NYSENAT", "AMEX", "ARCA", "NASDAQ", "NMS", "ISLAND", "BATS", "BYX", "BEX", "EDGEA", "DRCTEDGE",
    "IEX", "CHX", "PSX", "MEMX", "PEARL", "LTSE", "CBOE",
})  # fmt: skip


class Listings:
    """The contracts of one session by symbol, each asked for once: contracts do not change, and prices do."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._known: dict[str, Contract] = {}
        self._held: dict[str, set[int]] = {}

    def hold(self, positions: Iterable[Position]) -> None:
        """Remember under which contracts shares are held now; what was held before is forgotten."""
        self._held = {}
        for position in positions:
            if position.sec_type == SHARES and position.quantity:
                self._held.setdefault(ticker(position.symbol), set()).add(position.conid)

    async def find(self, symbol: str) -> Contract:
        """The contract of exactly that symbol.

        Raises:
            Terminal: there is none; or it is of another symbol, or another contract than the one held, or tells no
                currency and trades on an exchange that is not of the US.
            Retryable: there was no answer.
        """
        if symbol not in self._known:
            self._known[symbol] = await ask(
                self._tools, Tool.FIND_CONTRACT, FoundContract, lambda got: _read(got, symbol), symbol=symbol
            )
        return self._as_held(symbol)

    async def find_all(self, symbols: Iterable[str]) -> dict[str, Contract]:
        """The contracts of those of the symbols that have one as `find` wants it, in one call where the server can.

        Raises:
            Unreachable: the connection is lost. An answer that fails costs the symbols it would have been about.
        """
        wanted = list(dict.fromkeys(symbols))
        if Tool.FIND_CONTRACTS in self._tools and await self._learn(wanted):
            found = [self._if_as_held(symbol) for symbol in wanted]
        else:
            found = await asyncio.gather(*map(self._if_found, wanted))
        return {symbol: contract for symbol, contract in zip(wanted, found, strict=True) if contract}

    async def _learn(self, wanted: list[str]) -> bool:
        """Ask for all that are not known yet in one call; whether there was an answer to be used."""
        symbols = [symbol for symbol in wanted if symbol not in self._known]
        if not symbols:
            return True

        def read(got: FoundContracts) -> list[FoundContract]:
            complete(Tool.FIND_CONTRACTS, "contracts", len(got.contracts), got.count)
            return got.contracts

        try:
            rows = await ask(self._tools, Tool.FIND_CONTRACTS, FoundContracts, read, symbols=symbols)
        except Unreachable:
            raise
        except (Terminal, Retryable):
            return False
        for symbol in symbols:
            same = {row.conid: row for row in rows if ticker(row.symbol) == ticker(symbol)}
            if len(same) == 1:
                (row,) = same.values()
                with suppress(Terminal):
                    self._known[symbol] = understood(Tool.FIND_CONTRACTS, partial(_read, row, symbol))
        return True

    async def _if_found(self, symbol: str) -> Contract | None:
        try:
            return await self.find(symbol)
        except Unreachable:
            raise
        except (Terminal, Retryable):
            return None

    def _if_as_held(self, symbol: str) -> Contract | None:
        with suppress(Terminal):
            return self._as_held(symbol) if symbol in self._known else None
        return None

    def _as_held(self, symbol: str) -> Contract:
        """The contract known under that symbol, unless another one is held under it."""
        found = self._known[symbol]
        held = self._held.get(ticker(symbol), {found.conid})
        if found.conid not in held:
            asked = f"{symbol}, held as contract {min(held)},"
            raise strange(Tool.FIND_CONTRACT, asked, f"contract {found.conid} on {found.exchange}")
        return found


def _read(got: FoundContract, symbol: str) -> Contract:
    if ticker(got.symbol) != ticker(symbol):
        raise strange(Tool.FIND_CONTRACT, symbol, got.symbol)
    if got.currency is None and got.exchange not in (*US_EXCHANGES, NO_EXCHANGE):
        raise strange(Tool.FIND_CONTRACT, f"{symbol} in USD", f"{got.symbol} on {got.exchange} in an unnamed currency")
    return read_contract(got)
