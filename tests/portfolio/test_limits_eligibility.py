from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from portfolio.limits import Case
from portfolio.limits.eligibility import (
    account_kind,
    as_approved,
    contract_resolved,
    data_quality,
    no_open_order,
    no_short,
    no_unresolved_order,
    not_halted,
    session_open,
    symbol_allowed,
    whole_quantity,
)
from portfolio.models import Account, DataCheck, Side
from tests.portfolio.cases import (
    CONIDS,
    DAY,
    FIT,
    LIVE,
    NOW,
    SESSION,
    SNAPSHOT,
    buy,
    contract,
    make_case,
    make_settings,
    make_snapshot,
    make_summary,
    open_order,
    position,
    quote,
    sell,
    terms,
    trade,
)


class TestDataQuality:
    def test_fit_data_pass(self) -> None:
        hint = DataCheck(name="quotes", passed=False, required=False, why="one symbol has no quote")
        assert data_quality(buy()).passed
        assert data_quality(buy(snapshot=make_snapshot(data_quality=(FIT, hint)))).passed

    def test_a_failed_check_that_is_required_fails(self) -> None:
        """After a person's approval the account is read again, and nothing else asks whether it is still fit."""
        unfit = DataCheck(name="positions_add_up", passed=False, required=True, why="")
        check = data_quality(buy(snapshot=make_snapshot(data_quality=(FIT, unfit))))
        assert check.passed is False
        assert check.actual == "positions_add_up"

    def test_data_nobody_has_checked_is_not_evaluated(self) -> None:
        assert data_quality(buy(snapshot=make_snapshot(data_quality=()))).passed is None

    def test_balances_in_another_currency_fail(self) -> None:
        assert not data_quality(buy(snapshot=make_snapshot(summary=make_summary(currency="EUR")))).passed

    def test_rows_of_another_account_fail(self) -> None:
        """Shares of somebody else are not there to sell, and their cash not there to spend."""
        for foreign in (
            make_snapshot(summary=make_summary("DU9")),
            make_snapshot(positions=[position("SPY", 10, account_id="DU9")]),
            make_snapshot(open_orders=(open_order("SPY", Side.BUY, 1, account_id="DU9"),)),
        ):
            assert data_quality(buy(snapshot=foreign)).passed is False


class TestAccountKind:
    @staticmethod
    def on(account_id: str, **settings: object) -> Case:
        return buy(
            snapshot=make_snapshot(account=Account(account_id=account_id)),
            settings=make_settings(**settings),
        )

    def test_a_paper_account_passes_when_paper_is_wanted(self) -> None:
        assert account_kind(self.on("DU1234567")).passed

    @pytest.mark.parametrize("account_id", [LIVE, "du1234567", " DU1234567", "", "F1234567"])
    def test_anything_else_fails_when_paper_is_wanted(self, account_id: str) -> None:
        assert account_kind(self.on(account_id)).passed is False

    def test_a_live_account_passes_when_exactly_it_was_confirmed(self) -> None:
        assert account_kind(
            self.on(LIVE, paper_trading=False, live_account_confirmed=LIVE, live_accounts=(LIVE,))
        ).passed

    @pytest.mark.parametrize("confirmed", [None, "U7654320", "U76543210"])
    def test_a_live_account_that_was_not_confirmed_fails(self, confirmed: str | None) -> None:
        case = self.on(LIVE, paper_trading=False, live_account_confirmed=confirmed, live_accounts=("U1111111", LIVE))
        assert account_kind(case).passed is False

    def test_a_live_account_confirmed_earlier_is_not_traded_while_paper_is_wanted(self) -> None:
        assert account_kind(self.on(LIVE, live_account_confirmed=LIVE, live_accounts=(LIVE,))).passed is False

    def test_a_paper_account_is_not_traded_while_live_is_wanted(self) -> None:
        assert account_kind(self.on("DU1234567", paper_trading=False)).passed is False


class TestSessionOpen:
    def test_regular_hours_pass_from_the_first_moment(self) -> None:
        assert session_open(buy()).passed
        opening = SESSION.model_copy(update={"opens_at": NOW})
        assert session_open(buy(snapshot=make_snapshot(session=opening))).passed

    @pytest.mark.parametrize(
        "change",
        [
            {"is_open": False},
            {"closes_at": NOW},
            {"opens_at": NOW + timedelta(microseconds=1)},
            {"closes_at": NOW - timedelta(hours=1)},
        ],
    )
    def test_a_closed_session_fails_even_if_it_calls_itself_open(self, change: dict[str, object]) -> None:
        session = SESSION.model_copy(update=change)
        assert session_open(buy(snapshot=make_snapshot(session=session))).passed is False


class TestSymbolAllowed:
    def test_a_symbol_of_an_enabled_rule_passes_on_both_sides(self) -> None:
        assert symbol_allowed(buy("VOO")).passed
        assert symbol_allowed(sell("SPY")).passed

    def test_a_held_symbol_that_no_rule_names_may_only_be_sold(self) -> None:
        assert symbol_allowed(sell("GME")).passed
        assert symbol_allowed(buy("GME")).passed is False

    def test_a_symbol_that_is_neither_named_nor_held_fails(self) -> None:
        assert symbol_allowed(sell("GME", snapshot=make_snapshot(positions=[]))).passed is False
        assert symbol_allowed(sell("GME", snapshot=make_snapshot(positions=[position("GME", -5)]))).passed is False


class TestContractResolved:
    def test_a_usd_stock_passes_held_or_not(self) -> None:
        assert contract_resolved(buy("SPY")).passed
        assert contract_resolved(buy("VOO")).passed

    def test_a_symbol_without_a_contract_fails(self) -> None:
        assert contract_resolved(buy(snapshot=make_snapshot(contracts={}))).passed is False

    @pytest.mark.parametrize(
        "change", [{"currency": "EUR"}, {"sec_type": "OPT"}, {"symbol": "SPYD"}, {"symbol": "spy"}, {"conid": 99}]
    )
    def test_another_contract_than_the_one_wanted_or_held_fails(self, change: dict[str, object]) -> None:
        """The conid decides what is bought: a symbol that resolves to a foreign listing must not be traded."""
        found = {"SPY": contract("SPY").model_copy(update=change)}
        assert contract_resolved(buy(snapshot=make_snapshot(contracts=found))).passed is False

    @pytest.mark.parametrize("change", [{"currency": "CAD"}, {"sec_type": "OPT"}, {"conid": 99}])
    def test_a_second_holding_of_that_name_that_is_something_else_fails(self, change: dict[str, object]) -> None:
        rows = [position("SPY", 10), position("SPY", 10).model_copy(update=change)]
        assert contract_resolved(sell(snapshot=make_snapshot(positions=rows))).passed is False

    def test_a_contract_that_its_quote_calls_by_another_ticker_fails(self) -> None:
        """The symbol is what a server was asked for; what the conid buys is called XLU everywhere else."""
        check = contract_resolved(buy(snapshot=make_snapshot(quotes={"SPY": quote("SPY", symbol="XLU")})))
        assert check.passed is False
        assert check.actual == "XLU"

    @pytest.mark.parametrize(("symbol", "spelt"), [("BRK B", "BRK.B"), ("BRK B", "brk-b"), ("SPY", " spy ")])
    def test_another_spelling_of_the_ticker_is_no_other_name(self, symbol: str, spelt: str) -> None:
        quotes = {symbol: quote(symbol, symbol=spelt)}
        assert contract_resolved(buy(symbol, snapshot=make_snapshot(quotes=quotes))).passed

    def test_a_holding_may_keep_its_old_name_where_the_quote_bears_out_the_new_one(self) -> None:
        renamed = [position("SPY OLD", 10, conid=CONIDS["SPY"])]
        assert contract_resolved(sell(snapshot=make_snapshot(positions=renamed))).passed
        nameless = {"SPY": quote("SPY", symbol="")}
        assert contract_resolved(buy(snapshot=make_snapshot(quotes=nameless))).passed
        other = open_order("OTHER", Side.BUY, 1, conid=CONIDS["SPY"])
        for rows in ({"positions": renamed}, {"open_orders": (other,)}):
            doubtful = make_snapshot(quotes=nameless, **rows)
            assert contract_resolved(sell(snapshot=doubtful)).passed is False

    def test_an_emptied_position_in_another_listing_does_not_matter(self) -> None:
        rows = [position("SPY", 10), position("SPY", 0, conid=99)]
        assert contract_resolved(buy(snapshot=make_snapshot(positions=rows))).passed


class TestWholeQuantity:
    def test_one_share_passes(self) -> None:
        assert whole_quantity(buy(quantity=1)).passed

    @pytest.mark.parametrize("quantity", [0, -1, -300])
    def test_less_than_one_share_fails(self, quantity: int) -> None:
        assert whole_quantity(buy(quantity=quantity)).passed is False
        assert whole_quantity(sell(quantity=quantity)).passed is False

    @pytest.mark.parametrize("quantity", [10**9, 10**18, 2**63 - 1])
    def test_more_than_anybody_orders_fails(self, quantity: int) -> None:
        assert whole_quantity(buy(quantity=quantity)).passed is False
        assert whole_quantity(buy(quantity=10**9 - 1)).passed


class TestNoShort:
    def test_every_share_that_is_held_may_be_sold_and_not_one_more(self) -> None:
        assert no_short(sell("BRK B", 50)).passed
        assert no_short(sell("BRK B", 51)).passed is False

    def test_a_purchase_is_exempt(self) -> None:
        assert no_short(buy("VOO", 1_000)).actual == "exempt"

    def test_a_fraction_of_a_share_does_not_round_up(self) -> None:
        snapshot = make_snapshot(positions=[position("SPY", Decimal("1.5"))])
        assert no_short(sell("SPY", 1, snapshot=snapshot)).passed
        assert no_short(sell("SPY", 2, snapshot=snapshot)).passed is False

    def test_shares_promised_to_another_sale_are_not_free(self) -> None:
        waiting = make_snapshot(open_orders=(open_order("BRK B", Side.SELL, 30, filled_quantity=10),))
        assert no_short(sell("BRK B", 30, snapshot=waiting)).passed
        assert no_short(sell("BRK B", 31, snapshot=waiting)).passed is False
        batch = (terms("BRK B", Side.SELL, 20),)
        assert no_short(sell("BRK B", 30, batch=batch)).passed
        assert no_short(sell("BRK B", 31, batch=batch)).passed is False

    def test_an_order_filled_beyond_its_size_gives_no_shares_back(self) -> None:
        odd = make_snapshot(open_orders=(open_order("BRK B", Side.SELL, 10, filled_quantity=60),))
        assert no_short(sell("BRK B", 51, snapshot=odd)).passed is False

    def test_working_purchases_are_not_shares_yet(self) -> None:
        waiting = make_snapshot(open_orders=(open_order("BRK B", Side.BUY, 30),))
        assert no_short(sell("BRK B", 51, snapshot=waiting)).passed is False

    @pytest.mark.parametrize("quantity", [0, -20])
    def test_nothing_is_sold_of_what_is_not_held_or_is_short(self, quantity: int) -> None:
        snapshot = make_snapshot(positions=[position("SPY", quantity)])
        assert no_short(sell("SPY", 1, snapshot=snapshot)).passed is False

    def test_a_sale_under_another_spelling_takes_the_same_shares(self) -> None:
        snapshot = make_snapshot(
            positions=[position("BRK.B", 50, conid=CONIDS["BRK B"])],
            contracts=SNAPSHOT.contracts | {"BRK.B": contract("BRK B", symbol="BRK.B")},
        )
        once = (terms("BRK B", Side.SELL, 50),)
        assert no_short(sell("BRK B", 50, snapshot=snapshot)).passed
        assert no_short(sell("BRK.B", 1, snapshot=snapshot, batch=once)).passed is False


class TestNoOpenOrder:
    def test_a_symbol_without_orders_passes(self) -> None:
        assert no_open_order(buy()).passed
        elsewhere = make_snapshot(open_orders=(open_order("VTI", Side.BUY, 1),))
        lost = DAY.model_copy(update={"unresolved": (terms("VOO", Side.BUY, 1),)})
        assert no_open_order(buy(snapshot=elsewhere, day=lost, batch=(terms("AAPL", Side.BUY, 1),))).passed

    @pytest.mark.parametrize("side", Side)
    def test_any_order_on_the_symbol_blocks_it(self, side: Side) -> None:
        working = make_snapshot(open_orders=(open_order("SPY", side, 1),))
        for case in (buy(snapshot=working), buy(batch=(terms("SPY", side, 1),))):
            assert no_open_order(case).passed is False
            assert no_open_order(replace(case, trade=trade("SPY", Side.SELL, 1))).passed is False

    def test_an_order_under_another_spelling_or_name_blocks_it_too(self) -> None:
        spelt = terms("BRK.B", Side.BUY, 1)
        renamed = terms("OLDNAME", Side.BUY, 1, conid=CONIDS["BRK B"])
        for other in (spelt, renamed):
            assert no_open_order(make_case(trade("BRK B", Side.BUY, 1), batch=(other,))).passed is False


class TestNoUnresolvedOrder:
    def test_a_symbol_whose_orders_are_all_accounted_for_passes(self) -> None:
        assert no_unresolved_order(buy()).passed
        lost = DAY.model_copy(update={"unresolved": (terms("VOO", Side.BUY, 1),)})
        assert no_unresolved_order(buy(day=lost)).passed

    @pytest.mark.parametrize("side", Side)
    def test_an_order_nobody_can_account_for_blocks_its_symbol(self, side: Side) -> None:
        lost = DAY.model_copy(update={"unresolved": (terms("SPY", side, 1),)})
        for case in (buy(day=lost), sell(day=lost)):
            check = no_unresolved_order(case)
            assert check.passed is False
            assert lost.unresolved[0].client_order_id in check.why

    def test_it_blocks_it_under_another_spelling_or_name_too(self) -> None:
        for other in (terms("BRK.B", Side.BUY, 1), terms("OLDNAME", Side.BUY, 1, conid=CONIDS["BRK B"])):
            lost = DAY.model_copy(update={"unresolved": (other,)})
            assert no_unresolved_order(make_case(trade("BRK B", Side.BUY, 1), day=lost)).passed is False


class TestNotHalted:
    def test_a_halt_refuses_purchases_sales_and_exits_alike(self) -> None:
        halted = DAY.model_copy(update={"halted": "a person said so"})
        for case in (buy(day=halted), sell(day=halted), sell(protective=True, day=halted)):
            check = not_halted(case)
            assert check.passed is False
            assert "a person said so" in check.why
        assert not_halted(buy()).passed


class TestAsApproved:
    SHOWN = (terms("SPY", Side.BUY, 5),)

    def test_without_a_question_there_is_nothing_to_hold_it_to(self) -> None:
        assert as_approved(buy()).actual == "exempt"

    def test_what_was_shown_may_be_sent_and_less_of_it(self) -> None:
        assert as_approved(buy(quantity=5, shown=self.SHOWN)).passed
        assert as_approved(buy(quantity=4, shown=self.SHOWN)).passed

    @pytest.mark.parametrize("case", [buy(quantity=6), sell(quantity=5), buy("VTI", 5)])
    def test_nothing_else_may(self, case: Case) -> None:
        assert as_approved(replace(case, shown=self.SHOWN)).passed is False
        assert as_approved(replace(case, shown=())).passed is False

    @pytest.mark.parametrize("change", [{"conid": 99}, {"account_id": "DU9"}, {"protective": True}])
    def test_an_approval_is_not_carried_over_to_another_contract_account_or_kind_of_order(
        self, change: dict[str, object]
    ) -> None:
        check = as_approved(buy(quantity=5, shown=(terms("SPY", Side.BUY, 5, **change),)))
        assert check.passed is False
        assert "is not what was approved" in check.why

    def test_without_a_contract_nothing_is_what_was_approved(self) -> None:
        assert as_approved(buy(shown=self.SHOWN, snapshot=make_snapshot(contracts={}))).passed is False

    @pytest.mark.parametrize(
        ("limit", "passed"), [("50", False), ("98.99", False), ("99.00", True), ("101.00", True), ("101.01", False)]
    )
    def test_the_limit_may_be_off_by_the_collar_and_no_further_either_way(self, limit: str, *, passed: bool) -> None:
        """A purchase at half the price that was shown is of something else than the person thought of."""
        sold = (terms("SPY", Side.SELL, 5),)
        assert as_approved(buy(shown=self.SHOWN, limit_price=Decimal(limit))).passed is passed
        assert as_approved(sell(shown=sold, limit_price=Decimal(limit))).passed is passed

    def test_without_a_limit_it_is_not_evaluated(self) -> None:
        assert as_approved(buy(shown=self.SHOWN, limit_price=None)).passed is None
