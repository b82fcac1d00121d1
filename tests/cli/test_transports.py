"""The same run gives the same record whichever way the agent reaches the broker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.home import Home

SMART_AGENT = Path(sys.executable).with_name("smart-agent")
DAY = "2026-06-15"
VOLATILE = {
    "run_id",
    "started_at",
    "finished_at",
    "reflected_at",
    "judged_at",
    "timings",
    "client_order_id",
    "broker_order_id",
    "evidence",
}
ENVIRONMENT = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}


def run(home: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [SMART_AGENT, "run", "--json", "--home", home, *arguments],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "XDG_DATA_HOME": str(home.parent / "data")},  # where locks of accounts are kept
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return {key: without_ids_and_times(value) for key, value in record.items() if key not in VOLATILE}


def without_ids_and_times(record: Any) -> Any:
    """The record less what must differ from run to run."""
    if isinstance(record, dict):
        return {key: without_ids_and_times(value) for key, value in record.items() if key not in VOLATILE}
    if isinstance(record, list):
        return [without_ids_and_times(item) for item in record]
    return record


@contextmanager
def http_server(home: Path) -> Iterator[str]:
    """`smart-agent server` over HTTP in a process of its own, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(part) for part in (SMART_AGENT, "server", "--transport", "http", "--port", port)]
    command += ["--home", str(home), "--as-of", DAY]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as server:
        try:
            wait_for_port(server, port)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()


def wait_for_port(server: subprocess.Popen[str], port: int) -> None:
    """Until the server listens; each refused connection comes back at once, so this asks as fast as it can."""
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(f"the server ended: {server.stderr.read() if server.stderr else ''}")


@pytest.mark.slow
def test_memory_stdio_and_http_give_the_same_record(tmp_path: Path) -> None:
    homes = {name: Home(tmp_path / name) for name in ("memory", "stdio", "http", "stdio-server", "http-server")}
    for home in homes.values():
        home.create()
    in_memory = run(homes["memory"].root, "--as-of", DAY)
    command = f"stdio:{SMART_AGENT} server --home {homes['stdio-server'].root} --as-of {DAY}"
    over_stdio = run(homes["stdio"].root, "--mcp-url", command)
    with http_server(homes["http-server"].root) as url:
        over_http = run(homes["http"].root, "--mcp-url", url)
    assert in_memory["outcome"] == "traded"
    assert in_memory["orders"]
    assert over_stdio == in_memory
    assert over_http == in_memory
