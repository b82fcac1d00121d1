"""`smart-agent prompt think`: what the model would be told now, word for word. Nothing is sent to it."""

from __future__ import annotations

import json
import sqlite3
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode, exit_code
from cli.options import (
    AccountOption,
    AsOfOption,
    BrokerOption,
    ClientIdOption,
    ConfigOption,
    HomeOption,
    HostOption,
    PricesOption,
    TwsPortOption,
    UrlOption,
    exit_with,
    sole_use,
)
from cli.run_command import RunCommand

if TYPE_CHECKING:
    from config.home import Home
    from config.settings import Settings

app = typer.Typer(help="What the language model is told.", no_args_is_help=True)


@app.callback()
def prompt() -> None:
    """What the language model is told."""


@app.command()
def think(
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    mcp_url: UrlOption = None,
    broker: BrokerOption = None,
    host: HostOption = None,
    port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="A shipped strategy.", show_default=False)] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The body of the request, as it would be sent.")] = False,
) -> None:
    """Print the first request of THINK for the account as it stands, and send it nowhere; no key is in it.

    Example: smart-agent prompt think --as-of 2026-06-15
    """
    command = RunCommand.written(
        config=config,
        prices=prices,
        as_of=as_of,
        strategy=strategy,
        mcp_url=mcp_url,
        broker=broker,
        tws_host=host,
        tws_port=port,
        tws_client_id=client_id,
        tws_account=account,
    )
    place, settings = command.load_or_exit(home)
    import asyncio  # noqa: PLC0415  (the help page does without)

    from brokers.errors import BrokerError  # noqa: PLC0415
    from brokers.simulated import MarketError  # noqa: PLC0415
    from graph.failure import describe  # noqa: PLC0415
    from graph.journal import JournalError  # noqa: PLC0415
    from tools.wire.foreign_text import one_line  # noqa: PLC0415

    try:
        with sole_use(place):
            body = asyncio.run(_request(settings, place, command))
    except MarketError as error:
        exit_with(ExitCode.BAD_USAGE, str(error))
    except BrokerError as error:
        exit_with(exit_code(describe("sense", error).outcome), str(error))
    except JournalError as error:
        exit_with(ExitCode.HALTED, str(error))
    except (ImportError, OSError, ValueError, sqlite3.Error) as error:
        exit_with(ExitCode.FAILED, f"The request cannot be made up ({one_line(str(error), 160)}); nothing was sent.")
    if as_json:
        sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
        return
    for name, text in _parts(body):
        typer.echo(f"--- {name}\n{text}\n")


async def _request(settings: Settings, home: Home, command: RunCommand) -> dict[str, Any]:
    from langgraph.runtime import Runtime  # noqa: PLC0415  (the graph's libraries take seconds)

    from cli.wiring import Start, open_context  # noqa: PLC0415
    from graph.memory import open_memory  # noqa: PLC0415
    from graph.sense import observe, the_account  # noqa: PLC0415
    from graph.think.ask import next_question  # noqa: PLC0415
    from graph.think.openai_mind import open_mind  # noqa: PLC0415
    from graph.think.prepare import prepare  # noqa: PLC0415

    async with (
        open_context(settings, home, Start(command=command)) as context,
        open_memory(home.memory) as store,
        open_mind(settings) as mind,
    ):
        runtime = Runtime(context=replace(context, mind=mind), store=store)
        snapshot = await observe(await the_account(context.reader), context)
        begun = await prepare({"snapshot": snapshot}, runtime)
        return mind.request(next_question({**begun, "snapshot": snapshot}, runtime))


def _parts(body: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to read of the request, in its order."""
    spoken = [(part["role"], part["content"]) for part in body.get("messages", body.get("input", ()))]
    tools = [json.dumps(tool.get("function", tool), ensure_ascii=False) for tool in body.get("tools", ())]
    form = body.get("response_format", body.get("text"))
    size = len(json.dumps(body)) // 4
    return [
        *spoken,
        ("tools", "\n".join(tools)),
        ("form of the answer", json.dumps(form, ensure_ascii=False)),
        ("request", f"model {body['model']}, about {size:,} tokens (characters / 4); `--json` prints it as it is sent"),
    ]
