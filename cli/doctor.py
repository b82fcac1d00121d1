"""`smart-agent doctor`: whether a run could trade now, and if not, why and what to do. It sends nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.exit_codes import ExitCode
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
    home_or_exit,
)
from cli.run_command import RunCommand

if TYPE_CHECKING:
    from cli.checkup import Finding
    from config.home import Home

JsonOption = Annotated[bool, typer.Option("--json", help="Print the rows as JSON on stdout, and nothing else there.")]
STYLES = {"good": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "bold red")}


def doctor(
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    *,
    mcp_url: UrlOption = None,
    broker: BrokerOption = None,
    host: HostOption = None,
    port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at everything a run depends on, and say what to do about what is not well; exit 0 only if it could trade.

    One tiny question goes to the language model, where there is one. Nothing is sent to the broker.

    Example: smart-agent doctor --broker tws --port 4002
    """
    place = home_or_exit(home)
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
    findings = asyncio.run(_examined(place, command, show=not as_json))
    worst = [finding for finding in findings if finding.mark.value == "bad"]
    if as_json:
        rows = [{"check": one.name, "mark": one.mark.value, "found": one.found, "todo": one.todo} for one in findings]
        sys.stdout.write(json.dumps({"could_trade": not worst, "rows": rows}, indent=2, ensure_ascii=False) + "\n")
    elif worst:
        count = len(worst)
        Console().print(
            Text(
                f"A run could not trade now: {count} of these {'is' if count == 1 else 'are'} in its way.", style="red"
            )
        )
    else:
        Console().print(Text("A run could trade now.", style="green"))
    raise typer.Exit(worst[0].code if worst else ExitCode.DONE)


async def _examined(place: Home, command: RunCommand, *, show: bool) -> list[Finding]:
    """Every finding, shown as it comes."""
    from cli.checkup import examine  # noqa: PLC0415  (the graph's libraries take seconds)

    console = Console()
    findings: list[Finding] = []

    async def tell(finding: Finding) -> None:
        findings.append(finding)
        if show:
            console.print(row_of(finding))

    await examine(place, command, tell)
    return findings


def row_of(finding: Finding) -> Table:
    """One finding as a line, with what to do below it."""
    mark, style = STYLES[finding.mark.value]
    row = Table.grid(padding=(0, 1))
    row.add_column(width=1)
    row.add_column(width=16)
    row.add_column()
    words = Text(finding.found)
    if finding.todo:
        words.append(f"\n→ {finding.todo}", style="dim" if finding.mark.value == "note" else "green")
    row.add_row(Text(mark, style=style), Text(finding.name, style="bold"), words)
    return row
