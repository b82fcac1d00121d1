"""What the broker's preview of one share is worth."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from brokers.errors import BrokerError
from cli.checkup.finding import Finding, Mark, bad, doubt, good, note, unseen
from cli.checkup.readings import attempt
from config.settings import Settings
from portfolio.limits import Batch, Case, TradingDay
from portfolio.limits.plausibility import impossible_figures, missing_figures
from portfolio.limits.preview import whatif
from portfolio.models import OrderTerms, PortfolioSnapshot, ProposedTrade, Side, WhatIf
from tools.account import AccountReader
from tools.wire.foreign_text import one_line

MOST_ASKED = 3
"""Symbols whose preview is asked for, where the broker refuses the first."""
WINDOW = "Look at the broker's own screens: a window may wait for a click, or the API may be read-only"


@dataclass(frozen=True)
class Previewed:
    """The row, and the figures that cannot be believed; None where there was no answer to judge.

    `refused` says that the broker would not take that order; it may be so with one symbol, and not with another.
    """

    finding: Finding
    doubts: tuple[str, ...] | None = None
    refused: bool = False


async def preview(
    snapshot: PortfolioSnapshot | None, settings: Settings, day: TradingDay | None, reader: AccountReader
) -> Previewed:
    """What the guard makes of the broker's what-if of one share, of the first symbol that it does not refuse."""
    if snapshot is None or day is None:
        return Previewed(unseen("what-if", "without balances and prices nobody could judge it"))
    batch, refused = Batch(snapshot, settings, day), list[Finding]()
    for symbol in settings.symbols:
        trade = ProposedTrade(symbol=symbol, side=Side.BUY, quantity=1, reason="may it be previewed?")
        terms = batch.draft(trade, "doctor")
        if terms is None:
            continue
        previewed = await _asked(batch.case(trade, terms, None), terms, reader)
        if not previewed.refused:
            return replace(previewed, finding=_beside(previewed.finding, refused))
        refused.append(previewed.finding)
        if len(refused) == MOST_ASKED:
            break
    return Previewed(refused[0] if refused else unseen("what-if", "no symbol of the rules has a price to ask about"))


def _beside(finding: Finding, refused: list[Finding]) -> Finding:
    """A preview that is good, with those before it that were not."""
    if not refused or finding.mark is not Mark.GOOD:
        return finding
    found = "\n".join([finding.found, *(one.found for one in refused)])
    return doubt("what-if", found, "Such a symbol is left alone; look what the account may trade")


async def _asked(case: Case, terms: OrderTerms, reader: AccountReader) -> Previewed:
    what, began = f"1 {terms.symbol} at {terms.limit_price}", time.perf_counter()
    said = await attempt(f"the what-if of {what}", reader.what_if(terms))
    if said.error:
        return Previewed(_unanswered(case, said.error))
    answer, took = said.get(), time.perf_counter() - began
    if answer.error:
        return Previewed(_refused(case, terms, one_line(answer.error)), refused=True)
    doubts = (*impossible_figures(case, terms.value, answer).values(), *missing_figures(answer).values())
    return Previewed(_judged(case, answer, what, doubts, took), doubts)


def _refused(case: Case, terms: OrderTerms, why: str) -> Finding:
    what = f"{terms.quantity} {terms.symbol} at {terms.limit_price}"
    found = f"{what}: the broker would refuse it: {why}"
    if terms.value > case.snapshot.summary.available_funds:
        return doubt("what-if", found, "There is no money to buy it with; purchases wait for a sale or a deposit")
    return bad("what-if", found, "No order passes the guard like that")


def _unanswered(case: Case, error: BrokerError) -> Finding:
    if not case.settings.require_whatif and case.snapshot.account.is_paper:
        return doubt("what-if", one_line(str(error)), "It is not required on a paper account (require_whatif)")
    return bad("what-if", f"{one_line(str(error))} No order passes the guard without one", WINDOW)


def _judged(case: Case, said: WhatIf, what: str, doubts: tuple[str, ...], took: float) -> Finding:
    # One share may cost more than a small commission allows, and that is nobody's fault.
    lenient = case.settings.model_copy(update={"max_commission": 100.0})
    check = whatif(replace(case, settings=lenient, what_if=said))
    if doubts and check.passed:
        found = f"{what}: {' and '.join(doubts)}"
        return note("what-if", found, "our own estimate decides on paper (whatif_fallback)")
    if doubts:
        found = f"{what}: {' and '.join(doubts)}"
        return bad("what-if", found, "Every order is refused here; use a server that tells these figures")
    if not check.passed:
        return doubt("what-if", f"{what}: {check.why}", "Purchases are refused until there is more cash or margin")
    commission = f", commission {said.commission:.2f} USD" if said.commission is not None else ""
    return good("what-if", f"{what} was previewed in {took:.1f} s, with figures that can be true{commission}")
