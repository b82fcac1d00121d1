"""The facts the whole house speaks in, as frozen value objects that survive a checkpoint.

Money is `Decimal` in the currency named beside it, quantities of held shares are `Decimal` (brokers hold fractions),
quantities of new orders are `int`, and every time is timezone-aware UTC. A fact that a broker did not give is None:
never zero, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from config.rules import ticker

LEAST, MOST = Decimal("1e-40"), Decimal("1e15")
"""Nothing real is nearer to 0 or further from it, and arithmetic with 28 digits is at home between them."""
MOST_CLAIMED = Decimal("1e48")
"""Three of the largest numbers written one after the other, as a broker's preview may come."""
YEARS = range(1970, 9000)
DELAY = timedelta(minutes=20)
STRUCK = "~~"
"""Stands on both sides of words of a model that nothing bears out."""


def _of_this_world(amount: Decimal) -> Decimal:
    if amount and not LEAST <= abs(amount) <= MOST:
        raise ValueError("a number is too large or too small to be true")
    return amount


def _can_be_written(amount: Decimal) -> Decimal:
    if amount and not LEAST <= abs(amount) <= MOST_CLAIMED:
        raise ValueError("a number is too large or too small to be written")
    return amount


def _in_utc(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"the year {moment.year} is too far away to be true")
    return moment.astimezone(UTC)


Amount = Annotated[Decimal, AfterValidator(_of_this_world)]
Claim = Annotated[Decimal, AfterValidator(_can_be_written)]
Utc = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that a checkpoint can hold."""


class Fact(BaseModel):
    """A frozen value object: unknown keys, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale: the sign of the change in shares."""
        return 1 if self is Side.BUY else -1


class OrderStatus(StrEnum):
    """What became of an order. UNKNOWN means it may have been placed; it is never treated as failed."""

    SUBMITTED = "SUBMITTED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_working(self) -> bool:
        return self in (OrderStatus.SUBMITTED, OrderStatus.PARTIAL)

    @property
    def is_unresolved(self) -> bool:
        """Whether shares may still change hands by it."""
        return self.is_working or self is OrderStatus.UNKNOWN


# --- what a broker tells -------------------------------------------------------------------------------------


class Account(Fact):
    """A brokerage account. IB's paper account ids begin with D; that letter is the proof of paper trading."""

    account_id: str
    description: str = ""

    @property
    def is_paper(self) -> bool:
        return self.account_id.startswith("D")


class AccountSummary(Fact):
    """Balances and margin of an account, all in `currency`.

    `day_trades_remaining` is how many day trades the broker still allows; -1 is any number, None is not reported.
    """

    account_id: str
    currency: str
    net_liquidation: Amount
    total_cash: Amount
    available_funds: Amount
    excess_liquidity: Amount
    buying_power: Amount
    equity_with_loan: Amount
    gross_position_value: Amount
    initial_margin: Amount
    maintenance_margin: Amount
    day_trades_remaining: Whole | None = None


class Position(Fact):
    """Shares held (negative: short). `average_cost` and `market_price` are per share, in `currency`."""

    account_id: str
    conid: Whole
    symbol: str
    quantity: Amount
    average_cost: Amount
    market_price: Amount | None
    market_value: Amount | None
    unrealized_pnl: Amount | None = None
    realized_pnl: Amount | None = None
    currency: str = "USD"
    sec_type: str = "STK"

    @property
    def gain(self) -> Decimal | None:
        """Unrealised, by the broker's mark, in % of average cost; None without a mark or a cost."""
        if not self.market_price or self.average_cost <= 0:
            return None
        return 100 * (self.market_price / self.average_cost - 1)


class CashBalance(Fact):
    """One currency line of the ledger."""

    currency: str
    cash: Amount
    settled_cash: Amount
    stock_market_value: Amount
    net_liquidation: Amount
    exchange_rate: Amount = Decimal(1)


class ProfitAndLoss(Fact):
    """`daily` is the change of net liquidation since the previous session's close, deposits not removed."""

    account_id: str
    daily: Amount
    unrealized: Amount
    realized: Amount | None
    net_liquidation: Amount
    market_value: Amount


class Contract(Fact):
    """What a symbol resolves to. `min_tick` is the smallest price step, in `currency`."""

    conid: Whole
    symbol: str
    sec_type: str = "STK"
    exchange: str
    currency: str = "USD"
    name: str = ""
    min_tick: Amount = Decimal("0.01")


class Feed(StrEnum):
    """Where prices come from: the market now, some minutes ago, or its last state before it closed."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    DELAYED_FROZEN = "delayed_frozen"


class Quote(Fact):
    """Prices of one contract at `as_of` (None where the source does not say when).

    `feed` is None where the source does not say what it shows; `note` says why there are no prices, in a sentence.
    """

    conid: Whole
    symbol: str
    bid: Amount | None = None
    ask: Amount | None = None
    last: Amount | None = None
    bid_size: Amount | None = None
    ask_size: Amount | None = None
    open: Amount | None = None
    high: Amount | None = None
    low: Amount | None = None
    previous_close: Amount | None = None
    volume: Amount | None = None
    as_of: Utc | None = None
    feed: Feed | None = None
    note: str | None = None

    @property
    def age_by_nature(self) -> timedelta:
        """How much older than the market its prices are without any fault; exchanges delay by up to that."""
        return DELAY if self.feed in (Feed.DELAYED, Feed.DELAYED_FROZEN) else timedelta(0)

    @property
    def mid(self) -> Decimal | None:
        if self.bid is None or self.ask is None:
            return None
        return (self.bid + self.ask) / 2


class Bar(Fact):
    """Open, high, low, close and volume of the interval that begins at `start`."""

    start: Utc
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount = Decimal(0)


class Session(Fact):
    """Regular trading hours. `opens_at`/`closes_at` are of the session running at `now`, else of the next one."""

    now: Utc
    is_open: bool
    opens_at: Utc
    closes_at: Utc


class ScanRow(Fact):
    """One line of a market scanner; `change_percent` against the previous close, in %."""

    conid: Whole
    symbol: str
    price: Amount | None = None
    change: Amount | None = None
    change_percent: Amount | None = None
    volume: Amount | None = None


class WhatIf(Fact):
    """A broker's answer to "what if I sent exactly this order": margin and equity after it, in USD.

    The figures are what it claims, however absurd: the guard judges them, and must be able to say what they were.
    """

    initial_margin_before: Claim | None = None
    initial_margin_after: Claim | None = None
    maintenance_margin_before: Claim | None = None
    maintenance_margin_after: Claim | None = None
    equity_before: Claim | None = None
    equity_after: Claim | None = None
    commission: Claim | None = None
    warning: str | None = None
    error: str | None = None


class BrokerOrder(Fact):
    """An order as the broker's own books show it; `message` carries its words on a rejection or warning.

    `order_type` is LMT or MKT for orders of ours; a person's own orders may be of any other type, and count too.
    """

    order_id: str
    client_order_id: str | None
    account_id: str
    conid: Whole
    symbol: str
    side: Side
    quantity: Amount
    order_type: str
    limit_price: Amount | None
    status: OrderStatus
    filled_quantity: Amount = Decimal(0)
    average_price: Amount | None = None
    commission: Amount | None = None
    submitted_at: Utc | None = None
    message: str | None = None

    @property
    def remaining(self) -> Decimal:
        """Shares that may still fill; never below 0, or books that are off would give back what is promised."""
        return max(self.quantity - self.filled_quantity, Decimal(0))


class Execution(Fact):
    """One fill of an order; `price` per share, `commission` for this fill, None while it is not reported."""

    execution_id: str
    order_id: str
    client_order_id: str | None
    account_id: str
    conid: Whole
    symbol: str
    side: Side
    quantity: Amount
    price: Amount
    commission: Amount | None
    executed_at: Utc


# --- the life of one order -----------------------------------------------------------------------------------


class DataCheck(Fact):
    """One question asked of the data a run stands on. A failed `required` check means no trading this run."""

    name: str
    passed: bool
    required: bool
    why: str


Row = TypeVar("Row", Position, BrokerOrder, "OrderTerms")


class PortfolioSnapshot(Fact):
    """Everything the run decides on, as read at `as_of`: the account, its market, and whether both can be trusted."""

    account: Account
    summary: AccountSummary
    positions: tuple[Position, ...]
    contracts: dict[str, Contract]
    quotes: dict[str, Quote]
    open_orders: tuple[BrokerOrder, ...]
    session: Session
    data_quality: tuple[DataCheck, ...]

    @property
    def as_of(self) -> datetime:
        return self.session.now

    @property
    def fit_to_trade(self) -> bool:
        return all(check.passed for check in self.data_quality if check.required)

    def rows_in(self, symbol: str, rows: Iterable[Row]) -> tuple[Row, ...]:
        """Those of `rows` that are about `symbol`: the same ticker however it is spelt, or the same contract."""
        wanted, contract = ticker(symbol), self.contracts.get(symbol)
        conid = contract.conid if contract else None
        return tuple(row for row in rows if row.conid == conid or ticker(row.symbol) == wanted)

    def positions_in(self, symbol: str) -> tuple[Position, ...]:
        """What is held of `symbol`; more than one where the broker's rows do not agree on what it is."""
        return tuple(held for held in self.rows_in(symbol, self.positions) if held.quantity != 0)

    def open_orders_in(self, symbol: str) -> tuple[BrokerOrder, ...]:
        return self.rows_in(symbol, self.open_orders)

    def other_name_of(self, symbol: str) -> str | None:
        """What the broker calls the contract found for `symbol`, if that is another ticker; None if nothing says so.

        Its quote decides, as a holding may keep the name it was bought under; the rows do where the quote has no name.
        """
        contract, quote = self.contracts.get(symbol), self.quotes.get(symbol)
        if contract is None or quote is None:
            return None
        rows: tuple[Position | BrokerOrder, ...] = (*self.positions, *self.open_orders)
        names = [quote.symbol] if quote.symbol.strip() else [row.symbol for row in rows if row.conid == contract.conid]
        return next((name for name in names if ticker(name) != ticker(symbol)), None)

    def held(self, symbol: str) -> Decimal:
        """Shares of `symbol` held, 0 if none."""
        return sum((held.quantity for held in self.positions_in(symbol)), Decimal(0))


class Evidence(Fact):
    """A figure that a reason rests on: `value` in `unit`, as it stands at `source`, such as "drift.Bonds.weight"."""

    statement: str
    source: str
    value: Amount
    unit: str

    @property
    def in_words(self) -> str:
        """The figure as a person reads it: "weight of Bonds 12.5 % (drift)"."""
        sheet, _, path = self.source.replace("_", " ").partition(".")
        row, _, column = path.rpartition(".")
        of_what = f"{column} of {row}" if row else column
        return f"{of_what} {self.value:f} {self.unit}".strip() + f" ({sheet})"


class ProposedTrade(Fact):
    """A wish, not an order: it has no price, and nothing has checked it.

    A model's `reason` and `expected_effect` hold numbers between `STRUCK` marks where nothing bears them out, and its
    `evidence` is what its source does bear out.
    """

    symbol: str = Field(min_length=1)
    side: Side
    quantity: Whole
    reason: str
    protective: bool = False
    expected_effect: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def is_as(self) -> tuple[str, Side, int]:
        """What it comes to, whoever wants it and why."""
        return ticker(self.symbol), self.side, self.quantity


class Deviation(Fact):
    """Where a plan differs from the baseline: `what` was done in `symbol`, and why."""

    symbol: str
    what: str
    why: str


class TradePlan(Fact):
    """What think wants done. `source` names who thought of it; `notes` say what it had to leave alone, and why.

    `unfinished` are the symbols whose protective exit is due and not wholly made by this plan. A model's plan has its
    `confidence` (0 to 1) and its `deviations` from the baseline.
    """

    source: str
    trades: tuple[ProposedTrade, ...]
    summary: str = ""
    notes: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    confidence: float | None = None
    deviations: tuple[Deviation, ...] = ()

    @property
    def why_empty(self) -> str:
        """What a plan without trades comes to, in words of ours: a model's own are not repeated as a lesson."""
        return self.summary if self.confidence is None else f"{self.source} looked, and wants no trade now."


class Check(Fact):
    """One rule asked of one trade. `passed` None means not evaluated, which never counts as passed."""

    rule: str
    limit: str
    actual: str
    unit: str = ""
    passed: bool | None
    why: str = ""


class Verdict(Fact):
    """Every rule's answer to one proposed trade at one limit price; `passed` only if every rule passed.

    `evidence` is the hash of all that was judged (`limits.evidence_of`): any change of it makes another verdict
    necessary. `judged_at` is the agent's own clock.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Whole
    limit_price: Amount | None
    judged_at: Utc
    evidence: str
    passed: bool
    checks: tuple[Check, ...]

    @model_validator(mode="after")
    def _passed_says_what_the_checks_say(self) -> Self:
        if self.passed != all_passed(self.checks):
            raise ValueError(f"{self.symbol}: a verdict cannot claim passed={self.passed} against its own checks")
        return self

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.passed is not True)

    @property
    def awaits_person(self) -> bool:
        """Whether nothing stands against the trade but a broker's warning that nobody has approved yet."""
        return [(check.rule, check.passed) for check in self.failures] == [("whatif_warning", False)]


def all_passed(checks: Sequence[Check]) -> bool:
    """Whether there are checks and every one passed; not evaluated is not passed."""
    return bool(checks) and all(check.passed is True for check in checks)


class OrderTerms(Fact):
    """The exact order a trade would be: a day order at `limit_price` (USD a share). Nothing has approved it yet."""

    client_order_id: str
    account_id: str
    conid: Whole
    symbol: str
    side: Side
    quantity: Whole = Field(gt=0)
    limit_price: Amount = Field(gt=0)
    protective: bool = False

    @property
    def value(self) -> Decimal:
        """In USD, at the limit price."""
        return self.quantity * self.limit_price


class ApprovedOrder(Fact):
    """The guard's permission to send exactly these terms, once, before `expires_at`.

    `evidence` is that of the verdict that let them through; a permission whose terms or evidence are not the ones on
    record is void.
    """

    terms: OrderTerms
    evidence: str
    approved_at: Utc
    expires_at: Utc


class OrderRecord(Fact):
    """What became of one approved order; `average_price` per share and `commission` in USD once anything filled."""

    client_order_id: str
    broker_order_id: str | None
    symbol: str
    side: Side
    quantity: Whole
    limit_price: Amount
    status: OrderStatus
    filled_quantity: Amount = Decimal(0)
    average_price: Amount | None = None
    commission: Amount | None = None
    message: str | None = None

    @property
    def unfilled(self) -> Decimal:
        """Shares that did not trade."""
        return self.quantity - self.filled_quantity
