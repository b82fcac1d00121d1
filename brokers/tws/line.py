"""The connection to TWS or IB Gateway: opened when first needed, and again after a drop, always under one client id.

Some requests carry no id of their own, so that the answer to one could be taken for that to another: such questions go
out one at a time, and where one stays without its answer the connection is given up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from ib_async import IB, Client, RequestError

from brokers.errors import BrokerError, Retryable, Terminal, Unreachable
from brokers.tws.words import (
    CONNECTION_BACK,
    CONNECTION_BACK_EMPTY,
    CONNECTION_LOST,
    ID_IN_USE,
    refusal,
    sentence,
)

Answer = TypeVar("Answer")

CLOCK_LASTS = 60.0
"""Seconds in which our own clock is as good as that of TWS, once that was told."""
UNTOLD_LASTS = 10.0
"""Seconds in which nobody asks again for a time that was not told: one silence is enough for all who wait."""
DELAYED_IF_NOT_LIVE = 3
FIRST_BYTES = 64
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 4.0

# The library reports through logging what it also raises.
logging.getLogger("ib_async").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Address:
    """Where TWS or IB Gateway listens, and as whom to speak to it; `account` picks one where a login has several."""

    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 17
    account: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Patience:
    """Seconds that TWS is waited for: at the opening, for an answer, for a quote (a snapshot ends after 11), for bars.

    After a connection that stood was lost, a new one is tried for that many seconds `again`. An `order` is sent within
    that many of the request, or not at all.
    """

    opening: float = 6.0
    answer: float = 12.0
    quote: float = 12.0
    bars: float = 45.0
    again: float = 20.0
    order: float = 3.0


class Line:
    """The one connection of a process to `address`; every use of it must be on the same event loop."""

    def __init__(self, address: Address, patience: Patience) -> None:
        self.address = address
        self.patience = patience
        self._ib: IB | None = None
        self._opening = asyncio.Lock()
        self._alone: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._trouble: str | None = None
        self._heard: dict[int, str] = {}
        self._stood = False
        self._told: datetime | None = None
        self._told_at = 0.0
        self._timing = asyncio.Lock()
        self._untold: Retryable | None = None
        self._untold_until = 0.0

    async def ready(self) -> IB:
        """The open connection.

        Raises:
            Unreachable: nobody listens or is logged in there, or has a connection to IB, or the client id is in use.
            Terminal: the account is not of that login.
        """
        async with self._opening:
            if self._ib is None or not self._ib.isConnected():
                self._ib = await self._reopen()
        if self._trouble:
            raise Unreachable(
                f"TWS or IB Gateway at {self.address} has lost its own connection to Interactive Brokers "
                f"({self._trouble}); nothing was asked. Wait until it is back, and run again."
            )
        return self._ib

    @property
    def accounts(self) -> list[str]:
        """The accounts of the login, or the one that was picked; once connected."""
        all_of_them = self._ib.client.getAccounts() if self._ib else []
        return [self.address.account] if self.address.account else all_of_them

    async def ask(self, what: str, question: Callable[[IB], Awaitable[Answer]], seconds: float | None = None) -> Answer:
        """The answer to a question that can be asked again without harm; after a drop it is, once.

        Raises:
            Retryable: no answer within `seconds`, else within those that any answer is waited for.
            Unreachable: the connection is lost and does not come back.
            Terminal, Retryable: TWS refuses; its words are in the error.
        """
        seconds = seconds or self.patience.answer
        try:
            return await self._asked(what, question, seconds)
        except ConnectionError:
            pass
        try:
            return await self._asked(what, question, seconds)
        except ConnectionError as error:
            raise self.lost(what) from error

    async def ask_alone(self, what: str, question: Callable[[IB], Awaitable[Answer]]) -> Answer:
        """As `ask`, for a question whose answer carries no id; `what` names its kind."""
        async with self._alone[what]:
            try:
                return await self.ask(what, question)
            except Retryable:
                # Its answer may still come, and would be taken for the next one's.
                await self.close()
                raise

    async def now(self) -> datetime:
        """The time in UTC, by the clock of TWS, which does not answer who asks for it again too soon."""
        async with self._timing:
            if self._untold and time.monotonic() < self._untold_until:
                raise self._untold
            if self._told is None or time.monotonic() - self._told_at > CLOCK_LASTS:
                try:
                    self._told = await self.ask_alone("the time", lambda ib: ib.reqCurrentTimeAsync())
                except Retryable as error:
                    self._untold, self._untold_until = error, time.monotonic() + UNTOLD_LASTS
                    raise
                self._told_at, self._untold = time.monotonic(), None
            return self._told + timedelta(seconds=time.monotonic() - self._told_at)

    def lost(self, what: str) -> Unreachable:
        """The error for a connection that broke over `what`."""
        return Unreachable(f"{what}: the connection to TWS or IB Gateway at {self.address} broke, and nobody answers.")

    async def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        if self._ib:
            self._ib.disconnect()
            await asyncio.sleep(0)  # lets the socket close, or its id would still be in use
        self._ib = None

    async def _asked(self, what: str, question: Callable[[IB], Awaitable[Answer]], seconds: float) -> Answer:
        ib = await self.ready()
        try:
            return await asyncio.wait_for(question(ib), seconds)
        except TimeoutError:
            raise Retryable(
                f"{what}: no answer from TWS or IB Gateway at {self.address} within {seconds:g} s; nothing was changed."
            ) from None
        except RequestError as error:
            raise refusal(what, error.code, error.message) from error

    async def _reopen(self) -> IB:
        """A new connection; one that stood before is worth some patience, as when IB restarts its servers."""
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
        given_up = clock() + self.patience.again
        while True:
            try:
                return await self._open()
            except Unreachable:
                if not self._stood or clock() + pause > given_up:
                    self._stood = False  # the next question does not wait all that time again
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _open(self) -> IB:
        ib = IB()
        ib.RaiseRequestErrors = True
        self._trouble, self._heard = None, {}
        ib.errorEvent += self._hear
        where, known, first = self.address, list[str](), bytearray()
        ib.client.conn.hasData += lambda data: first.extend(data[: FIRST_BYTES - len(first)])
        ib.client.apiStart += lambda: known.extend(ib.client.getAccounts())
        problem: Exception | None = None
        try:
            await ib.connectAsync(
                where.host,
                where.port,
                where.client_id,
                timeout=self.patience.opening,
                account=where.account or "",
                raiseSyncErrors=True,
            )
        except (OSError, TimeoutError, RequestError) as error:
            problem = error
        if where.account and known and where.account not in known:
            ib.disconnect()
            raise Terminal(
                f"{where.account} is not among the accounts of the login at {where} ({', '.join(known)}); "
                "nothing was asked. Give one of them as --account (tws_account).",
            )
        if problem:
            raise self._why_not_open(problem, bytes(first)) from problem
        ib.reqMarketDataType(DELAYED_IF_NOT_LIVE)
        self._stood = True
        return ib

    def _why_not_open(self, error: Exception, first: bytes) -> BrokerError:  # noqa: PLR0911  (a list of causes)
        """`first` is what it said first."""
        where, version = self.address, _version_in(first)
        if ID_IN_USE in self._heard:
            return Unreachable(
                f"Client id {where.client_id} is in use at {where}; nothing was asked. A run or a `smart-agent server` "
                "of ours may have it: wait for the run, or reach the server with --mcp-url. Against another program, "
                "give another --client-id.",
                code=ID_IN_USE,
            )
        if isinstance(error, ConnectionRefusedError):
            return Unreachable(
                f"Nobody listens at {where}; nothing was asked. Start IB Gateway or TWS, and allow socket clients "
                "on that port in its API settings (usually 4002 or 7497 for paper trading, 4001 or 7496 live)."
            )
        if first and version is None:
            return Unreachable(
                f"What listens at {where} is not TWS or IB Gateway; nothing was asked. Look at the port in its API "
                "settings (usually 4002 or 7497 for paper trading, 4001 or 7496 live)."
            )
        if version is not None and version < Client.MinClientVersion:
            return Unreachable(
                f"TWS or IB Gateway at {where} is too old: it speaks version {version}, and "
                f"{Client.MinClientVersion} is the oldest understood; nothing was asked. Install a newer one."
            )
        if isinstance(error, TimeoutError) or "Peer closed" in str(error):
            return Unreachable(
                f"Gateway is not logged in: what listens at {where} took the connection and no more; "
                "nothing was asked. Log in there, and confirm on the phone if it asks for that; or look at the port, "
                "as another program may have it."
            )
        if isinstance(error, OSError) and error.strerror:
            return Unreachable(f"{where} cannot be reached ({error.strerror}); nothing was asked. Look at --host.")
        open_ones = error.args[0] if error.args and isinstance(error.args[0], list) else []
        if open_ones:
            listed = ", ".join(map(str, open_ones))
            return Unreachable(
                f"TWS or IB Gateway at {where} left questions open at the start ({listed}); nothing more was asked. "
                "Restart it if it stays so."
            )
        return Unreachable(
            f"TWS or IB Gateway at {where} broke the connection off at the start ({error}); nothing was asked. "
            "Look at its window, and run again."
        )

    def _hear(self, _request: int, code: int, text: str, _contract: object) -> None:
        self._heard[code] = text
        if code in CONNECTION_LOST:
            self._trouble = sentence(code, text)
        elif code in (CONNECTION_BACK, CONNECTION_BACK_EMPTY):
            self._trouble = None
            if code == CONNECTION_BACK_EMPTY and self._ib:
                # What was subscribed to is gone; a new connection subscribes anew.
                self._ib.disconnect()


def _version_in(first: bytes) -> int | None:
    """The version in the first message of TWS, behind its length of four bytes; None where it is no such message."""
    word = first[4:].split(b"\0")[0]
    return int(word) if word.isdigit() else None
