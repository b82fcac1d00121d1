"""Permissions to send, as the guard would give them, in a journal of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from graph.journal import Journal
from portfolio.models import ApprovedOrder, Check, OrderTerms, ProposedTrade, Verdict
from tests.portfolio.cases import SNAPSHOT

RUN = "20260303-170000-abcdef"


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def journal_in(folder: Path) -> Iterator[Journal]:
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(f"sqlite:///{folder / 'agent.db'}")
    try:
        yield journal
    finally:
        journal.close()


def verdict_on(terms: OrderTerms, *, passed: bool = True, evidence: str = "e" * 64) -> Verdict:
    return Verdict(
        client_order_id=terms.client_order_id,
        symbol=terms.symbol,
        side=terms.side,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        judged_at=now(),
        evidence=evidence,
        passed=passed,
        checks=(Check(rule="a_test", limit="1", actual="1", passed=passed, why="" if passed else "it is a test"),),
    )


def planned(journal: Journal, terms: OrderTerms, run_id: str = RUN) -> None:
    trade = ProposedTrade(symbol=terms.symbol, side=terms.side, quantity=terms.quantity, reason="a test")
    journal.orders.plan(run_id, terms.account_id, [(terms.client_order_id, trade)], now())


def permit(journal: Journal, terms: OrderTerms, run_id: str = RUN, lasts: float = 60) -> ApprovedOrder:
    """The permission to send `terms` for `lasts` seconds, written down like the guard's."""
    planned(journal, terms, run_id)
    verdict, at = verdict_on(terms), now()
    approved = ApprovedOrder(
        terms=terms, evidence=verdict.evidence, approved_at=at, expires_at=at + timedelta(seconds=lasts)
    )
    journal.orders.approve(verdict, approved, run_id, SNAPSHOT)
    return approved
