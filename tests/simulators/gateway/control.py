"""A way to command the Gateway from another process: JSON lines over a loopback port.

A line is `{"do": command, ...}` and is answered by one line, `{"ok": result}` or `{"error": words}`. The commands are
the methods of `Control`; `remote.py` has the other end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from portfolio.models import Side
from tests.simulators.gateway.faults import Faults
from tests.simulators.gateway.orders import Order
from tests.simulators.gateway.server import LOOPBACK, Gateway

FAULTS = TypeAdapter(Faults)
NAMES = ("announce", "by_hand", "drop", "orders", "positions", "requests", "restart", "set_faults", "stop", "tick")
COMMANDS = {name: name for name in NAMES}


class Control:
    """The commands; each takes the rest of its line as arguments, and returns what JSON can hold."""

    def __init__(self, served: Gateway) -> None:
        self._gateway = served
        self.stopped = asyncio.Event()

    async def set_faults(self, **changes: Any) -> Any:
        """Change the faults named; all of them come back."""
        faults = self._gateway.faults
        unknown = set(changes) - {one.name for one in fields(Faults)}
        if unknown:
            raise ValueError(f"no such faults: {', '.join(sorted(unknown))}")
        checked = FAULTS.validate_python({**asdict(faults), **changes})
        for name in changes:
            setattr(faults, name, getattr(checked, name))
        return FAULTS.dump_python(faults, mode="json")

    async def announce(self, code: int, words: str | None = None) -> None:
        self._gateway.announce(code, words)

    async def by_hand(self, symbol: str, side: str, quantity: int, limit: str | None = None, **ids: Any) -> Any:
        price = None if limit is None else Decimal(limit)
        return _facts(await self._gateway.by_hand(symbol, Side(side), quantity, price, **ids))

    async def tick(self) -> None:
        await self._gateway.tick()

    async def drop(self) -> None:
        await self._gateway.drop()

    async def restart(self, down_for: float = 0.1, **options: bool) -> None:
        await self._gateway.restart(down_for, **options)

    async def orders(self) -> Any:
        return [_facts(order) for order in self._gateway.orders()]

    async def positions(self) -> Any:
        return {row.symbol: str(row.quantity) for row in await self._gateway.positions()}

    async def requests(self, since: int = 0) -> Any:
        """The messages that came, from that one on."""
        return [asdict(request) for request in self._gateway.requests[since:]]

    async def stop(self) -> None:
        self.stopped.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                writer.write(json.dumps(await self._obey(line)).encode() + b"\n")
                await writer.drain()
            writer.close()

    async def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            command = COMMANDS[asked.pop("do")]
            return {"ok": await getattr(self, command)(**asked)}
        except Exception as error:  # noqa: BLE001  (whatever it is, who sent the line is told)
            return {"error": f"{type(error).__name__}: {error}"}


def _facts(order: Order) -> dict[str, Any]:
    limit = None if order.limit is None else str(order.limit)
    return {
        "account": order.account,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": str(order.quantity),
        "order_type": order.order_type,
        "limit": limit,
        "order_ref": order.order_ref,
        "client_id": order.client_id,
        "order_id": order.order_id,
        "perm_id": order.perm_id,
        "status": order.status,
        "filled": str(order.filled),
        "average_price": str(order.average_price),
    }


@asynccontextmanager
async def controlled(served: Gateway, port: int = 0) -> AsyncIterator[tuple[Control, int]]:
    """The commands of `served`, and the port they are taken at meanwhile."""
    control = Control(served)
    server = await asyncio.start_server(control.serve, LOOPBACK, port)
    async with server:
        yield control, server.sockets[0].getsockname()[1]
