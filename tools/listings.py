"""Which contract a symbol is.

Some servers answer with the first that is like it, so every answer is held against what is known: the symbol, the
contract held under it, and where it trades.
"""

from __future__ import annotations

from collections.abc import Iterable

from config.rules import ticker
from portfolio.models import Contract, Position
from tools.answers import ask, strange
from tools.client import Tools
from tools.contract import Tool
from tools.rows.market import FoundContract
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
