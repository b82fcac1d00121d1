"""What a model writes, made fit to be read while it comes: its prose line by line, of its plan only that it comes."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST_LINE = 100
LAST_WORDS = 60
PLAN_BEGINS = ("{", "```")


class Speech:
    """One message of a model, piece by piece."""

    def __init__(self) -> None:
        self._held = ""
        self._length = 0
        self._is_plan = False
        self._begins_line = True

    @property
    def doing(self) -> str:
        """What the model is at, in a few words."""
        if self._is_plan:
            return f"the model is writing its plan, {self._length:,} characters"
        said = _readable(self._held[-LAST_WORDS:])
        return f"the model says: {said}" if said else "the model is speaking"

    def hear(self, piece: str) -> Iterator[str]:
        """The lines that are whole now."""
        self._length += len(piece)
        self._held += piece
        while self._goes_on():
            is_whole = "\n" in self._held[: LONGEST_LINE + 1]
            line, self._held = self._cut()
            self._begins_line = is_whole or (self._begins_line and not line)
            if line:
                yield line

    def _goes_on(self) -> bool:
        """Whether there is a line to cut off; of a plan, which begins a line, nothing is held."""
        if self._begins_line and self._held.lstrip().startswith(PLAN_BEGINS):
            self._is_plan = True
        if self._is_plan:
            self._held = ""
        return "\n" in self._held or len(self._held) > LONGEST_LINE

    def end(self) -> Iterator[str]:
        """What was not a whole line, once nothing more comes."""
        line = _readable(self._held)
        if line:
            yield line

    def _cut(self) -> tuple[str, str]:
        head, newline, rest = self._held.partition("\n")
        if newline and len(head) <= LONGEST_LINE:
            return _readable(head), rest
        at = self._held.rfind(" ", 0, LONGEST_LINE)
        at = at if at > 0 else LONGEST_LINE
        return _readable(self._held[:at]), self._held[at:]


def _readable(line: str) -> str:
    """The line with nothing in it that steers a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in line).split())


class Prose:
    """An answer piece by piece, its lines broken between words at `width`."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._word = ""

    def hear(self, piece: str) -> str:
        """What can be printed of it now: words that are whole."""
        return "".join(self._take(letter) for letter in printable(piece))

    def end(self) -> str:
        """The last word, and the end of its line."""
        rest = self._place()
        is_open, self._column = self._column > 0, 0
        return f"{rest}\n" if is_open else rest

    def _take(self, letter: str) -> str:
        if letter == "\n":
            word, self._column = self._place(), 0
            return f"{word}\n"
        if letter != " ":
            self._word += letter
            return ""
        word = self._place()
        if not 0 < self._column < self._width:
            return word
        self._column += 1
        return f"{word} "

    def _place(self) -> str:
        """The word so far, on a new line where it would not fit on this one."""
        word, self._word = self._word, ""
        breaks = self._column > 0 and self._column + len(word) > self._width
        self._column = len(word) if breaks else self._column + len(word)
        return f"\n{word}" if breaks else word


def printable(text: str) -> str:
    """The text with its lines, and with nothing in it that steers a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
