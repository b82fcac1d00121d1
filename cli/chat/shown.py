"""What a person sees of an answer while it is made: its words as they come, what was looked up, and of when that is."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from cli.speech import Prose
from cli.trace import tool_line
from graph.chat.answering import PROPOSE
from graph.chat.proposing import Wishes
from graph.events import Answered, Progress, Proposed, Said, Spoke, TokensUsed, ToolUsed
from graph.record import Exchange, ToolUse
from portfolio.models import TradePlan

MOST_WIDTH = 100
"""Longer lines are hard to read."""


class Aside:
    """Shows on stderr what the answer rests on, and nothing of the answer."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def show(self, said: Said) -> None:
        match said:
            case ToolUsed(use):
                self._console.print(tool_line(use))
            case Answered(exchange):
                footnotes(self._console, exchange)
            case _:
                pass

    def stop(self) -> None:
        pass


class Screen:
    """Shows an answer on `console`; `proposal` is what the model would like to see traded, None where it is nothing."""

    def __init__(self, console: Console) -> None:
        self.proposal: TradePlan | None = None
        self._console = console
        self._prose = Prose(min(console.width, MOST_WIDTH))
        self._status = console.status("") if console.is_terminal else None

    def show(self, said: Said) -> None:
        match said:
            case Progress(text):
                self._busy(text)
            case Spoke(text):
                self.stop()
                self._print(self._prose.hear(text))
            case TokensUsed():
                self._print(self._prose.end())
            case ToolUsed(use):
                self.stop()
                self._console.print(_wished(use) or tool_line(use), no_wrap=True, overflow="ellipsis")
            case Proposed(plan):
                self.proposal = plan
            case Answered(exchange, _, trouble):
                self._finish(exchange, trouble)

    def _finish(self, exchange: Exchange, trouble: str | None) -> None:
        self.stop()
        if trouble:
            self.proposal = None
            self._console.print(Text(f"{trouble[0].upper()}{trouble[1:]}.", style="yellow"))
        footnotes(self._console, exchange)

    def _busy(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(f"{text} …"))
            self._status.start()

    def _print(self, words: str) -> None:
        if words:
            self._console.out(words, end="", highlight=False)

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()


def _wished(use: ToolUse) -> Text | None:
    """The trades of a proposal in words; None where the model called another tool, or wrote what is none."""
    if use.name != PROPOSE or use.refused:
        return None
    try:
        asked = Wishes.model_validate_json(use.arguments)
    except ValueError:
        return None
    wishes = ", ".join(
        f"{one.side} {one.symbol} for {one.amount:,.2f} USD"
        if one.amount
        else f"{one.side} {one.quantity} {one.symbol}"
        for one in asked.trades
    )
    return Text.assemble(("  would propose ", "cyan"), (wishes, "bold"))


def footnotes(console: Console, exchange: Exchange) -> None:
    """Of when the figures are, and which numbers rest on none."""
    if exchange.unfounded:
        numbers = ", ".join(exchange.unfounded)
        console.print(Text(f"! In nothing that was looked up: {numbers}.", style="yellow"))
    if exchange.moments:
        console.print(Text(f"Figures: {'; '.join(exchange.moments)}.", style="dim"))
