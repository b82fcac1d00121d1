"""What a person sees before a run is scheduled: to the letter what will be written, and when it will first run."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.text import Text
from tzlocal import get_localzone

from brokers.market_moment import MarketMoment
from brokers.session import NEW_YORK, ExchangeCalendar
from cli.console import say
from cli.schedule.job import Entry, Job, Timetable
from cli.schedule.times import CronTimes, first_in_session
from config.environment import variable_of
from config.problems import shown

ONCE = variable_of("enable_continuous_loop")


def show(
    console: Console, job: Job, timetable: Timetable, variables: dict[str, str], market: str | None, *, own_clock: bool
) -> None:
    """What would be written, and when it would first run. Secrets are left out.

    With its `own_clock` the simulated market is open whenever it is asked.
    """
    where = "This line goes on top of your crontab" if timetable.name == "crontab" else "These are the units"
    console.print(f"{where}:\n")
    console.print(Text(timetable.preview(job), style="bold"), soft_wrap=True)
    say(console, f"\nwith these variables, in {job.home.variables_of(job.id)}:\n")
    for name, value in variables.items():
        why = "   (a scheduled run is a single one)" if name == ONCE else ""
        say(console, f"{name} = {shown(value, name=name)}{why}")
    console.print()
    for sentence, style in _when_it_runs(job.times, market, own_clock=own_clock):
        say(console, sentence, style)


def _when_it_runs(times: CronTimes, market: str | None, *, own_clock: bool) -> list[tuple[str, str]]:
    """The next start in words, and a warning where the exchange is never open at these times; each with its style."""
    now = datetime.now(get_localzone())
    if market:
        first = MarketMoment.parse(market).next(now)
        words = "Once in every session: it is started every five minutes, and runs when the moment has come"
        return [(f"{words}. Next: {_in_both_zones(first)}.", "")]
    start = next(times.after(now))
    is_open = ExchangeCalendar().session_at(start).is_open
    told = [
        (f"{times.in_words()}. Next: {_in_both_zones(start)}, the market is {'open' if is_open else 'closed'}.", "")
    ]
    traded = first_in_session(times, now)
    if traded is None:
        warning = (
            "Warning: for a year the market is closed at all of these times, so no run would trade"
            f"{' with a broker; the simulated market stands open' if own_clock else ''}. --market open+30m always "
            "meets it."
        )
        told.append((warning, "bold yellow"))
    elif traded != start:
        told.append((f"The first with the market open: {_in_both_zones(traded)}.", ""))
    return told


def next_start(entry: Entry) -> str:
    """When it runs next, in words; "" where somebody else wrote its times in a way that is not known."""
    now, market = datetime.now(get_localzone()), entry.given("--market")
    try:
        if market:
            return _in_both_zones(MarketMoment.parse(market).next(now))
        return _in_both_zones(next(CronTimes.parse(entry.when).after(now)))
    except ValueError:
        return ""


def _in_both_zones(moment: datetime) -> str:
    here, there = moment.astimezone(get_localzone()), moment.astimezone(NEW_YORK)
    return f"{here:%a %Y-%m-%d %H:%M %Z} ({there:%a %H:%M} in New York)"
