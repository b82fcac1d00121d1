"""Text that others wrote, with the keys and passwords in it blanked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from config.problems import HIDDEN, looks_secret

SHORTEST = 8
"""What is shorter stands in for a key where none is wanted, and may be any word."""

OURS = "SMART_AGENT_"
IS = r"""(?:['"]?\s*[:=]\s*|['"],\s*)(?:b?['"])?"""
"""Between a name and its value, in a header, in JSON, or in what Python shows of either."""

TELLING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"""((?:authorization|cookie){IS})[^'"\n]+""",
        rf"""((?:api.?key|secret|passw\w*|passphrase|token){IS})[^\s'",;&)\]}}]+""",
        r"(\bbearer\s+)[\w.~+/=-]+",
        r"(://)[^/\s@]*(?=@)",
        r"()\b(?:sk-|gh[opsu]_|eyJ)[\w.-]{8,}",
    )
)


def secrets_in(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of variables that look like secrets; of our own only OPENAI_API_KEY may be one."""
    named = {value.strip() for name, value in environ.items() if looks_secret(name) and not name.startswith(OURS)}
    return frozenset(value for value in named if len(value) >= SHORTEST)


def blanked(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`, and without what stands where a key or a password does."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        for written in (secret, quote(secret, safe="")):
            text = text.replace(written, HIDDEN)
    for pattern in TELLING:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text
