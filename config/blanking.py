"""Text that others wrote, with the keys and passwords in it blanked."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

from config.problems import HIDDEN, looks_secret

SHORTEST = 8
"""What is shorter stands in for a key where none is wanted, and may be any word."""

OURS = "SMART_AGENT_"
IS = r"""\\{0,3}['"]?(?:\s{0,3}(?:[:=]|%3[ad])\s{0,3}|,\s{0,3}|\s{1,3}(?=\\{0,3}['"]))[\[(]?(?:b?\\{0,3}['"])?"""
"""Between a name and its value, in a header, an address, JSON, or in what Python shows of one of these."""
VALUE = r"""[^\s'",;&)\]}\\]+"""

TELLING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"""((?:authorization|cookie){IS})[^'"\n]+""",
        rf"""((?:(?:api|access|private).?key|secret|passw\w{{0,16}}|passphrase|pwd|token|credential){IS}){VALUE}""",
        rf"(key provided:\s{{0,3}}){VALUE}",
        r"(\bbearer\s{1,3})[\w.~+/=-]+",
        r"(://)[^/\s]*(?=@)",
        r"()\b(?:sk-|gh[opsu]_|eyJ)[\w.-]{8,}",
    )
)


def secrets_in(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of variables that look like secrets; of those with our prefix, only the addresses of notifications."""
    named = {value.strip() for name, value in environ.items() if looks_secret(name) and not name.startswith(OURS)}
    urls = environ.get(f"{OURS}NOTIFY_URLS", "").split()
    parts = {part for url in urls for part in (url, *re.split(r"[/?&=@:]+", url))}
    return frozenset(value for value in named | parts if len(value) >= SHORTEST)


def blanked(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`, and without what stands where a key or a password does."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        for written in _spellings(secret):
            text = text.replace(written, HIDDEN)
    for pattern in TELLING:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def _spellings(secret: str) -> Iterator[str]:
    """As it is, in an address, in JSON, as Python shows it, and in base64."""
    yield secret
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted
        yield re.sub("%..", lambda code: code.group().lower(), quoted)
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield b64encode(secret.encode()).decode().rstrip("=")
