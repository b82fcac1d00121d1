"""Commands as a person is told to type them: with the home, where a shell would not find it by itself."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping

from config.home import Home, find_home

COMMAND = re.compile(r"`(smart-agent [^`]+)`")


def in_home(place: Home, environ: Mapping[str, str]) -> str:
    """The option that names the home; nothing where a shell with `environ` finds it without."""
    return "" if place == find_home(None, environ) else f" --home {shlex.quote(str(place.root))}"


def typed(command: str, place: Home) -> str:
    """`smart-agent COMMAND`, as it is typed in this shell."""
    return f"smart-agent {command}{in_home(place, os.environ)}"


def hinted(words: str, place: Home, environ: Mapping[str, str] = os.environ) -> str:
    """`words`, whose commands in backquotes are as they are typed in a shell with `environ`, by default this one."""
    option = in_home(place, environ)
    return COMMAND.sub(lambda found: f"`{found[1]}{option}`", words)
