"""The one folder that holds everything the agent keeps.

Only the owner may look into it, since it tells what somebody owns. This module imports nothing heavy: a light command
such as `halt` needs the folder and no settings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from config.problems import ConfigError, Problem, shown

HOME_VARIABLE = "SMART_AGENT_HOME"
APP = "smart-trading-agent"


@dataclass(frozen=True)
class Home:
    """The files below `root`; naming one does not make it."""

    root: Path

    @property
    def config_file(self) -> Path:
        return self.root / "config.json"

    @property
    def database(self) -> Path:
        """Orders and runs."""
        return self.root / "agent.db"

    @property
    def checkpoints(self) -> Path:
        """LangGraph's checkpoints, apart from `database` so that neither waits for the other's lock."""
        return self.root / "checkpoints.db"

    @property
    def outbox(self) -> Path:
        """Notifications that wait, and those that were sent of late."""
        return self.root / "outbox.json"

    @property
    def chats(self) -> Path:
        """LangGraph's checkpoints of chats, by thread."""
        return self.root / "chats.db"

    @property
    def chat_history(self) -> Path:
        """What was typed in chats."""
        return self.root / "chat_history"

    @property
    def memory(self) -> Path:
        """LangGraph's store: lessons."""
        return self.root / "memory.db"

    @property
    def reflections(self) -> Path:
        return self.root / "reflections"

    @property
    def lock(self) -> Path:
        """Held by the one process that may trade from here."""
        return self.root / "run.lock"

    @property
    def slots(self) -> Path:
        """One empty file for each moment of a session that had its run."""
        return self.root / "slots"

    @property
    def scheduled_log(self) -> Path:
        """What scheduled runs print."""
        return self.root / "scheduled.log"

    def variables_of(self, schedule_id: str) -> Path:
        """The environment variables that a scheduled run is given."""
        return self.root / f"schedule-{schedule_id}.json"

    @property
    def loop_lock(self) -> Path:
        """Held by the one process that goes on running from here, while it waits too."""
        return self.root / "continuous.lock"

    @property
    def simulated(self) -> Path:
        """What the simulated broker remembers between runs."""
        return self.root / "simulated"

    @property
    def history(self) -> Path:
        """Past prices that were fetched, so that they need not be fetched again."""
        return self.root / "history"

    def log_file(self, name: str) -> Path:
        """Where the setting `log_file` points; its folder need not exist yet."""
        return self.root / name

    def find_config(self, override: Path | None) -> Path | None:
        """`override`, else the home's own config file, else None: the defaults and the environment are enough."""
        if override is not None:
            return override
        # A dangling link counts as a file: reading it fails loudly, where ignoring it would trade with the defaults.
        return self.config_file if os.path.lexists(self.config_file) else None

    def create(self) -> None:
        """Make the folder and those inside it, for the owner alone; raises `ConfigError` if that is not possible."""
        try:
            for folder in (self.root, self.reflections, self.simulated):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise self.unusable(getattr(error, "strerror", None) or str(error)) from None
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise self.unusable("no permission to write there")

    def unusable(self, why: str) -> ConfigError:
        return ConfigError(
            [
                Problem(
                    "home",
                    shown(str(self.root)),
                    f"--home or {HOME_VARIABLE}",
                    f"the folder cannot be used ({why}), and without it nothing is remembered",
                    "Name a folder you may write to",
                )
            ]
        )


def account_lock(account_id: str) -> Path:
    """Held by the one process of this user that may trade an account at a real broker, from whichever home."""
    return _lock(re.sub(r"[^A-Za-z0-9]", "_", account_id))


def crontab_lock() -> Path:
    """Held by the one process of this user that changes the crontab, from whichever home."""
    return _lock("crontab")


def _lock(name: str) -> Path:
    return user_data_path(APP, appauthor=False) / "locks" / f"{name}.lock"


def find_home(override: Path | None, environ: Mapping[str, str]) -> Home:
    """The home `override` names, else SMART_AGENT_HOME, else the platform's folder for such data."""
    named = override or (Path(text) if (text := environ.get(HOME_VARIABLE, "").strip()) else None)
    if named is None:
        return Home(user_data_path(APP, appauthor=False))
    try:
        return Home(named.expanduser().absolute())
    except RuntimeError:
        raise Home(named).unusable("nobody knows whose home folder ~ is") from None
