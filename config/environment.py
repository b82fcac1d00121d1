"""Settings from environment variables, which are passed in and never looked up.

A variable that begins with SMART_AGENT_ and means nothing is a problem: a misspelt limit must not pass in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from config.home import HOME_VARIABLE
from config.json_file import parse, repetitions
from config.problems import ConfigError, Problem, looks_secret, nearest, printable, shown
from config.settings import Settings

PREFIX = "SMART_AGENT_"

UNPREFIXED = ("openai_api_key", "openai_base_url", "mcp_url", "paper_trading", "risk_threshold", "log_level")


ABOUT_US = (
    "PATH",
    "XDG_DATA_HOME",
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
"""Variables that set nothing, and decide where the programs, locks and servers are that a run needs."""


def variable_of(key: str) -> str:
    """The environment variable that sets `key`."""
    return key.upper() if key in UNPREFIXED else PREFIX + key.upper()


def source_of(variable: str) -> str:
    return f"environment variable {variable}"


class EnvironmentSource(PydanticBaseSettingsSource):
    """The variables of `environ` that set something; an empty one counts as unset.

    `problems` holds the unknown variables from the start, and after the call also what is no JSON where JSON is wanted.
    """

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self.environ = environ
        self.problems = list(unknown_variables(environ))

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = variable_of(field_name)
        text = self.environ.get(variable, "").strip()
        return text or None, variable, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """The values by key, those left out that cannot be read."""
        values: dict[str, Any] = {}
        for key, field in self.settings_cls.model_fields.items():
            text, variable, is_json = self.get_field_value(field, key)
            if text is None:
                continue
            try:
                values[key] = parse(text, key=key, source=source_of(variable)) if is_json else text
            except ConfigError as error:
                self.problems.extend(error.problems)
            else:
                self.problems.extend(repetitions(values[key], source_of(variable), (key,)))
        return values


def variables_for_runs(environ: Mapping[str, str]) -> dict[str, str]:
    """Those of `environ` that a run started from elsewhere needs to be the same; the home is named in its command."""
    names = (*(variable_of(key) for key in Settings.model_fields), *ABOUT_US)
    return {name: environ[name] for name in names if environ.get(name)}


def unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Variables that look like ours and set nothing."""
    known = {variable_of(key) for key in Settings.model_fields} | {HOME_VARIABLE}
    bare = {variable.removeprefix(PREFIX): variable for variable in known}
    for variable, value in environ.items():
        if not variable.upper().startswith(PREFIX) or variable in known or not value.strip():
            continue
        close = nearest(variable.upper().removeprefix(PREFIX), bare)
        if looks_secret(variable):
            instead = (
                "Unset it; the secrets this program takes are the variables OPENAI_API_KEY and SMART_AGENT_NOTIFY_URLS"
            )
        else:
            instead = (
                f"Write {bare[close]}, or unset it" if close else "Unset it; docs/configuration.md lists all names"
            )
        yield Problem(
            printable(variable),
            shown(value, name=variable),
            "the environment",
            "no setting has this name",
            instead,
        )
