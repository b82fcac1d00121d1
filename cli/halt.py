"""`smart-agent halt`, `resume` and `emergency-stop`: no order leaves while trading is halted."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli.exit_codes import ExitCode
from cli.journal import journal_of, now, plain
from cli.options import AsOfOption, ConfigOption, HomeOption, PricesOption, exit_with
from cli.run import UrlOption
from cli.run_command import RunCommand

WhyOption = Annotated[str, typer.Option("--why", help="The reason, for whoever finds it halted.")]


def halt(why: WhyOption = "a person halted it", home: HomeOption = None) -> None:
    """Stop every order at once, also of a run that is under way, until `smart-agent resume`.

    Example: smart-agent halt --why "on holiday"
    """
    from graph.journal import JournalUnusable  # noqa: PLC0415  (costs more than the help page)

    why = plain(why)
    with journal_of(home) as (place, journal):
        try:
            journal.halts.halt(why, now())
        except JournalUnusable as error:
            exit_with(
                ExitCode.FAILED,
                f"NOT halted: the halt could not be written to {place.database} ({error.__cause__}). Try again, and "
                "stop what runs with Ctrl-C.",
            )
    _say(f"Trading is halted in {place.root}: {why}. No order is sent until `smart-agent resume`.", "yellow")


def resume(why: WhyOption = "a person resumed it", home: HomeOption = None) -> None:
    """Let orders be sent again after a halt."""
    with journal_of(home) as (_, journal):
        halted = journal.halts.current()
        if halted:
            journal.halts.resume(plain(why), now())
    if halted is None:
        _say("Trading was not halted; nothing has changed.", "green")
        return
    since = f" since {halted.since:%Y-%m-%d %H:%M} UTC" if halted.since else ""
    _say(f"Trading goes on; it had been halted{since}: {halted.why}.", "green")


def emergency_stop(
    why: WhyOption = "emergency stop",
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    mcp_url: UrlOption = None,
) -> None:
    """Halt, and cancel every open order of ours; what could not be cancelled is reported, with exit code 7.

    The broker is asked that a run with the same options would use.
    """
    halt(why, home)
    command = RunCommand.written(config=config, prices=prices, as_of=as_of, mcp_url=mcp_url)
    place, settings = command.load_or_exit(home)
    from brokers.errors import BrokerError  # noqa: PLC0415  (the graph and its libraries take seconds to import)
    from brokers.simulated import MarketError  # noqa: PLC0415
    from cli.wiring import Start, open_context  # noqa: PLC0415
    from graph.emergency import Cancelled, cancel_open_orders  # noqa: PLC0415
    from graph.journal import JournalError  # noqa: PLC0415

    async def cancel() -> tuple[Cancelled, ...]:
        async with open_context(settings, place, Start(command=command)) as context:
            return await cancel_open_orders(context)

    try:
        orders = asyncio.run(cancel())
    except (BrokerError, MarketError, JournalError) as error:
        code = ExitCode.UNREACHABLE if isinstance(error, BrokerError) else ExitCode.FAILED
        exit_with(code, f"{error} Trading is halted, and open orders may still work: look in the broker's own screens.")
    for order in orders:
        _say(order.words, "green" if order.done else "red")
    if not orders:
        _say("No order of ours is open.", "green")
    if not all(order.done for order in orders):
        raise typer.Exit(ExitCode.ORDER_UNKNOWN)


def _say(sentence: str, style: str) -> None:
    Console().print(Text(sentence, style=style), soft_wrap=True)
