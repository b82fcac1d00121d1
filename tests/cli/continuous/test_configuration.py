"""A configuration that changes under a loop: good changes count, broken ones do not, and none of them starts live."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.continuous.configuration import Configuration, News
from cli.run_command import RunCommand
from config.home import Home
from config.problems import ConfigError

LIVE = {
    "paper_trading": False,
    "broker": "tws",
    "live_accounts": ["U1234567", "U7654321"],
    "live_account_confirmed": "U1234567",
}


def write(home: Home, text: str | dict[str, Any]) -> None:
    home.config_file.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")


def configured(home: Home, text: str | dict[str, Any], command: RunCommand | None = None) -> Configuration:
    write(home, text)
    command = command or RunCommand()
    return Configuration(home, command, command.load(home))


def refused(news: News) -> str:
    assert isinstance(news.refused, str)
    return news.refused


def test_what_changed_is_named_and_counts(home: Home) -> None:
    configuration = configured(home, {})
    assert configuration.renew() == News()
    write(home, {"max_positions": 7, "risk_threshold": 500})
    assert configuration.renew() == News(changed=("risk_threshold", "max_positions"))
    assert configuration.settings.max_positions == 7


@pytest.mark.parametrize("broken", ["{ this is no", "", '{"max_positons": 7}', '{"max_positions": "many"}'])
def test_a_broken_one_leaves_the_last_good_one_until_it_is_mended(home: Home, broken: str) -> None:
    configuration = configured(home, {"max_positions": 7})
    for _ in range(2):
        write(home, broken)
        news = configuration.renew()
        assert isinstance(news.refused, ConfigError)
        assert (news.may_run, configuration.settings.max_positions) == (True, 7)
    write(home, {"max_positions": 8})
    assert configuration.renew() == News(changed=("max_positions",), mended=True)


def test_a_file_that_vanishes_does_not_have_the_defaults_traded(home: Home) -> None:
    configuration = configured(home, {"strategy": "conservative"})
    home.config_file.unlink()
    assert isinstance(configuration.renew().refused, ConfigError)
    assert configuration.settings.strategy == "conservative"


def test_options_go_on_to_count_more_than_the_file(home: Home) -> None:
    configuration = configured(home, {}, RunCommand(interval="6", continuous="True"))
    write(home, {"loop_interval_hours": 1, "enable_continuous_loop": False})
    assert configuration.renew() == News()


@pytest.mark.parametrize("began", [{}, {"broker": "tws"}, {**LIVE, "paper_trading": True}])
def test_no_change_turns_a_loop_on_paper_into_a_live_one(home: Home, began: dict[str, Any]) -> None:
    configuration = configured(home, began)
    write(home, LIVE)
    news = configuration.renew()
    assert "never goes on with real money" in refused(news)
    assert news.may_run
    assert configuration.settings.paper_trading


def test_a_live_loop_takes_other_changes_and_goes_to_paper_for_good(home: Home) -> None:
    configuration = configured(home, LIVE)
    write(home, {**LIVE, "max_positions": 7})
    assert configuration.renew() == News(changed=("max_positions",))
    write(home, {**LIVE, "paper_trading": True})
    assert configuration.renew().changed == ("paper_trading", "max_positions")
    write(home, LIVE)
    assert "never goes on with real money" in refused(configuration.renew())
    assert configuration.settings.paper_trading


@pytest.mark.parametrize(
    "change",
    [
        {"live_account_confirmed": "U7654321"},
        {"live_account_confirmed": None},
        {"live_accounts": []},
        {"live_accounts": ["U7654321"]},
        {"broker": "simulated"},
    ],
)
def test_a_live_loop_whose_permission_is_withdrawn_does_not_run(home: Home, change: dict[str, Any]) -> None:
    configuration = configured(home, LIVE)
    write(home, {**LIVE, **change})
    news = configuration.renew()
    assert refused(news)
    assert not news.may_run
    write(home, LIVE)
    assert configuration.renew() == News(mended=True)


@pytest.mark.parametrize(
    ("text", "may_run"),
    [
        (json.dumps({**LIVE, "max_positons": 7}), True),
        (json.dumps({**LIVE, "paper_trading": True, "max_positons": 7}), False),
        (json.dumps({**LIVE, "live_accounts": [], "max_positons": 7}), False),
        (json.dumps({**LIVE, "live_account_confirmed": "U7654321", "max_positons": 7}), False),
        (json.dumps({**LIVE, "paper_trading": "perhaps"}), False),
        ("{ this is no", False),
    ],
)
def test_a_live_loop_with_a_broken_configuration_runs_if_that_still_permits_it(
    home: Home, text: str, *, may_run: bool
) -> None:
    configuration = configured(home, LIVE)
    write(home, text)
    news = configuration.renew()
    assert isinstance(news.refused, ConfigError)
    assert news.may_run is may_run
    assert not configuration.settings.paper_trading


def test_what_a_person_typed_holds_and_what_the_file_confirms_can_be_withdrawn(home: Home) -> None:
    command = RunCommand(trading="live")
    unconfirmed = {**LIVE, "live_account_confirmed": None}
    write(home, unconfirmed)
    typed = command.load(home).model_copy(update={"live_account_confirmed": "U1234567"})
    configuration = Configuration(home, command, typed)
    assert configuration.renew() == News()
    write(home, {**unconfirmed, "max_positions": 7})
    assert configuration.renew() == News(changed=("max_positions",))
    write(home, {**unconfirmed, "live_accounts": []})
    assert not configuration.renew().may_run
