"""`smart-agent schedule …`: runs that the system starts, by the user's crontab or a timer of their systemd."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli.console import say
from cli.exit_codes import ExitCode
from cli.options import (
    AccountOption,
    BrokerOption,
    ClientIdOption,
    ConfigOption,
    HomeOption,
    HostOption,
    LiveOption,
    PaperOption,
    RiskOption,
    StrategyOption,
    TwsPortOption,
    UrlOption,
    exit_with,
    hold_to_a_yes,
    trading_of,
)
from cli.run_command import RunCommand, is_simulated
from cli.slot import moment_or_exit

if TYPE_CHECKING:
    from cli.schedule.job import Entry, Job, Timetable
    from cli.schedule.times import CronTimes

app = typer.Typer(help="Runs that the system starts: by your crontab, or a timer of systemd.", no_args_is_help=True)

WhenArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WHEN]",
        help='When, as cron has it: minute, hour, day, month, weekday, in this computer\'s time: "30 10 * * 1-5".',
        show_default=False,
    ),
]
MomentOption = Annotated[
    str | None,
    typer.Option(
        "--market",
        help='Or at a moment of every session, holidays and half days minded: "open+30m", "close-1h".',
        show_default=False,
    ),
]
CrontabOption = Annotated[
    bool, typer.Option("--user-crontab", help="Keep it in your crontab (the default where there is one).")
]
SystemdOption = Annotated[bool, typer.Option("--systemd", help="Keep it as a timer of your systemd.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Write it without asking.")]
IdArgument = Annotated[
    str | None,
    typer.Argument(
        help="The id that `smart-agent schedule list` shows; not needed if there is one.", show_default=False
    ),
]


@app.callback()
def schedule() -> None:
    """Runs that the system starts: by your crontab, or a timer of systemd."""


@app.command()
def add(
    when: WhenArgument = None,
    market: MomentOption = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    *,
    user_crontab: CrontabOption = False,
    systemd: SystemdOption = False,
    yes: YesOption = False,
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
) -> None:
    """Schedule a run: shows what it will write, and asks before it does.

    The run gets the variables that are set now, from a file in the home that only you can read. The same again
    writes them anew.

    Example: smart-agent schedule add --market open+30m

    Example: smart-agent schedule add "30 10 * * 1-5" --systemd --broker tws --port 4002
    """
    from cli.schedule.job import Job, NotScheduled  # noqa: PLC0415
    from cli.schedule.preview import show  # noqa: PLC0415
    from config.environment import variable_of, variables_for_runs  # noqa: PLC0415  (the settings library is heavy)

    times = _times_or_exit(when or [], market)
    command = RunCommand.written(
        config=config,
        strategy=strategy,
        risk_threshold=None if risk_threshold is None else str(risk_threshold),
        mcp_url=mcp_url,
        broker=broker,
        tws_host=host,
        tws_port=port,
        tws_client_id=client_id,
        tws_account=account,
        trading=trading_of(paper=paper_trading, live=live_trading),
    )
    place, settings = command.load_or_exit(home, is_attended=False)
    options = (*(("--market", market) if market else ()), *command.as_options())
    # A run that cron starts ends by itself, whatever the configuration says of those that a person starts.
    variables = {**variables_for_runs(os.environ), variable_of("enable_continuous_loop"): "false"}
    timetable = _timetable_or_exit(crontab=user_crontab, systemd=systemd)
    try:
        job = Job(_program(), place, times, options)
    except NotScheduled as error:
        exit_with(ExitCode.BAD_USAGE, str(error))
    try:
        show(_console(), job, timetable, variables, market, own_clock=is_simulated(settings))
        hold_to_a_yes("Write it?", "write", "written", yes=yes)
        _write(job, timetable, variables)
    except NotScheduled as error:
        exit_with(ExitCode.FAILED, str(error))
    say(_console(), f"Written. What runs print is kept in {place.scheduled_log}", "green")
    say(_console(), f"Take it away with: smart-agent schedule remove {job.id}")
    if timetable.name == "systemd":
        say(
            _console(), "Your timers run while you are logged in. So that they always do: loginctl enable-linger", "dim"
        )


@app.command("list")
def list_entries() -> None:
    """List the runs that are scheduled for you, from whichever home.

    Example: smart-agent schedule list
    """
    scheduled = _scheduled()
    for timetable, entry in scheduled:
        _tell(timetable, entry)
    if not scheduled:
        typer.echo("Nothing is scheduled.")


@app.command()
def remove(job_id: IdArgument = None) -> None:
    """Take a scheduled run away, with its file of variables; what else your crontab holds stays as it is.

    Example: smart-agent schedule remove 3f9a1c
    """
    from cli.schedule.job import VARIABLES, NotScheduled  # noqa: PLC0415

    scheduled = _scheduled()
    found = [(place, entry) for place, entry in scheduled if job_id in (None, entry.id)]
    if not found or (job_id is None and len(found) > 1):
        known = ", ".join(entry.id for _, entry in scheduled) or "none"
        wanted = f"{job_id} is not scheduled" if job_id and not found else f"{len(found)} scheduled runs could be meant"
        if not scheduled:
            exit_with(ExitCode.BAD_USAGE, "Nothing is scheduled, so nothing was removed.")
        which = f"Name one: smart-agent schedule remove ID, of {known}."
        exit_with(ExitCode.BAD_USAGE, f"{wanted}; nothing was removed. {which}")
    for timetable, entry in found:  # two, where it is kept by cron and by systemd
        try:
            timetable.remove(entry.id)
        except NotScheduled as error:
            exit_with(ExitCode.FAILED, str(error))
        variables = Path(entry.given(VARIABLES) or "")
        if variables.name == f"schedule-{entry.id}.json" and not variables.is_dir():
            variables.unlink(missing_ok=True)
        say(_console(), f"Removed {entry.id} ({entry.given('--market') or entry.when}) from {timetable.name}.")
    left = [other for other in scheduled if other not in found]
    say(_console(), "Left:" if left else "Nothing is scheduled any more.")
    for timetable, entry in left:
        _tell(timetable, entry)


def _times_or_exit(when: list[str], market: str | None) -> CronTimes:
    from cli.schedule.times import EVERY_FIVE_MINUTES, CronTimes  # noqa: PLC0415

    if len(when) > 1:
        exit_with(
            ExitCode.BAD_USAGE,
            f"The times came as {len(when)} words, and must be one; nothing was written. "
            'Put them in quotes: smart-agent schedule add "30 10 * * 1-5"',
        )
    if when and market is not None:
        exit_with(ExitCode.BAD_USAGE, "The times and --market both say when; nothing was written. Give one of them.")
    if not when and market is None:
        exit_with(
            ExitCode.BAD_USAGE, 'Say when, either as "30 10 * * 1-5" or as --market open+30m; nothing was written.'
        )
    if market is not None:
        moment_or_exit(market, "Nothing was written.")
        return EVERY_FIVE_MINUTES
    try:
        return CronTimes.parse(when[0])
    except ValueError as error:
        exit_with(ExitCode.BAD_USAGE, f"{error} Nothing was written.")


def _program() -> Path:
    """This command, by a path that holds without PATH."""
    program = Path(sys.executable).with_name("smart-agent")
    if not program.exists():
        exit_with(
            ExitCode.BAD_USAGE,
            f"{program} is not there, so nothing could start it; nothing was written. Install this project first.",
        )
    return program


def _timetable_or_exit(*, crontab: bool, systemd: bool) -> Timetable:
    from cli.schedule.crontab import Crontab  # noqa: PLC0415
    from cli.schedule.systemd import SystemdTimers  # noqa: PLC0415

    if crontab and systemd:
        exit_with(ExitCode.BAD_USAGE, "--user-crontab and --systemd exclude each other; give one of them.")
    if not (crontab or systemd or shutil.which("crontab") or shutil.which("systemctl")):
        exit_with(
            ExitCode.BAD_USAGE,
            "This computer has neither crontab nor systemd; nothing was written. "
            "Let another scheduler start: smart-agent run --market open+30m",
        )
    return Crontab() if crontab or (shutil.which("crontab") and not systemd) else SystemdTimers()


def _write(job: Job, timetable: Timetable, variables: dict[str, str]) -> None:
    """The files of the run first, so that one that starts at once finds them."""
    from cli.schedule.job import NotScheduled  # noqa: PLC0415
    from config.json_file import write_object  # noqa: PLC0415
    from config.problems import ConfigError  # noqa: PLC0415

    file = job.home.variables_of(job.id)
    is_new = not file.exists()
    try:
        write_object(file, variables)
        os.close(os.open(job.home.scheduled_log, os.O_CREAT | os.O_WRONLY, 0o600))
    except ConfigError as error:
        raise NotScheduled(f"{file}: {error.problems[0].why}; nothing was scheduled. Take another --home.") from None
    except OSError as error:
        raise NotScheduled(f"{error.filename}: {error.strerror}; nothing was scheduled. Take another --home.") from None
    try:
        timetable.add(job)
    except NotScheduled:
        if is_new:
            file.unlink()
        raise


def _scheduled() -> list[tuple[Timetable, Entry]]:
    """Every scheduled run with where it is kept."""
    from cli.schedule.crontab import Crontab  # noqa: PLC0415
    from cli.schedule.job import NotScheduled  # noqa: PLC0415
    from cli.schedule.systemd import SystemdTimers  # noqa: PLC0415

    places: list[Timetable] = [*([Crontab()] if shutil.which("crontab") else []), SystemdTimers()]
    try:
        return [(place, entry) for place in places for entry in place.entries()]
    except NotScheduled as error:
        exit_with(ExitCode.FAILED, str(error))


def _tell(timetable: Timetable, entry: Entry) -> None:
    from cli.schedule.preview import next_start  # noqa: PLC0415

    when = entry.given("--market") or entry.when
    home = entry.given("--home") or "a home that its command does not name"
    say(_console(), Text.assemble((entry.id, "bold"), f"  {when}  {home}  ({timetable.name})"))
    say(_console(), f"        {' '.join(entry.words)}", "dim")
    if not entry.words or not Path(entry.words[0]).exists():
        say(_console(), "        Nothing starts: its program is gone. Remove it, and add it anew.", "yellow")
    elif start := next_start(entry):
        say(_console(), f"        Next: {start}")


def _console() -> Console:
    return Console(highlight=False)
