"""Lessons from run to run: kept by account in a LangGraph store, merged as they repeat, told where they help."""

from graph.memory.finding import MOST_OF_A_STATEMENT, RULES, Finding, Refuted, Tighten, id_of
from graph.memory.merging import Merged, merged
from graph.memory.relevance import in_play, in_words, of_now, relevant, symbols_known
from graph.memory.store import UNREADABLE, forget, keep_lessons, lessons_of, open_memory, search

__all__ = [
    "MOST_OF_A_STATEMENT",
    "RULES",
    "UNREADABLE",
    "Finding",
    "Merged",
    "Refuted",
    "Tighten",
    "forget",
    "id_of",
    "in_play",
    "in_words",
    "keep_lessons",
    "lessons_of",
    "merged",
    "of_now",
    "open_memory",
    "relevant",
    "search",
    "symbols_known",
]
