"""The options that several commands share, and what they resolve to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from cli.console import say
from cli.exit_codes import ExitCode
from cli.problems import print_problems
from config.home import Home, find_home
from config.problems import ConfigError, printable

if TYPE_CHECKING:
    from config.settings import Settings

TRADING, BROKER, MARKET, WHEN = "Trading", "Broker", "Simulated market", "When it runs"
"""Panels of a help page."""


def a_day(text: str) -> date:
    """The day that a person wrote."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  (a day, wherever it is)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it like 2026-06-15") from None


def a_number(text: str) -> float:
    """The number that a person wrote."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number; write it without commas and units, such as 1000") from None


def a_count(value: str | int) -> int:
    """How many, as a person wrote it, or the default."""
    text = str(value)
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise typer.BadParameter(f"{text!r} is no number of them; write a whole number from 1 to 999999")
    return int(text)


HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder the agent keeps its files in (default: SMART_AGENT_HOME).", show_default=False),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Config file (default: config.json in the home folder).", show_default=False),
]
PricesOption = Annotated[
    Path | None,
    typer.Option(
        "--prices",
        help="Replay real daily prices: a CSV or CSV.gz with date, symbol, open, high, low, close and maybe volume.",
        show_default=False,
        rich_help_panel=MARKET,
    ),
]
AsOfOption = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        parser=a_day,
        metavar="DAY",
        help="Let the simulated market be at that day, shortly before the bell.",
        show_default=False,
        rich_help_panel=MARKET,
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--mcp-url",
        help="MCP server to use: http://…/mcp, or stdio:COMMAND (default: an embedded simulated broker).",
        show_default=False,
        rich_help_panel=BROKER,
    ),
]


class BrokerName(StrEnum):
    SIMULATED = "simulated"
    TWS = "tws"


BrokerOption = Annotated[
    BrokerName | None,
    typer.Option(
        "--broker",
        case_sensitive=False,
        help="simulated, or tws: TWS or IB Gateway on this network.",
        show_default=False,
        rich_help_panel=BROKER,
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option(
        "--host", help="Where TWS or IB Gateway runs (default: 127.0.0.1).", show_default=False, rich_help_panel=BROKER
    ),
]
TwsPortOption = Annotated[
    str | None,
    typer.Option(
        "--port",
        help="Its API port: 4002 (default) or 7497 for paper, 4001 or 7496 live.",
        show_default=False,
        rich_help_panel=BROKER,
    ),
]
ClientIdOption = Annotated[
    str | None,
    typer.Option(
        "--client-id",
        help="The number we are known by there (default: 17); always the same.",
        show_default=False,
        rich_help_panel=BROKER,
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        "--account", help="Which account, where a login has several.", show_default=False, rich_help_panel=BROKER
    ),
]
KnownAccountOption = Annotated[
    str | None,
    typer.Option("--account", help="Which account (default: the one of the last run).", show_default=False),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        help="A shipped strategy: default, conservative, aggressive.",
        show_default=False,
        rich_help_panel=TRADING,
    ),
]
PaperOption = Annotated[
    bool, typer.Option("--paper-trading", help="Trade on a paper account only (the default).", rich_help_panel=TRADING)
]
LiveOption = Annotated[
    bool,
    typer.Option(
        "--live-trading", help="Trade on a live account, whose id must be confirmed.", rich_help_panel=TRADING
    ),
]
RiskOption = Annotated[
    float | None,
    typer.Option(
        "--risk-threshold",
        parser=a_number,
        metavar="USD",
        help="Most one discretionary order may be worth, in USD.",
        show_default=False,
        rich_help_panel=TRADING,
    ),
]
EnvironmentOption = Annotated[
    Path | None,
    typer.Option(
        "--environment",
        help="Set the variables of this file first: a JSON object, as `smart-agent schedule add` writes it.",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]
ContinuousOption = Annotated[
    bool | None,
    typer.Option(
        "--continuous/--once",
        help="Go on running until somebody ends it, or run once (default: once, or as enable_continuous_loop says).",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]
IntervalOption = Annotated[
    float | None,
    typer.Option(
        "--interval",
        parser=a_number,
        metavar="HOURS",
        help="With --continuous: hours from one run to the next (default: loop_interval_hours).",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]
MaxRunsOption = Annotated[
    int | None,
    typer.Option(
        "--max-runs",
        parser=a_count,
        metavar="COUNT",
        help="With --continuous: end after so many runs.",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]
MarketOption = Annotated[
    str | None,
    typer.Option(
        "--market",
        help='A moment of each session, "open+30m" or "close-1h": with --continuous, when runs are; alone, run once '
        "if it has come and had no run yet, and else exit 0.",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one RunRecord on stdout, and nothing else there.")]


def trading_of(*, paper: bool, live: bool) -> str | None:
    """Which trading a person asked for, "paper" or "live"; exit 2 where it is both."""
    if paper and live:
        exit_with(ExitCode.BAD_USAGE, "--paper-trading and --live-trading exclude each other; give one of them.")
    return "live" if live else "paper" if paper else None


def load_or_exit(
    home: Path | None, config: Path | None, overrides: dict[str, Any], strategy: str | None = None
) -> tuple[Home, Settings]:
    """The home folder, made if it is not there, and the settings in effect; every problem on stderr and exit 2 else."""
    from config.load import load_settings  # noqa: PLC0415  (the settings library costs more than the help page)

    try:
        place = find_home(home, os.environ)
        settings = load_settings(
            file=place.find_config(config), environ=os.environ, overrides=overrides, strategy=strategy
        )
        place.create()
    except ConfigError as error:
        print_problems(Console(stderr=True), error)
        raise typer.Exit(ExitCode.BAD_USAGE) from None
    return place, settings


def home_or_exit(home: Path | None) -> Home:
    """The home folder, made if it is not there; why not on stderr and exit 2 else."""
    try:
        place = find_home(home, os.environ)
        place.create()
    except ConfigError as error:
        print_problems(Console(stderr=True), error)
        raise typer.Exit(ExitCode.BAD_USAGE) from None
    return place


def take_variables(file: Path) -> None:
    """Set the environment variables of `file`, a JSON object as `smart-agent schedule add` writes it, or exit 2."""
    from config.json_file import read_object  # noqa: PLC0415  (the settings library costs more than the help page)

    anew = "nothing was started. Write it anew with `smart-agent schedule add`, or take away --environment."
    try:
        variables = read_object(file)
    except ConfigError as error:
        exit_with(ExitCode.BAD_USAGE, f"{printable(str(file))}: {error.problems[0].why}; {anew}")
    wrong = [name for name, value in variables.items() if not _can_be_set(name, value)]
    if wrong:
        exit_with(ExitCode.BAD_USAGE, f"{printable(str(file))}: {printable(wrong[0])} cannot be a variable; {anew}")
    os.environ.update(variables)


def _can_be_set(name: str, value: object) -> bool:
    return isinstance(value, str) and bool(name) and "=" not in name and "\0" not in name + value


def hold_to_a_yes(question: str, verb: str, done: str, *, yes: bool) -> None:
    """Go on only after a yes on the screen, or with `--yes`; exit 0 after a no, and 2 where nobody is there to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        exit_with(ExitCode.BAD_USAGE, f"Nothing was {done}, as nobody is here to say yes. To {verb} it: --yes")
    from rich.prompt import Confirm  # noqa: PLC0415  (the help page does without)

    try:
        is_wanted = Confirm.ask(question, default=False)
    except (KeyboardInterrupt, EOFError):
        typer.echo()
        exit_with(ExitCode.FAILED, f"Nothing was {done}.")
    if not is_wanted:
        typer.echo(f"Nothing was {done}.")
        raise typer.Exit(ExitCode.DONE)


@contextmanager
def sole_use(home: Home) -> Iterator[None]:
    """One process at a time: two runs would each spend the same limits. The lock of a dead process does not hold."""
    from filelock import FileLock, Timeout  # noqa: PLC0415  (only commands that trade need it)

    try:
        with FileLock(home.lock, timeout=0):
            yield
    except Timeout:
        exit_with(
            ExitCode.FAILED,
            f"Another run is at work in {home.root}; this one did nothing. Wait until it has ended, then try again.",
        )


def exit_with(code: ExitCode, sentence: str) -> NoReturn:
    """Say why on stderr, and leave."""
    complain(sentence)
    raise typer.Exit(code)


def exit_with_nothing(sentence: str, *, is_for_a_script: bool) -> NoReturn:
    """Say that there is nothing to show: no failure for a person, but no answer for a script that is to read one."""
    if is_for_a_script:
        exit_with(ExitCode.FAILED, sentence)
    say(Console(highlight=False), sentence)
    raise typer.Exit(ExitCode.DONE)


def complain(sentence: str) -> None:
    """Say on stderr what is wrong, and go on."""
    say(Console(stderr=True, highlight=False), sentence, "red")
