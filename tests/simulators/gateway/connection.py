"""One connected client: what it asked to be kept informed of, and the way to tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from portfolio.models import Quote
from tests.simulators.gateway import messages
from tests.simulators.gateway.faults import Faults
from tests.simulators.gateway.wire import Fields, frame

NO_REQUEST = -1


@dataclass(frozen=True)
class Request:
    """A message from a client: its id, its fields with the id as the first, and who sent it (None: nobody yet)."""

    id: int
    fields: tuple[str, ...]
    client_id: int | None


@dataclass
class Streaming:
    """Prices that go on: of which contract, as what kind, and those sent last."""

    conid: int
    sent: Quote | None = None


@dataclass(eq=False)
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    faults: Faults
    version: int = 0
    id: int | None = None
    market_data_type: int = 1
    wants_orders_by_hand: bool = False
    wants_positions: bool = False
    updates_of: str | None = None
    updates_multi: dict[int, str] = field(default_factory=dict)
    summaries: dict[int, str] = field(default_factory=dict)
    profits: dict[int, str] = field(default_factory=dict)
    single_profits: dict[int, tuple[str, int]] = field(default_factory=dict)
    prices: dict[int, Streaming] = field(default_factory=dict)
    _outgoing: bytearray = field(default_factory=bytearray)

    def send(self, fields: Fields) -> None:
        """Messages sent without a pause between them arrive together."""
        if fields[0] in self.faults.missing_messages:
            return
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing += frame(fields)

    def send_all(self, rows: Iterable[Fields]) -> None:
        for fields in rows:
            self.send(fields)

    def error(self, request: int, code: int, words: str) -> None:
        self.send(messages.error(self.version, request, code, words))

    def _flush(self) -> None:
        if self._outgoing and not self.writer.is_closing():
            self.writer.write(bytes(self._outgoing))
        self._outgoing.clear()

    async def close(self) -> None:
        self._flush()
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()
