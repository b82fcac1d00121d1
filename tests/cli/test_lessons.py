"""`smart-agent lessons`, over a memory and a journal that are written here by hand."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from typer.testing import CliRunner, Result

from cli.exit_codes import ExitCode
from cli.main import app
from config.home import Home
from graph.journal.history import Observation
from graph.memory import lessons_of, open_memory
from graph.record import Lesson, Occasion
from portfolio.limits import Limit, Tightening
from portfolio.performance import Observed
from tests.graph.lessons import lesson, teach
from tests.permits import journal_in
from tests.portfolio.cases import NOW, PAPER

TIGHT = Tightening(limit=Limit.RISK_THRESHOLD, value=Decimal(500), expires_at=NOW + timedelta(days=30))
BOUND = lesson("SPY slipped.", times=2, weight=2)
"""It has made the limit smaller."""
NOTE = lesson("VTI was refused.", about="VTI", times=5, weight=5)


def have(home: Home, *lessons: Lesson, account: str = PAPER) -> None:
    """The account as a run looked at it last, and what it has taught."""
    seen = Observed(at=NOW, cash=Decimal(1000), shares={}, prices={})
    with journal_in(home.root) as journal:
        journal.history.keep(account, Observation(run_id="run", net_liquidation=Decimal(1000), seen=seen, costs={}))
        for one in lessons:
            if one.statement.endswith("slipped."):
                journal.tightenings.keep(account, one.id, TIGHT, NOW)

    async def taught() -> None:
        async with open_memory(home.memory) as store:
            await teach(store, account, *lessons)

    asyncio.run(taught())


def kept(home: Home, account: str = PAPER) -> set[str]:
    async def read() -> set[str]:
        async with open_memory(home.memory) as store:
            return {one.statement for one in await lessons_of(store, account)}

    return asyncio.run(read())


def in_force(home: Home, account: str = PAPER) -> tuple[Tightening, ...]:
    with journal_in(home.root) as journal:
        return journal.trading_day(account, NOW, timedelta(days=1)).tightenings


def lessons(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["lessons", *arguments, "--home", str(home.root)])


def words(done: Result) -> str:
    return " ".join(done.output.split())


# --- list ----------------------------------------------------------------------------------------------------------


def test_what_binds_is_listed_first_and_says_what_it_binds(home: Home) -> None:
    have(home, NOTE, BOUND)
    done = lessons(home, "list")
    assert done.exit_code == 0, done.output
    told = words(done)
    assert f"Lessons {PAPER}" in told
    assert f"{BOUND.id} SPY 2026-03-03 2 SPY slipped. risk_threshold is at most 500 USD until 2026-04-02" in told
    assert told.index(BOUND.id) < told.index(f"{NOTE.id} VTI 2026-03-03 5 VTI was refused.")
    assert words(lessons(home)) == told


def test_the_list_as_json(home: Home) -> None:
    have(home, NOTE, BOUND)
    told = json.loads(lessons(home, "list", "--json").stdout)
    assert told["account"] == PAPER
    assert [one["id"] for one in told["lessons"]] == [BOUND.id, NOTE.id]
    assert told["in_force"] == {BOUND.id: [TIGHT.model_dump(mode="json")]}


def test_a_tightening_whose_lesson_is_gone_is_listed_and_can_be_dropped(home: Home) -> None:
    have(home, BOUND)
    home.memory.unlink()
    assert f"{BOUND.id} risk_threshold risk_threshold is at most 500 USD" in words(lessons(home))
    assert lessons(home, "drop", BOUND.id).exit_code == 0
    assert in_force(home) == ()
    assert not home.memory.exists()


@pytest.mark.parametrize("arguments", [[], ["list"], ["list", "--json"], ["show", "a1b2c3"], ["drop", "a1b2c3"]])
def test_in_a_fresh_home_there_is_nothing_and_no_memory_is_made(home: Home, arguments: list[str]) -> None:
    done = lessons(home, *arguments)
    assert not home.memory.exists()
    assert done.exit_code == (ExitCode.BAD_USAGE if "a1b2c3" in arguments else 0)


# --- show ----------------------------------------------------------------------------------------------------------


def test_one_lesson_with_the_runs_that_it_rests_on(home: Home) -> None:
    occasions = tuple(
        Occasion(run_id=f"run-{number}", at=NOW + timedelta(days=number), figures={"slippage": f"{number} %"})
        for number in (1, 2)
    )
    have(home, BOUND.model_copy(update={"occasions": occasions, "contradicted_by": "run-0"}))
    told = words(lessons(home, "show", BOUND.id))
    for expected in (
        f"Lesson {BOUND.id}",
        "Says SPY slipped.",
        "About SPY (symbol)",
        "Found by rules",
        "Last seen 2026-03-03 17:00 UTC, in 2 run(s)",
        "Effect risk_threshold is at most 500 USD until 2026-04-02",
        "Contradicted last by run run-0",
        "run-2 2026-03-05 17:00 slippage 2 % run-1 2026-03-04 17:00 slippage 1 %",
    ):
        assert expected in told


def test_a_note_says_that_it_changes_nothing(home: Home) -> None:
    have(home, NOTE)
    assert "Effect a note; no limit is changed" in words(lessons(home, "show", NOTE.id))


def test_one_lesson_as_json(home: Home) -> None:
    have(home, BOUND)
    told = json.loads(lessons(home, "show", BOUND.id, "--json").stdout)
    assert told == {**BOUND.model_dump(mode="json"), "in_force": [TIGHT.model_dump(mode="json")]}


@pytest.mark.parametrize("command", ["show", "drop"])
@pytest.mark.parametrize("wrong", ["ffffff", "", "[red]", "../..", "%", NOTE.id.upper() + "0"])
def test_an_unknown_id_is_bad_usage_and_changes_nothing(home: Home, command: str, wrong: str) -> None:
    have(home, NOTE, BOUND)
    done = lessons(home, command, wrong)
    assert done.exit_code == ExitCode.BAD_USAGE
    assert f"{wrong}: there is no such lesson" in words(done)
    assert kept(home) == {NOTE.statement, BOUND.statement}
    assert in_force(home) == (TIGHT,)


# --- drop ----------------------------------------------------------------------------------------------------------


def test_a_dropped_lesson_is_forgotten_and_its_limit_as_it_is_set(home: Home) -> None:
    have(home, NOTE, BOUND)
    done = lessons(home, "drop", BOUND.id)
    assert done.exit_code == 0, done.output
    assert words(done) == f"Lesson {BOUND.id} is forgotten. risk_threshold is as it is set again."
    assert kept(home) == {NOTE.statement}
    assert in_force(home) == ()
    late = NOW + timedelta(days=29)
    with journal_in(home.root) as journal:
        assert journal.tightenings.keep(PAPER, BOUND.id, TIGHT, late) is None
    assert lessons(home, "drop", BOUND.id).exit_code == ExitCode.BAD_USAGE


def test_a_limit_that_another_lesson_tightens_too_is_not_said_to_be_as_it_was(home: Home) -> None:
    other = lesson("VTI slipped.")
    have(home, BOUND, other)
    done = lessons(home, "drop", BOUND.id)
    assert words(done) == f"Lesson {BOUND.id} is forgotten. risk_threshold is tightened by another lesson still."
    assert in_force(home) == (TIGHT,)


def test_a_dropped_note_lifts_nothing(home: Home) -> None:
    have(home, NOTE, BOUND)
    assert words(lessons(home, "drop", NOTE.id)) == f"Lesson {NOTE.id} is forgotten."
    assert in_force(home) == (TIGHT,)


def test_the_same_lesson_of_another_account_stays(home: Home) -> None:
    have(home, BOUND)
    have(home, BOUND, NOTE, account="DU9")
    assert "Lessons DU9 Id" in words(lessons(home))
    assert NOTE.id not in words(lessons(home, "list", "--account", PAPER))
    assert lessons(home, "drop", BOUND.id, "--account", PAPER).exit_code == 0
    assert (kept(home), in_force(home)) == (set(), ())
    assert kept(home, "DU9") == {BOUND.statement, NOTE.statement}
    assert in_force(home, "DU9") == (TIGHT,)
    assert lessons(home, "drop", NOTE.id, "--account", "DU8").exit_code == ExitCode.BAD_USAGE


# --- somebody else's words, and damage -----------------------------------------------------------------------------


def test_hostile_words_are_printed_plainly(home: Home) -> None:
    hostile = "[red]do[/] as\nI \x1b[31msay[/red] [link=http://x]" + "x" * 1000
    have(
        home,
        lesson(
            hostile,
            id="[/red]",
            about="[bold]SPY\x1b[2J",
            source="[b]\x07",
            contradicted_by="[/x]",
            occasions=(Occasion(run_id="[/]\nrun\x1b", at=NOW, figures={"[/a]\x1b": "[b]\n1"}),),
        ),
    )
    for done in (lessons(home), lessons(home, "show", "[/red]")):
        assert done.exit_code == 0, done.exception
        assert "[red]do[/] as I [31msay[/red] [link=http://x]" in words(done)
        assert not [letter for letter in done.output if letter != "\n" and not letter.isprintable()]
        assert len(done.output) < 3000
    assert json.loads(lessons(home, "show", "[/red]", "--json").stdout)["statement"] == hostile
    assert lessons(home, "drop", "[/red]").exit_code == 0


def spoil(home: Home, damage: str) -> None:
    if damage == "no json":
        with closing(sqlite3.connect(home.memory)) as damaged, damaged:
            damaged.execute("UPDATE store SET value = '{'")
    else:
        home.memory.write_bytes(b"this is no database" * 1000)


@pytest.mark.parametrize("damage", ["no database", "no json"])
def test_what_a_lesson_tightened_can_be_lifted_whatever_became_of_the_memory(home: Home, damage: str) -> None:
    have(home, BOUND)
    spoil(home, damage)
    done = lessons(home, "drop", BOUND.id)
    assert done.exit_code == ExitCode.FAILED
    assert "the lesson cannot be forgotten" in words(done)
    assert "risk_threshold is as it is set again." in words(done)
    assert in_force(home) == ()


@pytest.mark.parametrize("command", [["list"], ["show", BOUND.id]])
@pytest.mark.parametrize("damage", ["no database", "no json"])
def test_a_memory_that_cannot_be_read_is_said_so_and_nothing_changes(
    home: Home, command: list[str], damage: str
) -> None:
    have(home, BOUND)
    spoil(home, damage)
    done = lessons(home, *command)
    assert done.exit_code == ExitCode.FAILED
    assert "the lessons cannot be read" in words(done)
    assert in_force(home) == (TIGHT,)


@pytest.mark.parametrize("arguments", [(), ("list", "--json"), ("show", "3f9a1c"), ("drop", "3f9a1c")])
async def test_a_memory_without_an_account_holds_no_lesson(home: Home, arguments: tuple[str, ...]) -> None:
    """A first run may break off after the memory was made, and before it has looked at an account."""
    async with open_memory(home.memory):
        pass
    done = await asyncio.to_thread(lessons, home, *arguments)
    assert "cannot be" not in done.output
    assert done.exit_code == (2 if "3f9a1c" in arguments else 0)
