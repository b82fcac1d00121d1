"""May this account trade this symbol, this way, now?"""

from __future__ import annotations

from decimal import Decimal

from portfolio.limits.case import NO_VALUE, Case, answer, exempt, is_orderable, not_evaluated, shown
from portfolio.limits.standing import Standing, standing_of
from portfolio.models import Check, OrderTerms, Side
from portfolio.percent import exact, in_percent


def data_quality(case: Case) -> Check:
    """What the run stands on can be trusted, is in USD, and is of the account that would trade."""
    snapshot = case.snapshot
    if not snapshot.data_quality:
        return not_evaluated("data_quality", "fit to trade on", "", "nobody has checked the data")
    faults = [check.name for check in snapshot.data_quality if check.required and not check.passed]
    if snapshot.summary.currency != "USD":
        faults.append(f"balances in {snapshot.summary.currency}")
    owners = {snapshot.summary.account_id}
    owners |= {position.account_id for position in snapshot.positions}
    owners |= {order.account_id for order in snapshot.open_orders}
    faults += [f"rows of account {other}" for other in sorted(owners - {snapshot.account.account_id})]
    actual = ", ".join(faults) or "fit"
    return answer(
        "data_quality", "fit to trade on", actual, "", passed=not faults, why=f"the data is not fit: {actual}"
    )


def account_kind(case: Case) -> Check:
    """Paper is proven by the account id; a live account is traded only when wanted, allowed and confirmed by id."""
    account, settings = case.snapshot.account, case.settings
    if settings.paper_trading:
        wanted, why = "paper", f"{account.account_id} is a live account and paper_trading is on"
    else:
        wanted = f"live {settings.live_account_confirmed or '(none confirmed)'}"
        why = f"{account.account_id} is not the confirmed live account in live_accounts"
    kind = "paper" if account.is_paper else "live"
    passed = standing_of(account, settings) is Standing.TRADES
    return answer("account_kind", wanted, f"{kind} {account.account_id}", "", passed=passed, why=why)


def session_open(case: Case) -> Check:
    """Regular hours; a session that calls itself open outside its own hours is closed."""
    session = case.snapshot.session
    passed = session.is_open and session.opens_at <= session.now < session.closes_at
    why = f"the market is closed; its next session is from {session.opens_at:%Y-%m-%d %H:%M} UTC"
    return answer("session_open", "open", "open" if passed else "closed", "", passed=passed, why=why)


def symbol_allowed(case: Case) -> Check:
    """Symbols of enabled rules; a held symbol that no rule names may only be sold."""
    trade = case.trade
    if case.settings.rule_of(trade.symbol):
        return answer("symbol_allowed", "in an enabled rule", "in an enabled rule", "", passed=True, why="")
    if trade.side is Side.SELL and case.snapshot.held(trade.symbol) > 0:
        return answer("symbol_allowed", "held, to sell only", "held", "", passed=True, why="")
    why = f"{trade.symbol} is in no enabled rule"
    return answer("symbol_allowed", "in an enabled rule", "unknown", "", passed=False, why=why)


def contract_resolved(case: Case) -> Check:
    """A USD stock or ETF, the same contract as the one held, and called by no other ticker where it is quoted."""
    contract, limit, symbol = case.contract, "USD stock or ETF", case.trade.symbol
    if contract is None:
        why = f"{symbol} was not resolved to a contract"
        return answer("contract_resolved", limit, "none", "", passed=False, why=why)
    if (other := case.snapshot.other_name_of(symbol)) is not None:
        why = f"{symbol} was resolved to contract {contract.conid}, which the broker elsewhere calls {other}"
        return answer("contract_resolved", limit, other, "", passed=False, why=why)
    wanted = (contract.conid, "USD", "STK")
    found = {(held.conid, held.currency, held.sec_type) for held in case.positions}
    found.add((contract.conid, contract.currency, contract.sec_type))
    passed = found == {wanted} and contract.symbol == symbol
    actual = ", ".join(f"{currency} {sec_type} {conid}" for conid, currency, sec_type in sorted(found))
    why = f"the contract found ({contract.symbol} {actual}) is not the USD stock or ETF wanted, or not the one held"
    return answer("contract_resolved", limit, actual, "", passed=passed, why=why)


def whole_quantity(case: Case) -> Check:
    quantity = case.trade.quantity
    why = f"{quantity} shares cannot be ordered"
    return answer("whole_quantity", 1, quantity, "shares", passed=is_orderable(quantity), why=why)


def no_short(case: Case) -> Check:
    """A sale takes only shares that are held and not already promised to another sale."""
    trade = case.trade
    if trade.side is Side.BUY:
        return exempt("no_short", "a purchase", "shares")
    promised = sum((order.remaining for order in case.working(Side.SELL)), Decimal(0))
    promised += sum(order.quantity for order in case.batched(Side.SELL))
    free = case.snapshot.held(trade.symbol) - promised
    why = f"only {free} shares of {trade.symbol} are held and free to sell"
    return answer("no_short", free, trade.quantity, "shares", passed=trade.quantity <= free, why=why)


def not_halted(case: Case) -> Check:
    """A person, or an alarm, has stopped all trading, and no person has lifted that yet."""
    halted = case.day.halted
    why = f"trading is halted: {halted}"
    return answer("not_halted", "free", "halted" if halted else "free", "", passed=halted is None, why=why)


def no_open_order(case: Case) -> Check:
    """No working order on the symbol on either side, whoever sent it, and no other order on it in this batch."""
    symbol = case.trade.symbol
    count = len(case.snapshot.open_orders_in(symbol)) + len(case.same_symbol(case.batch))
    why = f"another order on {symbol} is working or in the same plan"
    return answer("no_open_order", 0, count, "orders", passed=count == 0, why=why)


def no_unresolved_order(case: Case) -> Check:
    """No order of ours on the symbol whose outcome is not known yet."""
    lost = case.same_symbol(case.day.unresolved)
    named = ", ".join(order.client_order_id for order in lost)
    why = f"what became of an earlier order on {case.trade.symbol} is not known: {named}"
    return answer("no_unresolved_order", 0, len(lost), "orders", passed=not lost, why=why)


def as_approved(case: Case) -> Check:
    """What a person approved: the same order, at a limit within `price_collar` % of the one shown.

    That goes for a better limit too: a price that far away is another market than the one the person looked at.
    """
    trade, collar = case.trade, exact(case.settings.price_collar)
    if case.shown is None:
        return exempt("as_approved", "nobody was asked", "%")
    seen = [order for order in case.shown if _is_of(case, order)]
    if len(seen) != 1 or trade.quantity > seen[0].quantity:
        why = f"{trade.side} {trade.quantity} {trade.symbol} is not what was approved"
        return answer("as_approved", "as shown", "another order", "%", passed=False, why=why)
    if case.limit_price is None:
        return not_evaluated("as_approved", collar, "%", NO_VALUE)
    away = in_percent(abs(case.limit_price - seen[0].limit_price), seen[0].limit_price)
    why = f"the limit {case.limit_price} is {shown(away, collar)} % from the {seen[0].limit_price} approved"
    return answer("as_approved", collar, shown(away, collar), "%", passed=away <= collar, why=why)


def _is_of(case: Case, order: OrderTerms) -> bool:
    """Whether `order` is what the trade would be now, its size and price aside."""
    account, trade = case.snapshot.account, case.trade
    return (
        case.contract is not None
        and order.conid == case.contract.conid
        and order.account_id == account.account_id
        and (order.symbol, order.side, order.protective) == (trade.symbol, trade.side, trade.protective)
    )
