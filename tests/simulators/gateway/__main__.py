"""Run the simulated Gateway on a simulated account: `python -m tests.simulators.gateway --home DIR`.

One line of JSON on stdout tells the ports of clients and of commands, and the account. It ends with SIGTERM, SIGINT or
the command `stop`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from datetime import date
from pathlib import Path

from brokers.simulated import open_simulated
from tests.simulators.gateway.control import controlled
from tests.simulators.gateway.server import BEAT_SECONDS, MOST_VERSION, gateway


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.gateway", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the simulated broker's books")
    parser.add_argument("--as-of", type=date.fromisoformat, help="the day to trade on, five minutes before its close")
    parser.add_argument("--prices", type=Path, help="a CSV of real daily prices in place of the synthetic market")
    parser.add_argument("--port", type=int, default=0, help="where clients connect; 0 for any")
    parser.add_argument("--control", type=int, default=0, help="where commands are taken; 0 for any")
    parser.add_argument("--version", type=int, default=MOST_VERSION, help="the newest server version")
    parser.add_argument("--shown", help="the account's name in place of the broker's; U... is a live one")
    parser.add_argument("--others", nargs="*", default=[], help="further accounts of the login, without books")
    parser.add_argument("--beat", type=float, default=BEAT_SECONDS, help="seconds between looks; 0 for none")
    return parser.parse_args()


async def run(given: argparse.Namespace) -> None:
    broker = open_simulated(given.home, prices=given.prices, as_of=given.as_of)
    try:
        async with (
            gateway(
                broker,
                version=given.version,
                shown=given.shown,
                others=tuple(given.others),
                port=given.port,
                beat=given.beat,
            ) as served,
            controlled(served, given.control) as (control, port),
        ):
            for end in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(end, control.stopped.set)
            sys.stdout.write(json.dumps({"port": served.port, "control": port, "account": served.account}) + "\n")
            sys.stdout.flush()
            await control.stopped.wait()
    finally:
        await broker.close()


if __name__ == "__main__":
    asyncio.run(run(arguments()))
