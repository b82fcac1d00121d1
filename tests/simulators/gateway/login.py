"""Who is logged in: the broker's one account under the name that is shown, and others that have no books."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from brokers.protocol import Broker


@dataclass
class Login:
    """`account` is the broker's own name of the account, `shown` what clients see (U... is a live one)."""

    broker: Broker
    account: str
    shown: str
    others: tuple[str, ...] = ()
    _symbol: str = field(default="", init=False)

    @property
    def accounts(self) -> list[str]:
        return [self.shown, *self.others]

    async def now(self) -> datetime:
        """The time by the clock of the market."""
        if not self._symbol:
            held = await self.broker.positions(self.account)
            codes = await self.broker.scan_codes()
            (first, *_) = held or await self.broker.scan(codes[0], 1)
            self._symbol = first.symbol
        return (await self.broker.session(self._symbol)).now
