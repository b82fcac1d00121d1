"""The wire of the TWS API: frames of NUL-terminated text fields, each behind its length as four bytes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Iterator
from decimal import Decimal

Field = str | int | Decimal | bool | None
Fields = list[Field]

GREETING = b"API\0"
UNSET = "1.7976931348623157E308"
"""How TWS writes that there is no such amount."""
UNSET_ID = 2**31 - 1
MOST_BYTES = 0xFFFFFF


def frame(fields: Iterable[Field]) -> bytes:
    payload = "".join(f"{text(field)}\0" for field in fields).encode("ascii", "backslashreplace")
    return struct.pack(">I", len(payload)) + payload


def text(field: Field) -> str:
    if field is None:
        return ""
    if isinstance(field, bool):
        return str(int(field))
    return format(field, "f") if isinstance(field, Decimal) else str(field)


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The payload of the next frame.

    Raises:
        asyncio.IncompleteReadError: the other side is gone.
        ValueError: that is no frame.
    """
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if length > MOST_BYTES:
        raise ValueError(f"a frame of {length} bytes")
    return await reader.readexactly(length)


def split(payload: bytes) -> list[str]:
    return payload.decode(errors="backslashreplace").split("\0")[:-1]


class Cursor:
    """Fields of a message in their order; one that is not there any more reads as empty."""

    def __init__(self, fields: Iterable[str]) -> None:
        self._rest: Iterator[str] = iter(fields)

    def text(self) -> str:
        return next(self._rest, "")

    def whole(self) -> int:
        return int(float(self.text() or 0))

    def amount(self) -> Decimal | None:
        """A number; None where the client left it empty or unset."""
        given = self.text()
        return None if not given or given.upper().endswith("E308") or given.endswith("E+308") else Decimal(given)

    def flag(self) -> bool:
        return self.text().lower() in ("1", "true")

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.text()
