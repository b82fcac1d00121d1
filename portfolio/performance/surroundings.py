"""What stood around an account at a look at it: prices, and what it was to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple


class Stand(NamedTuple):
    """A bucket's weight and its target, in % of the account."""

    weight: float
    target: float

    @property
    def drift(self) -> float:
        """In % points; positive: the bucket holds too much."""
        return self.weight - self.target


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`prices` in USD of whatever was quoted or held, `targets` in % of the account, both by symbol; and the buckets.

    No `Fact`, since thousands are read at once, and all of them were written here.
    """

    prices: Mapping[str, Decimal] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, Stand] = field(default_factory=dict)
