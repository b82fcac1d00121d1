"""`smart-agent sim …`: the simulated broker's own affairs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.exit_codes import ExitCode
from cli.options import HomeOption, exit_with, hold_to_a_yes, home_or_exit, sole_use

YesOption = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]

app = typer.Typer(help="The embedded simulated broker.", no_args_is_help=True)


@app.callback()
def sim() -> None:
    """The embedded simulated broker."""


@app.command()
def reset(home: HomeOption = None, *, yes: YesOption = False) -> None:
    """Start over: forget every simulated account, its positions, cash and orders; asks before it does.

    The next run opens a new account. What runs did in the old one stays in the records under its id.

    Example: smart-agent sim reset --yes
    """
    place = home_or_exit(home)
    hold_to_a_yes(f"Forget every simulated account in {place.simulated}?", "remove", "removed", yes=yes)
    from brokers.simulated import reset as forget  # noqa: PLC0415  (it needs numpy)

    try:
        with sole_use(place):
            removed = forget(place.simulated)
    except OSError as error:
        why = f"{error.filename or place.simulated}: {error.strerror}"
        exit_with(ExitCode.FAILED, f"{why}; not every account is forgotten. Remove that by hand, and try again.")
    for file in removed:
        typer.echo(f"removed {file}")
    if removed:
        typer.echo("The next run opens a new simulated account.")
    else:
        typer.echo(f"nothing to remove in {place.simulated}")
