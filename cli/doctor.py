"""`smart-agent doctor`: whether a run could trade now, and if not, why and what to do. It sends nothing."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.console import answer_console
from cli.exit_codes import ExitCode
from cli.hints import hinted
from cli.options import (
    AccountOption,
    AsOfOption,
    BrokerOption,
    ClientIdOption,
    ConfigOption,
    HomeOption,
    HostOption,
    LiveOption,
    PaperOption,
    PricesOption,
    RiskOption,
    StrategyOption,
    TwsPortOption,
    UrlOption,
    trading_of,
)
from cli.problems import print_problems
from cli.run_command import RunCommand
from config.home import find_home
from config.problems import ConfigError

if TYPE_CHECKING:
    from cli.checkup import Finding
    from config.home import Home

JsonOption = Annotated[bool, typer.Option("--json", help="Print the rows as JSON on stdout, and nothing else there.")]
STYLES = {"good": ("✓", "green"), "note": ("·", "dim"), "doubt": ("!", "yellow"), "bad": ("✗", "bold red")}
NAME_WIDTH = 14
MOST_WIDTH = 110
"""Longer lines are hard to read."""


def doctor(
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    *,
    paper_trading: PaperOption = False,
    live_trading: LiveOption = False,
    risk_threshold: RiskOption = None,
    mcp_url: UrlOption = None,
    broker: BrokerOption = None,
    host: HostOption = None,
    port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
    strategy: StrategyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at everything a run depends on, and say what to do about what is not well; exit 0 if it could trade.

    Nothing is sent or kept. A language model, where there is one, gets one tiny question.

    Example: smart-agent doctor --broker tws --port 4002
    """
    try:
        place = find_home(home, os.environ)
    except ConfigError as error:
        print_problems(Console(stderr=True), error)
        raise typer.Exit(ExitCode.BAD_USAGE) from None
    command = RunCommand.written(
        config=config,
        prices=prices,
        as_of=as_of,
        strategy=strategy,
        mcp_url=mcp_url,
        broker=broker,
        tws_host=host,
        tws_port=port,
        tws_client_id=client_id,
        tws_account=account,
        risk_threshold=None if risk_threshold is None else str(risk_threshold),
        trading=trading_of(paper=paper_trading, live=live_trading),
    )
    raise typer.Exit(look_over(place, command, as_json=as_json))


def look_over(place: Home, command: RunCommand, *, as_json: bool = False) -> ExitCode:
    """Show what is found of everything that a run of `command` depends on."""
    import asyncio  # noqa: PLC0415  (the help page does without)

    logging.getLogger().addHandler(logging.NullHandler())  # or libraries would write on the screen
    console = answer_console(quiet=as_json)
    console.width = min(console.width, MOST_WIDTH)
    with console.status("Looking at everything a run depends on …"):
        findings = asyncio.run(_examined(place, command, console))
    code, could_trade, sentence = verdict_on(findings)
    if as_json:
        told = {"could_trade": could_trade, "exit_code": code, "message": sentence, "rows": list(map(_fact, findings))}
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    style = "bold green" if could_trade else "bold yellow" if code is ExitCode.FAILED else "bold red"
    console.print(Text(f"\n{sentence}", style=style))
    return code


async def _examined(place: Home, command: RunCommand, console: Console) -> list[Finding]:
    """Every finding, shown as it comes."""
    from cli.checkup import examine  # noqa: PLC0415  (the graph's libraries take seconds)

    findings: list[Finding] = []

    async def tell(found: Finding) -> None:
        finding = replace(found, found=hinted(found.found, place), todo=hinted(found.todo, place))
        if finding.mark.value != "unseen":
            console.print(row_of(finding, findings[-1].name if findings else ""))
        findings.append(finding)

    await examine(place, command, tell)
    unseen = [finding for finding in findings if finding.mark.value == "unseen"]
    if unseen:
        console.print(_unseen(unseen))
    return findings


def verdict_on(findings: list[Finding]) -> tuple[ExitCode, bool, str]:
    """The exit code, 0 only if a run could trade; whether it could; and that in a sentence."""
    from cli.checkup import first_in_the_way  # noqa: PLC0415

    first = first_in_the_way(findings)
    if first:
        count = sum(finding.mark.value == "bad" for finding in findings)
        more = f", and {count - 1} more" if count > 1 else ""
        return (
            first.code,
            False,
            f"A run could not trade now: {first.name}{more}. It would end with exit code {first.code}.",
        )
    doubts = sum(finding.mark.value == "doubt" for finding in findings)
    aside = f" Look at the {doubts} rows marked !." if doubts > 1 else " Look at the row marked !." if doubts else ""
    waiting = next((finding for finding in findings if finding.waits), None)
    if waiting:
        return ExitCode.FAILED, False, f"Nothing is in the way of a run but the market: {waiting.found}.{aside}"
    if not any(finding.name == "trading hours" for finding in findings):
        return ExitCode.FAILED, False, f"Nothing is in the way of a run, as far as could be seen.{aside}"
    return ExitCode.DONE, True, f"A run could trade now.{aside}"


def row_of(finding: Finding, before: str = "") -> RenderableType:
    """One finding as a line, with what to do below it; a name that was there `before` is not repeated."""
    mark, style = STYLES[finding.mark.value]
    first, *others = finding.found.split("\n")
    words = [Text(first, style="dim" if finding.mark.value == "note" else "")]
    words += [Text(f"- {line}", style="yellow") for line in others]
    if finding.todo and finding.mark.value == "note":
        words[-1].append(f" → {finding.todo}")
    elif finding.todo:
        words.append(Text(f"→ {finding.todo}", style="cyan"))
    return _row(Text(mark, style=style), "" if finding.name == before else finding.name, Group(*words))


def _unseen(findings: list[Finding]) -> RenderableType:
    """What could not be looked at, by reason."""
    reasons = dict.fromkeys(finding.found for finding in findings)
    named = {why: ", ".join(one.name for one in findings if one.found == why) for why in reasons}
    words = [Text(f"{names}: {why}", style="dim") for why, names in named.items()]
    return _row(Text("-", style="dim"), "not looked at", Group(*words))


def _row(mark: Text, name: str, words: RenderableType) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_column(width=1)
    row.add_column(width=NAME_WIDTH)
    row.add_column()
    row.add_row(mark, Text(name, style="bold"), words)
    return row


def _fact(finding: Finding) -> dict[str, str]:
    return {"check": finding.name, "mark": finding.mark.value, "found": finding.found, "todo": finding.todo}
