"""Text that somebody else wrote, before it becomes a fact that screens, logs and prompts repeat.

What names something (an account, a symbol, an order) is taken whole or refused, as a mended name would be another name;
only words for a person are mended and cut. A text is a name unless its key is listed here.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from tools.rows.base import Row

AnyRow = TypeVar("AnyRow", bound=Row)

MOST_OF_A_NAME = 64
MOST_OF_A_REMARK = 300
MOST_OF_A_SENTENCE = 400

REMARKS = frozenset({"desc", "message", "name", "warn", "error", "msg", "encrypt_message", "note"})


def readable(row: AnyRow) -> AnyRow:
    """`row` with every remark as one printable line of at most 300 characters, cut ones with a mark of their whole.

    Raises:
        ValidationError: another text of the row is not one printable line of at most 64 characters.
    """
    texts = {key: value for key, value in row if isinstance(value, str)}
    unfit = [key for key, value in texts.items() if key not in REMARKS and not _is_name(value)]
    if unfit:
        raise ValidationError.from_exception_data(
            type(row).__name__,
            [
                {
                    "type": PydanticCustomError("foreign_text", "not one printable line of at most 64 characters"),
                    "loc": (key,),
                    "input": texts[key][:MOST_OF_A_NAME],
                }
                for key in unfit
            ],
        )
    return row.model_copy(update={key: _remark(texts[key]) for key in REMARKS & texts.keys()})


def read_json(text: str) -> Any:
    """What `text` says as JSON; NaN and infinities, which the library would let through, are none.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, parse_constant=_no_number)


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def one_line(text: str, most: int = MOST_OF_A_SENTENCE) -> str:
    """Somebody else's words, fit for a sentence of ours: one line of at most `most` characters that steers nothing."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 2 * most]).split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _remark(text: str) -> str:
    """`text` as one line; a cut one ends with a hash of the whole, as a person's word on a warning goes by its text."""
    line = one_line(text, MOST_OF_A_REMARK)
    if len(text) <= MOST_OF_A_REMARK:
        return line
    whole = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{one_line(text, MOST_OF_A_REMARK - len(whole) - 3)} [{whole}]"


def _is_name(text: str) -> bool:
    return len(text) <= MOST_OF_A_NAME and text.isprintable()
