"""`smart-agent run`: one pass of sense, think, act and reflect, with a trace of what it does."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from cli.exit_codes import ExitCode
from cli.log import Form, log_to
from cli.notify import tell_of, tell_of_a_start
from cli.options import (
    AccountOption,
    AsOfOption,
    BrokerOption,
    ClientIdOption,
    ConfigOption,
    ContinuousOption,
    EnvironmentOption,
    HomeOption,
    HostOption,
    IntervalOption,
    JsonOption,
    LiveOption,
    MarketOption,
    MaxRunsOption,
    PaperOption,
    PricesOption,
    RiskOption,
    StrategyOption,
    TwsPortOption,
    UrlOption,
    exit_with,
    sole_use,
    take_variables,
    trading_of,
)
from cli.run_command import RunCommand
from cli.slot import Slot, slot_or_exit

if TYPE_CHECKING:
    from config.home import Home
    from config.settings import Settings
    from graph.record import Approval
    from portfolio.models import TradePlan


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
    broker: BrokerOption = None,
    host: HostOption = None,
    port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
    strategy: StrategyOption = None,
    environment: EnvironmentOption = None,
    continuous: ContinuousOption = None,
    interval: IntervalOption = None,
    market: MarketOption = None,
    max_runs: MaxRunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run: sense the account, think of a plan, act on what the guard lets through, and reflect.

    With OPENAI_API_KEY or OPENAI_BASE_URL set, a language model helps to think (SMART_AGENT_MODEL names it).

    Example: smart-agent run --prices prices.csv.gz --as-of 2020-03-23

    Example: smart-agent run --broker tws --port 4002

    Example: smart-agent run --continuous --interval 6
    """
    if environment:
        take_variables(environment)
    if market is not None and (prices or as_of):
        exit_with(
            ExitCode.BAD_USAGE, "--market goes by the clock, and --prices and --as-of do not; nothing was started."
        )
    slot = slot_or_exit(home, market) if market is not None and not continuous else None
    command = RunCommand.written(
        config=config,
        prices=prices,
        as_of=as_of,
        strategy=strategy,
        risk_threshold=None if risk_threshold is None else str(risk_threshold),
        mcp_url=mcp_url,
        broker=broker,
        tws_host=host,
        tws_port=port,
        tws_client_id=client_id,
        tws_account=account,
        trading=trading_of(paper=paper_trading, live=live_trading),
        continuous=None if continuous is None else str(continuous),
        interval=None if interval is None else str(interval),
    )
    try:
        place, settings = command.load_or_exit(home)
    except typer.Exit as refused:
        tell_of_a_start(ExitCode(refused.exit_code), home, command)
        raise
    if settings.enable_continuous_loop and slot is None:
        from cli.continuous import run_continuously  # noqa: PLC0415

        raise typer.Exit(run_continuously(place, settings, command, market=market, max_runs=max_runs, as_json=as_json))
    for option, value in (("--interval", interval), ("--max-runs", max_runs)):
        if value is not None:
            exit_with(ExitCode.BAD_USAGE, f"{option} is about runs that go on; nothing was started. Add --continuous.")
    raise typer.Exit(execute(place, settings, command, as_json=as_json, slot=slot))


def execute(
    home: Home,
    settings: Settings,
    command: RunCommand,
    *,
    as_json: bool,
    run_id: str | None = None,
    answer: Approval | None = None,
    wanted: TradePlan | None = None,
    slot: Slot | None = None,
) -> ExitCode:
    """Run once as `command` has it, or go on with `run_id` and its `answer`; the exit code says how it ended.

    With a plan that is `wanted` no other is thought of; with a `slot` that is taken meanwhile nothing is done.
    """
    import asyncio  # noqa: PLC0415  (the help page does without)

    # The graph and its libraries take seconds to import, so the person is told first that something happens.
    from cli.trace import trace_for  # noqa: PLC0415

    trace = trace_for(as_json=as_json, interactive=sys.stdin.isatty(), brief=wanted is not None)
    try:
        with sole_use(home):
            trace.starting()
            from cli.conduct import conduct  # noqa: PLC0415
            from cli.wiring import Start  # noqa: PLC0415
            from config.blanking import secrets_in  # noqa: PLC0415
            from graph.runner import new_run_id  # noqa: PLC0415

            name = run_id or new_run_id(datetime.now(UTC))
            form = Form(name, secrets_in(os.environ))
            log_to(home.log_file(settings.log_file), settings.log_level, form, trace.warn)
            if slot and not slot.take():  # last of all, so that what could not be started uses it up in vain no more
                return ExitCode.DONE
            start = Start(name, command, asyncio.Event(), wanted=wanted)
            ending = asyncio.run(conduct(settings, home, trace, start, answer))
    except (KeyboardInterrupt, asyncio.CancelledError):
        trace.interrupted()
        return ExitCode.FAILED
    except OSError as error:
        trace.refuse(f"{error.filename or home.root}: {error.strerror}; nothing was started. Check that folder.")
        tell_of_a_start(ExitCode.BAD_USAGE, home.root, command)
        return ExitCode.BAD_USAGE
    finally:
        trace.stop()
    tell_of(ending, settings, home)  # after the lock, as nobody's phone may keep the next run waiting
    return ending.code
