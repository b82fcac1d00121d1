"""An inspector who trusts nobody: what did a run break, by the broker's own books, the settings and the journal?

The limits are held against the books alone, with arithmetic of its own in fractions; nothing here comes from the rules
it checks. Where prices moved during a run, an order may stand on any look that had been given before it reached the
books: the one its verdict was made on is among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from config.settings import Settings, TradingRule
from graph.journal import Change, JournalledOrder
from portfolio.models import BrokerOrder, Execution, Verdict
from tests.simulators.troubled_broker import Moment, Placed

RULES = frozenset({
    "not_halted", "data_quality", "account_kind", "session_open", "symbol_allowed", "contract_resolved",
    "whole_quantity", "no_short", "no_open_order", "no_unresolved_order", "protective_exit", "quote_quality",
    "price_collar", "risk_threshold", "max_trade_value", "max_position_size", "max_portfolio_change", "max_positions",
    "min_cash", "max_daily_loss", "max_orders_per_day", "reversal_cooldown", "day_trades", "whatif", "whatif_warning",
    "as_approved",
})  # fmt: skip
UNSENT = {"PLANNED", "APPROVED"}
FINAL = {"FILLED", "CANCELLED", "REJECTED"}


@dataclass(frozen=True)
class Entry:
    """One order as the journal has it."""

    order: JournalledOrder
    changes: tuple[Change, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def was_sent(self) -> bool:
        return "SUBMITTING" in {change.state.value for change in self.changes}


@dataclass(frozen=True)
class Story:
    """One run: the broker's books before and after it, what reached them in between, and the journal's entries.

    `orders` are the new ones of the run, `fills` theirs; `earlier` are the agent's own of the same day before it, with
    `earlier_fills`. `first_net` is the account's value in USD when the day began. `waits` says that the run still waits
    for a person.
    """

    account_id: str
    settings: Settings
    before: Moment
    after: Moment
    first_net: Fraction
    placed: tuple[Placed, ...]
    orders: tuple[BrokerOrder, ...]
    fills: tuple[Execution, ...]
    earlier: tuple[BrokerOrder, ...]
    earlier_fills: tuple[Execution, ...]
    journal: tuple[Entry, ...]
    waits: bool = False


def percent(value: float) -> Fraction:
    return Fraction(repr(value))


def cents(amount: Fraction) -> Fraction:
    """Rounded half away from zero, as balances are told."""
    rounded = Fraction((abs(amount) * 100 + Fraction(1, 2)).__floor__(), 100)
    return rounded if amount >= 0 else -rounded


def shares(moment: Moment, symbol: str) -> Fraction:
    return Fraction(moment.holdings[symbol].quantity) if symbol in moment.holdings else Fraction(0)


def net_of(moment: Moment) -> Fraction:
    """Cash and shares at the last prices, in USD."""
    worth = Fraction(moment.cash)
    for symbol, held in moment.holdings.items():
        price = Fraction(moment.prices.get(symbol, held.average_cost))
        worth += cents(Fraction(held.quantity) * price)
    return cents(worth)


def price_of(order: BrokerOrder) -> Fraction:
    return Fraction(order.limit_price or 0)


def value_of(order: BrokerOrder) -> Fraction:
    return Fraction(order.quantity) * price_of(order)


def left_of(order: BrokerOrder) -> Fraction:
    return Fraction(order.quantity) - Fraction(order.filled_quantity)


def is_regular(at: datetime) -> bool:
    """Whether New York trades then; the days of these tests are whole and no holidays."""
    local = at.astimezone(ZoneInfo("America/New_York"))
    return local.weekday() < 5 and (9, 30) <= (local.hour, local.minute) < (16, 0)


@dataclass(frozen=True)
class Inspector:
    story: Story

    def broken(self) -> set[str]:
        """The names of what is broken, each with the order it is about."""
        found = set(self._faults_of_batch()) | set(self._faults_of_journal())
        for order in self.story.orders:
            placed = self._placed(order)
            if placed is None:
                found.add(f"unseen: order {order.order_id} is in the books and nobody sent it")
                continue
            words = f"{order.side} {order.quantity} {order.symbol} at {order.limit_price} ({order.client_order_id})"
            found |= {f"{fault}: {words}" for fault in self._faults_of(order, placed)}
        return found

    def _placed(self, order: BrokerOrder) -> Placed | None:
        return next((one for one in self.story.placed if one.request.client_order_id == order.client_order_id), None)

    def _entry(self, client_order_id: str | None) -> Entry | None:
        return next((one for one in self.story.journal if one.order.client_order_id == client_order_id), None)

    def _claims(self, order: BrokerOrder) -> bool:
        """Whether the plan called it a protective exit."""
        entry = self._entry(order.client_order_id)
        return bool(entry and entry.order.approved and entry.order.approved.terms.protective)

    def _rule(self, symbol: str) -> TradingRule | None:
        return next(
            (rule for rule in self.story.settings.trading_rules if rule.enabled and symbol in rule.symbols), None
        )

    # --- one order ----------------------------------------------------------------------------------------------

    def _faults_of(self, order: BrokerOrder, placed: Placed) -> Iterator[str]:
        yield from self._faults_of_terms(order, placed)
        yield from self._faults_of_size(order, placed)
        yield from (
            self._faults_of_sale(order, placed) if order.side == "SELL" else self._faults_of_purchase(order, placed)
        )

    def _faults_of_terms(self, order: BrokerOrder, placed: Placed) -> Iterator[str]:
        if order.account_id != self.story.account_id:
            yield "account"
        if order.quantity != int(order.quantity) or order.quantity < 1:
            yield "whole shares"
        if order.order_type != "LMT" or order.limit_price is None or order.limit_price <= 0:
            yield "limit price"
        if not any(self._is_in_collar(order, look) for look in placed.looks):
            yield "price_collar"
        if not is_regular(placed.before.at):
            yield "closed"
        if [one for one in placed.before.working if one.symbol == order.symbol]:
            yield "another order works"

    def _faults_of_size(self, order: BrokerOrder, placed: Placed) -> Iterator[str]:
        if value_of(order) > Fraction(self.story.settings.max_trade_value):
            yield "max_trade_value"
        if self._claims(order):
            if not any(self._is_protective(order, look) for look in placed.looks):
                yield "not protective"
            return
        if value_of(order) > Fraction(self.story.settings.risk_threshold):
            yield "risk_threshold"
        if self._reverses(order, placed.before.at):
            yield "reversal_cooldown"

    def _faults_of_sale(self, order: BrokerOrder, placed: Placed) -> Iterator[str]:
        if self._rule(order.symbol) is None and shares(self.story.before, order.symbol) <= 0:
            yield "symbol"
        if Fraction(order.quantity) > shares(placed.before, order.symbol):
            yield "short sale"

    def _faults_of_purchase(self, order: BrokerOrder, placed: Placed) -> Iterator[str]:
        if self._rule(order.symbol) is None:
            yield "symbol"
        if not any(self._fits_position(order, placed.before, look) for look in placed.looks):
            yield "max_position_size"
        if not any(self._finds_a_place(order, look) for look in placed.looks):
            yield "max_positions"
        if not any(map(self._has_lost_little, placed.looks)):
            yield "max_daily_loss"

    def _is_protective(self, order: BrokerOrder, look: Moment) -> bool:
        """A sale at or below the stop, or one above the take-profit that leaves the position its share."""
        rule, held = self._rule(order.symbol), look.holdings.get(order.symbol)
        if rule is None or held is None or held.quantity <= 0 or held.average_cost <= 0 or order.side != "SELL":
            return False
        price, cost = Fraction(look.prices[order.symbol]), Fraction(held.average_cost)
        if rule.stop_loss is not None and price <= cost * (1 + percent(rule.stop_loss) / 100):
            return True
        if rule.take_profit is None or price < cost * (1 + percent(rule.take_profit) / 100):
            return False
        share = net_of(look) * percent(rule.target_allocation) / 100 / len(rule.symbols)
        return (Fraction(held.quantity) - Fraction(order.quantity)) * price >= share - Fraction(1, 10**6)

    def _is_in_collar(self, order: BrokerOrder, look: Moment) -> bool:
        last = Fraction(look.prices[order.symbol])
        return abs(price_of(order) - last) * 100 <= percent(self.story.settings.price_collar) * last

    def _reverses(self, order: BrokerOrder, at: datetime) -> bool:
        """Whether the agent itself traded the same symbol the other way, in an earlier run or in this one."""
        hours = timedelta(hours=self.story.settings.reversal_cooldown_hours)
        ours = (*self.story.earlier_fills, *self.story.fills)
        return bool(hours) and any(
            fill.symbol == order.symbol and fill.side != order.side and at - hours < fill.executed_at <= at
            for fill in ours
        )

    def _fits_position(self, order: BrokerOrder, before: Moment, look: Moment) -> bool:
        rule = self._rule(order.symbol)
        price, last = price_of(order), Fraction(look.prices[order.symbol])
        value = shares(before, order.symbol) * max(price, last) + value_of(order)
        return rule is not None and value * 100 <= percent(rule.max_position_size) * net_of(look)

    def _finds_a_place(self, order: BrokerOrder, look: Moment) -> bool:
        """Room for it beside all that is held, being bought, or bought by this run before it."""
        held = {symbol for symbol, holding in look.holdings.items() if holding.quantity}
        held |= {one.symbol for one in look.working if one.side == "BUY"}
        for one in self.story.orders:
            held |= {one.symbol} if one.side == "BUY" else set()
            if one.order_id == order.order_id:
                break
        return len(held) <= self.story.settings.max_positions

    def _has_lost_little(self, look: Moment) -> bool:
        lost = self.story.first_net - net_of(look)
        return lost * 100 <= percent(self.story.settings.max_daily_loss) * self.story.first_net

    # --- the batch ----------------------------------------------------------------------------------------------

    def _faults_of_batch(self) -> Iterator[str]:
        story, settings = self.story, self.story.settings
        ids = [order.client_order_id for order in (*story.earlier, *story.orders)]
        if None in ids or len(set(ids)) < len(ids):
            yield "client order ids"
        if not story.orders:
            return
        if len(ids) > settings.max_orders_per_day:
            yield "max_orders_per_day"
        looks = [look for placed in story.placed for look in placed.looks]
        nets = [net_of(look) for look in looks] or [net_of(story.before)]
        if self._turnover() * 100 > percent(settings.max_portfolio_change) * max(nets):
            yield "max_portfolio_change"
        for symbol in {order.symbol for order in story.orders if order.side == "SELL"}:
            if shares(story.after, symbol) < 0:
                yield "short sale"
        bought = [order for order in story.orders if order.side == "BUY" and order.filled_quantity > 0]
        waiting = [order for order in story.after.working if order.side == "BUY"]
        if bought or {order.order_id for order in waiting} & {order.order_id for order in story.orders}:
            promised = sum((left_of(order) * price_of(order) for order in waiting), Fraction(0))
            cash = Fraction(story.after.cash) - promised
            if cash < 0:
                yield "on credit"
            if cash * 100 < percent(settings.min_cash) * min(nets):
                yield "min_cash"

    def _turnover(self) -> Fraction:
        """USD traded by discretionary orders; what a sale fetched above its limit was given, not traded."""
        total = Fraction(0)
        for order in self.story.orders:
            if not self._claims(order):
                fills = [fill for fill in self.story.fills if fill.order_id == order.order_id]
                total += sum((Fraction(fill.quantity) * self._price(order, fill) for fill in fills), Fraction(0))
        return total

    @staticmethod
    def _price(order: BrokerOrder, fill: Execution) -> Fraction:
        return price_of(order) if order.side == "SELL" else Fraction(fill.price)

    # --- the journal --------------------------------------------------------------------------------------------

    def _faults_of_journal(self) -> Iterator[str]:
        for entry in self.story.journal:
            state = entry.order.state.value
            allowed = {"PLANNED"} if self.story.waits else set[str]()
            if state == "SUBMITTING" or state in UNSENT - allowed:
                yield f"left {state}: {entry.order.client_order_id}"
        for order in self.story.orders:
            told = self._entry(order.client_order_id)
            for fault in ("not in the journal",) if told is None else self._faults_of_entry(order, told):
                yield f"{fault}: {order.client_order_id}"
        here = {order.client_order_id for order in self.story.orders}
        sent = sorted((one for one in self.story.journal if one.was_sent), key=_when_sent)
        for entry in sent:
            record = entry.order.record
            if entry.order.client_order_id not in here:
                claims = (
                    record is None or record.filled_quantity > 0 or entry.order.state.value not in {*FINAL, "UNKNOWN"}
                )
                if claims or entry.order.state.value == "FILLED":
                    yield f"journalled and never at the broker: {entry.order.client_order_id}"
        if any(entry.order.state.value not in FINAL for entry in sent[:-1]):
            yield "sent on after an order nobody can account for"

    def _faults_of_entry(self, order: BrokerOrder, entry: Entry) -> Iterator[str]:
        approved, states = entry.order.approved, [change.state.value for change in entry.changes]
        if approved is None:
            yield "never approved"
            return
        terms = approved.terms
        asked = (terms.account_id, terms.conid, terms.symbol, terms.side)
        is_asked = asked == (order.account_id, order.conid, order.symbol, order.side)
        if not is_asked or terms.quantity != order.quantity or terms.limit_price != order.limit_price:
            yield "not the terms approved"
        if not re.match(r"PLANNED (APPROVED )+SUBMITTING ", " ".join([*states, ""])) or states.count("SUBMITTING") != 1:
            yield "not approved before it was sent"
        if not any(self._lets_through(verdict, entry) for verdict in entry.verdicts):
            yield "no verdict let it through"
        record = entry.order.record
        if entry.order.state.value in FINAL and (
            record is None or order.status.is_working or record.filled_quantity != order.filled_quantity
        ):
            at_broker = f"{order.status} with {order.filled_quantity} filled at the broker"
            yield f"{entry.order.state} in the journal, {at_broker}"

    @staticmethod
    def _lets_through(verdict: Verdict, entry: Entry) -> bool:
        approved = entry.order.approved
        return (
            approved is not None
            and verdict.evidence == approved.evidence
            and (verdict.symbol, verdict.side) == (approved.terms.symbol, approved.terms.side)
            and (verdict.quantity, verdict.limit_price) == (approved.terms.quantity, approved.terms.limit_price)
            and all(check.passed is True for check in verdict.checks)
            and {check.rule for check in verdict.checks} >= RULES
        )


def _when_sent(entry: Entry) -> tuple[datetime, int]:
    """When it was about to be sent; those of one moment in the order of their numbers."""
    at = next(change.at for change in entry.changes if change.state.value == "SUBMITTING")
    number, _, again = entry.order.client_order_id.rpartition("/")[2].partition("-again")
    place = int(number.rpartition("-")[2] or 0)
    return at, 2 * place + bool(again or entry.order.client_order_id.endswith("-again"))
