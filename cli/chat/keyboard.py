"""What reads a person's lines: with a history, completion of commands, and more than one line where it is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

from cli.chat.slash import COMMANDS
from config.home import Home


class Names(Completer):
    """The slash commands that begin as what was typed."""

    def get_completions(self, document: Document, complete_event: object) -> Iterator[Completion]:  # noqa: ARG002
        typed = document.text_before_cursor
        if not typed.startswith("/") or " " in typed:
            return
        for name, command in COMMANDS.items():
            if f"/{name}".startswith(typed):
                yield Completion(f"/{name}", start_position=-len(typed), display_meta=command.says)


def keyboard(place: Home) -> PromptSession[str]:
    """A prompt whose history is kept in the home, for the owner alone."""
    return PromptSession(
        history=_history(place),
        completer=Names(),
        complete_while_typing=True,
        key_bindings=_keys(),
        prompt_continuation="  ",
        reserve_space_for_menu=4,
    )


def _history(place: Home) -> History:
    with suppress(OSError):
        os.close(os.open(place.chat_history, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        return FileHistory(place.chat_history)
    return InMemoryHistory()


def _keys() -> KeyBindings:
    """Esc Enter begins a new line; Enter alone sends what was typed."""
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
