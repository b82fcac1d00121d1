"""ACT, third: send what was approved, one order after the other, and follow each to its end.

Sales come first. A purchase is made smaller, or is not sent, where the sales before it brought too little. What does
not fill in its time is cancelled, and ordered once more where the market has moved away. Any change of an order, of its
size, its price or its age, needs another verdict of the guard. Once trading is halted, what works is cancelled at once.

The intent is on disk before an order leaves. An answer that does not come leaves the order UNKNOWN, never failed, and
nothing more is sent after it, nor after one that still works when it was cancelled: what is out there must be known.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from langgraph.runtime import Runtime
from langgraph.types import StreamWriter

from brokers.errors import BrokerError, OutcomeUnknown, Terminal
from graph.act.guard import judge_trade, keep
from graph.events import Progress
from graph.failure import MoreThanOrdered, describe
from graph.journal import ApprovalVoid, Halted, JournalError, JournalledOrder
from graph.record import Failure
from graph.sense import observe
from graph.sightings import held_to, not_sent, nothing_beside, record_of, submitted, unknown, what_became_of
from graph.state import Context, State
from portfolio.costs import CENT
from portfolio.limits import Batch, affordable, discretionary_value
from portfolio.models import (
    ApprovedOrder,
    BrokerOrder,
    OrderRecord,
    OrderStatus,
    OrderTerms,
    PortfolioSnapshot,
    ProposedTrade,
    Side,
    Verdict,
)
from portfolio.pricing import limit_price_of

LOOK_SECONDS = 0.25
LOOKS = 20
"""How often the broker's books are looked at while they catch up with what is known."""
UNANSWERED = 3
"""Looks without an answer after which an order that was to be cancelled is left to the next run."""
NOT_SHOWN = "the broker's books do not show it"


async def order(state: State, runtime: Runtime[Context]) -> State:
    sending = _Sending(state, runtime, list(state["approved"]), list(state["verdicts"]))
    await sending.all()
    done: State = {"orders": tuple(sending.records), "verdicts": tuple(sending.verdicts)}
    return {**done, "failure": sending.failure} if sending.failure else done


@dataclass
class _Sending:
    """The batch under way: what is still to be sent, and what has become of the rest."""

    state: State
    runtime: Runtime[Context]
    queue: list[ApprovedOrder]
    verdicts: list[Verdict]
    records: list[OrderRecord] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def context(self) -> Context:
        return self.runtime.context

    async def all(self) -> None:
        try:
            while self.queue and not self.context.stopping():
                self._prove_no_halt()
                last = await self._one(self.queue.pop(0))
                if last.status.is_unresolved:
                    self._give_up_rest(f"nobody can tell what became of the order on {last.symbol}")
            self._give_up_rest("the run was asked to stop")
        except (BrokerError, JournalError, MoreThanOrdered) as error:
            # Raising would lose what is already done; the failure travels beside it.
            self.failure = describe("order", error)
            with suppress(JournalError):
                self._give_up_rest("the run broke off before it")

    def _prove_no_halt(self) -> None:
        """End the batch in words once something was sent; before that, the journal refuses the first order itself."""
        halt = self.context.journal.halts.current() if self.records else None
        if halt:
            ended = ", ".join(f"{one.side} {one.quantity} {one.symbol} is {one.status}" for one in self.records)
            self._give_up_rest("trading was halted")
            raise Halted(f"Trading was halted: {halt.why}. {ended}; nothing more was sent.")

    async def _one(self, approved: ApprovedOrder) -> OrderRecord:
        """Send one order, and once more what is left of it; the last of its records."""
        fitting = await self._fitting(approved)
        if fitting is None:
            return self.records[-1]
        record = await self._send(fitting)
        is_open_end = record.status is OrderStatus.CANCELLED and record.unfilled >= 1 and record.broker_order_id
        if not is_open_end or self.context.stopping() or self.context.halted:
            return record
        again = await self._repriced(fitting.terms, record)
        return record if again is None else await self._send(again)

    # --- before an order is sent --------------------------------------------------------------------------------

    async def _fitting(self, approved: ApprovedOrder) -> ApprovedOrder | None:
        """The order as it may be sent now, smaller or judged anew where it must be; None where it may not."""
        terms, quantity = approved.terms, approved.terms.quantity
        if terms.side is Side.BUY:
            quantity = await self._affordable(terms)
            if quantity < terms.quantity and quantity * terms.limit_price < self._least_worth_sending:
                self._give_up(terms, "the sales before it brought too little cash")
                return None
        if quantity == terms.quantity and self.context.clock() < approved.expires_at:
            return approved
        why = "as far as the cash goes" if quantity < terms.quantity else "its approval grew old"
        return await self._judged_again(terms, quantity, why, terms.client_order_id, await self._look_around())

    async def _affordable(self, terms: OrderTerms) -> int:
        """Shares that can be paid by what our fills left, and by what the broker shows now, whichever is less.

        The broker is given a moment to book the fills.
        """
        context, before = self.context, self.state["snapshot"]
        day = context.trading_day(before)
        by_fills = affordable(terms, before, context.settings, day, self.records)
        by_books = 0
        for _ in range(LOOKS):
            now = before.model_copy(
                update={
                    "open_orders": await context.reader.open_orders(terms.account_id),
                    "summary": await context.reader.summary(terms.account_id),
                    "positions": await context.reader.positions(terms.account_id),
                }
            )
            by_books = affordable(terms, now, context.settings, day, ())
            if by_books >= by_fills:
                break
            await context.pause(LOOK_SECONDS)
        return min(by_fills, by_books)

    @property
    def _least_worth_sending(self) -> Decimal:
        """In USD; even where the least order is 0, it is at least something."""
        return max(self.context.settings.min_order_value, CENT)

    async def _repriced(self, terms: OrderTerms, record: OrderRecord) -> ApprovedOrder | None:
        """What is left of an order, at the price of this moment; None where the market has not moved away from it."""
        snapshot = await self._look_around()
        quote, contract = snapshot.quotes.get(terms.symbol), snapshot.contracts.get(terms.symbol)
        if quote is None or contract is None:
            return None
        limit = limit_price_of(terms.side, quote, contract, self.context.settings)
        if limit is None or (limit - terms.limit_price) * terms.side.sign <= 0:
            return None
        left, client_order_id = int(record.unfilled), f"{terms.client_order_id}-again"
        if terms.side is Side.BUY:
            left = await self._affordable(terms.model_copy(update={"quantity": left, "limit_price": limit}))
        if left < 1:
            return None
        trade = _trade(terms, left, f"the market moved away from {terms.limit_price}")
        self.context.journal.orders.plan(
            self.state["run_id"], terms.account_id, [(client_order_id, trade)], self.context.clock()
        )
        return await self._judged_again(terms, left, trade.reason, client_order_id, snapshot)

    async def _look_around(self) -> PortfolioSnapshot:
        return await observe(self.state["snapshot"].account, self.context)

    async def _judged_again(
        self, terms: OrderTerms, quantity: int, why: str, client_order_id: str, snapshot: PortfolioSnapshot
    ) -> ApprovedOrder | None:
        """The guard's word on a changed order; None where it refuses.

        What is still to be sent counts towards turnover and the orders of the day. Its cash it gets only when its turn
        comes.
        """
        day = self.context.trading_day(snapshot)
        batch = Batch(
            snapshot,
            self.context.settings,
            day.model_copy(update={"orders_sent": day.orders_sent + len(self.queue)}),
            spent=self._spent() + discretionary_value(waiting.terms for waiting in self.queue),
            shown=self.state["asked"] if "approval" in self.state else None,
            accepted_warnings=frozenset(self.state.get("warnings", ())),
        )
        judged = await judge_trade(_trade(terms, quantity, why), client_order_id, batch, self.context)
        self.verdicts.append(judged.verdict)
        keep([judged], self.state["run_id"], snapshot, self.context, final=True)
        if judged.approved is None:
            refusal = "; ".join(check.why for check in judged.verdict.failures)
            refused = terms.model_copy(update={"client_order_id": client_order_id, "quantity": quantity})
            self.records.append(not_sent(refused, f"{terms.symbol}: not sent, since the guard refused it ({refusal})"))
        return judged.approved

    def _spent(self) -> Decimal:
        """What this run's discretionary orders have traded so far, in USD."""
        exits = {approved.terms.client_order_id for approved in self.state["approved"] if approved.terms.protective}
        own = (done for done in self.records if done.client_order_id.removesuffix("-again") not in exits)
        return sum((done.filled_quantity * (done.average_price or Decimal(0)) for done in own), Decimal(0))

    def _give_up(self, terms: OrderTerms, why: str) -> None:
        self.context.journal.orders.withdraw(terms.client_order_id, why, self.context.clock())
        self.records.append(not_sent(terms, f"{terms.symbol}: not sent, since {why}"))

    def _give_up_rest(self, why: str) -> None:
        while self.queue:
            self._give_up(self.queue.pop(0).terms, why)

    # --- sending and following ----------------------------------------------------------------------------------

    async def _send(self, approved: ApprovedOrder) -> OrderRecord:
        terms = approved.terms
        await self._prove_account(terms)
        self.runtime.stream_writer(Progress(f"sending {terms.side} {terms.quantity} {terms.symbol}"))
        record = await self._execute(approved)
        sent = self.context.journal.orders.find(terms.client_order_id)
        if sent and sent.submitting_at:
            record = await self._borne_out(held_to(sent, record), sent)
        self.records.append(record)
        self._settle(record)
        return record

    async def _borne_out(self, record: OrderRecord, sent: JournalledOrder) -> OrderRecord:
        """The record, unless more shares changed hands than it tells: then nobody can tell what became of the order."""
        try:
            traded = await nothing_beside(sent, self.context)
        except (BrokerError, MoreThanOrdered):
            self.records.append(record)  # the run ends here, and its record must show the order
            self._settle(record)
            raise
        if record.status.is_unresolved or traded <= record.filled_quantity:
            return record
        told = f"the broker tells of {record.filled_quantity:f} shares filled, and {traded:f} changed hands"
        return record.model_copy(update={"status": OrderStatus.UNKNOWN, "message": f"{record.symbol}: {told}"})

    async def _prove_account(self, terms: OrderTerms) -> None:
        """The session may have changed hands since sense: the account must still be the one the guard judged.

        Raises:
            Terminal: the broker no longer shows that account; nothing more is sent.
        """
        shown = {account.account_id for account in await self.context.reader.accounts()}
        if terms.account_id not in shown:
            raise Terminal(
                f"{terms.symbol}: the broker now shows {', '.join(sorted(shown)) or 'no account'} instead of "
                f"{terms.account_id}; no more orders were sent. Check who is logged in, and run again."
            )

    async def _execute(self, approved: ApprovedOrder) -> OrderRecord:
        terms = approved.terms
        doubt = f"{terms.symbol}: sent, and then lost sight of"
        order_id: str | None = None
        try:
            order_id = (await self.context.desk.place(approved)).order_id
        except OutcomeUnknown as error:
            doubt = str(error)  # the broker's books may still tell
        except BrokerError as error:
            return not_sent(terms, str(error))
        except (Halted, ApprovalVoid) as error:
            self.records.append(not_sent(terms, str(error)))
            self.context.journal.orders.withdraw(terms.client_order_id, str(error), self.context.clock())
            raise
        following = _Following(self.context, self.runtime.stream_writer, terms, order_id)
        try:
            if order_id:
                self._settle(submitted(terms, order_id))
            record = await following.to_its_end()
        except (JournalError, MoreThanOrdered) as error:
            # The run ends here, and its record must show the order that is out there.
            why = str(error) if isinstance(error, MoreThanOrdered) else f"{doubt} ({error})"
            self.records.append(unknown(terms, why, following.order_id))
            raise
        return record or unknown(terms, f"{doubt} ({following.trouble})", following.order_id)

    def _settle(self, record: OrderRecord) -> None:
        self.context.journal.orders.settle(record, self.context.clock())


@dataclass
class _Following:
    """An order on its way to its end, as far as each look at the books tells; `order_id` is the broker's for it.

    A look that fails ends nothing: the order may work on, and nobody else would cancel it. A connection that is lost
    ends it, as then there is nobody to look or cancel with.
    """

    context: Context
    progress: StreamWriter
    terms: OrderTerms
    order_id: str | None
    trouble: str = NOT_SHOWN
    unanswered: int = 0

    async def to_its_end(self) -> OrderRecord | None:
        """Look at the order until it is final; at the deadline, or once halted, cancel what is left, and look again.

        None where the books do not show it then; `trouble` says why.
        """
        context, seconds = self.context, self.context.settings.fill_timeout_seconds
        deadline = context.clock() + timedelta(seconds=seconds)
        known = await self._look()
        why = f"not filled within {seconds} s"
        while _may_trade(known) and context.clock() < deadline and not context.reader.is_lost:
            if context.halted:
                why = "trading was halted"
                break
            filled = known.filled_quantity if known else 0
            self.progress(Progress(f"{self.terms.symbol}: {filled} of {self.terms.quantity} filled"))
            await context.pause(LOOK_SECONDS)
            known = await self._look()
        if _may_trade(known):
            known = await self._cancelled()
            if known and known.status is OrderStatus.CANCELLED and not known.message:
                known = known.model_copy(update={"message": f"{why}; what was left is cancelled"})
        return record_of(self.terms, known) if known else None

    async def _cancelled(self) -> BrokerOrder | None:
        """The order once its cancellation is in the books, or as they show it when they take too long."""
        if self.order_id:
            with suppress(BrokerError):  # whatever the answer, the books tell
                await self.context.desk.cancel(self.terms.account_id, self.order_id)
        self.unanswered = 0
        known = await self._look()
        for _ in range(LOOKS):
            if not _may_trade(known) or self.unanswered >= UNANSWERED or self.context.reader.is_lost:
                break
            await self.context.pause(LOOK_SECONDS)
            known = await self._look()
        return known

    async def _look(self) -> BrokerOrder | None:
        """The order as the books show it; None where they do not, or did not answer."""
        orders = self.context.journal.orders
        sent = orders.find(self.terms.client_order_id)
        try:
            known = await what_became_of(sent, self.context) if sent else None
        except BrokerError as error:
            self.trouble, self.unanswered = str(error), self.unanswered + 1
            return None
        if known is None:
            self.trouble = NOT_SHOWN
        elif sent:
            self.order_id = known.order_id or self.order_id
            if known.status is OrderStatus.PARTIAL:
                orders.settle(held_to(sent, record_of(self.terms, known)), self.context.clock())
        return known


def _may_trade(known: BrokerOrder | None) -> bool:
    return known is None or known.status.is_unresolved


def _trade(terms: OrderTerms, quantity: int, why: str) -> ProposedTrade:
    return ProposedTrade(
        symbol=terms.symbol, side=terms.side, quantity=quantity, reason=why, protective=terms.protective
    )
