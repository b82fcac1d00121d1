"""What a person wrote to start a run, kept so that another process can go on with the same, days later."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.exit_codes import ExitCode
from cli.options import exit_with, load_or_exit
from config.problems import ConfigError
from config.where import WHERE

if TYPE_CHECKING:
    from config.home import Home
    from config.settings import Settings


OPTIONS = {
    "config": "--config",
    "prices": "--prices",
    "as_of": "--as-of",
    "strategy": "--strategy",
    "risk_threshold": "--risk-threshold",
    "mcp_url": "--mcp-url",
    "broker": "--broker",
    "tws_host": "--host",
    "tws_port": "--port",
    "tws_client_id": "--client-id",
    "tws_account": "--account",
}
ABOUT_TWS = ("tws_host", "tws_port", "tws_client_id", "tws_account")


@dataclass(frozen=True)
class RunCommand:
    """The options of `smart-agent run` as text; None where one was not given. `trading` is "paper" or "live".

    The names of those that say where the broker is are the settings' own. `continuous` is "True" or "False".
    """

    config: str | None = None
    prices: str | None = None
    as_of: str | None = None
    strategy: str | None = None
    risk_threshold: str | None = None
    mcp_url: str | None = None
    broker: str | None = None
    tws_host: str | None = None
    tws_port: str | None = None
    tws_client_id: str | None = None
    tws_account: str | None = None
    trading: str | None = None
    continuous: str | None = None
    interval: str | None = None

    @classmethod
    def written(
        cls, *, config: Path | None = None, prices: Path | None = None, as_of: date | None = None, **others: Any
    ) -> RunCommand:
        """The command as a person wrote it, whose paths hold from any other folder too."""
        return cls(
            config=str(config.absolute()) if config else None,
            prices=str(prices.absolute()) if prices else None,
            as_of=str(as_of) if as_of else None,
            **others,
        )

    @property
    def where(self) -> dict[str, Any]:
        """The settings that say where the broker is, as far as they were given."""
        return {key: value for key in WHERE if (value := getattr(self, key)) is not None}

    def as_facts(self) -> dict[str, str | None]:
        return asdict(self)

    def as_options(self) -> tuple[str, ...]:
        """The options as they stand on a command line."""
        given = ((option, getattr(self, key)) for key, option in OPTIONS.items())
        words = tuple(word for option, value in given if value is not None for word in (option, str(value)))
        return (*words, f"--{self.trading}-trading") if self.trading else words

    def load(self, place: Home) -> Settings:
        """The settings in effect.

        Raises:
            ConfigError: they have problems.
        """
        from config.load import load_settings  # noqa: PLC0415  (the settings library costs more than the help page)

        file = place.find_config(Path(self.config) if self.config else None)
        return load_settings(file=file, environ=os.environ, overrides=self._overrides(), strategy=self.strategy)

    def load_usable(self, place: Home) -> Settings:
        """What can be used of settings that have problems: to look at things by, never to trade by."""
        from config.load import load_usable  # noqa: PLC0415

        file = place.find_config(Path(self.config) if self.config else None)
        return load_usable(file=file, environ=os.environ, overrides=self._overrides(), strategy=self.strategy)

    def load_or_exit(self, home: Path | None, *, is_attended: bool = True) -> tuple[Home, Settings]:
        """The home and the settings in effect; a person at the terminal types the id of a live account.

        Where the runs are not to be attended, nobody is asked, and the id has to be configured.

        Whatever cannot be started is told on stderr, and the process ends with exit code 2.
        """
        overrides, config = self._overrides(), Path(self.config) if self.config else None
        place, settings = load_or_exit(home, config, overrides, self.strategy)
        if why := self.contradiction(settings):
            exit_with(ExitCode.BAD_USAGE, why)
        if is_attended and self.trading == "live" and not is_simulated(settings) and sys.stdin.isatty():
            typed = typer.prompt("Live trading moves real money. Type the id of the live account to trade", err=True)
            overrides["live_account_confirmed"] = typed.strip()
            place, settings = load_or_exit(home, config, overrides, self.strategy)
        from portfolio.limits.standing import why_not_started  # noqa: PLC0415  (costs more than the help page)

        if why := why_not_started(settings):
            exit_with(ExitCode.BAD_USAGE, why)
        return place, settings

    def _overrides(self) -> dict[str, Any]:
        overrides = self.where
        if self.risk_threshold is not None:
            overrides["risk_threshold"] = self.risk_threshold
        if self.trading:
            overrides["paper_trading"] = self.trading == "paper"
        overrides |= {"enable_continuous_loop": self.continuous, "loop_interval_hours": self.interval}
        return overrides

    def contradiction(self, settings: Settings) -> str | None:
        """Why these options make no sense with these settings, in a sentence; None where they do."""
        given = [OPTIONS[key] for key in ABOUT_TWS if getattr(self, key) is not None]
        if given and (settings.mcp_url or settings.broker != "tws"):
            other = "mcp_url names a server" if settings.mcp_url else f"the broker is {settings.broker}"
            return (
                f"{' and '.join(given)} would be about TWS or IB Gateway, and {other}; nothing was done. "
                "Add --broker tws and no mcp_url, or leave them out."
            )
        if is_simulated(settings) or not (self.prices or self.as_of):
            return None
        other = "the server at mcp_url" if settings.mcp_url else f"broker {settings.broker}"
        return (
            f"--prices and --as-of move the embedded simulated broker, and {other} keeps its own time; "
            "nothing was started. Leave them out, or take the simulated broker."
        )

    def settings_for_cancelling(self, place: Home) -> Settings:
        """The settings as far as they say where the broker is: to cancel needs no permission to trade.

        Raises:
            ConfigError: they have problems, and no address among them.
        """
        from config.load import load_address, load_settings  # noqa: PLC0415  (the settings library is heavy)

        file = place.find_config(Path(self.config) if self.config else None)
        try:
            settings = load_settings(file=file, environ=os.environ, overrides=self.where)
        except ConfigError:
            address = load_address(file=file, environ=os.environ, overrides=self.where)
            if address is None:
                raise
            settings = address
        return settings.model_copy(update={"think_mode": "rules"})  # a model has no part in this


def is_simulated(settings: Settings) -> bool:
    """Whether it is the embedded broker, whose market has a clock of its own."""
    return not settings.mcp_url and settings.broker == "simulated"
