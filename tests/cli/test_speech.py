"""What a model writes, as it comes to a terminal."""

from __future__ import annotations

import io
import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from rich.console import Console

from cli.speech import LONGEST_LINE, Speech
from cli.trace import Trace, tool_line
from config.settings import Settings
from graph.events import Spoke, StepStarted
from graph.record import ToolUse

PLAN = json.dumps({"trades": [], "summary": "It stays as it is."}, indent=2)


def heard(*pieces: str) -> list[str]:
    speech = Speech()
    lines = [line for piece in pieces for line in speech.hear(piece)]
    return [*lines, *speech.end()]


def test_prose_comes_out_line_by_line_as_soon_as_a_line_is_whole() -> None:
    speech = Speech()
    assert list(speech.hear("Let me ")) == []
    assert list(speech.hear("look.\n\nAt ")) == ["Let me look."]
    assert speech.doing == "the model says: At"
    assert list(speech.hear("drift")) == []
    assert list(speech.end()) == ["At drift"]


def test_a_long_line_is_broken_between_words_else_anywhere() -> None:
    lines = heard("word " * 50)
    assert " ".join(lines) == ("word " * 50).strip()
    assert all(len(line) <= LONGEST_LINE for line in lines)
    assert heard("x" * 250) == ["x" * 100, "x" * 100, "x" * 50]


@pytest.mark.parametrize("before", ["", "\n \n", "```json\n", "```\n"])
def test_of_a_plan_only_its_length_is_told(before: str) -> None:
    speech = Speech()
    assert list(speech.hear(before + PLAN)) == []
    assert speech.doing == f"the model is writing its plan, {len(before + PLAN)} characters"
    assert list(speech.end()) == []


@pytest.mark.parametrize("pieces", [("`", "``json\n", PLAN), ("``", "`\n" + PLAN), ("\n", "{", PLAN[1:])])
def test_a_plan_is_one_however_its_beginning_comes_in(pieces: tuple[str, ...]) -> None:
    assert heard(*pieces) == []


@pytest.mark.parametrize("fence", ["", "```json\n"])
def test_a_plan_after_prose_is_not_printed_either(fence: str) -> None:
    assert heard(f"Here is my plan:\n{fence}{PLAN}") == ["Here is my plan:"]


STEERING = "\x1b[2Jred\x1b[31m \x07\r\x9b1A\u202ealso\u2028this\x00"


def test_nothing_that_steers_a_terminal_reaches_it() -> None:
    speech = Speech()
    lines = [*speech.hear(STEERING + "\n" + STEERING)]
    doing = speech.doing
    assert all(line.isprintable() for line in [*lines, doing, *speech.end()])


def test_what_a_model_says_is_no_markup_to_the_status_line() -> None:
    """A stray closing tag in it must not end the run."""
    shown = io.StringIO()
    trace = Trace(Console(file=shown, force_terminal=True, width=100), panels=True, as_json=False, interactive=False)
    try:
        trace.show(Spoke("I weigh [/bold] and [red]this[/]"), Settings())
    finally:
        trace.stop()
    assert "[/bold]" in shown.getvalue()


def test_what_a_model_says_stands_under_the_heading_of_its_step_and_that_once() -> None:
    """Its words come while the step is at work, whose own screen comes when it has ended."""
    shown = io.StringIO()
    trace = Trace(Console(file=shown, width=100), panels=False, as_json=False, interactive=False)
    for event in (StepStarted("think"), Spoke("Let me look.\n"), Spoke("I have looked.\n")):
        trace.show(event, Settings())
    lines = [line.strip() for line in shown.getvalue().splitlines()]
    assert lines == ["THINK  the model, while it thinks:", "Let me look.", "I have looked."]


PARTS = st.sampled_from(["word ", "x" * 70, "\n", " ", "`", "```", "{", "}", "\x1b[2J", "\u2028", "é"])
TEXTS = st.lists(PARTS | st.text(max_size=3), max_size=16).map("".join)


@examples(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 400), max_size=8))
@example("```\n{}", [1])
def test_the_same_lines_come_out_however_the_text_is_split(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert heard(*(text[start:end] for start, end in pairwise(places))) == heard(text)
    assert heard(*text) == heard(text)


@examples(deadline=None)
@given(TEXTS)
def test_every_line_is_printable_and_short_and_none_is_empty(text: str) -> None:
    lines = heard(*text)
    assert all(line and line.isprintable() and len(line) <= LONGEST_LINE for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"symbol": "NVDA"}, "NVDA"),
        ({"trades": [{"symbol": "IWM", "side": "BUY", "quantity": 3}, {"symbol": "VOO"}]}, "IWM BUY quantity 3, VOO"),
        ({"days": 30, "of": None}, "days 30 of None"),
        ({}, ""),
    ],
)
def test_what_a_tool_was_asked_is_told_in_words(arguments: dict[str, object], words: str) -> None:
    use = ToolUse(name="check_trades", arguments=json.dumps(arguments), result="3 rows")
    assert tool_line(use).plain == f"  looked up check trades {words} → 3 rows".replace("trades  →", "trades →")


JSON = st.recursive(
    st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@examples(deadline=None)
@given(JSON.map(json.dumps) | st.sampled_from(["not json", "[" * 5000, '{"symbol": "\\u001b[2J', '"\\u001b[2J"']))
def test_nothing_that_was_asked_steers_a_terminal(arguments: str) -> None:
    assert tool_line(ToolUse(name="recall", arguments=arguments, result="")).plain.isprintable()
