"""Which lessons a run is told: those about what is in play, borne out often and lately, as far as there is room.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import log2

from config.rules import ticker
from config.settings import Settings
from graph.memory.finding import RULES
from graph.record import Lesson, Scope
from portfolio.drift import drift_table
from portfolio.models import PortfolioSnapshot, TradePlan

MOST_CHARACTERS = 640
"""About 160 tokens."""
HALF_LIFE = timedelta(days=30)
IN_PLAY, IN_SIGHT = 3.0, 1.0


def in_play(snapshot: PortfolioSnapshot, plan: TradePlan, settings: Settings) -> frozenset[str]:
    """Symbols that the plan trades, the buckets of these, and the buckets that are off target."""
    symbols = {ticker(trade.symbol) for trade in plan.trades}
    rules = (settings.rule_of(symbol) for symbol in symbols)
    buckets = drift_table(snapshot, settings).buckets
    off = {bucket.name for bucket in buckets if bucket.is_outside(settings.rebalance_threshold)}
    return frozenset(symbols | {rule.name for rule in rules if rule} | off)


def symbols_known(snapshot: PortfolioSnapshot, settings: Settings) -> frozenset[str]:
    """Those that are held or in a rule."""
    return frozenset(ticker(symbol) for symbol in (*settings.symbols, *(row.symbol for row in snapshot.positions)))


def of_now(lessons: Iterable[Lesson], snapshot: PortfolioSnapshot, settings: Settings) -> tuple[Lesson, ...]:
    """Those whose subject there is: a symbol that is held or in a rule, a bucket that the rules name.

    What our own rules say of a bucket is that it cannot come back to its target at once, so it must be off target.
    """
    symbols = symbols_known(snapshot, settings)
    buckets = {bucket.name: bucket for bucket in drift_table(snapshot, settings).buckets}

    def is_of_now(lesson: Lesson) -> bool:
        match lesson.scope:
            case Scope.SYMBOL:
                return lesson.about in symbols
            case Scope.BUCKET:
                bucket = buckets.get(lesson.about)
                is_off = bucket is not None and bucket.is_outside(settings.rebalance_threshold)
                return is_off if lesson.source == RULES else bucket is not None
            case _:
                return True

    return tuple(filter(is_of_now, lessons))


def relevant(lessons: Iterable[Lesson], subjects: frozenset[str], now: datetime) -> tuple[Lesson, ...]:
    """The lessons learned until `now` that are worth telling, the most so first, in `MOST_CHARACTERS` characters.

    On a simulated clock that was set back, later lessons would tell the future.
    """
    past = (lesson for lesson in lessons if lesson.seen_at <= now)
    left, told = MOST_CHARACTERS, list[Lesson]()
    for lesson in sorted(past, key=lambda one: (-worth_telling(one, subjects, now), one.id)):
        size = len(in_words(lesson))
        if size <= left:
            told.append(lesson)
            left -= size
    return tuple(told)


def worth_telling(lesson: Lesson, subjects: frozenset[str], now: datetime) -> float:
    """By what it is about, by the weight of its evidence, and by how lately it was borne out."""
    if lesson.about in subjects:
        about = IN_PLAY
    elif lesson.scope in (Scope.LIMIT, Scope.EXECUTION):
        about = IN_SIGHT
    else:
        about = 0.0
    recency: float = 0.5 ** ((now - lesson.seen_at) / HALF_LIFE)
    return about + (log2(1 + lesson.weight) * recency)


def in_words(lesson: Lesson) -> str:
    """One line: when it was last borne out and by how many runs, and what it says."""
    times = f", {lesson.times} runs" if lesson.times > 1 else ""
    return f"{lesson.seen_at:%Y-%m-%d}{times}: {lesson.statement}"
