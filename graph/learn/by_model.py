"""At most three lessons of a model's own, from the facts of a run and the decisions it scored.

A lesson stands only on a figure that the facts bear out, and with no other number in it; it names something that there
is; and to a limit it can only say what part of it to leave. What it says is kept as data, and never as an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import Field

import prompts
from brokers.errors import BrokerError
from config.rules import NotTruth, ticker
from config.settings import Settings
from graph.decisions import decisions_of
from graph.memory import MOST_OF_A_STATEMENT, RULES, Finding, Refuted, Tighten, id_of, symbols_known
from graph.record import Lesson, Scope, Usage
from graph.state import Context, State
from graph.think.answer import Claim, Part, Unusable, Words, bare, read_as
from graph.think.ask import length_of, listen
from graph.think.budget import output_left, until, why_over, with_call
from graph.think.claims import Known, Sources, Standing, standing, strike
from graph.think.mind import AskOtherwise, Form, Manner, Mind, NoAnswer, Question
from graph.think.prompt import CHARACTERS_A_TOKEN, filled_in, tokens_in
from graph.think.sheets import Column, Sheet, facts, fenced, plain
from portfolio.drift import drift_table
from portfolio.limits import Limit
from portfolio.limits.tightening import LEAST_PERCENT, MOST_PERCENT
from portfolio.models import Evidence
from portfolio.percent import in_percent
from portfolio.performance.scoring import Score

MOST_ASKED_FOR = 3
MOST_TAKEN = 10
RUNS_TO_TIGHTEN = 2
"""So many runs have to say the same before a limit is touched: no single answer does it."""
ALIKE = 0.5
"""Two statements about the same thing are one lesson that share so large a part of their words."""
MOST_KNOWN = 12
EXECUTION = "execution"


class Tighter(Part):
    limit: Limit
    percent: Annotated[int, Field(ge=LEAST_PERCENT, le=MOST_PERCENT), NotTruth]


class Said(Part):
    statement: Words
    scope: Scope
    about: Words
    evidence: Annotated[tuple[Claim, ...], Field(max_length=MOST_TAKEN)]
    tighten: Tighter | None


class Lessons(Part):
    lessons: Annotated[tuple[Said, ...], Field(max_length=MOST_TAKEN)]
    contradicted: Annotated[tuple[Words, ...], Field(max_length=MOST_TAKEN)]


LESSONS = Form("lessons", "Hand in what is to be remembered.", bare(Lessons.model_json_schema()))


@dataclass(frozen=True)
class Heard:
    """What the model had to say; `spent` is its whole usage of the run, `trouble` why it said nothing."""

    found: tuple[Finding | Refuted, ...]
    spent: Usage
    trouble: str | None = None


@dataclass(frozen=True)
class Material:
    """What the model is asked about: one run, what rules found in it, what was scored by it, and what is remembered."""

    state: State
    found: tuple[Finding | Refuted, ...]
    scores: tuple[Score, ...]
    known: tuple[Lesson, ...]


async def heard_from(mind: Mind, manner: Manner, about: Material, context: Context, spent: Usage) -> Heard:
    """Ask once, in the manners that the server may want one after the other, within what is left of the budget."""
    settings, sheets = context.settings, sheets_of(about, context.settings)
    told = filled_in("reflect_facts", **{name: fenced(name, sheet.text()) for name, sheet in sheets.items()})
    messages = (SystemMessage(prompts.load("reflect")), HumanMessage(told))
    ends_at = context.clock() + timedelta(seconds=settings.model_timeout_seconds)
    asking: Manner | None = manner
    trouble = "no way to ask is left"
    while asking:
        question = Question(messages, LESSONS, (), asking, output_left(spent, settings))
        size = tokens_in(question)
        over = why_over(spent, size, settings, context.clock(), ends_at)
        if over:
            return Heard((), spent, over)
        try:
            async with until(ends_at, context.clock()):
                said = await listen(mind, question, lambda _words: None)
        except AskOtherwise as error:
            spent, asking, trouble = with_call(spent, None, 0, 0), asking.next, str(error)
            continue
        except (NoAnswer, BrokerError) as error:
            return Heard((), with_call(spent, None, size, 0), str(error))
        except TimeoutError:
            why = f"it took longer than model_timeout_seconds ({settings.model_timeout_seconds})"
            return Heard((), with_call(spent, None, size, 0), why)
        spent = with_call(spent, said.usage_metadata, size, length_of(said) // CHARACTERS_A_TOKEN)
        try:
            return Heard(taken(read_as(Lessons, LESSONS, said), about, sheets, mind.name, settings), spent)
        except Unusable as error:
            return Heard((), spent, str(error))
    return Heard((), spent, trouble)


# --- what it is told ----------------------------------------------------------------------------------------------


def sheets_of(about: Material, settings: Settings) -> dict[str, Sheet]:
    return {
        "run": _run(about.state, settings),
        "fills": _fills(about.state),
        "found": _found(about.found),
        "scores": _scores(about.scores),
        "remembered": _remembered(about.known),
    }


def _run(state: State, settings: Settings) -> Sheet:
    before, after = state["snapshot"], state.get("snapshot_after", state["snapshot"])
    return facts(
        [
            ("net_liquidation", after.summary.net_liquidation, "USD"),
            ("drift_before", drift_table(before, settings).total, "points"),
            ("drift_after", drift_table(after, settings).total, "points"),
            ("trades_planned", len(state["plan"].trades), ""),
            ("orders_sent", len(state.get("orders", ())), ""),
        ]
    )


def _fills(state: State) -> Sheet:
    columns = (
        Column("side"),
        Column("quantity", "shares"),
        Column("limit_price", "USD"),
        Column("filled", "shares"),
        Column("price", "USD"),
        Column("slippage", "%", 2),
        Column("status"),
    )
    slips = {
        ticker(one.symbol): in_percent(one.slippage, one.quantity * one.arrival)
        for one in decisions_of(state)
        if one.slippage is not None and one.arrival
    }
    rows = [
        (
            ticker(order.symbol),
            (
                order.side.value,
                order.quantity,
                order.limit_price,
                order.filled_quantity,
                order.average_price,
                slips.get(ticker(order.symbol)),
                order.status.value,
            ),
        )
        for order in state.get("orders", ())
    ]
    return Sheet(columns, tuple(rows))


def _found(found: Iterable[Finding | Refuted]) -> Sheet:
    rows = tuple((one.about, (one.scope.value, one.statement)) for one in found if isinstance(one, Finding))
    return Sheet((Column("scope"), Column("statement")), rows, key="about")


def _scores(scores: Iterable[Score]) -> Sheet:
    columns = (
        Column("by"),
        Column("side"),
        Column("became"),
        Column("after", "trading days"),
        Column("effect", "USD", 2),
        Column("part", "%", 2),
    )
    rows = (
        (
            ticker(one.decision.symbol),
            (
                one.decision.source,
                one.decision.side.value,
                one.decision.fate.value,
                one.horizon,
                one.effect,
                one.percent,
            ),
        )
        for one in scores
    )
    return Sheet(columns, tuple(rows))


def _remembered(known: Iterable[Lesson]) -> Sheet:
    newest = sorted(known, key=lambda one: one.seen_at, reverse=True)[:MOST_KNOWN]
    rows = tuple((one.id, (one.about, one.times, plain(one.statement, 120))) for one in newest)
    return Sheet((Column("about"), Column("runs"), Column("statement")), rows, key="id")


# --- what is taken of its answer ----------------------------------------------------------------------------------


def taken(
    answer: Lessons, about: Material, sheets: dict[str, Sheet], model: str, settings: Settings
) -> tuple[Finding | Refuted, ...]:
    """The first three lessons that stand, and those of a model's own that it takes back."""
    sources: Sources = {name: sheet.figures() for name, sheet in sheets.items()}
    figures = Known(figure for figures in sources.values() for figure in figures)
    subjects = _subjects(about, settings)
    own = {lesson.id for lesson in about.known if lesson.source != RULES}
    of_rules = {lesson.id for lesson in about.known} - own
    told = (_finding(said, subjects, sources, figures, about.known, model) for said in answer.lessons)
    # An id is short enough that words can be chosen to meet another's.
    found = {one.id: one for one in told if one and one.id not in of_rules}
    back = [Refuted(id=name) for name in dict.fromkeys(answer.contradicted) if name in own - found.keys()]
    return (*list(found.values())[:MOST_ASKED_FOR], *back)


def _subjects(about: Material, settings: Settings) -> dict[Scope, frozenset[str]]:
    """What there is to be spoken of."""
    symbols = symbols_known(about.state["snapshot"], settings)
    return {
        Scope.SYMBOL: symbols,
        Scope.BUCKET: frozenset(rule.name for rule in settings.rules),
        Scope.LIMIT: frozenset(Limit),
        Scope.EXECUTION: frozenset({*symbols, EXECUTION}),
    }


def _finding(
    said: Said,
    subjects: dict[Scope, frozenset[str]],
    sources: Sources,
    figures: Known,
    known: Iterable[Lesson],
    model: str,
) -> Finding | None:
    """The lesson, if it is about something that there is, rests on a figure that holds, and has no number besides."""
    about = said.about if said.scope is Scope.BUCKET else said.about.strip()
    about = next((name for name in subjects[said.scope] if name.casefold() == about.casefold()), "")
    statement = plain(said.statement, MOST_OF_A_STATEMENT)
    holds, contradicted = _checked(said.evidence, sources)
    if not about or not statement or not holds or contradicted or strike(statement, figures)[1]:
        return None
    tighten = (
        Tighten(limit=said.tighten.limit, percent=said.tighten.percent, after=RUNS_TO_TIGHTEN) if said.tighten else None
    )
    return Finding(
        id=_same(said.scope, about, statement, known) or id_of(f"{said.scope} {about} {statement}"),
        scope=said.scope,
        about=about,
        statement=statement,
        figures={plain(one.source): f"{one.value:f} {one.unit}".strip() for one in holds[:MOST_ASKED_FOR]},
        source=model,
        tighten=tighten,
    )


def _checked(claims: Iterable[Claim], sources: Sources) -> tuple[list[Evidence], bool]:
    """The claims that hold, and whether a source contradicts one."""
    told = [
        Evidence(statement=one.statement, source=one.source, value=Decimal(repr(one.value)), unit=one.unit)
        for one in claims
    ]
    stands = [standing(one, sources)[0] for one in told]
    holds = [one for one, how in zip(told, stands, strict=True) if how is Standing.HOLDS]
    return holds, Standing.CONTRADICTED in stands


def _same(scope: Scope, about: str, statement: str, known: Iterable[Lesson]) -> str | None:
    """The id of a lesson of a model's own that says the same, in whatever words."""
    words = _words(statement)
    for lesson in known:
        if lesson.source != RULES and (lesson.scope, lesson.about) == (scope, about):
            theirs = _words(lesson.statement)
            if len(words & theirs) >= ALIKE * max(len(words | theirs), 1):
                return lesson.id
    return None


def _words(statement: str) -> set[str]:
    """Without its figures, which are others every time."""
    return set(re.findall(r"[^\W\d]{3,}", statement.casefold()))
