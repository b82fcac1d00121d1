"""What travels between the nodes of a chat, and what stays put."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

from langchain_core.messages import AIMessage, BaseMessage

from config.settings import Settings
from graph.chat.records import Records
from graph.record import Exchange, ToolUse, Usage
from graph.think.mind import Mind
from graph.think.study import Study

Turn = Literal["ask", "look_up", "close"]


class Thread(TypedDict, total=False):
    """A chat as it is kept: what was asked and answered, and the question of the moment."""

    exchanges: tuple[Exchange, ...]
    question: str


class Talking(Thread, total=False):
    """One question being answered. It ends with the answer, and is not kept; one that is broken off leaves nothing."""

    asked_at: datetime
    ends_at: datetime
    messages: tuple[BaseMessage, ...]
    said: AIMessage
    spent: Usage
    tool_uses: tuple[ToolUse, ...]
    moments: tuple[str, ...]
    closing: bool
    trouble: str
    turn: Turn


@dataclass(frozen=True)
class ChatContext:
    """The live handles of one question.

    `study` reads the account when it is first wanted, and gives the same again until the answer is there. `may_propose`
    says that a person is there to say yes or no.
    """

    settings: Settings
    mind: Mind
    records: Records
    study: Callable[[], Awaitable[Study]]
    clock: Callable[[], datetime]
    may_propose: bool
