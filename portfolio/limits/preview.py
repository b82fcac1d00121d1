"""The broker's own preview of exactly the order that would be sent."""

from __future__ import annotations

from decimal import Decimal

from portfolio.limits.case import Case, answer, exempt, not_evaluated
from portfolio.models import Check, Side
from portfolio.percent import share_of

# Commissions above this share of an order's value are not believed; the broker's own cap is 1 %.
MOST_COMMISSION = Decimal("0.02")

# An order cannot change equity by more than it is worth, give or take what the market moved since the account was read,
# in % of net liquidation; a preview that is further off was not of this account.
MOST_EQUITY_GAP = 5.0


def whatif(case: Case) -> Check:
    """Initial margin within equity after the order, figures that can be true, no error and no warning; in USD."""
    if not case.settings.require_whatif and case.snapshot.account.is_paper:
        return exempt("whatif", "not required", "USD")
    limit, said = "margin <= equity", case.what_if
    if said is None or case.value is None:
        return not_evaluated("whatif", limit, "USD", "the broker's what-if gave no answer")
    if said.error or said.warning:
        return answer(
            "whatif", limit, "refused", "USD", passed=False, why=f"the broker says: {said.error or said.warning}"
        )
    margin, equity, cost = said.initial_margin_after, said.equity_after, said.commission
    if margin is None or equity is None or cost is None:
        return not_evaluated("whatif", limit, "USD", "the broker's what-if lacks margin, equity or commission")
    actual = f"{margin:.2f} <= {equity:.2f}, commission {cost:.2f}"
    passed = margin <= equity and _plausible(case, case.value, margin, equity, cost)
    return answer(
        "whatif", limit, actual, "USD", passed=passed, why=f"the broker's what-if is not acceptable: {actual}"
    )


def _plausible(case: Case, value: Decimal, margin: Decimal, equity: Decimal, cost: Decimal) -> bool:
    """Zeros stand in for figures a server does not have: no purchase leaves an account without margin."""
    is_margin = margin > 0 or (margin == 0 and case.trade.side is Side.SELL)
    gap = abs(equity - case.snapshot.summary.equity_with_loan)
    is_equity = equity > 0 and gap <= value + share_of(abs(case.net_liquidation), MOST_EQUITY_GAP)
    return is_margin and is_equity and 0 <= cost <= MOST_COMMISSION * value
