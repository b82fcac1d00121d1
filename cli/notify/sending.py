"""Sends a message to every address at once, by Apprise, in bounded time; no secret of an address is ever told."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread

import apprise

from cli.notify.messages import Level, Notification

MOST_SECONDS = 10.0
KINDS = {
    Level.ROUTINE: apprise.NotifyType.INFO,
    Level.IMPORTANT: apprise.NotifyType.INFO,
    Level.URGENT: apprise.NotifyType.WARNING,
}
OURS = apprise.AppriseAsset(service_timeout=0, storage_mode="memory")
"""Without a time limit Apprise starts no threads, for which the process would wait; it keeps nothing on the disk."""
TALKATIVE = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")
"""Loggers that may name addresses, tokens and all."""


@dataclass(frozen=True)
class Sent:
    """What became of a message at one address; `service` is its kind and its place among the addresses."""

    service: str
    arrived: bool
    words: str


def send(notification: Notification, urls: Sequence[str]) -> list[Sent]:
    """Send to all of `urls`; one that does not answer within `MOST_SECONDS` is given up."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    letters = [_Letter(notification, url, place) for place, url in enumerate(urls, 1)]
    for letter in letters:
        letter.start()
    ends = time.monotonic() + MOST_SECONDS
    for letter in letters:
        letter.join(max(ends - time.monotonic(), 0))
    return [letter.sent for letter in letters]


class _Letter(Thread):
    """One message on its way to one address. It may outlive its time, and then keeps no process from ending."""

    def __init__(self, notification: Notification, url: str, place: int) -> None:
        super().__init__(daemon=True)
        self._notification, self._url = notification, url
        self._service = f"address {place}"
        self._outcome: tuple[bool, str] = (False, f"no answer within {MOST_SECONDS:g} s")

    @property
    def sent(self) -> Sent:
        arrived, words = self._outcome
        return Sent(self._service, arrived, words)

    def run(self) -> None:
        try:
            self._outcome = self._send()
        except Exception as error:  # noqa: BLE001  (plugins raise anything, and their words may hold the address)
            self._outcome = (False, f"it could not be sent ({type(error).__name__})")

    def _send(self) -> tuple[bool, str]:
        service = apprise.Apprise.instantiate(self._url, asset=OURS)
        if not isinstance(service, apprise.NotifyBase):
            return False, "this is no address that Apprise knows; see docs/notifications.md"
        self._service = f"{service.service_name} ({self._service})"
        if service.overflow_mode is apprise.OverflowMode.UPSTREAM:  # a service refuses what is too long for it
            service.overflow_mode = apprise.OverflowMode.TRUNCATE
        told = self._notification
        sender = apprise.Apprise(asset=OURS)
        sender.add(service)
        arrived = sender.notify(
            title=told.title, body=told.body, notify_type=KINDS[told.level], body_format=apprise.NotifyFormat.TEXT
        )
        return (True, "sent") if arrived else (False, "not taken; look at the address, and at the service itself")
