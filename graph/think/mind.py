"""The language model as the thinking step knows it: a question in, pieces of an answer out.

A mind holds no tools and runs none. It may name those it would like to see used; the step decides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from langchain_core.messages import AIMessageChunk, BaseMessage


class Manner(StrEnum):
    """How the server is held to the form of the final answer, the strictest first; not every server knows every one."""

    JSON_SCHEMA = "json_schema"
    FUNCTION_CALLING = "function_calling"
    JSON = "json"

    @property
    def next(self) -> Manner | None:
        """What a server is asked for that refuses this one."""
        manners = list(Manner)
        return manners[manners.index(self) + 1] if self is not Manner.JSON else None


@dataclass(frozen=True)
class Form:
    """What an answer is to look like: a JSON `schema`, under a name and with a few words that say what it is."""

    name: str
    says: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Question:
    """`form` is None where any words will do, `most_tokens` bounds the answer.

    `tools` are function tools in OpenAI's form, empty where none may be called.
    """

    messages: tuple[BaseMessage, ...]
    form: Form | None
    tools: tuple[dict[str, Any], ...]
    manner: Manner
    most_tokens: int


class NoAnswer(Exception):
    """The model gave no answer that can be used; the message is a sentence for the investor."""


class AskOtherwise(NoAnswer):
    """The server refuses to be asked in this manner."""


class CutShort(NoAnswer):
    """The answer broke off in the middle; asking again may help."""


class NoMind:
    """In place of a model whose client could not be set up: whatever is asked, it says why."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.server = "none"
        self._why = why

    def answer(self, question: Question) -> AsyncIterator[AIMessageChunk]:  # noqa: ARG002  (as `Mind`)
        raise NoAnswer(self._why)

    def request(self, question: Question) -> dict[str, Any]:  # noqa: ARG002
        raise NoAnswer(self._why)


class Mind(Protocol):
    """A language model behind its server."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def server(self) -> str:
        """Where it is, as may be shown."""
        ...

    def answer(self, question: Question) -> AsyncIterator[AIMessageChunk]:
        """The answer, piece by piece.

        Raises:
            NoAnswer: there is none, or it cannot be understood.
        """
        ...

    def request(self, question: Question) -> dict[str, Any]:
        """The body of the request that `answer` would send; no key is in it."""
        ...
