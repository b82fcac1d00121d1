"""Sentences on a screen: broken between words on a terminal, whole in a pipe."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from cli.console import say

WORDS = st.lists(st.text("abc-/[]\u00e9", min_size=1, max_size=60), min_size=1, max_size=20)


def said(sentence: Text | str, width: int, *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    say(console, sentence)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@given(WORDS, st.integers(10, 50))
def test_a_terminal_gets_whole_words_in_lines_that_fit_and_loses_none(words: list[str], width: int) -> None:
    lines = said(" ".join(words), width, terminal=True).splitlines()
    assert " ".join(lines).split() == words
    assert all(len(line) <= width or " " not in line for line in lines)
    assert not [line for line in lines if line != line.strip()]


@given(WORDS)
def test_a_pipe_gets_a_sentence_in_one_line(words: list[str]) -> None:
    assert said(" ".join(words), 10, terminal=False) == " ".join(words) + "\n"


def test_lines_of_a_text_keep_their_indentation_and_style() -> None:
    text = Text("key", style="bold").append("\n  it has to be larger than nothing").append("\n\n  end", style="red")
    assert said(text, 20, terminal=True) == "key\n  it has to be\nlarger than nothing\n\n  end\n"
