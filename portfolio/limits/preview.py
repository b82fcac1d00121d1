"""The broker's own preview of exactly the order that would be sent."""

from __future__ import annotations

from decimal import Decimal

from portfolio.limits.case import Case, answer, exempt, not_evaluated
from portfolio.models import Check

# Commissions above this share of an order's value are not believed; the broker's own cap is 1 %.
MOST_COMMISSION = Decimal("0.02")


def whatif(case: Case) -> Check:
    """Initial margin within equity after the order, a plausible commission, no error and no warning; in USD."""
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
    passed = 0 <= margin <= equity and 0 <= cost <= MOST_COMMISSION * case.value
    return answer(
        "whatif", limit, actual, "USD", passed=passed, why=f"the broker's what-if is not acceptable: {actual}"
    )
