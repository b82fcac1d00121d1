"""The Gateway as a process of its own, seen from another: how to start it, and how to command it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 30


class RemoteGateway:
    """Commands for the Gateway whose control port that is; each waits until it is done."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._lines = self._socket.makefile("rw", encoding="utf-8", newline="\n")

    def do(self, command: str, **arguments: Any) -> Any:
        """What `Control` has under that name.

        Raises:
            RuntimeError: it could not be done.
        """
        self._lines.write(json.dumps({"do": command, **arguments}) + "\n")
        self._lines.flush()
        told = json.loads(self._lines.readline())
        if "error" in told:
            raise RuntimeError(told["error"])
        return told["ok"]

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change faults, with sets as lists and kinds of faults by their value; all faults come back."""
        return dict(self.do("set_faults", **changes))

    def orders(self) -> list[dict[str, Any]]:
        return list(self.do("orders"))

    def positions(self) -> dict[str, str]:
        return dict(self.do("positions"))

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        return list(self.do("requests", since=since))

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@dataclass(frozen=True)
class RunningGateway:
    """A Gateway in another process: the port it serves clients at, its account, and its commands."""

    port: int
    account: str
    control: RemoteGateway


@contextmanager
def gateway_process(home: Path, *options: str) -> Iterator[RunningGateway]:
    """A Gateway with its broker's books in `home`, until the block ends; `options` are those of the command line."""
    command = [sys.executable, "-m", "tests.simulators.gateway", "--home", str(home), *options]
    top = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=top) as process:
        try:
            told = json.loads(process.stdout.readline() if process.stdout else "")
            control = RemoteGateway(told["control"])
            try:
                yield RunningGateway(told["port"], told["account"], control)
            finally:
                control.close()
        finally:
            process.terminate()
