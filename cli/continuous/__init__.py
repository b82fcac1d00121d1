"""`smart-agent run --continuous`: run after run, until somebody ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.exit_codes import ExitCode
from cli.options import exit_with
from cli.slot import moment_or_exit

if TYPE_CHECKING:
    from cli.run_command import RunCommand
    from config.home import Home
    from config.settings import Settings


def run_continuously(
    place: Home, settings: Settings, command: RunCommand, *, market: str | None, max_runs: int | None, as_json: bool
) -> ExitCode:
    """Run at each moment of a session that `market` names, else each interval, at most `max_runs` times."""
    # The graph and its libraries take seconds to import, so the person is told first that something happens.
    from cli.trace import trace_for  # noqa: PLC0415

    if market is not None and command.interval is not None:
        exit_with(ExitCode.BAD_USAGE, "--market and --interval both say when runs are; nothing was started. Give one.")
    moment = moment_or_exit(market, "Nothing was started.") if market is not None else None
    import asyncio  # noqa: PLC0415  (the help page does without)

    trace = trace_for(as_json=as_json, interactive=False)
    with sole_loop(place):
        try:
            trace.starting()
            from cli.continuous.configuration import Configuration  # noqa: PLC0415
            from cli.continuous.loop import Loop  # noqa: PLC0415
        except KeyboardInterrupt:
            trace.interrupted()
            return ExitCode.FAILED
        finally:
            trace.stop()
        loop = Loop(Configuration(place, command, settings), moment, max_runs, as_json=as_json)
        return asyncio.run(loop.go_on())


@contextmanager
def sole_loop(place: Home) -> Iterator[None]:
    """One loop at a time in a home; single runs find their turn between its runs."""
    from filelock import FileLock, Timeout  # noqa: PLC0415  (only commands that trade need it)

    try:
        lock = FileLock(place.loop_lock).acquire(timeout=0)
    except Timeout:
        exit_with(
            ExitCode.FAILED,
            f"Another process runs continuously in {place.root}; this one did nothing. "
            "End that one first, give --home another folder, or run once with --once.",
        )
    except OSError as error:
        exit_with(
            ExitCode.BAD_USAGE,
            f"{error.filename or place.root}: {error.strerror}; nothing was started. Check that folder.",
        )
    with lock:
        yield
