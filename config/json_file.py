"""Config files: JSON, written whole or not at all.

They are read so that nothing is lost in silence: a duplicate key, NaN or a comment is a problem, not somebody's guess.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

from config.problems import ConfigError, Problem, key_path, printable, shown

LARGEST_FILE = 1_000_000
"""Bytes; a configuration has a few thousand, so more is some other file."""


class Repeating(dict[str, Any]):
    """A JSON object that names a key more than once; `repeated` holds those keys."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = tuple(dict.fromkeys(name for name in names if names.count(name) > 1))


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`; raises `ConfigError` if there is none."""
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise unusable(
            file, f"it cannot be read ({why})", "Check the path, or write one with `config create`"
        ) from None
    if len(data) > LARGEST_FILE:
        raise unusable(file, f"it is larger than {LARGEST_FILE} bytes", "Name a configuration file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unusable(file, f"byte {error.start + 1} is not UTF-8 text", "Save it as UTF-8") from None
    value = parse(text, key="config file", source=printable(str(file)))
    if not isinstance(value, dict):
        raise unusable(
            file, "it holds JSON, but no object", 'Write keys and values in braces: {"risk_threshold": 1000}'
        )
    return value


def unusable(file: Path, why: str, instead: str) -> ConfigError:
    return ConfigError([Problem("config file", "", printable(str(file)), why, instead)])


def parse(text: str, *, key: str, source: str) -> Any:
    """`text` as JSON, for `repetitions` to look through.

    Raises `ConfigError` naming the place of an error, and never quoting it, since a secret may stand there.
    """
    why = "it is nested too deeply"
    try:
        value = json.loads(text, object_pairs_hook=object_of, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        why = f"it is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except ValueError as error:
        why = f"it is not JSON: {error}"
    except RecursionError:
        pass
    else:
        return value
    raise ConfigError([Problem(key, "", source, why, "Correct it at that place")])


def refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is no number JSON knows")


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeating(pairs)


def repetitions(value: Any, source: str, path: tuple[str | int, ...] = ()) -> Iterator[Problem]:
    """Every key that an object in the parsed `value`, at any depth, names more than once."""
    if isinstance(value, Repeating):
        for name in value.repeated:
            yield Problem(
                key_path((*path, name)),
                shown(value[name], name=name),
                source,
                "the key stands there more than once, and only one value can hold",
                "Keep the one you mean",
            )
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from repetitions(inner, source, (*path, step))


def copied(file: Path) -> Path:
    """A copy of `file` beside it for the owner alone, named .bak, .bak2, …; raises `ConfigError` if that fails."""
    number = 1
    while os.path.lexists(copy := file.with_name(f"{file.name}.bak{number if number > 1 else ''}")):
        number += 1
    try:
        shutil.copyfile(file, copy)
        copy.chmod(0o600)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise unusable(copy, f"no copy can be kept there ({error.strerror})", "Copy the file yourself") from None
    return copy


def write_object(file: Path, value: dict[str, Any]) -> None:
    """Put `value` into `file`, whole or not at all, for the owner alone; raises `ConfigError` if that fails."""
    draft: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as stream:
            draft = Path(stream.name)
            stream.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except (OSError, ValueError) as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        why = getattr(error, "strerror", None) or str(error)
        raise unusable(
            file, f"it cannot be written ({why})", "Name a folder that exists and you may write to"
        ) from None
