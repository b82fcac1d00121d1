"""What is wrong with a configuration: every problem at once, each with the place, the reason and the way out.

A problem holds its value as text that is already fit for a screen: secrets are replaced, containers are counted instead
of printed (a key may hide inside them), and control characters are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

HIDDEN = "(not shown)"
ABSENT = "(missing)"
LONGEST_VALUE = 80

SECRET_NAME = re.compile(
    r"api.?key|secret|passw|passphrase|token|credential|private.?key|authori|bearer|notify.?url", re.IGNORECASE
)
SECRET_VALUE = re.compile(
    r"sk-\w|gh[opsu]_\w|eyJ\w{8}|://[^/\s]*@|[?&][^=&]*(key|token|secret|passw)[^=&]*=", re.IGNORECASE
)


@dataclass(frozen=True)
class Problem:
    """One thing to put right.

    `key` is a path such as `trading_rules[1].target_allocation`, `value` what stands there (empty where no one value is
    to blame), `source` where it was read, `why` what is wrong with it and `instead` what to write; both of these are
    sentences without the full stop.
    """

    key: str
    value: str
    source: str
    why: str
    instead: str

    def __str__(self) -> str:
        found = f"{self.value} from {self.source}" if self.value else self.source
        return f"{self.key}: {found}: {self.why}. {self.instead}."


class ConfigError(Exception):
    """The configuration cannot be used; nothing was started. `problems` holds all of them, never none."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def looks_secret(name: str) -> bool:
    """Whether a key or variable of this name would hold a key or a password."""
    return SECRET_NAME.search(name) is not None


def printable(text: str) -> str:
    """`text` with everything escaped that could move a cursor, hide itself or fail to encode."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


def shown(value: object, *, name: str = "") -> str:
    """`value` as a problem may show it, given the `name` of the key it was found under."""
    if looks_secret(name) or (isinstance(value, str) and SECRET_VALUE.search(value)):
        return HIDDEN
    match value:
        case dict():
            return f"an object of {len(value)} keys"
        case list() | tuple():
            return f"a list of {len(value)}"
        case int() if value.bit_length() > LONGEST_VALUE:
            return f"a number of {value.bit_length()} bits"
        case None | bool() | str():
            return shortened(printable(json.dumps(value, ensure_ascii=False)))
        case _:
            return shortened(printable(str(value)))


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def key_path(steps: Iterable[str | int]) -> str:
    """("trading_rules", 1, "symbols") as `trading_rules[1].symbols`."""
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else "." + (shortened(printable(step)) or '""')
    return path.removeprefix(".")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if none is like it."""
    matches = get_close_matches(name, list(known), n=1)
    return matches[0] if matches else None
