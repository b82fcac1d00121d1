"""What a run leaves in the history: the account as it found it, and as it left it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from config.settings import Settings
from graph.journal import Journal
from graph.journal.history import Observation
from portfolio.drift import DRIFT_PLACES, drift_table
from portfolio.models import PortfolioSnapshot, Position
from portfolio.performance import Observed, Stand, Surroundings

SHARES = "STK"


def keep_look(snapshot: PortfolioSnapshot, settings: Settings, run_id: str, journal: Journal) -> None:
    """Keep a look at the account if it can be trusted, before anything else is sent; raises `JournalError`."""
    if snapshot.fit_to_trade:
        look, around = observation_of(snapshot, run_id), surroundings_of(snapshot, settings)
        journal.history.keep(snapshot.account.account_id, look, around)


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


def surroundings_of(snapshot: PortfolioSnapshot, settings: Settings) -> Surroundings:
    """Every price there is, and where each bucket of known value stands against its target."""
    return Surroundings(
        prices={symbol: quote.last for symbol, quote in snapshot.quotes.items() if quote.last and quote.last > 0},
        targets={symbol: rule.share_of(symbol) for rule in settings.rules for symbol in rule.symbols},
        buckets={
            bucket.name: Stand(round(bucket.weight, DRIFT_PLACES), bucket.target)
            for bucket in drift_table(snapshot, settings).buckets
            if not bucket.unvalued
        },
    )


def _name_of(position: Position) -> str:
    """An option bears the symbol of its stock, and is something else."""
    return position.symbol if position.sec_type == SHARES else f"{position.symbol} {position.sec_type} {position.conid}"
