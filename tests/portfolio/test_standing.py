"""Paper and live: every combination of broker, wish, confirmation and allow-list, and what happens."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from portfolio.limits.standing import Standing, standing_of, why_not_started
from portfolio.models import Account
from tests.portfolio.cases import LIVE, PAPER, make_settings

OTHER = "U1111111"
URL = "http://127.0.0.1:8001/mcp"
NOT_STARTED, TRADES, LOOKS_ON, UNFIT = "not started", Standing.TRADES, Standing.LOOKS_ON, Standing.UNFIT


def outcome(broker: str, *, paper: bool, confirmed: str | None, allowed: tuple[str, ...]) -> str:
    settings = make_settings(
        paper_trading=paper,
        live_account_confirmed=confirmed,
        live_accounts=allowed,
        mcp_url=None if broker == "simulated" else URL,
    )
    if why_not_started(settings):
        return NOT_STARTED
    return standing_of(Account(account_id=LIVE if broker == "live" else PAPER), settings)


TABLE = [
    # broker, paper_trading, confirmed, live_accounts, what happens
    ("simulated", True, None, (), TRADES),
    ("simulated", True, LIVE, (LIVE,), TRADES),
    ("simulated", False, None, (), NOT_STARTED),
    ("simulated", False, LIVE, (LIVE,), NOT_STARTED),
    ("paper", True, None, (), TRADES),
    ("paper", True, LIVE, (LIVE,), TRADES),
    ("paper", False, None, (LIVE,), NOT_STARTED),
    ("paper", False, LIVE, (), NOT_STARTED),
    ("paper", False, LIVE, (LIVE,), UNFIT),
    ("live", True, None, (), LOOKS_ON),
    ("live", True, LIVE, (LIVE,), LOOKS_ON),
    ("live", False, None, (LIVE,), NOT_STARTED),
    ("live", False, LIVE, (), NOT_STARTED),
    ("live", False, LIVE, (OTHER,), NOT_STARTED),
    ("live", False, OTHER, (OTHER,), LOOKS_ON),
    ("live", False, OTHER, (OTHER, LIVE), LOOKS_ON),
    ("live", False, LIVE, (LIVE,), TRADES),
    ("live", False, LIVE, (OTHER, LIVE), TRADES),
]


@pytest.mark.parametrize(("broker", "paper", "confirmed", "allowed", "expected"), TABLE)
def test_what_happens(
    broker: str, *, paper: bool, confirmed: str | None, allowed: tuple[str, ...], expected: str
) -> None:
    assert outcome(broker, paper=paper, confirmed=confirmed, allowed=allowed) == expected


def test_a_live_account_is_traded_in_exactly_one_way() -> None:
    """Wanted, confirmed by its own id, on the list: whatever else is said, without all three nothing is sent."""
    for paper, confirmed, allowed in product(
        (True, False), (None, LIVE, OTHER, LIVE.lower()), ((), (OTHER,), (LIVE,), (OTHER, LIVE))
    ):
        try:
            traded = outcome("live", paper=paper, confirmed=confirmed, allowed=allowed) == TRADES
        except ValueError:
            continue  # not even an id
        assert traded == (not paper and confirmed == LIVE and LIVE in allowed)


@pytest.mark.parametrize("account_id", ["", "d1234567", " DU1234567", "U1D", "F1234567"])
def test_an_account_id_that_does_not_begin_with_d_is_no_paper_account(account_id: str) -> None:
    assert standing_of(Account(account_id=account_id), make_settings()) is LOOKS_ON


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mcp_url": None}, "has only paper"),
        ({"mcp_url": URL}, "none is confirmed"),
        ({"mcp_url": URL, "live_account_confirmed": LIVE}, f"{LIVE} is not in live_accounts"),
    ],
)
def test_what_cannot_be_started_says_why(changes: dict[str, Any], words: str) -> None:
    why = why_not_started(make_settings(paper_trading=False, **changes))
    assert why is not None
    assert words in why
    assert "nothing was started" in why
