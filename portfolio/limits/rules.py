"""The guard's rules as data: each limit is one small pure function from a case to a `Check`.

Every rule is asked of every trade; a rule that lacks the facts it needs answers `passed=None` (not evaluated), which
never counts as passed. Adding a limit is one function in `RULES`, one config key, and one row in docs/configuration.md.
"""

from __future__ import annotations

from collections.abc import Callable

from portfolio.limits.case import Case
from portfolio.limits.eligibility import (
    account_kind,
    as_approved,
    contract_resolved,
    data_quality,
    no_open_order,
    no_short,
    no_unresolved_order,
    not_halted,
    session_open,
    symbol_allowed,
    whole_quantity,
)
from portfolio.limits.history import day_trades, max_daily_loss, max_orders_per_day, reversal_cooldown
from portfolio.limits.preview import whatif, whatif_warning
from portfolio.limits.prices import price_collar, quote_quality
from portfolio.limits.protection import protective_exit
from portfolio.limits.sizes import (
    max_portfolio_change,
    max_position_size,
    max_positions,
    max_trade_value,
    min_cash,
    risk_threshold,
)
from portfolio.models import Check

Rule = Callable[[Case], Check]

OF_THE_RUN: tuple[Rule, ...] = (not_halted, data_quality, account_kind, session_open)

OF_THE_TRADE: tuple[Rule, ...] = (
    symbol_allowed,
    contract_resolved,
    whole_quantity,
    no_short,
    no_open_order,
    no_unresolved_order,
    protective_exit,
    quote_quality,
    price_collar,
    risk_threshold,
    max_trade_value,
    max_position_size,
    max_portfolio_change,
    max_positions,
    min_cash,
    max_daily_loss,
    max_orders_per_day,
    reversal_cooldown,
    day_trades,
)

RULES: tuple[Rule, ...] = (*OF_THE_RUN, *OF_THE_TRADE, whatif, whatif_warning, as_approved)


def judge(case: Case) -> tuple[Check, ...]:
    """Every rule's answer, in a fixed order, none skipped."""
    return tuple(rule(case) for rule in RULES)
