"""An auditor who trusts nobody: which limits would a batch break, filled at its limits, sales before purchases?

He reads the facts and the settings only and has his own arithmetic, in fractions; nothing here comes from the rules he
checks. Whatever cannot be told counts as broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from config.settings import Settings
from portfolio.limits import TradingDay
from portfolio.models import BrokerOrder, OrderTerms, PortfolioSnapshot, ProposedTrade

NOBODY_KNOWS = Fraction(-(10**12))

Batch = list[tuple[ProposedTrade, OrderTerms]]


def name_of(symbol: str) -> str:
    return symbol.upper().replace(".", " ").replace("-", " ")


def percent(value: float) -> Fraction:
    return Fraction(repr(value))


def commission(quantity: Fraction, price: Fraction) -> Fraction:
    """IBKR fixed: half a cent a share, at least a dollar, at most one percent; whole cents."""
    fee = Fraction(max(Fraction(1), quantity / 200) * 100 + Fraction(1, 2)).__floor__()
    cap = (quantity * price).__floor__()  # one percent of the value, in whole cents
    return Fraction(min(fee, cap), 100)


@dataclass(frozen=True)
class Auditor:
    snapshot: PortfolioSnapshot
    settings: Settings
    day: TradingDay

    def broken(self, batch: Batch) -> set[str]:
        """The names of what is broken; an empty batch breaks nothing."""
        if not batch:
            return set()
        each = {fault for trade, order in batch for fault in self._faults_of(trade, order)}
        return each | set(self._faults_of_run()) | set(self._faults_of_batch(batch))

    @property
    def _net(self) -> Fraction:
        return Fraction(self.snapshot.summary.net_liquidation)

    def _same(self, order: OrderTerms, symbol: str, conid: int) -> bool:
        return order.conid == conid or name_of(order.symbol) == name_of(symbol)

    def _faults_of_run(self) -> Iterator[str]:
        account, session = self.snapshot.account.account_id, self.snapshot.session
        if self.settings.paper_trading:
            if account[:1] != "D":
                yield "live account"
        elif account[:1] == "D" or account != self.settings.live_account_confirmed:
            yield "account not confirmed"
        if not session.is_open or not session.opens_at <= session.now < session.closes_at:
            yield "closed"
        if [check for check in self.snapshot.data_quality if check.required and not check.passed]:
            yield "unfit data"
        if {row.account_id for row in self.snapshot.positions} - {account}:
            yield "shares of somebody else"

    def _faults_of(self, trade: ProposedTrade, order: OrderTerms) -> Iterator[str]:
        if (order.symbol, order.side, order.quantity) != (trade.symbol, trade.side, trade.quantity):
            yield "not what was asked"
        if order.account_id != self.snapshot.account.account_id:
            yield "account"
        yield from self._faults_of_symbol(order)
        yield from self._faults_of_price(order)
        yield from self._faults_of_size(trade, order)
        yield from self._faults_of_past(trade, order)

    def _faults_of_symbol(self, order: OrderTerms) -> Iterator[str]:
        named = [rule for rule in self.settings.trading_rules if rule.enabled and name_of(order.symbol) in rule.symbols]
        if not named and order.side == "BUY":
            yield "symbol"
        listed = self.snapshot.contracts.get(order.symbol)
        held = [row for row in self.snapshot.positions if self._same(order, row.symbol, row.conid) and row.quantity]
        kinds = {(row.conid, row.currency, row.sec_type) for row in held}
        if listed is None or (listed.currency, listed.sec_type, listed.conid) != ("USD", "STK", order.conid):
            yield "contract"
        if kinds - {(order.conid, "USD", "STK")}:
            yield "contract"
        waiting: list[BrokerOrder | OrderTerms] = [*self.snapshot.open_orders, *self.day.unresolved]
        if [other for other in waiting if self._same(order, other.symbol, other.conid)]:
            yield "another order waits"

    def _faults_of_price(self, order: OrderTerms) -> Iterator[str]:
        quote = self.snapshot.quotes.get(order.symbol)
        if quote is None or None in (quote.bid, quote.ask, quote.last, quote.as_of) or quote.conid != order.conid:
            yield "quote"
            return
        bid, ask, last = (Fraction(price or 0) for price in (quote.bid, quote.ask, quote.last))
        age = (self.snapshot.session.now - quote.as_of).total_seconds() if quote.as_of else 0
        if not 0 < bid <= ask or not -60 <= age <= self.settings.max_quote_age_seconds:
            yield "quote"
        if (ask - bid) * 200 > percent(self.settings.max_spread) * (ask + bid):
            yield "spread"
        if last <= 0 or abs(Fraction(order.limit_price) - last) * 100 > percent(self.settings.price_collar) * last:
            yield "collar"

    def _faults_of_size(self, trade: ProposedTrade, order: OrderTerms) -> Iterator[str]:
        value = Fraction(order.limit_price) * order.quantity
        if not 0 < value <= Fraction(self.settings.max_trade_value):
            yield "max_trade_value"
        if not trade.protective and value > Fraction(self.settings.risk_threshold):
            yield "risk_threshold"

    def _faults_of_past(self, trade: ProposedTrade, order: OrderTerms) -> Iterator[str]:
        if trade.protective:
            if not self._has_fallen_to_its_stop(order) and not self._is_a_gain_to_trim(order):
                yield "not protective"
            return
        for past in self.day.past_trades:
            hours = Fraction((self.snapshot.session.now - past.traded_at).total_seconds()) / 3600
            recent = hours < percent(self.settings.reversal_cooldown_hours)
            if recent and name_of(past.symbol) == name_of(order.symbol) and past.side != order.side:
                yield "reversal"

    def _has_fallen_to_its_stop(self, order: OrderTerms) -> bool:
        stops = [rule.stop_loss for rule in self.settings.trading_rules if name_of(order.symbol) in rule.symbols]
        rows = [row for row in self.snapshot.positions if self._same(order, row.symbol, row.conid)]
        if order.side == "BUY" or not stops or stops[0] is None or not rows:
            return False
        floor = 1 + percent(stops[0]) / 100
        return all(Fraction(row.market_price or 0) <= floor * Fraction(row.average_cost) for row in rows)

    def _is_a_gain_to_trim(self, order: OrderTerms) -> bool:
        """Whether the one position has gained what its rule asks, and keeps its share of the account."""
        rules = [rule for rule in self.settings.trading_rules if rule.enabled and name_of(order.symbol) in rule.symbols]
        rows = [row for row in self.snapshot.positions if self._same(order, row.symbol, row.conid) and row.quantity]
        if (
            order.side == "BUY"
            or not rules
            or rules[0].take_profit is None
            or len(rows) != 1
            or not rows[0].market_price
        ):
            return False
        row, rule = rows[0], rules[0]
        weights = rule.weights or dict.fromkeys(rule.symbols, 1.0)
        part = percent(weights[name_of(order.symbol)]) / sum(percent(weight) for weight in weights.values())
        share = self._net * percent(rule.target_allocation) / 100 * part
        price = Fraction(row.market_price or 0)
        has_gained = price >= Fraction(row.average_cost) * (1 + percent(rule.take_profit or 0) / 100)
        keeps = (Fraction(row.quantity) - order.quantity) * price >= share - Fraction(1, 10**9)
        return row.average_cost > 0 and has_gained and keeps

    def _faults_of_batch(self, batch: Batch) -> Iterator[str]:
        orders = [order for _, order in batch]
        if len(orders) + self.day.orders_sent > self.settings.max_orders_per_day:
            yield "max_orders_per_day"
        if len({order.conid for order in orders}) < len(orders):
            yield "two orders on one contract"
        if self._day_trades(orders) > self._day_trades_left():
            yield "day trade"
        change = sum(Fraction(order.limit_price) * order.quantity for trade, order in batch if not trade.protective)
        if change * 100 > percent(self.settings.max_portfolio_change) * self._net:
            yield "max_portfolio_change"
        for order in orders:
            if order.side == "SELL" and self._sold(order, orders) > self._held(order):
                yield "short sale"
        bought = [order for order in orders if order.side == "BUY"]
        if bought:
            yield from self._faults_of_purchases(bought, [order for order in orders if order.side == "SELL"])

    def _day_trades(self, orders: list[OrderTerms]) -> int:
        """How many orders go against a trade of the day; hostile days keep clear of New York's midnight."""
        today = [past for past in self.day.past_trades if past.traded_at.date() == self.snapshot.session.now.date()]
        return len(
            {
                order.client_order_id
                for order in orders
                for past in today
                if name_of(past.symbol) == name_of(order.symbol) and past.side != order.side
            }
        )

    def _day_trades_left(self) -> float:
        left = self.snapshot.summary.day_trades_remaining
        return float("inf") if left in {None, -1} else float(left or 0)

    def _held(self, order: OrderTerms) -> Fraction:
        rows = [row for row in self.snapshot.positions if self._same(order, row.symbol, row.conid)]
        return Fraction(sum(Fraction(row.quantity) for row in rows))

    def _sold(self, order: OrderTerms, orders: list[OrderTerms]) -> Fraction:
        sales = [one for one in orders if one.side == "SELL" and self._same(order, one.symbol, one.conid)]
        return Fraction(sum(one.quantity for one in sales))

    def _faults_of_purchases(self, bought: list[OrderTerms], sold: list[OrderTerms]) -> Iterator[str]:
        first = Fraction(self.day.first_net_liquidation or 0)
        seen = [self._net, *([Fraction(self.day.lowest_net_liquidation)] if self.day.lowest_net_liquidation else [])]
        if first <= 0 or (first - min(seen)) * 100 > percent(self.settings.max_daily_loss) * first:
            yield "max_daily_loss"
        if self._cash_after(bought, sold) * 100 < percent(self.settings.min_cash) * self._net:
            yield "min_cash"
        conids = {row.conid for row in self.snapshot.positions if row.quantity}
        conids |= {order.conid for order in self.snapshot.open_orders if order.side == "BUY"}
        conids |= {order.conid for order in (*self.day.unresolved, *bought) if order.side == "BUY"}
        if len(conids) > self.settings.max_positions:
            yield "max_positions"
        for order in bought:
            if self._value_after(order, bought) * 100 > self._cap(order) * self._net:
                yield "max_position_size"

    def _cash_after(self, bought: list[OrderTerms], sold: list[OrderTerms]) -> Fraction:
        """With every purchase paid that may fill, and what was sold short bought back; a debt where nobody can tell."""
        cash = Fraction(self.snapshot.summary.total_cash)
        for order in sold:
            quantity, price = Fraction(order.quantity), Fraction(order.limit_price)
            cash += quantity * price - commission(quantity, price)
        shown = [one.client_order_id for one in self.snapshot.open_orders]
        lost = [one for one in self.day.unresolved if one.side == "BUY" and one.client_order_id not in shown]
        waiting = [one for one in self.snapshot.open_orders if one.side == "BUY"]
        spending: list[tuple[Decimal, Decimal | None]] = [
            *((Decimal(one.quantity), one.limit_price) for one in (*bought, *lost)),
            *((max(one.quantity - one.filled_quantity, Decimal(0)), one.limit_price) for one in waiting),
        ]
        for amount, limit in spending:
            if limit is None:
                return NOBODY_KNOWS
            cash -= Fraction(amount) * Fraction(limit) + commission(Fraction(amount), Fraction(limit))
        for row in self.snapshot.positions:
            if row.quantity < 0:
                cash += NOBODY_KNOWS if row.market_value is None else Fraction(row.market_value)
        return cash

    def _cap(self, order: OrderTerms) -> Fraction:
        caps = [rule.max_position_size for rule in self.settings.trading_rules if name_of(order.symbol) in rule.symbols]
        return percent(caps[0]) if caps else Fraction(0)

    def _value_after(self, order: OrderTerms, bought: list[OrderTerms]) -> Fraction:
        price = Fraction(order.limit_price)
        rows = [row for row in self.snapshot.positions if self._same(order, row.symbol, row.conid)]
        value = sum(max(Fraction(row.market_value or 0), Fraction(row.quantity) * price) for row in rows)
        new = [one for one in bought if self._same(order, one.symbol, one.conid)]
        return Fraction(value + sum(Fraction(one.limit_price) * one.quantity for one in new))
