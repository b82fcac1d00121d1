"""The agent, or its broker, is killed at every moment that matters, and the next run puts everything right.

After each kill the broker's own books and the journal must agree: nothing doubled, nothing lost, nothing stuck.
Promise 4 of the design.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from brokers.simulated import open_simulated
from cli.exit_codes import ExitCode
from graph.journal import OrderState
from graph.record import Outcome
from tests.graph.crash_audit import AgentFiles, BrokerBooks, agent_files, assert_in_agreement, broker_books
from tests.simulators.crash_job import DAYS, Chance, Death, Ended, Job, prices_in
from tests.simulators.nursery import Nursery, open_nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with open_nursery() as nursery:
        yield nursery


@pytest.fixture
def deep(nursery: Nursery, tmp_path: Path) -> Iterator[Account]:
    """An account in a market where every order fills at once."""
    yield Account(nursery, tmp_path, prices_in(tmp_path / "deep.csv", price=50, volume=100_000_000))
    nursery.stop()


@pytest.fixture
def thin(nursery: Nursery, tmp_path: Path) -> Iterator[Account]:
    """An account in a market that shows a hundred shares at a time, so that orders fill piece by piece."""
    yield Account(nursery, tmp_path, prices_in(tmp_path / "thin.csv", price=2, volume=10_000))
    nursery.stop()


@dataclass
class Account:
    """The homes of an agent and its broker on one day after another, each run in a process of its own."""

    nursery: Nursery
    folder: Path
    prices: Path
    url: str | None = None
    days: list[date] = field(default_factory=lambda: list(DAYS))

    def __post_init__(self) -> None:
        open_simulated(self.folder / "opening" / "simulated", prices=self.prices, as_of=DAYS[0])._books.close()
        self.opening: BrokerBooks = broker_books(self.folder / "opening")

    @property
    def home(self) -> Path:
        return self.folder / "agent"

    @property
    def broker_home(self) -> Path:
        return self.folder / "broker" if self.url else self.home

    def next_day(self) -> None:
        del self.days[0]

    def do(self, **job: Any) -> Ended:
        return self.nursery.do(
            Job.model_validate({"home": self.home, "day": self.days[0], "prices": self.prices, "url": self.url, **job})
        )

    def serve(self, **job: Any) -> Ended:
        """A server of this account's broker in a process of its own, which the next runs use."""
        served = self.do(home=self.folder / "broker", serve=True, **job)
        self.url = served.url
        return served

    def die(self, moment: str, nth: int = 1, **job: Any) -> None:
        """A run that is killed at that moment, which it must reach."""
        ended = self.do(death=Death(moment=moment, nth=nth), **job)
        assert ended.signal == signal.SIGKILL, f"{moment} {nth} was never reached"

    def recover(self, **job: Any) -> AgentFiles:
        """A run that ends well, after which everything agrees."""
        assert self.do(**job).code == ExitCode.DONE
        return self.agree()

    def agree(self, *, unknown: int = 0) -> AgentFiles:
        return assert_in_agreement(self.home, self.broker_home, self.opening, unknown=unknown)

    def die_and_recover(self, deaths: Sequence[Moment], **job: Any) -> None:
        """A death on every day, a run that recovers on the same, and one on the day after the last."""
        for moment, nth in deaths:
            self.die(moment, nth, **job)
            self.recover()
            self.next_day()
        self.recover()


Moment = tuple[str, int]


def around(*states: str, times: int) -> list[list[Moment]]:
    """For each state, before and after its commit, the first so many times."""
    return [
        [(f"{side} {state}", nth) for side in ("before", "after") for nth in range(1, times + 1)] for state in states
    ]


def names(value: object) -> str:
    return str(value[0][0]) if isinstance(value, list) else str(value)


# --- the agent is killed, its broker in the same process ---------------------------------------------------------


@pytest.mark.parametrize(
    "deaths",
    [
        [("after SUBMITTING", 2), ("accepted", 1)],
        *(
            pytest.param(deaths, marks=pytest.mark.slow)
            for deaths in (
                [("before SUBMITTED", 1), ("after PARTIAL", 2)],
                [("after APPROVED", 3), ("before FILLED", 2)],
            )
        ),
    ],
    ids=names,
)
def test_a_run_that_dies_over_an_order_is_put_right_by_the_next(thin: Account, deaths: list[Moment]) -> None:
    thin.die_and_recover(deaths)


@pytest.mark.slow
@pytest.mark.parametrize(
    "deaths",
    [
        *around("PLANNED", "APPROVED", "SUBMITTING", "SUBMITTED", "PARTIAL", "FILLED", times=3),
        [(moment, nth) for moment in ("arrived", "accepted") for nth in (1, 2, 3)],
    ],
    ids=names,
)
def test_a_run_may_die_at_any_commit_where_orders_fill_piece_by_piece(thin: Account, deaths: list[Moment]) -> None:
    thin.die_and_recover(deaths)


@pytest.mark.slow
@pytest.mark.parametrize(
    "deaths",
    [
        *around("PLANNED", "APPROVED", "SUBMITTING", "SUBMITTED", "FILLED", times=3),
        [(moment, nth) for moment in ("arrived", "accepted") for nth in (1, 2, 3)],
    ],
    ids=names,
)
def test_a_run_may_die_at_any_commit_where_orders_fill_at_once(deep: Account, deaths: list[Moment]) -> None:
    deep.die_and_recover(deaths)


@pytest.mark.slow
@pytest.mark.parametrize(
    "deaths",
    [
        *around("CANCELLED", times=2),
        [("cancelled", 1), ("cancelled", 2), ("accepted", 2), ("before SUBMITTING", 2), ("after SUBMITTING", 2)],
    ],
    ids=names,
)
def test_a_run_may_die_while_it_cancels_and_sends_once_more(thin: Account, deaths: list[Moment]) -> None:
    thin.die_and_recover(deaths, temper="runs_away", settings={"fill_timeout_seconds": 1})


@pytest.mark.slow
@pytest.mark.parametrize("temper", ["refuses", "off_tick"])
@pytest.mark.parametrize("deaths", around("REJECTED", times=2), ids=names)
def test_a_run_may_die_over_a_refusal(thin: Account, temper: str, deaths: list[Moment]) -> None:
    thin.die_and_recover(deaths, temper=temper)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before UNKNOWN", pytest.param("after UNKNOWN", marks=pytest.mark.slow)])
def test_an_order_that_was_lost_sight_of_is_found_again(thin: Account, moment: str) -> None:
    thin.die(moment, temper="forgets")
    files = thin.recover()
    (lost,) = (order for order in files.orders.values() if order.run_id != files.runs[-1].run_id and order.record)
    assert lost.record is not None
    assert lost.record.filled_quantity > 0


@pytest.mark.slow
def test_an_order_lost_by_a_process_that_died_before_saying_so_was_never_placed(thin: Account) -> None:
    """The broker lived in that process, so nothing can arrive any more."""
    thin.die("before UNKNOWN", temper="swallows")
    thin.recover()


@pytest.mark.slow
def test_an_order_that_a_server_lost_sight_of_stays_unknown_for_the_day_and_no_longer(thin: Account) -> None:
    thin.die("after UNKNOWN", temper="swallows")
    assert thin.do().code == ExitCode.ORDER_UNKNOWN
    lost = thin.agree(unknown=1).in_state(OrderState.UNKNOWN)[0]
    thin.next_day()
    files = thin.recover()
    assert files.orders[lost.client_order_id].state is OrderState.CANCELLED


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["after APPROVED", "after SUBMITTING", "accepted", "after SUBMITTED", "after PARTIAL"]
)
def test_the_run_that_recovers_may_die_too(thin: Account, first: str) -> None:
    for moment in ("before CANCELLED", "after CANCELLED"):
        for nth in (1, 2):
            thin.die(first, 1)
            thin.die(moment, nth)
            thin.recover()
            thin.next_day()
    thin.recover()


# --- at random ----------------------------------------------------------------------------------------------------


def die_by_chance(account: Account, dice: random.Random, since: str, most: float, victim: int | None = None) -> Ended:
    return account.do(chance=Chance(since=since, delay=dice.uniform(0, most), victim=victim))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_a_run_may_die_at_any_moment(thin: Account, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - which moment is no secret
    for since, most in (("sending", 0.3), ("started", 0.8)):
        die_by_chance(thin, dice, since, most)
        thin.recover()
        thin.next_day()


@pytest.mark.slow
@pytest.mark.parametrize(("since", "most"), [("started", 1.2), ("sending", 0.5)])
@pytest.mark.parametrize("seed", range(2))
def test_a_run_may_die_at_many_a_moment(thin: Account, seed: int, since: str, most: float) -> None:
    dice = random.Random(f"{since} {seed}")  # noqa: S311
    for _ in range(6):
        for _ in range(dice.choice((1, 1, 2))):
            die_by_chance(thin, dice, since, most)
        thin.recover()
        thin.next_day()
    thin.recover()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_first_run_may_die_while_it_makes_its_files(nursery: Nursery, tmp_path: Path, seed: int) -> None:
    dice = random.Random(f"first {seed}")  # noqa: S311
    prices = prices_in(tmp_path / "deep.csv", price=50, volume=100_000_000)
    for number in range(6):
        account = Account(nursery, tmp_path / str(number), prices)
        for _ in range(2):
            die_by_chance(account, dice, "started", 0.25)
        account.recover()


# --- the broker in another process --------------------------------------------------------------------------------


@pytest.fixture
def remote(deep: Account) -> Account:
    """The account behind a server over HTTP, in a process of its own."""
    return deep


@pytest.mark.parametrize("moment", [pytest.param("arrived", marks=pytest.mark.slow), "accepted"])
def test_an_order_that_a_surviving_server_took_is_found_though_the_agent_died(remote: Account, moment: str) -> None:
    """What was on its way when the agent died is taken all the same."""
    remote.serve(death=Death(moment=moment, victim=remote.home / "pid"))
    assert remote.do().signal == signal.SIGKILL
    (taken,) = broker_books(remote.broker_home).orders
    files = remote.recover()
    assert files.orders[taken.client_order_id or ""].state is OrderState.FILLED


@pytest.mark.slow
def test_an_order_that_never_left_is_unknown_however_long_ago_and_settled_the_next_day(remote: Account) -> None:
    """A server in another process may still have the request before it; a minute, or an hour, proves nothing."""
    remote.serve()
    remote.die("after SUBMITTING")
    assert remote.do(minutes_ahead=90).code == ExitCode.ORDER_UNKNOWN
    files = remote.agree(unknown=1)
    (lost,) = files.in_state(OrderState.UNKNOWN)
    assert files.runs[-1].outcome is Outcome.ORDER_UNKNOWN
    assert lost.symbol not in {order.symbol for order in files.runs[-1].orders}
    remote.next_day()
    remote.serve()
    files = remote.recover()
    assert files.orders[lost.client_order_id].state is OrderState.CANCELLED


@pytest.mark.slow
def test_an_order_that_arrives_only_after_the_next_run_is_not_sent_twice(remote: Account) -> None:
    """The server is slow; the agent that asked for it is dead, and its successor looks in vain."""
    remote.serve(temper="holds", death=Death(moment="arrived", victim=remote.home / "pid"))
    hold = remote.broker_home / "hold"
    remote.broker_home.mkdir(exist_ok=True)
    hold.touch()
    remote.die("before SUBMITTED", 9)
    assert remote.do().code == ExitCode.ORDER_UNKNOWN
    remote.agree(unknown=1)
    hold.unlink()
    remote.recover()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "nth"),
    [("accepted", 1), ("accepted", 2), ("accepted", 3), ("arrived", 1), ("arrived", 2), ("arrived", 3)],
)
def test_the_server_dies_over_an_order_and_the_agent_sends_no_more(remote: Account, moment: str, nth: int) -> None:
    remote.serve(death=Death(moment=moment, nth=nth))
    assert remote.do().code == ExitCode.ORDER_UNKNOWN
    (lost,) = agent_files(remote.home).in_state(OrderState.UNKNOWN)
    remote.serve()
    if moment == "accepted":
        files = remote.recover()
        assert files.orders[lost.client_order_id].state is OrderState.FILLED
    else:
        assert remote.do().code == ExitCode.ORDER_UNKNOWN
        remote.agree(unknown=1)
    remote.next_day()
    remote.serve()
    remote.recover()


@pytest.mark.slow
@pytest.mark.parametrize("nth", [2, 3])
@pytest.mark.parametrize("moment", ["before SUBMITTING", "before SUBMITTED", "after SUBMITTED", "before FILLED"])
def test_the_agent_may_die_at_a_commit_while_the_server_goes_on(remote: Account, moment: str, nth: int) -> None:
    remote.serve()
    remote.die(moment, nth)
    remote.recover()
    remote.next_day()
    remote.serve()
    remote.recover()


@pytest.mark.slow
@pytest.mark.parametrize("dies", ["agent", "server"])
@pytest.mark.parametrize("seed", range(2))
def test_either_side_may_die_at_any_moment(thin: Account, seed: int, dies: str) -> None:
    dice = random.Random(f"{dies} {seed}")  # noqa: S311
    for _ in range(4):
        server = thin.serve()
        since, most = dice.choice((("started", 2.0), ("sending", 0.8)))
        die_by_chance(thin, dice, since, most, victim=server.pid if dies == "server" else None)
        thin.serve()
        code = thin.do().code
        assert code in (ExitCode.DONE, ExitCode.ORDER_UNKNOWN)
        thin.agree(unknown=int(code == ExitCode.ORDER_UNKNOWN))
        thin.next_day()
        thin.serve()
        thin.recover()
        thin.next_day()
