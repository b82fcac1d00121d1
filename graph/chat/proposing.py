"""The chat's proposals. What comes of one is a plan, which a run takes through the guard and to a person's yes."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from config.rules import ticker
from graph.act.guard import rehearse
from graph.think.analysis import MOST_CHECKED, drift_sheet, verdicts_sheet
from graph.think.answer import Quantity, Symbol, Words
from graph.think.sheets import Sheet
from graph.think.study import Arguments, NoSuchThing, Study
from portfolio.models import ProposedTrade, Side, TradePlan

SOURCE = "chat"
ASKED = "The owner is asked about this when your answer is over; nothing is sent before a yes."


class Wish(Arguments):
    """So many shares, or as many whole ones as an amount in USD is worth."""

    symbol: Symbol
    side: Side
    quantity: Quantity | None = None
    amount: Annotated[float, Field(gt=0, le=1e9)] | None = None
    reason: Words

    @model_validator(mode="after")
    def _says_how_much_once(self) -> Self:
        if (self.quantity is None) == (self.amount is None):
            raise ValueError("give either quantity or amount")
        return self


class Wishes(Arguments):
    trades: Annotated[list[Wish], Field(min_length=1, max_length=MOST_CHECKED)]


def plan_of(asked: Wishes, study: Study) -> TradePlan:
    """The wishes in whole shares.

    Raises:
        NoSuchThing: a symbol comes twice, has no price, or costs more than the amount.
    """
    names = [ticker(wish.symbol) for wish in asked.trades]
    if twice := {name for name in names if names.count(name) > 1}:
        raise NoSuchThing(f"{min(twice)}: give each symbol once")
    trades = tuple(
        ProposedTrade(
            symbol=study.spelt(wish.symbol), side=wish.side, quantity=_shares(wish, study), reason=wish.reason
        )
        for wish in asked.trades
    )
    notes = tuple(
        note for wish, trade in zip(asked.trades, trades, strict=True) if (note := _in_whole_shares(wish, trade, study))
    )
    return TradePlan(source=SOURCE, trades=trades, summary="Proposed in a chat.", notes=notes)


async def tried(plan: TradePlan, study: Study) -> tuple[Sheet, ...]:
    """What the guard would say of it, and where it would lead."""
    verdicts = await rehearse(plan, study.batch, study.context)
    return verdicts_sheet(verdicts, (ASKED,)), drift_sheet(study, plan.trades)


def _in_whole_shares(wish: Wish, trade: ProposedTrade, study: Study) -> str | None:
    """Why the trade is worth less than the amount that was asked for; None where shares were."""
    price = study.snapshot.quotes[trade.symbol].last if wish.amount is not None else None
    if price is None:
        return None
    worth = f"{trade.quantity} at {price:,.2f}, {trade.quantity * price:,.2f} USD"
    return f"{ticker(trade.symbol)}: of {wish.amount:,.2f} USD as many whole shares as it is enough for: {worth}."


def _shares(wish: Wish, study: Study) -> int:
    if wish.quantity is not None:
        return wish.quantity
    quote, amount = study.snapshot.quotes.get(study.spelt(wish.symbol)), Decimal(str(wish.amount))
    if quote is None or not quote.last or quote.last <= 0:
        raise NoSuchThing(f"{ticker(wish.symbol)}: there is no price to turn an amount into shares; give a quantity")
    shares = int((amount / quote.last).to_integral_value(ROUND_DOWN))
    if shares < 1:
        raise NoSuchThing(f"{ticker(wish.symbol)}: {amount:,.2f} USD is less than one share at {quote.last:,.2f}")
    return shares
