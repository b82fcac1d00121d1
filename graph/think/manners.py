"""How a model's server takes to be asked for the form of its answer, remembered from run to run."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from langgraph.store.base import BaseStore
from pydantic import TypeAdapter, ValidationError

from graph.think.mind import Manner, Mind

MANNER = "manner"
MANNER_LASTS = timedelta(days=7)
"""A server may learn a stricter manner with its next version."""


def _of_servers(mind: Mind) -> tuple[str, ...]:
    # The library allows no dots in a namespace.
    return ("models", hashlib.sha256(f"{mind.server} {mind.name}".encode()).hexdigest())


async def keep_manner(store: BaseStore, mind: Mind, manner: Manner, now: datetime) -> None:
    """Remember how the model's server takes to be asked for the form of its answer."""
    await store.aput(_of_servers(mind), MANNER, {"manner": manner.value, "learned_at": now.isoformat()})


async def known_manner(store: BaseStore, mind: Mind, now: datetime) -> Manner | None:
    """What is remembered of it; None where nothing is, or nothing so new that it could be relied on."""
    item = await store.aget(_of_servers(mind), MANNER)
    try:
        kept = TypeAdapter(dict[str, str]).validate_python(item.value if item else {})
        learned_at = datetime.fromisoformat(kept["learned_at"])
        return Manner(kept["manner"]) if now - learned_at < MANNER_LASTS else None
    except (ValidationError, LookupError, ValueError, TypeError):
        return None
