"""From a tool's answer to a fact, or to one sentence that says why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from brokers.errors import Terminal
from tools.client import Tools
from tools.contract import Tool
from tools.rows.base import Row
from tools.wire.foreign_text import one_line

Answer = TypeVar("Answer")
AnyRow = TypeVar("AnyRow", bound=Row)


async def ask(
    tools: Tools, tool: Tool, row: type[AnyRow], read: Callable[[AnyRow], Answer], **arguments: object
) -> Answer:
    """What `read` makes of the tool's answer, once that fits the contract's `row` and is about the account asked for.

    Raises:
        Terminal: the server answered something else, or with an error.
        Retryable: there was no answer.
    """
    result = await tools.call(tool.value, **arguments)
    asked = arguments.get("account_id")
    answered = result.get("account_id", asked)
    if answered != asked and asked is not None:
        raise strange(tool, f"account {asked}", f"account {answered}")
    return understood(tool, lambda: read(row.model_validate(result)))


def understood(tool: Tool, read: Callable[[], Answer]) -> Answer:
    """What `read` returns.

    Raises:
        Terminal: it stumbled over the answer of `tool`.
    """
    try:
        return read()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _misfit(tool, f"{where}: {first['msg']}") from error
    except ArithmeticError as error:  # a number or a time so large that nothing can be made of it
        raise _misfit(tool, str(error)) from error


def _misfit(tool: Tool, why: str) -> Terminal:
    return Terminal(f"{tool.value}: the MCP server's answer does not fit the contract ({why}).")


def strange(tool: Tool, asked: str, answered: str) -> Terminal:
    """The error for an answer about something else."""
    return Terminal(
        f"{tool.value}: the MCP server was asked about {asked} and answered about {one_line(answered)}; not used."
    )


def complete(tool: Tool, what: str, sent: int, counted: int) -> None:
    """Hold the number of rows against the number the server gives.

    Raises:
        Terminal: they differ, so some are missing.
    """
    if sent != counted:
        raise Terminal(f"{tool.value}: {sent} of {counted} {what} were sent; what is not complete is not traded on.")
