"""What can be wrong with the Gateway; nothing is, by default.

A plain object to be changed while the Gateway runs. Its other troubles are methods of `Gateway`: dropped connections,
restarts, announcements, and orders of other people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class WhatIfFault(StrEnum):
    """What is wrong with the answers to a what-if."""

    HANGS = "hangs"
    """There is none."""
    EMPTY = "empty"
    """Its margin fields are empty."""
    TWICE = "twice"
    """There are two: a warning without any figures, then the figures without the warning."""
    INVALID = "invalid"
    """It is error 321."""


class DropOnPlace(StrEnum):
    """What had become of an order when its connection was dropped."""

    BOOKED = "booked"
    LOST = "lost"


class NotLoggedIn(StrEnum):
    """What happens to connections while nobody is logged in."""

    SILENT = "silent"
    CLOSES = "closes"


@dataclass
class Faults:
    reject_orders: bool = False
    """Every order is refused: error 201, status Inactive."""
    duplicate_ids: bool = False
    """Every order id is said to be used already: error 103."""
    unknown_symbols: set[str] = field(default_factory=set)
    """Symbols that have no security definition: error 200."""
    silent_requests: set[int] = field(default_factory=set)
    """Ids of requests that get no answer."""
    silent_symbols: set[str] = field(default_factory=set)
    """Symbols whose prices are asked for in vain."""
    missing_messages: set[int] = field(default_factory=set)
    """Ids of messages that are never sent, such as the end of positions (62)."""
    what_if: WhatIfFault | None = None
    """What-ifs hang, come empty, come twice, or are error 321."""
    drop_on_place: DropOnPlace | None = None
    """The next order's connection is dropped instead of an acknowledgement; once, then it is None again."""
    acknowledge_after: float = 0.0
    """Seconds until an order, which is in the books at once, is told of."""
    fill_at_most: int | None = None
    """Shares that an order may fill at each look; each such part pays commission as an order of its own."""
    hold_orders: bool = False
    """Orders wait for the open: warning 399, status PreSubmitted. They go on once this is off."""
    tif_by_preset: bool = False
    """Orders get error 10349 (TIF set to DAY), and live on."""
    competing_session: bool = False
    """Error 10197 instead of prices: the login takes market data elsewhere."""
    not_subscribed: bool = False
    """Error 354 instead of prices, and no end of a snapshot."""
    delayed_only: bool = False
    """No live prices: delayed ones behind warning 10167 for who asked for type 3 or 4, error 10089 for others."""
    pacing_enforced: bool = False
    """Error 162 for history more than 60 times in ten minutes, or the same again within 15 seconds."""
    pacing_violation: bool = False
    """Every request for history is a pacing violation: error 162."""
    no_history: bool = False
    """History has no data: error 162."""
    commission_late: bool = False
    """Fills come without their commission, which is told once this is off."""
    commission_unknown: bool = False
    """Commission is told as the number that stands for none, 1.7976931348623157E308."""
    time_once_in: float = 0.0
    """Seconds within which the time, once told, is not told again; a real Gateway is reported to want about 4."""
    times_without_zone: bool = False
    """Executions tell New York's time without saying so, as older Gateways write it."""
    read_only: bool = False
    """The API settings forbid orders, what-ifs and cancels: error 321."""
    not_logged_in: NotLoggedIn | None = None
    """New connections are accepted, and either nothing is ever said or they are closed."""
