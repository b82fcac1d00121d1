"""`smart-agent setup`: a first configuration, question by question, that ends with a look at everything by doctor.

Nothing is written before the last yes, so whoever leaves earlier, by Ctrl-C say, leaves all as it was.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from cli.config_commands import NOTHING_WRITTEN, told_problems
from cli.console import say
from cli.exit_codes import ExitCode
from cli.options import ConfigOption, HomeOption, exit_with
from config.home import Home, find_home

if TYPE_CHECKING:
    from config.load import Loaded

MOST_WIDTH = 100
YesOption = Annotated[bool, typer.Option("--yes", help="Ask nothing and change nothing: print the guide.")]


def setup(home: HomeOption = None, config: ConfigOption = None, *, yes: YesOption = False) -> None:
    """Make a first configuration, one question after the other, and look whether a run could trade.

    Without a terminal it prints the guide to the same steps, and changes nothing. Its exit code is that of `doctor`.

    Example: smart-agent setup
    """
    with told_problems(NOTHING_WRITTEN):
        place = find_home(home, os.environ)
        file = config or place.config_file
        if yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
            from cli.setup.guide import guide  # noqa: PLC0415  (for those who read it)

            typer.echo(guide(place, file))
            return
        console = Console(highlight=False)
        console.width = min(console.width, MOST_WIDTH)
        try:
            _write_what_is_wanted(console, place, file)
        except (KeyboardInterrupt, EOFError):
            console.print()
            exit_with(ExitCode.FAILED, "Nothing was changed; `smart-agent setup` begins anew.")
    raise typer.Exit(_look(console, place, config))


def _write_what_is_wanted(console: Console, place: Home, file: Path) -> None:
    """Ask, show what would change, and write that after a yes."""
    from rich.prompt import Confirm  # noqa: PLC0415  (what only this command needs)

    from cli.setup.interview import Interview  # noqa: PLC0415
    from config.json_file import copied, read_object, write_object  # noqa: PLC0415
    from config.load import load_document  # noqa: PLC0415

    if place.root.exists() and not (place.root.is_dir() and os.access(place.root, os.W_OK | os.X_OK)):
        raise place.unusable("no permission to write there")
    before = read_object(file) if os.path.lexists(file) else None
    load_document(before or {}, file=file, environ=os.environ)  # what is broken is told before anything is asked
    answers = Interview(console, place, file, before or {}).ask()
    after = _document(before, answers)
    if before is not None and after == before:
        say(console, f"{file} says all of that already; nothing was changed.")
        return
    console.print(_changes(before or {}, answers, after, file))
    if not Confirm.ask("Write it?", console=console, default=before is None):
        exit_with(ExitCode.FAILED, "Nothing was changed; `smart-agent setup` begins anew.")
    loaded = load_document(after, file=file, environ=os.environ)
    if file == place.config_file:
        place.create()
    copy = copied(file) if before and before.keys() - after.keys() else None
    write_object(file.resolve(), after)
    say(console, f"Written: {file}", "green")
    if copy:
        say(console, f"What was there before is in {copy}")
    _tell_what_is_stronger(console, loaded, answers, file)


def _document(before: dict[str, Any] | None, answers: dict[str, Any]) -> dict[str, Any]:
    """The whole file: what was answered, beside what stood there and was not asked about."""
    kept = dict(before or {})
    if "strategy" in answers:
        kept.pop("trading_rules", None)  # the two are one choice
    return {**kept, **answers}


def _changes(before: dict[str, Any], answers: dict[str, Any], after: dict[str, Any], file: Path) -> Any:
    """What the file says now of each key that would change, and what it would say."""
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from cli.config_commands import value_text  # noqa: PLC0415

    table = Table("key", "now", "then", box=None, header_style="bold", pad_edge=False)
    for key in {**answers, **before}:
        now, then = (value_text(key, document[key]) if key in document else "not set" for document in (before, after))
        if now != then:
            table.add_row(key, Text(now, style="dim", overflow="fold"), Text(then, overflow="fold"))
    return Group(Text(f"{file} would say:", style="bold"), table)


def _tell_what_is_stronger(console: Console, loaded: Loaded, answers: dict[str, Any], file: Path) -> None:
    """An answer that something else outweighs must not be taken for one that holds."""
    from config.problems import printable  # noqa: PLC0415

    for key in answers:
        source = loaded.sources.get(key, "")
        if source and source != printable(str(file)):
            say(console, f"{key}: {source} is stronger, and still decides.", "yellow")


def _look(console: Console, place: Home, config: Path | None) -> ExitCode:
    """Doctor, and the next command to type; the exit code is doctor's."""
    from cli.doctor import look_over  # noqa: PLC0415
    from cli.hints import typed  # noqa: PLC0415
    from cli.run_command import RunCommand  # noqa: PLC0415

    console.print(Text("\nWhat a run would find:\n", style="bold"))
    code = look_over(place, RunCommand.written(config=config))
    options = f" --config {config}" if config else ""
    verb = "run" if code is ExitCode.DONE else "doctor"
    when = "Next" if code is ExitCode.DONE else "Once that is settled"
    console.print(Text.assemble(f"\n{when}: ", (f"{typed(verb, place)}{options}", "bold cyan")), soft_wrap=True)
    return code
