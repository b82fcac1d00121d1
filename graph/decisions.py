"""What a run decided: every trade that anybody proposed, what became of it, and what it cost or would have cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from config.rules import ticker
from graph.state import State
from portfolio.costs import commission
from portfolio.models import OrderRecord, PortfolioSnapshot, ProposedTrade
from portfolio.performance.scoring import Decision, Fate
from portfolio.rebalance import SOURCE

ZERO = Decimal(0)


def decisions_of(state: State) -> tuple[Decision, ...]:
    """Those of the plan; of the rules too, where a model planned; and of a model that was only looked at.

    A trade without a price cannot be scored, and is left out.
    """
    if "plan" not in state or "snapshot" not in state:
        return ()
    return tuple(
        decision for source, trade, fate in _proposed(state) if (decision := _decision(state, source, trade, fate))
    )


def _proposed(state: State) -> Iterator[tuple[str, ProposedTrade, Fate]]:
    plan, thought = state["plan"], state.get("thought")
    fates = {trade.is_as: _fate(state, trade) for trade in plan.trades}
    for trade in plan.trades:
        yield plan.source, trade, fates[trade.is_as]
    if thought and thought.baseline and plan.source != SOURCE:
        for trade in thought.baseline.trades:
            yield SOURCE, trade, fates.get(trade.is_as, Fate.HELD)
    if thought and thought.shadow:
        for trade in thought.shadow.trades:
            yield thought.shadow.source, trade, fates.get(trade.is_as, Fate.SHADOW)


def _fate(state: State, trade: ProposedTrade) -> Fate:
    if any(order.filled_quantity > 0 for order in _orders(state, trade)):
        return Fate.EXECUTED
    approval = state.get("approval")
    if approval and not approval.covers(trade.symbol):
        return Fate.DECLINED
    judged = [one for one in state.get("verdicts", ()) if (ticker(one.symbol), one.side) == trade.is_as[:2]]
    return Fate.UNFILLED if any(verdict.passed for verdict in judged) else Fate.REJECTED


def _orders(state: State, trade: ProposedTrade) -> list[OrderRecord]:
    return [order for order in state.get("orders", ()) if (ticker(order.symbol), order.side) == trade.is_as[:2]]


def _decision(state: State, source: str, trade: ProposedTrade, fate: Fate) -> Decision | None:
    snapshot = state["snapshot"]
    contract, price = snapshot.contracts.get(trade.symbol), _price(snapshot, trade.symbol)
    if contract is None or price is None:
        return None
    quantity, cost = Decimal(trade.quantity), commission(Decimal(trade.quantity), price)
    if fate is Fate.EXECUTED:
        done = [order for order in _orders(state, trade) if order.filled_quantity and order.average_price]
        quantity = sum((order.filled_quantity for order in done), ZERO)
        price = sum((order.filled_quantity * (order.average_price or ZERO) for order in done), ZERO) / quantity
        told = [order.commission for order in done if order.commission is not None]
        cost = sum(told, ZERO) if len(told) == len(done) else commission(quantity, price)
    return Decision(
        run_id=state["run_id"],
        account_id=snapshot.account.account_id,
        source=source,
        decided_at=snapshot.as_of,
        symbol=trade.symbol,
        conid=contract.conid,
        side=trade.side,
        quantity=quantity,
        price=price,
        cost=cost,
        arrival=_mid(snapshot, trade.symbol),
        fate=fate,
    )


def _mid(snapshot: PortfolioSnapshot, symbol: str) -> Decimal | None:
    quote = snapshot.quotes.get(symbol)
    return (quote.bid + quote.ask) / 2 if quote and quote.bid and quote.ask else None


def _price(snapshot: PortfolioSnapshot, symbol: str) -> Decimal | None:
    quote = snapshot.quotes.get(symbol)
    return quote.last if quote and quote.last and quote.last > 0 else None
