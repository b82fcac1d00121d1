"""`smart-agent config …`: write, check and show the configuration, and nothing else.

The settings library is imported inside the commands: it costs more time than all of `--help`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.console import answer_console, say
from cli.exit_codes import ExitCode
from cli.options import ConfigOption, HomeOption, complain, exit_with
from cli.problems import print_problems
from config.home import Home, find_home
from config.problems import ConfigError, looks_secret, printable, shown

if TYPE_CHECKING:
    from config.load import Loaded
    from config.settings import Settings

app = typer.Typer(help="Write, check and show the configuration.", no_args_is_help=True)

VALUE_WIDTH = 40
"""A screen of 80 columns has room for it between the longest key and the defaults."""
NOTHING_WRITTEN, NOTHING_CHANGED = "nothing was written", "nothing was changed"
PATIENCE = 10.0
"""Seconds that a change waits for another one to be written."""
UNUSABLE = "no run would start with it"

ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite what is there; a copy of it is kept.")]


@app.command()
def create(home: HomeOption = None, config: ConfigOption = None, *, force: ForceOption = False) -> None:
    """Write a config file that holds every key with its default.

    Example: smart-agent config create
    """
    with told_problems(NOTHING_WRITTEN):
        from config.settings import Settings  # noqa: PLC0415  (see the module's docstring)

        write({target_of(home, config): document_of(Settings())}, force=force)


@app.command()
def samples(home: HomeOption = None, config: ConfigOption = None, *, force: ForceOption = False) -> None:
    """Write one sample beside the config file for each strategy: config_default.json and its siblings.

    Example: smart-agent config samples
    """
    with told_problems(NOTHING_WRITTEN):
        from config.load import load_strategy, strategy_names  # noqa: PLC0415  (see the module's docstring)
        from config.settings import Settings  # noqa: PLC0415

        folder = target_of(home, config).parent
        write(
            {
                folder / f"config_{name}.json": document_of(Settings(trading_rules=load_strategy(name)))
                for name in strategy_names()
            },
            force=force,
        )


@app.command()
def validate(
    file: Annotated[Path | None, typer.Argument(help="Config file (default: the one a run would use).")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Check a config file together with the environment; exit 2 if there are problems.

    Example: smart-agent config validate my_strategy.json
    """
    with told_problems(UNUSABLE):
        found, _ = effective(home, file or config)
        _tell(f"{found}: valid" if found else "no config file: the defaults and the environment are valid")


@app.command()
def show(
    home: HomeOption = None,
    config: ConfigOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Show the settings in effect, and where each of them comes from.

    Example: smart-agent config show
    """
    with told_problems(UNUSABLE):
        file, loaded = effective(home, config)
        rows = {key: {"value": value, "source": loaded.sources[key]} for key, value in visible(loaded.settings).items()}
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
            return
        console = answer_console()
        if file:
            say(console, f"The file: {file}", "dim")
        console.print(table_of(rows, file))


@app.command("set", context_settings={"ignore_unknown_options": True})  # or -1 would be an option
def set_value(
    key: Annotated[str, typer.Argument(help="The setting, as docs/configuration.md names it.")],
    value: Annotated[str, typer.Argument(help="Its new value: a word, a number, or JSON.")],
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Change one value in the config file, if all of it is valid then; the order of its keys stays.

    Example: smart-agent config set risk_threshold 500
    """
    from config.json_file import write_object  # noqa: PLC0415  (see the module's docstring)
    from config.load import load_document  # noqa: PLC0415

    if value.startswith("--"):
        exit_with(ExitCode.BAD_USAGE, f"No such option: {value}; {NOTHING_CHANGED}. `config set --help` lists them.")
    with told_problems(NOTHING_CHANGED), _changing(home, config) as (file, before):
        meant, gives_way = _meant(value), _gives_way_to(key, before)
        kept = {other: stays for other, stays in before.items() if other != gives_way}
        with _blamed_on(key):
            loaded = load_document({**kept, key: meant}, file=file, environ=os.environ)
        after = {**kept, key: _understood(key, meant)}
        if key in before and before[key] == after[key]:
            _tell(f"{key} is {shown(after[key], name=key)} already; nothing was changed.")
            return
        write_object(file.resolve(), after)
    was = shown(before[key], name=key) if key in before else "not set"
    _tell(f"{file}: {key} was {was}, and is {shown(after[key], name=key)}.")
    if gives_way:
        _tell(f"{gives_way} was taken out of the file, as {key} says it all.")
    stronger = loaded.sources.get(key)
    if stronger and stronger != printable(str(file)):
        complain(f"{stronger} is stronger, and still decides.")
    if key == "paper_trading" and not loaded.settings.paper_trading:
        complain(
            "With that a run sends orders to a live account, with real money, once its id is confirmed, and none to a "
            "paper account; docs/safety.md says how."
        )


@app.command("unset")
def unset_value(
    key: Annotated[str, typer.Argument(help="The setting, as docs/configuration.md names it.")],
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Take one key out of the config file, so that its default holds again; a copy of the file as it was is kept.

    Example: smart-agent config unset trading_rules
    """
    from config.json_file import copied, write_object  # noqa: PLC0415  (see the module's docstring)
    from config.load import load_document  # noqa: PLC0415

    with told_problems(NOTHING_CHANGED), _changing(home, config) as (file, before):
        if key not in before:
            _tell(f"{key} is not in {file}; nothing was changed.")
            return
        after = {other: value for other, value in before.items() if other != key}
        loaded = load_document(after, file=file, environ=os.environ)
        copy = None if looks_secret(key) else copied(file)
        write_object(file.resolve(), after)
    settings = visible(loaded.settings)
    if key in settings and not looks_secret(key):
        now, source = shown(settings[key], name=key), loaded.sources.get(key, "default")
        _tell(f"{file}: {key} was {shown(before[key], name=key)}, and is {now} ({source}).")
    else:
        _tell(f"{file}: {key} was taken out.")
    if copy:
        _tell(f"The file as it was before is in {copy}")


@contextmanager
def _changing(home: Path | None, config: Path | None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The file to change, and what it holds, nothing where there is none yet; nobody else changes it meanwhile."""
    from filelock import FileLock, Timeout  # noqa: PLC0415  (only what changes a file needs it)

    from config.json_file import read_object, repetitions, unusable  # noqa: PLC0415  (see the module's docstring)

    file = target_of(home, config)
    try:
        lock = FileLock(file.with_name(f".{file.name}.lock")).acquire(timeout=PATIENCE)
    except Timeout:
        raise unusable(file, "another command is changing it", "Try again") from None
    except OSError as error:
        why = f"it cannot be written ({error.strerror})"
        raise unusable(file, why, "Name a folder that you may write to") from None
    with lock:
        if os.path.lexists(file) and not file.is_file():
            raise unusable(file, "it is no file that can be written", "Name a file of your own")
        found = read_object(file) if os.path.lexists(file) or config else {}
        if problems := list(repetitions(found, printable(str(file)))):
            raise ConfigError(problems)
        yield file, found


def _gives_way_to(key: str, before: dict[str, Any]) -> str | None:
    """Strategy and rules are one choice: what setting `key` makes void, unless it were rules of somebody's own."""
    from config.load import is_shipped  # noqa: PLC0415  (see the module's docstring)

    if key == "trading_rules" and "strategy" in before:
        return "strategy"
    if key == "strategy" and is_shipped(before.get("trading_rules")):
        return "trading_rules"
    return None


def _tell(sentence: str) -> None:
    say(answer_console(), sentence)


@contextmanager
def _blamed_on(key: str) -> Iterator[None]:
    """What is wrong with the value of `key` was typed, and stands in no file."""
    try:
        yield
    except ConfigError as error:
        typed = re.compile(rf"{re.escape(key)}(?![^.\[])")
        told = (replace(one, source="as given") if typed.match(one.key) else one for one in error.problems)
        raise ConfigError(list(told)) from None


def _understood(key: str, value: Any) -> Any:
    """A word for true or false as that; whatever else as it is."""
    from config.load import load_document  # noqa: PLC0415  (see the module's docstring)
    from config.settings import Settings  # noqa: PLC0415

    if not isinstance(value, str) or not isinstance(Settings().document().get(key), bool):
        return value
    return load_document({key: value}, file=Path(key), environ={}).settings.document()[key]


def _meant(value: str) -> Any:
    """The value as JSON where it is that, else as the word it is."""
    from config.json_file import parse  # noqa: PLC0415  (see the module's docstring)

    try:
        return parse(value, key="value", source="the command line")
    except ConfigError:
        return value


@contextmanager
def told_problems(consequence: str) -> Iterator[None]:
    """Turn a `ConfigError` into words on stderr and exit code 2."""
    try:
        yield
    except ConfigError as error:
        print_problems(Console(stderr=True), error, consequence)
        raise typer.Exit(ExitCode.BAD_USAGE) from None


def effective(home: Path | None, config: Path | None) -> tuple[Path | None, Loaded]:
    """The config file a run would use, if any, and the settings it would have."""
    from config.load import load  # noqa: PLC0415  (see the module's docstring)

    file = find_home(home, os.environ).find_config(config)
    return file, load(file=file, environ=os.environ)


def target_of(home: Path | None, config: Path | None) -> Path:
    """The file to write; the home folder is made if the file belongs there."""
    if config is not None:
        return config
    place: Home = find_home(home, os.environ)
    place.create()
    return place.config_file


def document_of(settings: Settings) -> dict[str, Any]:
    """What a complete config file holds; rules name their strategy themselves, so that key would only contradict."""
    return {key: value for key, value in settings.document().items() if key != "strategy"}


def write(documents: dict[Path, dict[str, Any]], *, force: bool) -> None:
    """Write all `documents`, or none if one of the files exists and `force` is not given."""
    from config.json_file import copied, unusable, write_object  # noqa: PLC0415  (see the module's docstring)

    existing = [file for file in documents if os.path.lexists(file)]
    if existing and not force:
        problems = [unusable(file, "it exists already", "Add --force to overwrite it").problems for file in existing]
        raise ConfigError([problem for found in problems for problem in found])
    for file, document in documents.items():
        copy = copied(file) if file.is_file() else None
        write_object(file, document)
        say(answer_console(), f"Written: {file}", "green")
        if copy:
            say(answer_console(), f"What was there before is in {copy}")


def visible(settings: Settings) -> dict[str, Any]:
    """Every value as it may be seen: of a secret only whether it is set."""
    from config.settings import SECRETS  # noqa: PLC0415

    return {**settings.document(), **{key: "set" if getattr(settings, key) else "not set" for key in SECRETS}}


def table_of(rows: dict[str, dict[str, Any]], file: Path | None) -> Table:
    table = Table("key", box=None, header_style="bold", pad_edge=False)
    table.add_column("value", max_width=VALUE_WIDTH)
    table.add_column("from")
    named = printable(str(file)) if file else ""
    for key, row in rows.items():
        value, source = Text(value_text(key, row["value"]), overflow="fold"), row["source"]
        table.add_row(Text(key), value, Text("the file" if source == named else source, style="dim", overflow="fold"))
    return table


def value_text(key: str, value: Any) -> str:
    """A value of `key` as a person reads it."""
    from config.settings import SECRETS  # noqa: PLC0415  (see the module's docstring)

    if key == "trading_rules":
        return rules_text(value)
    return str(value) if key in SECRETS else json.dumps(value, ensure_ascii=False)


def rules_text(rules: list[dict[str, Any]]) -> str:
    """One line a rule: its target and its symbols."""
    return "\n".join(
        f"{rule['target_allocation']:g} % {rule['name']}: {', '.join(rule['symbols'])}"
        + ("" if rule["enabled"] else " (not enabled)")
        for rule in rules
    )
