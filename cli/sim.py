"""`smart-agent sim …`: the simulated broker's own affairs."""

from __future__ import annotations

import typer

from cli.options import HomeOption, home_or_exit, sole_use

app = typer.Typer(help="The embedded simulated broker.", no_args_is_help=True)


@app.callback()
def sim() -> None:
    """The embedded simulated broker."""


@app.command()
def reset(home: HomeOption = None) -> None:
    """Start over: forget every simulated account, its positions, cash and orders."""
    place = home_or_exit(home)
    from brokers.simulated import reset as forget  # noqa: PLC0415  (it needs numpy)

    with sole_use(place):
        removed = forget(place.simulated)
    for file in removed:
        typer.echo(f"removed {file}")
    if not removed:
        typer.echo(f"nothing to remove in {place.simulated}")
