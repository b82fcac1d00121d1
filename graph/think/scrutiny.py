"""What of the model's answer stands: every figure held against its source, then laid over the baseline.

Pure. A trade without a figure that holds, or one whose own source contradicts it, is dropped, and what the baseline
wanted in that symbol stands. The baseline's protective exits are never the model's to leave out or to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from config.rules import ticker
from graph.record import Struck
from graph.think.answer import Answer, Trade
from graph.think.claims import Known, Sources, Standing, figures_about, standing, strike
from graph.think.sheets import Figure
from portfolio.models import Deviation, Evidence, PortfolioSnapshot, ProposedTrade, Quote, Side, TradePlan


@dataclass(frozen=True)
class Held:
    """An answer once its figures are checked: the trades that stand, and why each of the others does not."""

    trades: tuple[ProposedTrade, ...]
    dropped: dict[str, str]
    deviations: dict[str, str]
    summary: str
    struck: tuple[Struck, ...]


def hold_to_facts(answer: Answer, sources: Sources, snapshot: PortfolioSnapshot) -> Held:
    """The answer without what its sources do not bear out."""
    held = Held((), {}, {}, "", ())
    spelt = {ticker(symbol): symbol for symbol in snapshot.contracts}
    for trade in answer.trades:
        own = _own_figures(trade, snapshot.quotes.get(spelt.get(trade.symbol, trade.symbol)))
        figures = Known((*figures_about(trade.symbol, spelt, sources), *own))
        evidence, struck, contradicted = _checked(trade, sources)
        reason, effect = strike(trade.reason, figures), strike(trade.expected_effect, figures)
        words = (Struck(symbol=trade.symbol, words=word, why="no source has it") for word in (*reason[1], *effect[1]))
        held = replace(held, struck=(*held.struck, *struck, *words))
        why = contradicted or ("" if evidence else "no figure that its reason rests on holds")
        if why:
            held = replace(held, dropped={**held.dropped, trade.symbol: why})
            continue
        stands = ProposedTrade(
            symbol=spelt.get(trade.symbol, trade.symbol),
            side=Side(trade.side),
            quantity=trade.quantity,
            reason=reason[0],
            expected_effect=effect[0],
            evidence=evidence,
        )
        held = replace(held, trades=(*held.trades, stands))
    every = tuple(figure for figures in sources.values() for figure in figures)
    quantities = tuple(Figure((trade.symbol,), Decimal(trade.quantity), "shares") for trade in answer.trades)
    known = Known((*every, *quantities))
    summary, invented = strike(answer.summary, known)
    deviations = {}
    for one in (left_out for left_out in answer.deviations if left_out.why):
        deviations[one.symbol], more = strike(one.why, known)
        invented = (*invented, *more)
    words = (Struck(symbol=None, words=word, why="no source has it") for word in invented)
    return replace(held, summary=summary, deviations=deviations, struck=(*held.struck, *words))


def _checked(trade: Trade, sources: Sources) -> tuple[tuple[Evidence, ...], list[Struck], str]:
    """The evidence that holds, what does not, and the first contradiction by a source."""
    holds, struck, contradicted = [], [], ""
    for claim in trade.evidence:
        evidence = Evidence(
            statement=claim.statement, source=claim.source, value=Decimal(repr(claim.value)), unit=claim.unit
        )
        stands, why = standing(evidence, sources)
        if stands is Standing.HOLDS:
            holds.append(evidence)
            continue
        words = f"{evidence.statement} ({evidence.source} {evidence.value} {evidence.unit}".rstrip() + ")"
        struck.append(Struck(symbol=trade.symbol, words=words, why=why))
        if stands is Standing.CONTRADICTED:
            contradicted = contradicted or f"its own source contradicts it: {why}"
    return tuple(holds), struck, contradicted


def _own_figures(trade: Trade, quote: Quote | None) -> Iterator[Figure]:
    """What the trade itself comes to, which needs no source."""
    yield Figure((trade.symbol,), Decimal(trade.quantity), "shares")
    for price in (quote.last, quote.bid, quote.ask) if quote else ():
        if price is not None:
            yield Figure((trade.symbol,), trade.quantity * price, "USD")
            yield Figure((trade.symbol,), price, "USD")


def laid_over(baseline: TradePlan, held: Held, source: str, confidence: float) -> TradePlan:
    """The model's plan: its trades that stand, and the baseline wherever it says nothing that stands."""
    exits = tuple(trade for trade in baseline.trades if trade.protective)
    barred = {ticker(trade.symbol) for trade in exits}
    wanted = {trade.is_as[0]: trade for trade in baseline.trades if not trade.protective}
    notes: list[str] = []
    chosen: dict[str, ProposedTrade] = {}
    for trade in held.trades:
        symbol = ticker(trade.symbol)
        if symbol in barred:
            notes.append(f"{symbol}: left to its protective exit; what {source} wanted there is not done.")
        elif symbol in chosen:
            notes.append(f"{symbol}: {source} wanted two trades there; only the first is done.")
        else:
            chosen[symbol] = trade
    for symbol, why in held.dropped.items():
        stands = "; the rules' trade stands" if symbol in wanted and symbol not in chosen else ""
        notes.append(f"{symbol}: {source}'s trade was dropped, as {why}{stands}.")
    silent = wanted.keys() - chosen.keys() - held.dropped.keys() - held.deviations.keys()
    why = f"{source} left it out without a reason; the rules' trade stands"
    notes.extend(f"{symbol}: {why}." for symbol in sorted(silent))
    back = {symbol: trade for symbol, trade in wanted.items() if symbol in silent or symbol in held.dropped}
    trades = (*exits, *chosen.values(), *(trade for symbol, trade in back.items() if symbol not in chosen))
    return TradePlan(
        source=source,
        trades=trades,
        summary=held.summary,
        notes=(*baseline.notes, *notes),
        unfinished=baseline.unfinished,
        confidence=confidence,
        deviations=tuple(_deviations(wanted, trades, held)),
    )


def _deviations(wanted: dict[str, ProposedTrade], trades: Iterable[ProposedTrade], held: Held) -> Iterator[Deviation]:
    done = {ticker(trade.symbol): trade for trade in trades if not trade.protective}
    for symbol, trade in done.items():
        before = wanted.get(symbol)
        if before is None or before.is_as != trade.is_as:
            what = "added" if before is None else f"instead of {before.side} {before.quantity}"
            yield Deviation(symbol=symbol, what=what, why=held.deviations.get(symbol) or trade.reason)
    for symbol, trade in wanted.items():
        if symbol not in done:
            why = held.deviations.get(symbol, "")
            yield Deviation(symbol=symbol, what=f"left out {trade.side} {trade.quantity}", why=why)
