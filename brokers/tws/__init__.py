"""Interactive Brokers through TWS or IB Gateway, over the socket that both of them offer to programs."""

from __future__ import annotations

from pathlib import Path

from brokers.tws.account import TwsAccount
from brokers.tws.broker import TwsBroker
from brokers.tws.contracts import ContractBook
from brokers.tws.desk import TwsDesk
from brokers.tws.history import PriceHistory
from brokers.tws.line import Address, Line, Patience
from brokers.tws.market import TwsMarket

__all__ = ["Address", "Patience", "TwsBroker", "open_tws"]


def open_tws(address: Address, cache: Path, patience: Patience = Patience()) -> TwsBroker:  # noqa: B008  (frozen)
    """The broker at `address`, to which it connects at the first question; past prices are kept in `cache`."""
    line = Line(address, patience)
    contracts = ContractBook(line)
    return TwsBroker(
        line,
        TwsAccount(line),
        contracts,
        TwsMarket(line, contracts),
        PriceHistory(line, contracts, cache),
        TwsDesk(line, contracts),
    )
