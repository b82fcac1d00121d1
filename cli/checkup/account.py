"""Whether the account is the one that is wanted, and what it holds adds up."""

from __future__ import annotations

from collections.abc import Iterator

from filelock import FileLock, Timeout

from cli.checkup.finding import Finding, bad, doubt, good, note
from cli.checkup.readings import Readings
from config.home import account_lock
from config.settings import Settings
from graph.sense import positions_add_up
from portfolio.drift import drift_table, values_by_ticker
from portfolio.limits.standing import Standing, standing_of
from portfolio.models import Account, DataCheck, PortfolioSnapshot
from portfolio.rebalance.pace import out_of_reach

BROKERS_SCREENS = "Nothing is traded on such data; look at the broker's own screens"
MOST_NAMED = 6
OF_POSITIONS = ("positions_add_up", "currency", "marks_agree", "fills_are_shown")


def of_the_account(account: Account, settings: Settings) -> Finding:
    kind, wanted = "paper" if account.is_paper else "LIVE", "paper" if settings.paper_trading else "live"
    found = f"{account.account_id} is a {kind} account, and {wanted} trading is configured"
    match standing_of(account, settings):
        case Standing.TRADES:
            return good("account", found)
        case Standing.UNFIT:
            return bad("account", found, "Log in to the live account, or set paper_trading to true")
        case Standing.LOOKS_ON if settings.paper_trading:
            todo = (
                "A run would plan and send nothing. Log in to the paper account; docs/safety.md tells of live trading"
            )
            return bad("account", found, todo)
        case Standing.LOOKS_ON:
            confirmed = settings.live_account_confirmed
            found = f"{account.account_id} is a LIVE account, and {confirmed or 'none'} is confirmed"
            todo = (
                "A run would plan and send nothing. Log in to the confirmed one, or name this one in live_accounts and "
                "live_account_confirmed"
            )
            return bad("account", found, todo)


def of_other_runs(account: Account) -> Iterator[Finding]:
    """Another run of this user on the same account, from whichever home."""
    file = account_lock(account.account_id)
    if not file.exists():
        return
    try:
        with FileLock(file, timeout=0):
            pass
    except Timeout:
        yield note("other runs", f"a run is at work on {account.account_id}; another one would wait for its end")
    except OSError as error:
        yield doubt("other runs", f"{file} cannot be used ({error.strerror})", "Look at that folder's permissions")


def of_the_positions(readings: Readings, snapshot: PortfolioSnapshot | None, settings: Settings) -> Iterator[Finding]:
    """What is held against what the account says of it; raises the `BrokerError` of what could not be read."""
    held, summary = readings.positions.get(), readings.summary.get()
    working = len(readings.open_orders.get())
    checks = checks_of(snapshot, OF_POSITIONS) if snapshot else [positions_add_up(summary, held)]
    failed = [check for check in checks if not check.passed]
    for check in failed:
        yield bad("positions", check.why, BROKERS_SCREENS)
    if failed:
        return
    count, orders = len(held), f", {working} open orders" if working else ""
    gross = f"{summary.gross_position_value:,.2f} {summary.currency}"
    yield good("positions", f"{count} of {count} listed, worth {gross} as the account says{orders}")
    if snapshot:
        yield from _in_no_rule(snapshot, settings)


def _in_no_rule(snapshot: PortfolioSnapshot, settings: Settings) -> Iterator[Finding]:
    """Holdings that no rule names: a person's choice, and a doubt where the targets cannot be reached beside them."""
    table = drift_table(snapshot, settings)
    if not table.unassigned:
        return
    outside = sorted(values_by_ticker(snapshot).keys() - set(settings.symbols))
    more = f" and {len(outside) - MOST_NAMED} more" if len(outside) > MOST_NAMED else ""
    found = f"{table.unassigned_weight:.1f} % of the account is in no rule: {', '.join(outside[:MOST_NAMED])}{more}"
    stuck = out_of_reach(table, snapshot.summary.net_liquidation, settings)
    if stuck:
        names = ", ".join(bucket.name for bucket in stuck)
        todo = f"It is never sold, and without it {names} cannot be filled; name it in a rule, or sell it yourself"
        yield doubt("positions", found, todo)
    else:
        yield note("positions", f"{found}; it is never traded")


def checks_of(snapshot: PortfolioSnapshot, names: tuple[str, ...]) -> list[DataCheck]:
    return [check for check in snapshot.data_quality if check.name in names]
