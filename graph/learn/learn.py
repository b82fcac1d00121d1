"""REFLECT, last: what this run teaches, laid over what earlier ones did, and what that does to a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore

from graph.learn.by_model import Heard, Material, heard_from
from graph.learn.by_rules import found_by_rules, lessons_of_gone_buckets
from graph.memory import UNREADABLE, Finding, Merged, Refuted, keep_lessons, lessons_of, merged
from graph.record import Scope, Usage
from graph.state import Context, State
from graph.think.budget import priced
from graph.think.manners import known_manner
from graph.think.mind import Manner, Mind
from portfolio.limits import Tightening, tightened
from portfolio.limits.tightening import smaller
from portfolio.models import PortfolioSnapshot
from portfolio.performance.scoring import Fate, Score, Standing

TIGHT_FOR = timedelta(days=30)
LATELY = timedelta(days=180)
SCORED_AFTER = 5
"""Trading days."""
NOT_READ = (
    "What earlier runs taught could not be read ({}); nothing was learned. If it stays so, move memory.db in the home "
    "folder away, and runs learn anew."
)


@dataclass(frozen=True)
class Learned:
    """What the run taught, in sentences; `trouble` says what could not be kept, or asked, or is "".

    `spent` is what a model has cost in the whole run, None where none was asked.
    """

    statements: tuple[str, ...] = ()
    trouble: str = ""
    spent: Usage | None = None


async def learn(state: State, scores: tuple[Score, ...], runtime: Runtime[Context]) -> Learned:
    """Learn from a run whose account is known; without one, and without a memory, nothing is kept.

    Raises:
        JournalError: the journal cannot be used.
    """
    context, store, snapshot = runtime.context, runtime.store, state.get("snapshot")
    if store is None or snapshot is None:
        return Learned()
    try:
        known = await lessons_of(store, snapshot.account.account_id)
    except UNREADABLE as error:
        return Learned(trouble=NOT_READ.format(error))
    day = context.trading_day(snapshot)
    limits = tightened(context.settings, day.tightenings)
    standings = _standings(snapshot.account.account_id, scores, context, snapshot.as_of)
    found = (*found_by_rules(state, limits, standings), *lessons_of_gone_buckets(known, context.settings))
    told, troubles, spent = found, list[str](), None
    if context.mind and _is_worth_asking(state, found, scores):
        about = Material(state, found, scores, known)
        heard = await _ask(about, context.mind, state["thought"].usage, store, context)
        told, spent = (*found, *heard.found), heard.spent
        troubles += [f"No lesson came of the model: {heard.trouble}."] if heard.trouble else []
    bound = context.journal.tightenings.by_lesson(snapshot.account.account_id, snapshot.as_of)
    result = merged(known, told, state["run_id"], snapshot.as_of, bound)
    _tighten(result, told, snapshot, context)
    try:
        await keep_lessons(store, snapshot.account.account_id, result)
    except UNREADABLE as error:
        troubles.append(f"What this run taught could not be kept ({error}).")
    tight = context.journal.tightenings.by_lesson(snapshot.account.account_id, snapshot.as_of)
    return Learned(tuple(_statements(told, tight)), " ".join(troubles), spent)


def _standings(account_id: str, scores: tuple[Score, ...], context: Context, now: datetime) -> dict[str, Standing]:
    """Of the executed trades of the last half year, by who proposed them; only of those who have new scores."""
    new = {one.decision.source for one in scores if _counts(one)}
    if not new:
        return {}
    half_a_year = context.journal.decisions.lately(account_id, SCORED_AFTER, (now - LATELY).date())
    lately = [one for one in half_a_year if _counts(one)]
    told = {source: Standing.of([one for one in lately if one.decision.source == source]) for source in new}
    return {source: standing for source, standing in told.items() if standing}


def _counts(score: Score) -> bool:
    return score.horizon == SCORED_AFTER and score.decision.fate is Fate.EXECUTED


def _is_worth_asking(state: State, found: tuple[Finding | Refuted, ...], scores: tuple[Score, ...]) -> bool:
    """Where something went otherwise than planned, or was scored, and the model has answered before in this run.

    That a bucket needs more runs is as planned.
    """
    thought = state.get("thought")
    if thought is None or thought.mode != "model" or thought.trouble:
        return False
    return bool(scores) or any(isinstance(one, Finding) and one.scope is not Scope.BUCKET for one in found)


async def _ask(about: Material, mind: Mind, spent: Usage, store: BaseStore, context: Context) -> Heard:
    manner = None
    with suppress(*UNREADABLE):
        manner = await known_manner(store, mind, context.clock())
    heard = await heard_from(mind, manner or Manner.JSON_SCHEMA, about, context, spent)
    return replace(heard, spent=priced(heard.spent, context.settings))


def _tighten(
    result: Merged, told: tuple[Finding | Refuted, ...], snapshot: PortfolioSnapshot, context: Context
) -> None:
    """Make limits smaller, at once, for lessons that are borne out often enough by runs that wanted that."""
    lessons = {lesson.id: lesson for lesson in result.lessons}
    for one in told:
        lesson = lessons.get(one.id)
        if not isinstance(one, Finding) or one.tighten is None or lesson is None:
            continue
        wanting = [occasion for occasion in lesson.occasions if occasion.wants is one.tighten.limit]
        value = smaller(one.tighten.limit, one.tighten.percent, context.settings)
        if len(wanting) >= one.tighten.after and value < getattr(context.settings, one.tighten.limit):
            wanted = Tightening(limit=one.tighten.limit, value=value, expires_at=snapshot.as_of + TIGHT_FOR)
            context.journal.tightenings.keep(snapshot.account.account_id, one.id, wanted, snapshot.as_of)


def _statements(told: tuple[Finding | Refuted, ...], tight: Mapping[str, tuple[Tightening, ...]]) -> Iterator[str]:
    """What this run found, and what is in force for it."""
    for one in told:
        if isinstance(one, Finding):
            yield one.statement
            for tightening in tight.get(one.id, ()):
                yield f"Therefore {tightening.in_words} (`smart-agent lessons drop {one.id}` lifts that)."
