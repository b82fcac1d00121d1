"""The home folder: which one it is, what it holds, and who may look into it."""

from pathlib import Path

import pytest
from platformdirs import user_data_path

from config.home import Home, find_home
from config.problems import ConfigError


def test_the_option_is_stronger_than_the_variable_and_that_than_the_platform(tmp_path: Path) -> None:
    environ = {"SMART_AGENT_HOME": str(tmp_path / "variable")}
    assert find_home(tmp_path / "option", environ).root == tmp_path / "option"
    assert find_home(None, environ).root == tmp_path / "variable"
    assert find_home(None, {}).root == user_data_path("smart-trading-agent", appauthor=False)


def test_an_empty_variable_counts_as_unset() -> None:
    assert find_home(None, {"SMART_AGENT_HOME": " "}) == find_home(None, {})


def test_a_relative_or_tilde_path_becomes_absolute() -> None:
    """A scheduled run may start in another folder than the person who set the variable."""
    assert find_home(Path("here"), {}).root == Path.cwd() / "here"
    assert find_home(None, {"SMART_AGENT_HOME": "~/agent"}).root == Path.home() / "agent"


def test_an_unknown_user_is_a_problem() -> None:
    with pytest.raises(ConfigError, match="home"):
        find_home(Path("~nobody-of-this-name/agent"), {})


def test_everything_is_kept_inside_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    kept = [home.config_file, home.database, home.checkpoints, home.memory, home.reflections, home.simulated]
    kept.append(home.log_file("smart_agent/trading_log.log"))
    assert len(set(kept)) == len(kept)
    assert all(path.is_relative_to(tmp_path) for path in kept)


def test_a_new_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It tells what somebody owns."""
    home = Home(tmp_path / "deep" / "home")
    home.create()
    home.create()
    assert home.root.stat().st_mode & 0o777 == 0o700
    assert home.reflections.is_dir()
    assert home.simulated.is_dir()


def test_a_home_that_cannot_be_made_is_a_problem_with_a_way_out(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    for root in (blocked, blocked / "home"):
        with pytest.raises(ConfigError) as raised:
            Home(root).create()
        (problem,) = raised.value.problems
        assert str(root).startswith(problem.value.strip('"…'))  # a long path is cut
        assert problem.value
        assert problem.instead


def test_the_config_file_of_the_home_is_found_if_there_is_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.find_config(None) is None
    home.config_file.write_text("{}")
    assert home.find_config(None) == home.config_file
    assert home.find_config(tmp_path / "other.json") == tmp_path / "other.json"


def test_a_config_file_behind_a_dangling_link_is_not_ignored(tmp_path: Path) -> None:
    """Ignoring it would trade with the defaults, where somebody meant other limits."""
    home = Home(tmp_path)
    home.config_file.symlink_to(tmp_path / "gone.json")
    assert home.find_config(None) == home.config_file
