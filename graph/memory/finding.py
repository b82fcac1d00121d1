"""What one run has to say for a lesson, or against one."""

from __future__ import annotations

import hashlib

from graph.record import Scope
from portfolio.limits import Limit
from portfolio.models import Fact

MOST_OF_A_STATEMENT = 200
RULES = "rules"


class Tighten(Fact):
    """To leave `percent` % of a limit, once so many runs (`after`) have borne the lesson out and wanted that."""

    limit: Limit
    percent: int = 50
    after: int = 1


class Finding(Fact):
    """For the lesson `id`, which is the same as another run's whatever the figures are this time."""

    id: str
    scope: Scope
    about: str
    statement: str
    figures: dict[str, str]
    source: str = RULES
    tighten: Tighten | None = None


class Refuted(Fact):
    """Against the lesson `id`, should there be one."""

    id: str


def id_of(subject: str) -> str:
    """The id of the lesson about `subject`: six hex digits, short enough to be typed."""
    return hashlib.sha256(subject.encode()).hexdigest()[:6]
