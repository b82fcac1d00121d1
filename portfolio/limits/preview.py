"""The broker's own preview (what-if) of exactly the order that would be sent: the last thing asked about it.

An error, or no answer, refuses the order. Where there is an answer and its figures are missing or cannot be true, a
live account is not traded; on a paper account our own estimate may decide, and the check says so.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from decimal import Decimal

from portfolio.costs import CENT, INITIAL_RATE, commission
from portfolio.exposure import ZERO, free_cash
from portfolio.limits.case import UP, Case, answer, exempt, not_evaluated, shown
from portfolio.limits.plausibility import impossible_figures, missing_figures
from portfolio.models import Check, Side, WhatIf
from portfolio.percent import exact, share_of


@dataclass(frozen=True)
class Preview:
    """The account after the order alone, in USD; `margin_before` is the initial margin without it."""

    margin_before: Decimal
    margin: Decimal
    equity: Decimal
    cost: Decimal


def whatif(case: Case) -> Check:
    """Initial margin after the order within equity less `whatif_buffer`, and commission within `max_commission`.

    Regulation T (12 CFR 220) and FINRA Rule 4210: equity with loan value must cover initial margin, 50 % of a purchase.
    A broker knows nothing of the batch's orders that are not sent yet: what its earlier purchases need comes on top of
    the margin and what its earlier orders cost goes off the equity, while nothing is credited for its sales.
    """
    account, settings = case.snapshot.account, case.settings
    if not settings.require_whatif and account.is_paper:
        return exempt("whatif", "not required", "USD")
    limit, said, value = _limit(case), case.what_if, case.value
    if said is None or value is None:
        return not_evaluated("whatif", limit, "USD", f"{case.trade.symbol}: the broker's what-if gave no answer")
    if said.error:
        why = f"{case.trade.symbol}: the broker says: {said.error}"
        return answer("whatif", limit, "refused", "USD", passed=False, why=why)
    return _answered(case, value, said)


def whatif_warning(case: Case) -> Check:
    """A broker's warning stops the order until a person has approved it; `actual` is then what there is to approve.

    It does so where no preview is required, too: what the broker did say is not dismissed in silence.
    """
    limit, said, symbol = "none, or approved by a person", case.what_if, case.trade.symbol
    if said is None:
        if not case.settings.require_whatif and case.snapshot.account.is_paper:
            return exempt("whatif_warning", "not required", "")
        return not_evaluated("whatif_warning", limit, "", f"{symbol}: the broker's what-if gave no answer")
    if not said.warning:
        return answer("whatif_warning", limit, "none", "", passed=True, why="")
    warning = f"{symbol}: {said.warning}"
    why = f"{symbol}: the broker warns, and nobody has approved it: {said.warning}"
    return answer("whatif_warning", limit, warning, "", passed=warning in case.accepted_warnings, why=why)


def _answered(case: Case, value: Decimal, said: WhatIf) -> Check:
    """The broker's figures judged if all are there and can be true; else a refusal, or on paper our own estimate."""
    missing, impossible = missing_figures(said), impossible_figures(case, value, said)
    told = _told(case, said)
    if told is not None and not impossible:
        return _judged(case, value, told)
    limit = _limit(case)
    lack = "the broker's figures cannot be true" if impossible else "the broker's figures are missing"
    doubts = f"{case.trade.symbol}: of the broker's what-if {' and '.join((*impossible.values(), *missing.values()))}"
    if not case.snapshot.account.is_paper or case.settings.whatif_fallback == "reject":
        return answer("whatif", limit, lack, "USD", passed=False if impossible else None, why=doubts)
    ours = _estimate(case, value)
    if ours is None:
        return not_evaluated("whatif", limit, "USD", f"{doubts}, and the balances and open orders allow no estimate")
    check = _judged(case, value, _worse(ours, said, missing | impossible))
    why = f"{doubts}, so our own estimate decides" + (f": {check.why}" if check.why else "")
    return check.model_copy(update={"actual": f"estimate: {check.actual}, {lack}", "why": why})


def _limit(case: Case) -> str:
    buffer, most = exact(case.settings.whatif_buffer), exact(case.settings.max_commission)
    return f"margin <= equity - {buffer} % of the account, commission <= {most} %"


def _told(case: Case, said: WhatIf) -> Preview | None:
    """What the broker says, if it says all that is needed."""
    margin, equity, cost = said.initial_margin_after, said.equity_after, said.commission
    if margin is None or equity is None or cost is None:
        return None
    before = said.initial_margin_before
    return Preview(case.snapshot.summary.initial_margin if before is None else before, margin, equity, cost)


def _estimate(case: Case, value: Decimal) -> Preview | None:
    """Our own figures: Regulation T's 50 % of the purchase on top of the margin there is; None where balances fail.

    The margin there is counts as no less than 50 % of all that is held, working purchases as their whole cost, and a
    sale as freeing nothing.
    """
    summary = case.snapshot.summary
    free = free_cash(case.snapshot, case.day.unresolved)
    if free is None or case.limit_price is None or summary.initial_margin < 0 or summary.equity_with_loan <= 0:
        return None
    held = max(summary.initial_margin, INITIAL_RATE * abs(summary.gross_position_value)) + summary.total_cash - free
    cost = commission(Decimal(case.trade.quantity), case.limit_price)
    more = INITIAL_RATE * value if case.trade.side is Side.BUY else ZERO
    return Preview(held, held + more, summary.equity_with_loan - cost, cost)


def _worse(ours: Preview, said: WhatIf, doubtful: Container[str]) -> Preview:
    """Our figures, or the broker's where they are there, can be true and are worse."""
    margin, equity, cost = (
        None if field in doubtful else figure
        for field, figure in (
            ("initial_margin_after", said.initial_margin_after),
            ("equity_after", said.equity_after),
            ("commission", said.commission),
        )
    )
    return Preview(
        margin_before=ours.margin_before,
        margin=ours.margin if margin is None else max(ours.margin, margin),
        equity=ours.equity if equity is None else min(ours.equity, equity),
        cost=ours.cost if cost is None else max(ours.cost, cost),
    )


def _judged(case: Case, value: Decimal, preview: Preview) -> Check:
    """The order with the batch before it, held to the limits."""
    purchases = (order for order in case.batch if order.side is Side.BUY)
    margin = preview.margin + sum((INITIAL_RATE * order.quantity * order.limit_price for order in purchases), ZERO)
    fees = sum((commission(Decimal(order.quantity), order.limit_price) for order in case.batch), ZERO)
    most = preview.equity - fees - share_of(abs(case.net_liquidation), case.settings.whatif_buffer)
    most_cost = UP.quantize(share_of(value, case.settings.max_commission), CENT)
    # Selling is the way out of too much margin, so a sale that adds none need not clear all of it.
    is_way_out = case.trade.side is Side.SELL and preview.margin <= preview.margin_before
    is_covered, is_cheap = margin <= most or is_way_out, preview.cost <= most_cost
    needs, has, costs = _money(margin, most), _money(most, margin), _money(preview.cost, most_cost)
    why = f"{case.trade.symbol}: the commission of {costs} USD is above {most_cost:,.2f} USD"
    if not is_covered:
        why = f"{case.trade.symbol}: it needs {needs} USD of initial margin, and {has} USD can be used"
    actual = f"{needs} {'<=' if margin <= most else '>'} {has}, commission {costs}"
    return answer("whatif", _limit(case), actual, "USD", passed=is_covered and is_cheap, why=why)


def _money(amount: Decimal, beside: Decimal) -> str:
    return f"{Decimal(shown(amount, beside)):,.2f}"
