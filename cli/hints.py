"""Commands as a person is told to type them."""

from __future__ import annotations

import os
import shlex

from config.home import Home, find_home


def typed(command: str, place: Home) -> str:
    """`smart-agent COMMAND`, with the home where it is not the one that would be found without."""
    is_found = find_home(None, os.environ) == place
    return f"smart-agent {command}" if is_found else f"smart-agent {command} --home {shlex.quote(str(place.root))}"
