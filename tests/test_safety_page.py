"""docs/safety.md names rules and tests: they exist, and none of the rules is missing."""

from __future__ import annotations

import re
from pathlib import Path

import config.settings
from portfolio.limits import RULES

PROJECT = Path(config.settings.__file__).parents[1]
PAGE = (PROJECT / "docs" / "safety.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines][2:]


def test_every_promise_is_attacked_by_tests_that_exist() -> None:
    promises = rows("The promises")
    assert [number for number, *_ in promises] == [str(number) for number in range(1, 10)]
    for _, _, _, attacks in promises:
        files = re.findall(r"`(tests/[\w/]+\.py)`", attacks)
        assert files
        for file in files:
            assert "def test_" in (PROJECT / file).read_text(encoding="utf-8")


def test_the_page_lists_every_rule_and_no_other() -> None:
    named = [name for rule, _ in rows("The rules") for name in re.findall(r"`(\w+)`", rule)]
    assert sorted(named) == sorted(rule.__name__ for rule in RULES)


def test_every_file_the_page_names_is_there() -> None:
    for name in re.findall(r"(?<!tests/)\b(?:portfolio|graph|tools|cli)/[\w/]+(?:\.py|/)", PAGE):
        assert (PROJECT / name).exists(), name
