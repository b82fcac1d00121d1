"""What is printed where a terminal, or what stands behind a pipe, takes fewer letters than we write."""

from __future__ import annotations

import codecs
import unicodedata

ALIKE = str.maketrans("✓✗·→±│─┤┌┐└┘┬█▐▏▎▍▌▋▊▉\u2018\u2019\u2013\u2014", "+x->~|-|+++++##:::::::''--")
"""One for one, so that columns stay straight."""
BRAILLE = range(0x2801, 0x2900)
"""What charts are drawn with."""
NAME = "spelled"


def spell() -> None:
    """Let streams be opened with this way to write what they cannot encode."""
    codecs.register_error(NAME, _spelled)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_alike, error.object[error.start : error.end].translate(ALIKE))), error.end


def _alike(letter: str) -> str:
    if ord(letter) in BRAILLE:
        return "*"
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"
