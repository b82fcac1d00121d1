"""The test's end of `crashing_run`: jobs out, and how they ended back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.simulators.crash_job import Ended, Job

PROJECT = Path(__file__).parents[2]


class Nursery:
    """Does one job at a time in a process of its own; servers go on until `stop`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, job: Job) -> Ended:
        return self._ask(job.model_dump_json())

    def stop(self) -> None:
        """End every server."""
        self._ask("stop")

    def _ask(self, line: str) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return Ended.model_validate_json(self._process.stdout.readline())


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    # A thread of the numerical library would be missing in a fork.
    environment = {"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.simulators.crashing_run"]
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Nursery(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)
