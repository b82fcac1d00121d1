"""A hash of everything a verdict rests on, so that a verdict about anything else can be told from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from portfolio.limits.case import Case
from portfolio.models import Fact


def evidence_of(case: Case) -> str:
    """SHA-256, in hex, of the trade, its limit price, the batch before it, and all it is judged by."""
    digest = hashlib.sha256()
    for part in _parts(case):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _parts(case: Case) -> Iterator[str]:
    yield str(case.limit_price)
    yield str(case.discretionary_value)
    yield json.dumps(case.settings.document(), sort_keys=True, default=str)
    facts: tuple[Fact | None, ...] = (case.trade, case.snapshot, case.day, case.what_if)
    for fact in facts:
        yield "none" if fact is None else fact.model_dump_json()
    yield from sorted(case.accepted_warnings)
    for orders in (case.batch, case.shown or ()):
        yield str(len(orders))
        for order in orders:
            yield order.model_dump_json()
