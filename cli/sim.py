"""`smart-agent sim …`: the simulated broker's own affairs."""

from __future__ import annotations

import typer

from cli.exit_codes import ExitCode
from cli.options import HomeOption, exit_with, home_or_exit, sole_use

app = typer.Typer(help="The embedded simulated broker.", no_args_is_help=True)


@app.callback()
def sim() -> None:
    """The embedded simulated broker."""


@app.command()
def reset(home: HomeOption = None) -> None:
    """Start over: forget every simulated account, its positions, cash and orders.

    Example: smart-agent sim reset
    """
    place = home_or_exit(home)
    from brokers.simulated import reset as forget  # noqa: PLC0415  (it needs numpy)

    try:
        with sole_use(place):
            removed = forget(place.simulated)
    except OSError as error:
        why = f"{error.filename or place.simulated}: {error.strerror}"
        exit_with(ExitCode.FAILED, f"{why}; not every account is forgotten. Remove that by hand, and try again.")
    for file in removed:
        typer.echo(f"removed {file}")
    if not removed:
        typer.echo(f"nothing to remove in {place.simulated}")
