"""The account and its market as SENSE reads them, but piece by piece: one that cannot be read costs itself alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from brokers.errors import BrokerError, Retryable
from config.settings import Settings
from graph.sense import judged, quotes_of, the_account, trading_hours
from portfolio.models import (
    Account,
    AccountSummary,
    BrokerOrder,
    Contract,
    PortfolioSnapshot,
    Position,
    Quote,
    Session,
)
from tools.account import AccountReader

Answer = TypeVar("Answer")

LIMIT_SECONDS = 20.0
"""One piece is waited for at most so long."""


@dataclass(frozen=True)
class Piece(Generic[Answer]):
    """An answer, or why there is none."""

    answer: Answer | None
    error: BrokerError | None = None

    def get(self) -> Answer:
        """The answer; raises the `BrokerError` where there is none."""
        if self.answer is None:
            raise self.error or Retryable("it was not asked for")
        return self.answer


async def attempt(what: str, question: Awaitable[Answer]) -> Piece[Answer]:
    try:
        return Piece(await asyncio.wait_for(question, LIMIT_SECONDS))
    except BrokerError as error:
        return Piece(None, error)
    except TimeoutError:
        return Piece(None, Retryable(f"{what}: no answer within {LIMIT_SECONDS:g} s."))


@dataclass(frozen=True)
class Readings:
    """`met_at` is our own clock's time as the session was told, give or take `slack`."""

    account: Piece[Account]
    summary: Piece[AccountSummary]
    positions: Piece[tuple[Position, ...]]
    open_orders: Piece[tuple[BrokerOrder, ...]]
    contracts: Piece[dict[str, Contract]]
    quotes: Piece[dict[str, Quote]]
    session: Piece[Session]
    met_at: datetime
    slack: timedelta

    def snapshot(self, settings: Settings) -> PortfolioSnapshot:
        """What a run would have read; raises the `BrokerError` of the first piece that is missing."""
        return judged(
            account=self.account.get(),
            open_orders=self.open_orders.get(),
            summary=self.summary.get(),
            positions=self.positions.get(),
            contracts=self.contracts.get(),
            session=self.session.get(),
            quotes=self.quotes.get(),
            settings=settings,
        )


@dataclass(frozen=True)
class _Books:
    summary: Piece[AccountSummary]
    positions: Piece[tuple[Position, ...]]
    open_orders: Piece[tuple[BrokerOrder, ...]]


@dataclass(frozen=True)
class _Hours:
    session: Piece[Session]
    met_at: datetime
    slack: timedelta


class PieceByPiece:
    """Reads in two steps, so that a server's very first prices can be looked at between them."""

    def __init__(self, reader: AccountReader, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._reader = reader
        self._settings = settings
        self._clock = clock

    async def begin(self) -> Piece[Account]:
        """The account; without one there is nothing more to read.

        Raises:
            Retryable: nobody answers.
        """
        self.account = await attempt("the account", the_account(self._reader))
        if isinstance(self.account.error, Retryable):
            raise self.account.error
        return self.account

    async def go_on(self) -> None:
        """Read what it holds, what the symbols of the rules are, and the hours."""
        listing = attempt("the contracts", self._reader.find_contracts(self._settings.symbols))
        self._books, self._listed, self._hours = await asyncio.gather(self._read_books(), listing, self._read_hours())

    @property
    def first_contract(self) -> Contract | None:
        return next(iter((self._listed.answer or {}).values()), None)

    async def finish(self) -> Readings:
        """Read the prices, now that it is known what is held."""
        books, listed = self._books, self._listed.answer or {}
        held = [position.symbol for position in books.positions.answer or () if position.quantity]
        wanted = [*(symbol for symbol in self._settings.symbols if symbol in listed), *held]
        contracts = self._listed if self._listed.error else await self._contracts(wanted)
        quotes = await attempt("the quotes", quotes_of(contracts.answer or {}, self._reader))
        return Readings(
            account=self.account,
            summary=books.summary,
            positions=books.positions,
            open_orders=books.open_orders,
            contracts=contracts,
            quotes=quotes,
            session=self._hours.session,
            met_at=self._hours.met_at,
            slack=self._hours.slack,
        )

    async def _read_books(self) -> _Books:
        account_id = self.account.get().account_id
        open_orders = await attempt("the open orders", self._reader.open_orders(account_id))
        summary, positions = await asyncio.gather(
            attempt("the balances", self._reader.summary(account_id)),
            attempt("the positions", self._reader.positions(account_id)),
        )
        return _Books(summary, positions, open_orders)

    async def _read_hours(self) -> _Hours:
        asked = self._clock()
        session = await attempt("the trading hours", trading_hours(self._settings.symbols, self._reader))
        slack = (self._clock() - asked) / 2
        return _Hours(session, asked + slack, slack)

    async def _contracts(self, symbols: list[str]) -> Piece[dict[str, Contract]]:
        return await attempt("the contracts", self._reader.find_contracts(symbols))
