"""`smart-agent chat` and `ask`: questions about the portfolio, in plain words."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from cli.exit_codes import ExitCode
from cli.options import (
    AccountOption,
    AsOfOption,
    BrokerOption,
    ClientIdOption,
    ConfigOption,
    HomeOption,
    HostOption,
    LiveOption,
    PaperOption,
    PricesOption,
    RiskOption,
    StrategyOption,
    TwsPortOption,
    UrlOption,
    exit_with,
    trading_of,
)
from cli.run_command import RunCommand

ThreadOption = Annotated[
    str | None,
    typer.Option("--thread", help="A thread to begin under that name, or to go on with.", show_default=False),
]
AnswerOption = Annotated[bool, typer.Option("--json", help="Print the answer and what it rests on as JSON.")]
NO_MODEL = (
    "No language model is set up: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own (docs/model.md)."
)
MOST_OF_A_NAME = 60


def chat(
    context: typer.Context,
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    thread: ThreadOption = None,
    *,
    paper_trading: PaperOption = False,
    live_trading: LiveOption = False,
    risk_threshold: RiskOption = None,
    mcp_url: UrlOption = None,
    broker: BrokerOption = None,
    host: HostOption = None,
    port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
    strategy: StrategyOption = None,
) -> None:
    """Chat about the portfolio; trades that come up are sent only past the guard and after your yes.

    Works without a model too: /portfolio, /drift, /plan and others; /help lists them.

    Example: smart-agent chat --thread taxes
    """
    command = RunCommand.written(
        config=config,
        prices=prices,
        as_of=as_of,
        strategy=strategy,
        risk_threshold=None if risk_threshold is None else str(risk_threshold),
        mcp_url=mcp_url,
        broker=broker,
        tws_host=host,
        tws_port=port,
        tws_client_id=client_id,
        tws_account=account,
        trading=trading_of(paper=paper_trading, live=live_trading),
    )
    place, settings = command.load_or_exit(home)
    from cli.chat.conversation import Conversation  # noqa: PLC0415  (what reads lines costs more than the help page)

    program = context.find_root().command
    Conversation(place, settings, command, program.main, _checked(thread)).hold()


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know, in plain words.")],
    home: HomeOption = None,
    config: ConfigOption = None,
    prices: PricesOption = None,
    as_of: AsOfOption = None,
    thread: ThreadOption = None,
    *,
    mcp_url: UrlOption = None,
    broker: BrokerOption = None,
    host: HostOption = None,
    port: TwsPortOption = None,
    client_id: ClientIdOption = None,
    account: AccountOption = None,
    strategy: StrategyOption = None,
    as_json: AnswerOption = False,
) -> None:
    """Ask one question about the portfolio, for scripts; the answer alone is on stdout. Nothing can be traded by it.

    Example: smart-agent ask "How far off target am I?"
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
    if not settings.knows_model:
        exit_with(ExitCode.BAD_USAGE, f"{NO_MODEL} Nothing was asked.")
    if not question.strip():
        exit_with(ExitCode.BAD_USAGE, 'The question is empty; nothing was asked. Write one, such as "What do I own?".')
    from cli.chat.answer import Asking, answered  # noqa: PLC0415
    from cli.chat.shown import Aside  # noqa: PLC0415

    told = answered(Asking(question, _checked(thread), may_propose=False), place, settings, command, Aside())
    if told is None:
        raise typer.Exit(ExitCode.FAILED)
    exchange = told.exchange
    if as_json:
        facts: dict[str, Any] = exchange.model_dump(mode="json")
        facts |= {"trouble": told.trouble, "usage": told.usage.model_dump(mode="json")}
        sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    elif exchange.answer:
        from cli.speech import printable  # noqa: PLC0415

        sys.stdout.write(printable(exchange.answer) + "\n")
    if told.trouble:
        exit_with(ExitCode.FAILED, f"{told.trouble[0].upper()}{told.trouble[1:]}.")


def _checked(thread: str | None) -> str | None:
    if thread is None:
        return None
    if not thread.strip() or not thread.isprintable() or len(thread) > MOST_OF_A_NAME:
        exit_with(
            ExitCode.BAD_USAGE,
            f"--thread: this is not the name of a thread; nothing was asked. Write up to {MOST_OF_A_NAME} characters.",
        )
    return thread.strip()
