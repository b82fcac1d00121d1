"""`smart-agent halt`, `resume` and `emergency-stop`: no order leaves while trading is halted."""

from __future__ import annotations

import logging
import os
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.console import say
from cli.exit_codes import ExitCode, exit_code
from cli.hints import typed
from cli.journal import journal_of, now, plain
from cli.notify import tell_of_halt
from cli.options import (
    AccountOption,
    AsOfOption,
    BrokerOption,
    ClientIdOption,
    ConfigOption,
    HomeOption,
    HostOption,
    PricesOption,
    TwsPortOption,
    UrlOption,
    complain,
    exit_with,
)
from cli.problems import print_problems
from cli.run_command import RunCommand
from config.home import find_home
from config.problems import ConfigError
from graph.halt_flag import raise_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.home import Home
    from config.settings import Settings
    from graph.emergency import Cancelled
    from graph.journal import Halt, JournalledOrder

log = logging.getLogger("smart_agent")
PATIENCE = 30.0
"""Seconds that a halt waits for a locked journal, and for a run to end."""
LOOK = "look in the broker's own screens"

WhyOption = Annotated[str, typer.Option("--why", help="The reason, for whoever finds it halted.")]


def halt(why: WhyOption = "a person halted it", home: HomeOption = None) -> None:
    """Stop every order at once, also of a run that is under way, until `smart-agent resume`.

    Example: smart-agent halt --why "on holiday"
    """
    place, why = _home_to_halt(home), _reason(why)
    if not _halted(place, why):
        raise typer.Exit(ExitCode.FAILED)
    tell_of_halt(why, place)


def _reason(why: str) -> str:
    return plain(why).strip() or "no reason was given"


def _home_to_halt(home: Path | None) -> Home:
    """The home, also one that cannot be written: an emergency stop still has a broker to ask."""
    try:
        place = find_home(home, os.environ)
        if not place.root.is_dir():
            place.create()
            complain(f"{place.root} is new, and nothing ran in it so far. If another home is meant: --home, once more.")
    except ConfigError as error:
        print_problems(Console(stderr=True), error, "NOT halted")
        complain("NOT halted: there is no such home. Name the folder whose agent is to be halted with --home.")
        raise typer.Exit(ExitCode.BAD_USAGE) from None
    return place


def _halted(place: Home, why: str) -> bool:
    """Halt by the file, at once, and by the journal, and say so; whether either could be written."""
    flagged = _flagged(place, why)
    if flagged:
        _say_halted(place, why)
    from graph.journal import Journal, JournalUnusable  # noqa: PLC0415  (costs more than the halt itself)

    before: Halt | None = None
    sent: Sequence[JournalledOrder] = ()
    try:
        with closing(Journal(place.database, patience=PATIENCE)) as journal:
            before = journal.halts.halt(why, now())
            sent = journal.orders.unsettled()
    except JournalUnusable as error:
        if not _flagged(place, why):  # once more, as somebody may have lifted it in the time that this took
            complain(
                f"NOT halted: neither the journal {place.database} nor a file beside it could be written. "
                "Stop what runs with Ctrl-C, see that nothing starts a run, make room there, and try again."
            )
            return False
        complain(f"{error} A file in {place.root} halts trading in its place.")
    if not flagged:
        _say_halted(place, why)
    if before:
        _say(f"It was halted before, {_since(before)}{before.why}.", "yellow")
    for order in sent:
        name = f"{order.side} {order.quantity} {order.symbol}"
        _say(f"{name} was on its way before; a run that is at work cancels what is left of it.", "yellow")
    return True


def _flagged(place: Home, why: str) -> bool:
    """Whether the file that halts could be made."""
    try:
        raise_flag(place.database, why, now())
    except OSError:
        return False
    return True


def _say_halted(place: Home, why: str) -> None:
    _say(f"Trading is halted in {place.root}: {why}. No order is sent until `{typed('resume', place)}`.", "yellow")


def resume(why: WhyOption = "a person resumed it", home: HomeOption = None) -> None:
    """Let orders be sent again after a halt.

    Example: smart-agent resume --why "back from holiday"
    """
    with journal_of(home) as (place, journal):
        halted, again = journal.halts.resume(_reason(why), now()), journal.halts.current()
    if again:
        exit_with(ExitCode.HALTED, f"Trading is halted, by a halt that came meanwhile: {again.why}. Resume that, too.")
    if halted is None:
        _say("Trading was not halted; nothing has changed.", "green")
        return
    _say(f"Trading goes on; it had been halted {_since(halted)}{halted.why}.", "green")
    tell_of_halt(_reason(why), place, is_over=True)


def _since(halt: Halt) -> str:
    return f"since {halt.since:%Y-%m-%d %H:%M} UTC: " if halt.since else "since it is not known when: "


def emergency_stop(
    why: WhyOption = "emergency stop",
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    mcp_url: UrlOption = None,
    broker: BrokerOption = None,
    host: HostOption = None,
    port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
) -> None:
    """Halt, and cancel every open order of ours; what could not be cancelled is reported, with exit code 7.

    The broker is asked that a run with the same options would use, also where such a run would not be started.

    Example: smart-agent emergency-stop

    Example: smart-agent emergency-stop --broker tws --port 4002
    """
    place, why = _home_to_halt(home), _reason(why)
    halted = _halted(place, why)
    command = RunCommand.written(
        config=config,
        prices=prices,
        as_of=as_of,
        mcp_url=mcp_url,
        broker=broker,
        tws_host=host,
        tws_port=port,
        tws_client_id=client_id,
        tws_account=account,
    )
    try:
        _cancel_open_orders(place, command, halted=halted)
    finally:  # the broker first
        if halted:
            tell_of_halt(why, place)


def _cancel_open_orders(place: Home, command: RunCommand, *, halted: bool) -> None:
    """Cancel them, and say what became of each; how it went is the exit code."""
    state = f"Trading is {'halted' if halted else 'NOT halted'}, and open orders may still work: {LOOK}."
    try:
        settings = command.settings_for_cancelling(place)
    except ConfigError as error:
        print_problems(Console(stderr=True), error, "where the broker is cannot be told")
        exit_with(ExitCode.BAD_USAGE, f"{state} Or name the broker with --mcp-url or --broker tws, and try again.")
    if contradiction := command.contradiction(settings):
        exit_with(ExitCode.BAD_USAGE, f"{contradiction} {state}")
    _wait_for_the_line(settings, place)
    try:
        with Console(stderr=True).status("Asking the broker for open orders …"):
            orders = _cancelled(settings, place, command)
    except Exception as error:
        from brokers.errors import BrokerError  # noqa: PLC0415
        from graph.failure import describe  # noqa: PLC0415

        log.debug("the open orders could not be cancelled", exc_info=error)
        is_broker = isinstance(error, BrokerError)
        exit_with(exit_code(describe("sense", error).outcome) if is_broker else ExitCode.FAILED, f"{error} {state}")
    for order in orders:
        _say(order.words, "green" if order.done else "red")
    if not orders:
        from cli.naming import broker_named  # noqa: PLC0415

        _say(f"No order of ours is open at {broker_named(settings)}.", "green")
    if not halted:
        raise typer.Exit(ExitCode.FAILED)
    if not all(order.done for order in orders):
        raise typer.Exit(ExitCode.ORDER_UNKNOWN)


def _wait_for_the_line(settings: Settings, place: Home) -> None:
    """A run at work over TWS has the only connection under our id; being halted it cancels its order, and ends."""
    from filelock import FileLock, Timeout  # noqa: PLC0415  (only commands that trade need it)

    if settings.mcp_url or settings.broker != "tws":
        return
    lock = FileLock(place.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f"A run is at work in {place.root}; it cancels its own order now, and is waited for.", "yellow")
        with suppress(Timeout):  # where it does not end, TWS says that our id is in use
            lock.acquire(timeout=PATIENCE)
    except OSError:
        return  # a home where no lock can be taken has no run that took one
    lock.release()


def _cancelled(settings: Settings, place: Home, command: RunCommand) -> tuple[Cancelled, ...]:
    """What became of every open order of ours; where the journal cannot be read, of those that are called like ours."""
    import asyncio  # noqa: PLC0415  (the help page does without)

    from cli.wiring import Start, open_context  # noqa: PLC0415  (the graph and its libraries take seconds to import)
    from graph.emergency import Cancelled, cancel_open_orders  # noqa: PLC0415
    from graph.journal import JournalUnusable  # noqa: PLC0415

    async def cancel(start: Start, *, by_name: bool) -> tuple[Cancelled, ...]:
        async with open_context(settings, place, start) as context:
            return await cancel_open_orders(context, by_name=by_name)

    try:
        return asyncio.run(cancel(Start(command=command), by_name=False))
    except JournalUnusable:
        told = asyncio.run(cancel(Start(command=command, journal="sqlite://"), by_name=True))
        unread = f"The journal cannot be read, so orders of ours that carry no id of ours may be left: {LOOK}."
        return (*told, Cancelled(done=False, words=unread))


def _say(sentence: str, style: str) -> None:
    say(Console(), sentence, style)
