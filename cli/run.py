"""`smart-agent run`: one pass of sense, think, act and reflect, with a trace of what it does."""

from __future__ import annotations

import asyncio
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode
from cli.log import log_to
from cli.options import (
    AsOfOption,
    ConfigOption,
    HomeOption,
    JsonOption,
    PricesOption,
    day_of,
    exit_with,
    load_or_exit,
    sole_use,
)

if TYPE_CHECKING:
    from config.home import Home
    from config.settings import Settings

PaperOption = Annotated[bool, typer.Option("--paper-trading", help="Trade on a paper account only (the default).")]
LiveOption = Annotated[bool, typer.Option("--live-trading", help="Trade on a live account; asks for its id.")]
RiskOption = Annotated[
    float | None,
    typer.Option("--risk-threshold", help="Most one discretionary order may be worth, in USD.", show_default=False),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--mcp-url",
        help="MCP server to use: http://…/mcp, or stdio:COMMAND [default: an embedded simulated broker].",
        show_default=False,
    ),
]
StrategyOption = Annotated[
    str | None,
    typer.Option("--strategy", help="A shipped strategy: default, conservative, aggressive.", show_default=False),
]


def run(
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    *,
    paper_trading: PaperOption = False,
    live_trading: LiveOption = False,
    risk_threshold: RiskOption = None,
    mcp_url: UrlOption = None,
    strategy: StrategyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run once: sense the account, think of a plan, act on what the guard lets through, and reflect.

    Example: smart-agent run --prices prices.csv.gz --as-of 2020-03-23
    """
    overrides = _given(risk_threshold=risk_threshold, mcp_url=mcp_url)
    if paper_trading and live_trading:
        exit_with(ExitCode.BAD_USAGE, "--paper-trading and --live-trading exclude each other; give one of them.")
    if paper_trading or live_trading:
        overrides["paper_trading"] = paper_trading
    if live_trading and sys.stdin.isatty():
        typed = typer.prompt("Live trading moves real money. Type the id of the live account to trade", err=True)
        overrides["live_account_confirmed"] = typed.strip()
    place, settings = load_or_exit(home, config, overrides, strategy)
    _tell_what_is_not_done(settings)
    _refuse_contradictions(settings, moved=bool(prices or as_of))
    raise typer.Exit(_execute(place, settings, prices, day_of(as_of), as_json=as_json))


def _given(**given: Any) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}


def _tell_what_is_not_done(settings: Settings) -> None:
    """A setting that has no effect yet must not be taken for one that has."""
    if settings.enable_continuous_loop:
        typer.echo("enable_continuous_loop is on, and this version runs once: start it from cron to go on.", err=True)
    if settings.openai_api_key:
        typer.echo("OPENAI_API_KEY is set, and this version decides by rules alone.", err=True)


def _refuse_contradictions(settings: Settings, *, moved: bool) -> None:
    if settings.mcp_url and moved:
        exit_with(
            ExitCode.BAD_USAGE,
            "--prices and --as-of move the embedded simulated broker, and the server at mcp_url keeps its own time; "
            "nothing was started. Give them to `smart-agent server` instead, or leave out mcp_url.",
        )
    if not settings.paper_trading and not settings.mcp_url:
        exit_with(
            ExitCode.BAD_USAGE,
            "Live trading needs a broker, and the embedded simulated one has only paper; nothing was started. "
            "Set mcp_url to the MCP server of your broker.",
        )
    if not settings.paper_trading and not settings.live_account_confirmed:
        exit_with(
            ExitCode.BAD_USAGE,
            "Live trading needs the id of the live account, and none is confirmed; nothing was started. "
            "Run `smart-agent run --live-trading` in a terminal, or set live_account_confirmed.",
        )


def _execute(home: Home, settings: Settings, prices: Path | None, as_of: date | None, *, as_json: bool) -> ExitCode:
    # The graph and its libraries take seconds to import, so the person is told first that something happens.
    from cli.trace import trace_for  # noqa: PLC0415

    trace = trace_for(as_json=as_json, interactive=sys.stdin.isatty())
    try:
        with sole_use(home):
            trace.starting()
            from cli.conduct import conduct  # noqa: PLC0415
            from cli.wiring import Market  # noqa: PLC0415

            log_to(home.log_file(settings.log_file), settings.log_level)
            return asyncio.run(conduct(settings, home, Market(prices, as_of), trace))
    except KeyboardInterrupt:
        trace.refuse("Interrupted. An order that was under way is in the journal, and the next run looks it up first.")
        return ExitCode.FAILED
    except OSError as error:
        trace.refuse(f"{error.filename or home.root}: {error.strerror}; nothing was started. Check that folder.")
        return ExitCode.BAD_USAGE
    finally:
        trace.stop()
