"""What the model's tools work on, and the form of a tool: arguments in, figures out. None of them can order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from pydantic import BaseModel, ConfigDict, ValidationError

from brokers.errors import BrokerError
from config.rules import ticker
from config.settings import Settings
from graph.state import Context
from graph.think.answer import bare
from graph.think.sheets import Sheet
from portfolio.limits import Batch, TradingDay, tightened
from portfolio.models import PortfolioSnapshot
from tools.contract import Tool

MOST_SYMBOLS = 40


@dataclass(frozen=True)
class Study:
    """One run's account and market, for looking and for trying out."""

    snapshot: PortfolioSnapshot
    day: TradingDay
    context: Context
    store: BaseStore | None

    @property
    def batch(self) -> Batch:
        return Batch(self.snapshot, self.context.settings, self.day)

    @property
    def limits(self) -> Settings:
        """The settings with every limit as the guard goes by it today."""
        return tightened(self.context.settings, self.day.tightenings)

    def spelt(self, symbol: str) -> str:
        """The symbol as the snapshot spells it."""
        known = (name for name in self.snapshot.contracts if ticker(name) == ticker(symbol))
        return next(known, ticker(symbol))


def _open(schema: Any) -> Any:
    """`schema` without the words that more is refused, which only cost tokens: it is refused all the same."""
    if isinstance(schema, list):
        return [_open(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _open(part) for key, part in schema.items() if (key, part) != ("additionalProperties", False)}


class Arguments(BaseModel):
    """What a tool is called with; the field names and types are all the model is told of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Place = TypeVar("Place")


class NoSuchThing(Exception):
    """What the model asked for is not there; the message is for it to read."""


@dataclass(frozen=True)
class ModelTool(Generic[Place]):
    """A tool the model may call, to look in one place. `needs` names the broker's tools that it cannot do without."""

    name: str
    says: str
    arguments: type[Arguments]
    use: Callable[[Any, Place], Awaitable[tuple[Sheet, ...]]]
    needs: tuple[Tool, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """The tool in OpenAI's form."""
        parameters = _open(bare(self.arguments.model_json_schema()))
        function = {"name": self.name, "description": self.says, "parameters": parameters}
        return {"type": "function", "function": function}

    async def call(self, arguments: dict[str, Any], place: Place) -> tuple[Sheet, ...]:
        """What the tool finds.

        Raises:
            NoSuchThing: there is nothing to find, or the arguments are not the tool's.
        """
        try:
            asked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise NoSuchThing(f"{'.'.join(map(str, first['loc'])) or self.name}: {first['msg']}") from error
        try:
            return await self.use(asked, place)
        except BrokerError as error:
            raise NoSuchThing(str(error)) from error


def study_of(snapshot: PortfolioSnapshot, runtime: Runtime[Context]) -> Study:
    context = runtime.context
    return Study(snapshot, context.trading_day(snapshot), context, runtime.store)
