"""`smart-agent orders …`: the orders nobody can account for, and a person's word on them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.console import LEAST_WIDTH, answer_console
from cli.exit_codes import ExitCode
from cli.hints import typed
from cli.journal import journal_of, now
from cli.options import HomeOption, a_count, exit_with, sole_use

app = typer.Typer(help="The last orders, and those whose outcome is not known.", no_args_is_help=True)


class Resolution(StrEnum):
    FILLED = "filled"
    NOT_SENT = "not-sent"


CountOption = Annotated[int, typer.Option("--count", parser=a_count, metavar="COUNT", help="How many.")]
AsOption = Annotated[Resolution, typer.Option("--as", help="What the broker's own screens show.")]


@app.command("list")
def unsettled(home: HomeOption = None) -> None:
    """List the orders that may still be out there; exit code 7 when there are any.

    Example: smart-agent orders list
    """
    with journal_of(home) as (_, journal):
        orders = journal.orders.unsettled()
    if not orders:
        typer.echo("Every order is settled.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for column in ("Order", "", "", "Symbol", "State", "Since (UTC)"):
        table.add_column(column, no_wrap=True)
    for order in orders:
        since = f"{order.submitting_at:%Y-%m-%d %H:%M}" if order.submitting_at else "-"
        table.add_row(
            order.client_order_id,
            order.side,
            str(order.quantity),
            escape(order.symbol),
            order.state,
            since,
        )
    answer_console(least=LEAST_WIDTH).print(table)
    raise typer.Exit(ExitCode.ORDER_UNKNOWN)


@app.command()
def history(home: HomeOption = None, count: CountOption = 20) -> None:
    """List the last orders, the newest first, and what became of them.

    Example: smart-agent orders history --count 50
    """
    with journal_of(home) as (_, journal):
        orders = journal.orders.latest(count)
    if not orders:
        typer.echo("No order has been sent yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for column in ("Sent (UTC)", "", "", "Symbol", "State", "Filled", "At", "Order"):
        table.add_column(column, no_wrap=True)
    for order in orders:
        sent, record = f"{order.submitting_at:%m-%d %H:%M}" if order.submitting_at else "-", order.record
        filled = f"{record.filled_quantity:f}" if record else "-"
        price = f"{record.average_price:,.2f}" if record and record.average_price else "-"
        symbol = escape(order.symbol)
        table.add_row(sent, order.side, str(order.quantity), symbol, order.state, filled, price, order.client_order_id)
    answer_console(least=LEAST_WIDTH).print(table)


@app.command()
def resolve(
    order_id: Annotated[str, typer.Argument(help="The order's id, as `smart-agent orders list` shows it.")],
    resolution: AsOption,
    home: HomeOption = None,
) -> None:
    """Say what became of an order that nobody could account for, so that its symbol is traded again.

    Example: smart-agent orders resolve 20260615-193000-1a2b3c-1 --as not-sent
    """
    with journal_of(home) as (place, journal), sole_use(place):
        order = journal.orders.find(order_id)
        from graph.journal import OrderState  # noqa: PLC0415
        from graph.sightings import settled_by_a_person  # noqa: PLC0415

        is_lost = order is not None and order.state is OrderState.UNKNOWN
        if order and order.state.is_unsettled and not is_lost and journal.halts.current() is None:
            exit_with(
                ExitCode.BAD_USAGE,
                f"{order_id}: this order is {order.state}, and the next run asks the broker what became of it; nothing "
                "was changed. Run the agent first; while trading is halted, your word is taken at once.",
            )
        if order is None or not order.state.is_unsettled:
            state = "unknown here" if order is None else order.state
            exit_with(
                ExitCode.BAD_USAGE,
                f"{order_id}: this order is {state} and needs no word from you; nothing was changed. "
                f"See `{typed('orders list', place)}` for those that do.",
            )

        record = settled_by_a_person(order, filled=resolution is Resolution.FILLED)
        journal.orders.settle(record, now())
    typer.echo(f"{order_id} is now {record.status}: {record.message}.")
