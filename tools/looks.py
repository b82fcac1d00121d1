"""What a server answers where nothing of it is believed yet: rows as they come, for whoever wants to know it better."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from brokers.errors import BrokerError
from tools.answers import ask
from tools.client import Tools
from tools.contract import Tool
from tools.rows.account import Ledger, LedgerRow, Pnl, PnlRow
from tools.rows.market import FoundContract, MarketSnapshot, MarketSnapshots, SnapshotRow

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Look:
    """Rows as the server sends them, None where it sent none.

    `first` is the snapshot of a contract before anybody asked for it, `snapshot` the one after its quote was read.
    """

    profit: tuple[PnlRow, ...] | None = None
    ledger: tuple[LedgerRow, ...] | None = None
    first: SnapshotRow | None = None
    snapshot: SnapshotRow | None = None


async def look(tools: Tools, account_id: str, conid: int | None) -> Look:
    """Ask for what no run needs, and for the snapshot before anybody has asked for it."""
    profit, ledger, first = await asyncio.gather(
        _if_told(ask(tools, Tool.GET_PNL, Pnl, lambda got: tuple(got.pnl))),
        _if_told(ask(tools, Tool.GET_LEDGER, Ledger, lambda got: tuple(got.ledger), account_id=account_id)),
        snapshot_of(tools, conid),
    )
    return Look(profit, ledger, first)


async def snapshot_of(tools: Tools, conid: int | None) -> SnapshotRow | None:
    return None if conid is None else await _if_told(_snapshot(tools, conid))


async def found_for(tools: Tools, symbol: str) -> FoundContract | None:
    """What it answers to `symbol`, whether it is that or not; None where it finds nothing."""
    return await _if_told(ask(tools, Tool.FIND_CONTRACT, FoundContract, lambda got: got, symbol=symbol))


async def _snapshot(tools: Tools, conid: int) -> SnapshotRow | None:
    if Tool.GET_MARKET_SNAPSHOTS in tools:
        rows = await ask(tools, Tool.GET_MARKET_SNAPSHOTS, MarketSnapshots, lambda got: got.snapshots, conids=[conid])
        return rows[0] if rows else None
    return await ask(tools, Tool.GET_MARKET_SNAPSHOT, MarketSnapshot, lambda got: got.snapshot, conid=conid)


async def _if_told(question: Awaitable[Answer]) -> Answer | None:
    try:
        return await question
    except BrokerError:
        return None
