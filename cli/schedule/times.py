"""When a schedule starts runs: five fields as cron has them, here as in systemd's own words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Self

NUMBER, NAMED = r"\d+", r"(?:\d+|[a-z]{3})"
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
LOOKED_AHEAD = timedelta(days=370)
MOST_STARTS = 20_000
"""A schedule that starts more often than this in a year meets a session before."""


def _field(atom: str) -> str:
    """What the crons of all systems agree on; `5/2` and `5-5/2` they do not."""
    item = rf"(?:(?:\*|{atom}-{atom})(?:/\d+)?|{atom})"
    return rf"{item}(?:,{item})*"


FIVE_FIELDS = re.compile(r"\s+".join(_field(atom) for atom in (NUMBER, NUMBER, NUMBER, NAMED, NAMED)))
ONE_DAY_RANGE = re.compile(r"\b(\w+)-\1/")


@dataclass(frozen=True)
class CronTimes:
    """`text` has five fields; 0 and 7 are Sunday."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The times that `text` names, such as "30 10 * * 1-5" or "@daily".

        Raises:
            ValueError: it names none; the message is a sentence.
        """
        from cronsim import CronSim, CronSimError  # noqa: PLC0415  (only schedules need it)

        fields = MACROS.get(text.strip().lower(), text.strip().lower())
        why = (
            "it has to be minute, hour, day of the month, month and weekday, each a number, a range, a list or *, "
            "with steps only after a longer range or *"
        )
        if FIVE_FIELDS.fullmatch(fields) and not ONE_DAY_RANGE.search(fields):
            try:
                next(CronSim(fields, datetime(2026, 1, 1)))  # noqa: DTZ001  (whether there is any)
            except CronSimError as error:
                why = str(error).lower()
            except StopIteration:
                why = "there is no such day"
            else:
                return cls(" ".join(fields.split()))
        raise ValueError(f'"{text}" is no time that cron knows ({why}). Write such as "30 10 * * 1-5".')

    def after(self, now: datetime) -> Iterator[datetime]:
        """Every start after `now`, in the zone of `now`, whose clocks may change in between."""
        from cronsim import CronSim  # noqa: PLC0415  (only schedules need it)

        return CronSim(self.text, now)

    def in_words(self) -> str:
        from cronsim.explain import explain  # noqa: PLC0415  (only schedules need it)

        return str(explain(self.text))

    def on_calendar(self) -> tuple[str, ...]:
        """The same for systemd; two lines where either the day or the weekday is enough, as cron has it."""
        from cronsim import CronSim  # noqa: PLC0415  (only schedules need it)

        times = CronSim(self.text, datetime(2026, 1, 1))  # noqa: DTZ001  (for its fields alone)
        clock = f"{_listed(times.hours, 24)}:{_listed(times.minutes, 60)}:00"
        months, days = _listed(times.months, 12), _listed(times.days, 31)
        weekdays = sorted({int(day) % 7 for day in times.weekdays if isinstance(day, int)})
        named = "" if len(weekdays) == len(WEEKDAYS) else ",".join(WEEKDAYS[day] for day in weekdays) + " "
        if times.day_and:
            return (f"{named}*-{months}-{days} {clock}",)
        return (f"*-{months}-{days} {clock}", f"{named}*-{months}-* {clock}")


EVERY_FIVE_MINUTES = CronTimes("*/5 * * * *")
"""Asks all day whether a moment of the session has come: wherever the computer is, and whatever its clocks do."""


def _listed(numbers: Collection[int], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(str(number) for number in sorted(numbers))


def first_in_session(times: CronTimes, now: datetime) -> datetime | None:
    """The first start within a year at which the exchange is open."""
    from brokers.session import ExchangeCalendar  # noqa: PLC0415  (pandas stands behind it)

    calendar = ExchangeCalendar()
    for start in islice(times.after(now), MOST_STARTS):
        if start > now + LOOKED_AHEAD:
            return None
        if calendar.session_at(start).is_open:
            return start
    return None
