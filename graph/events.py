"""What a run tells whoever watches it, while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from graph.record import Exchange, ToolUse, Usage
from graph.state import State
from portfolio.models import OrderTerms, TradePlan


@dataclass(frozen=True)
class StepStarted:
    step: str


@dataclass(frozen=True)
class Progress:
    """What a step is busy with, in a few words."""

    text: str


@dataclass(frozen=True)
class Spoke:
    """A piece of what the model writes, as it comes."""

    text: str


@dataclass(frozen=True)
class ToolUsed:
    use: ToolUse


@dataclass(frozen=True)
class TokensUsed:
    """What the model has read and written in this run so far."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class StepFinished:
    """A step's end: the whole state after it, and the wall seconds it took."""

    step: str
    state: State
    seconds: float


@dataclass(frozen=True)
class ApprovalWanted:
    """The run waits; answer with `Run.resume`. `warnings` are the broker's."""

    orders: tuple[OrderTerms, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Proposed:
    """Trades that the chat would like to see made; a person is asked, and nothing else has happened."""

    plan: TradePlan


@dataclass(frozen=True)
class Answered:
    """A question of a person was answered; `trouble` says in a sentence why it was not, or not wholly."""

    exchange: Exchange
    usage: Usage
    trouble: str | None = None


Told = Progress | Spoke | ToolUsed | TokensUsed
"""What a step tells from inside."""

Said = Told | Proposed | Answered
"""What a chat tells while it answers."""

Event = StepStarted | Told | StepFinished | ApprovalWanted
