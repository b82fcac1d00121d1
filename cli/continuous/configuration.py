"""The settings of a loop, read anew before each run; and never a way from paper to live.

A configuration that cannot be used changes nothing: the last good one stands. With real money that is not enough, as
what was broken may have been the way to end it. So a live loop pauses unless what can be read still permits it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from cli.run_command import RunCommand
from config.home import Home
from config.problems import ConfigError
from config.settings import Settings
from portfolio.limits.standing import why_not_started


@dataclass(frozen=True)
class News:
    """What became of the configuration since the last run.

    `changed` are keys. `refused` says why the last good one stands, and `may_run` whether it is good enough to run.
    """

    changed: tuple[str, ...] = ()
    mended: bool = False
    refused: ConfigError | str | None = None
    may_run: bool = True


class Configuration:
    """`settings` are the last good ones."""

    def __init__(self, place: Home, command: RunCommand, settings: Settings) -> None:
        file = place.find_config(Path(command.config) if command.config else None)
        self.place = place
        # A file that is there now has to stay: without it, be it while an editor saves, we would trade the defaults.
        self.command = replace(command, config=str(file)) if file else command
        self.settings = settings
        self._is_refused = False
        written = self.command.load_usable(place).live_account_confirmed
        self._typed = None if settings.live_account_confirmed == written else settings.live_account_confirmed

    def renew(self) -> News:
        """Read it anew, and keep it if it is good."""
        try:
            fresh = self._with_typed(self.command.load(self.place))
        except ConfigError as error:
            return self._refuse(error)
        if why := self.command.contradiction(fresh) or why_not_started(fresh) or self._why_not_live(fresh):
            return self._refuse(why)
        changed = tuple(key for key in Settings.model_fields if getattr(fresh, key) != getattr(self.settings, key))
        was_refused, self._is_refused = self._is_refused, False
        self.settings = fresh
        return News(changed, mended=was_refused)

    def _refuse(self, why: ConfigError | str) -> News:
        self._is_refused = True
        return News(refused=why, may_run=self._is_still_permitted())

    def _is_still_permitted(self) -> bool:
        if self.settings.paper_trading:
            return True
        usable = self._with_typed(self.command.load_usable(self.place))
        return not usable.paper_trading and (why_not_started(usable) or self._why_not_live(usable)) is None

    def _why_not_live(self, fresh: Settings) -> str | None:
        """Why this loop must not trade live by these settings, though a run that somebody starts may."""
        if fresh.paper_trading:
            return None
        if self.settings.paper_trading:
            return (
                "paper_trading is false, and a loop on paper never goes on with real money; the change was refused. "
                "To trade live, end this loop and start another."
            )
        if fresh.live_account_confirmed != self.settings.live_account_confirmed:
            return (
                f"The live account confirmed is {fresh.live_account_confirmed}, and this loop was started for "
                f"{self.settings.live_account_confirmed}; the change was refused. "
                "To trade another account, end this loop and start another."
            )
        return None

    def _with_typed(self, fresh: Settings) -> Settings:
        """What a person typed when the loop began holds until it ends."""
        return fresh.model_copy(update={"live_account_confirmed": self._typed}) if self._typed else fresh
