"""Orders at the simulated broker, beyond what every broker does alike."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.errors import Terminal
from brokers.protocol import OrderRequest
from brokers.simulated import SimulatedBroker, open_simulated
from portfolio.costs import commission, to_cents
from portfolio.models import BrokerOrder, OrderStatus, Side, WhatIf
from tests.brokers.price_files import FRIDAY, MONDAY, SUNDAY, TUESDAY, three_days

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Trader:
    """One account on the three-day price file, or on the synthetic market without one."""

    broker: SimulatedBroker
    account_id: str

    @classmethod
    async def at(cls, folder: Path, day: str, prices: Path | None) -> Trader:
        broker = open_simulated(folder, prices=prices, as_of=date.fromisoformat(day))
        return cls(broker, (await broker.accounts())[0].account_id)

    async def request(
        self, side: Side, quantity: Decimal | int, symbol: str, limit: str | None, client_order_id: str | None = None
    ) -> OrderRequest:
        return OrderRequest(
            account_id=self.account_id,
            conid=(await self.broker.find_contract(symbol)).conid,
            side=side,
            quantity=Decimal(quantity),
            order_type="LMT" if limit else "MKT",
            limit_price=Decimal(limit) if limit else None,
            client_order_id=client_order_id,
        )

    async def place(
        self, side: Side, quantity: Decimal | int, symbol: str, limit: str | None, client_order_id: str | None = None
    ) -> BrokerOrder:
        return await self.broker.place(await self.request(side, quantity, symbol, limit, client_order_id))

    async def what_if(self, side: Side, quantity: Decimal | int, symbol: str, limit: str | None) -> WhatIf:
        return await self.broker.what_if(await self.request(side, quantity, symbol, limit))

    async def status(self, client_order_id: str) -> BrokerOrder:
        order = await self.broker.order_status(self.account_id, client_order_id)
        assert order is not None
        return order

    async def worth(self) -> tuple[Decimal, Decimal]:
        """Net liquidation and cash."""
        summary = await self.broker.summary(self.account_id)
        return summary.net_liquidation, summary.total_cash


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    return three_days(tmp_path / "prices.csv")


async def test_a_large_order_fills_look_by_look(tmp_path: Path, prices: Path) -> None:
    """THIN shows 100 shares at a time; the agent must be able to meet a partial fill."""
    trader = await Trader.at(tmp_path, MONDAY, prices)
    placed = await trader.place(Side.BUY, 250, "THIN", "10.05", "big")
    assert placed.status is OrderStatus.PARTIAL
    assert placed.filled_quantity == 100
    assert placed.commission == commission(Decimal(100), Decimal("10.01"))
    looked = await trader.status("big")
    assert looked.status is OrderStatus.PARTIAL
    assert looked.filled_quantity == 200
    done = await trader.status("big")
    assert done.status is OrderStatus.FILLED
    assert done.filled_quantity == 250
    assert done.commission == commission(Decimal(250), Decimal("10.01"))
    fills = await trader.broker.executions(trader.account_id, LONG_AGO)
    await trader.broker.close()
    assert [fill.quantity for fill in fills] == [100, 100, 50]
    assert sum(fill.commission or 0 for fill in fills) == done.commission
    assert len({fill.execution_id for fill in fills}) == 3


async def test_cancelling_a_partial_fill_keeps_what_filled(tmp_path: Path, prices: Path) -> None:
    trader = await Trader.at(tmp_path, MONDAY, prices)
    placed = await trader.place(Side.BUY, 250, "THIN", "10.05", "big")
    cancelled = await trader.broker.cancel(trader.account_id, placed.order_id)
    held = {row.symbol: row.quantity for row in await trader.broker.positions(trader.account_id)}
    await trader.broker.close()
    assert cancelled.status is OrderStatus.CANCELLED
    assert cancelled.filled_quantity == 100
    assert held["THIN"] == 100


async def test_an_order_sent_on_sunday_waits_for_monday(tmp_path: Path, prices: Path) -> None:
    trader = await Trader.at(tmp_path, SUNDAY, prices)
    waiting = await trader.place(Side.BUY, 1, "SPY", "215.00", "early")
    warned = await trader.what_if(Side.BUY, 1, "SPY", "215.00")
    assert waiting.status is OrderStatus.SUBMITTED
    assert waiting.message is not None
    assert waiting.message == warned.warning
    assert waiting.message.startswith("399: Order Message: BUY 1 SPY Warning: your order will not be placed")
    assert waiting.message.endswith("2020-03-23 09:30:00 US/Eastern")
    assert (await trader.status("early")).status is OrderStatus.SUBMITTED
    await trader.broker.close()
    monday = await Trader.at(tmp_path, MONDAY, prices)
    order = await monday.status("early")
    await monday.broker.close()
    assert order.status is OrderStatus.FILLED
    assert order.message is None
    assert order.average_price == Decimal("210.01")


async def test_a_day_order_ends_with_its_day(tmp_path: Path, prices: Path) -> None:
    """A forgotten limit must not fill days later at a price nobody wants any more."""
    monday = await Trader.at(tmp_path, MONDAY, prices)
    await monday.place(Side.SELL, 1, "SPY", "240.00", "old")
    await monday.broker.close()
    tuesday = await Trader.at(tmp_path, TUESDAY, prices)
    assert await tuesday.broker.open_orders(tuesday.account_id) == []
    order = await tuesday.status("old")
    await tuesday.broker.close()
    assert order.status is OrderStatus.CANCELLED
    assert order.filled_quantity == 0
    assert "2020-03-23" in (order.message or "")


async def test_positions_cash_and_orders_survive_the_broker(tmp_path: Path, prices: Path) -> None:
    first = await Trader.at(tmp_path, MONDAY, prices)
    placed = await first.place(Side.BUY, 3, "SPY", None, "kept")
    worth, positions = await first.worth(), await first.broker.positions(first.account_id)
    await first.broker.close()
    second = await Trader.at(tmp_path, MONDAY, prices)
    again = await second.place(Side.BUY, 3, "SPY", None, "kept")
    assert again == placed == await second.status("kept")
    assert await second.worth() == worth
    assert await second.broker.positions(second.account_id) == positions
    with pytest.raises(Terminal) as refused:
        await second.place(Side.SELL, 3, "SPY", None, "kept")
    await second.broker.close()
    assert refused.value.code == 103


async def test_orders_without_an_id_are_orders_of_their_own(tmp_path: Path, prices: Path) -> None:
    trader = await Trader.at(tmp_path, MONDAY, prices)
    first, second = [await trader.place(Side.BUY, 1, "SPY", None) for _ in range(2)]
    await trader.broker.close()
    assert first.order_id != second.order_id


@pytest.mark.parametrize(("quantity", "limit", "code"), [("1.5", "210.01", "10243"), ("1", "210.015", "110")])
async def test_what_no_exchange_takes_is_rejected_in_ibs_words(
    tmp_path: Path, prices: Path, quantity: str, limit: str, code: str
) -> None:
    trader = await Trader.at(tmp_path, MONDAY, prices)
    warned = await trader.what_if(Side.BUY, Decimal(quantity), "SPY", limit)
    order = await trader.place(Side.BUY, Decimal(quantity), "SPY", limit, "unfit")
    assert order.status is OrderStatus.REJECTED
    assert (order.message or "").startswith(f"{code}: ")
    assert order.message == warned.error
    assert order == await trader.status("unfit")
    await trader.broker.close()


@pytest.mark.parametrize(
    ("quantity", "limit"), [("0", "210"), ("-1", "210"), ("1e12", "210"), ("1", "-210"), ("1", "1e40")]
)
async def test_a_senseless_order_is_no_order(tmp_path: Path, prices: Path, quantity: str, limit: str) -> None:
    trader = await Trader.at(tmp_path, MONDAY, prices)
    with pytest.raises(Terminal) as refused:
        await trader.place(Side.BUY, Decimal(quantity), "SPY", limit, "senseless")
    assert refused.value.code == 321
    assert await trader.broker.order_status(trader.account_id, "senseless") is None
    await trader.broker.close()


async def test_a_market_order_has_no_limit_price(tmp_path: Path, prices: Path) -> None:
    trader = await Trader.at(tmp_path, MONDAY, prices)
    asked = (await trader.request(Side.BUY, 1, "SPY", "210.00")).model_copy(update={"order_type": "MKT"})
    with pytest.raises(Terminal, match="MKT order has no limit price") as refused:
        await trader.broker.place(asked)
    await trader.broker.close()
    assert refused.value.code == 321


async def test_working_orders_count_against_margin(tmp_path: Path, prices: Path) -> None:
    """Two orders that fit one by one must not both be accepted when they do not fit together."""
    trader = await Trader.at(tmp_path, MONDAY, prices)
    first = await trader.place(Side.BUY, 300, "SPY", "190.00")
    second = await trader.place(Side.BUY, 300, "SPY", "190.00")
    assert (first.status, second.status) == (OrderStatus.SUBMITTED, OrderStatus.REJECTED)
    assert "MUST EXCEED THE INITIAL MARGIN" in (second.message or "")
    await trader.broker.close()


async def test_a_short_sale_within_margin_is_permitted_and_counted(tmp_path: Path, prices: Path) -> None:
    """As at the real broker: keeping to long positions is the guard's duty, and its tests need this to be possible."""
    trader = await Trader.at(tmp_path, MONDAY, prices)
    await trader.place(Side.SELL, 50, "THIN", None)
    (short,) = [row for row in await trader.broker.positions(trader.account_id) if row.symbol == "THIN"]
    await trader.broker.close()
    assert short.quantity == -50
    assert short.market_value == -500


async def test_what_if_foretells_what_the_order_does(tmp_path: Path, prices: Path) -> None:
    trader = await Trader.at(tmp_path, MONDAY, prices)
    foretold = await trader.what_if(Side.BUY, 5, "KO", None)
    before = await trader.broker.summary(trader.account_id)
    order = await trader.place(Side.BUY, 5, "KO", None)
    after = await trader.broker.summary(trader.account_id)
    await trader.broker.close()
    assert foretold.commission == order.commission
    assert foretold.initial_margin_before == before.initial_margin
    assert foretold.initial_margin_after == after.initial_margin
    assert foretold.maintenance_margin_after == after.maintenance_margin
    assert foretold.equity_before == before.equity_with_loan
    assert foretold.equity_after == before.equity_with_loan - (order.commission or 0)


async def test_the_gain_of_the_day_is_since_the_previous_close_with_todays_trades(tmp_path: Path, prices: Path) -> None:
    friday = await Trader.at(tmp_path, FRIDAY, prices)
    closing, _ = await friday.worth()
    await friday.broker.close()
    monday = await Trader.at(tmp_path, MONDAY, prices)
    await monday.place(Side.BUY, 3, "SPY", None)
    await monday.place(Side.SELL, 7, "KO", None)
    pnl = await monday.broker.pnl(monday.account_id)
    now, _ = await monday.worth()
    realized = {row.symbol: row.realized_pnl for row in await monday.broker.positions(monday.account_id)}
    await monday.broker.close()
    assert pnl.daily == now - closing
    assert pnl.net_liquidation == now
    assert realized["SPY"] == 0
    assert realized["KO"] == pnl.realized != 0


orders = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.sampled_from(["SPY", "KO", "THIN"]),
        st.integers(1, 400),
        st.sampled_from([None, "9.50", "10.50", "39.00", "45.00", "209.00", "260.00"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=25)
@given(orders)
def test_cash_and_shares_conserve_value_less_commission_and_spread(
    wanted: list[tuple[Side, str, int, str | None, bool]],
) -> None:
    """Whatever is ordered, filled, refused and cancelled: the books explain every cent of the account's change."""
    asyncio.run(_trade_and_check(wanted))


async def _trade_and_check(wanted: list[tuple[Side, str, int, str | None, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trader = await Trader.at(Path(folder), MONDAY, three_days(Path(folder) / "prices.csv"))
        opening, _ = await trader.worth()
        for side, symbol, quantity, limit, cancelled in wanted:
            order = await trader.place(side, quantity, symbol, limit)
            if cancelled:
                await trader.broker.cancel(trader.account_id, order.order_id)
        fills = await trader.broker.executions(trader.account_id, LONG_AGO)
        last = {"SPY": Decimal(210), "KO": Decimal(39), "THIN": Decimal(10)}
        explained = opening
        for fill in fills:
            explained -= (fill.commission or 0) + fill.side.sign * fill.quantity * (fill.price - last[fill.symbol])
        positions = await trader.broker.positions(trader.account_id)
        later = await trader.broker.executions(trader.account_id, LONG_AGO)
        await trader.broker.close()
        reopened = await Trader.at(Path(folder), TUESDAY, Path(folder) / "prices.csv")
        worth, cash = await reopened.worth()
        held = {row.symbol: row.quantity for row in await reopened.broker.positions(reopened.account_id)}
        await reopened.broker.close()
    for fill in later[len(fills) :]:
        explained -= (fill.commission or 0) + fill.side.sign * fill.quantity * (fill.price - last[fill.symbol])
    assert cash + sum(quantity * last[symbol] for symbol, quantity in held.items()) == explained
    assert len(positions) <= 3
    assert worth == to_cents(cash + held.get("SPY", 0) * 250 + held.get("KO", 0) * 50 + held.get("THIN", 0) * 9)
