"""Orders as a client sends them, and as the Gateway keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from portfolio.models import BrokerOrder, Execution, Side
from tests.simulators.gateway.wire import Cursor

ZERO = Decimal(0)
NO_FA_PROFILE = 177
FINAL = frozenset({"Filled", "Cancelled", "Inactive"})


@dataclass(frozen=True)
class Wanted:
    """A contract as a client names it."""

    conid: int
    symbol: str
    sec_type: str
    exchange: str
    primary_exchange: str
    currency: str


@dataclass(frozen=True)
class Ticket:
    """An order as a client sends it."""

    order_id: int
    contract: Wanted
    action: str
    quantity: Decimal | None
    order_type: str
    limit: Decimal | None
    tif: str
    account: str
    order_ref: str
    what_if: bool


@dataclass
class Fill:
    """One execution, with what the order had filled by then and whether its owner has been told."""

    execution: Execution
    exec_id: str
    cumulative: Decimal
    average_price: Decimal
    is_told: bool = False
    is_commission_told: bool = False


@dataclass
class Order:
    """An order in the Gateway's books; the broker has it in `parts`, of which there is usually one.

    `words` are errors and warnings about it that are still to be told, and `told` what its owner heard last.
    """

    perm_id: int
    order_id: int
    client_id: int
    account: str
    conid: int
    symbol: str
    side: Side
    quantity: Decimal
    order_type: str
    limit: Decimal | None
    order_ref: str
    status: str = "Submitted"
    reason: str = ""
    ended_at: datetime | None = None
    parts: list[BrokerOrder] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    words: list[tuple[int, str]] = field(default_factory=list)
    is_quiet: bool = False
    told: tuple[str, Decimal] | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def passed_on(self) -> Decimal:
        """Shares of it that the broker was given."""
        return sum((part.quantity for part in self.parts), ZERO)

    @property
    def filled(self) -> Decimal:
        return self.fills[-1].cumulative if self.fills else ZERO

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        return self.fills[-1].average_price if self.fills else ZERO

    @property
    def last_price(self) -> Decimal:
        return self.fills[-1].execution.price if self.fills else ZERO


def read_contract(given: Cursor) -> Wanted:
    """The twelve fields of a contract."""
    conid, symbol, sec_type = given.whole(), given.text(), given.text()
    given.skip(4)  # expiry, strike, right, multiplier
    exchange, primary_exchange, currency = given.text(), given.text(), given.text()
    given.skip(2)  # local symbol, trading class
    return Wanted(conid, symbol.upper(), sec_type, exchange, primary_exchange, currency)


def read_ticket(fields: Sequence[str], version: int) -> Ticket:
    """The order in a `placeOrder` message; of one for a combination no more is read than its beginning."""
    given = Cursor(fields[1:])
    order_id, contract = given.whole(), read_contract(given)
    given.skip(2)  # secIdType, secId
    action, quantity, order_type, limit = given.text(), given.amount(), given.text(), given.amount()
    given.skip(1)  # aux price
    tif, _, account = given.text(), given.text(), given.text()
    given.skip(2)  # openClose, origin
    order_ref = given.text()
    what_if = contract.sec_type != "BAG" and _is_what_if(given, version)
    return Ticket(order_id, contract, action, quantity, order_type, limit, tif, account, order_ref, what_if)


def _is_what_if(given: Cursor, version: int) -> bool:
    """Read on from behind `orderRef`."""
    given.skip(8)  # transmit to hidden
    given.skip(7 if version >= NO_FA_PROFILE else 8)  # shares allocation to faPercentage or faProfile
    given.skip(22)  # modelCode to volatilityType
    if given.text():
        given.skip(8)
    given.skip(1 + 6)  # deltaNeutralAuxPrice, continuousUpdate to scaleSubsLevelSize
    if given.amount():
        given.skip(7)
    given.skip(3)  # scaleTable, activeStartTime, activeStopTime
    if given.text():
        given.skip(1)
    given.skip(4)  # optOutSmartRouting to notHeld
    if given.flag():
        given.skip(3)
    if given.text():
        given.skip(2 * given.whole())
    given.skip(1)  # algoId
    return given.flag()
