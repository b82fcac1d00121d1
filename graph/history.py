"""What a run leaves in the history: the account as it found it, and as it left it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from graph.journal import Journal
from graph.journal.history import Observation
from portfolio.models import PortfolioSnapshot, Position
from portfolio.performance import Observed

SHARES = "STK"


def keep_look(snapshot: PortfolioSnapshot, run_id: str, journal: Journal) -> None:
    """Keep a look at the account if it can be trusted, before anything else is sent; raises `JournalError`."""
    if snapshot.fit_to_trade:
        journal.history.keep(snapshot.account.account_id, observation_of(snapshot, run_id))


def observation_of(snapshot: PortfolioSnapshot, run_id: str) -> Observation:
    """Cash and holdings by the broker's own marks, which is what its net liquidation rests on."""
    shares: dict[str, Decimal] = defaultdict(Decimal)
    costs: dict[str, Decimal] = {}
    prices: dict[str, Decimal] = {}
    for position in snapshot.positions:
        name = _name_of(position)
        shares[name] += position.quantity
        costs[name] = position.average_cost
        if position.market_price:
            prices[name] = position.market_price
    return Observation(
        run_id=run_id,
        net_liquidation=snapshot.summary.net_liquidation,
        seen=Observed(at=snapshot.as_of, cash=snapshot.summary.total_cash, shares=shares, prices=prices),
        costs=costs,
    )


def _name_of(position: Position) -> str:
    """An option bears the symbol of its stock, and is something else."""
    return position.symbol if position.sec_type == SHARES else f"{position.symbol} {position.sec_type} {position.conid}"
