"""Whatever plan comes in, whatever the broker does: what reaches its books breaks no limit, and the journal knows it.

The nodes, the MCP session, the simulated broker and the journal are the real ones; the inspector reads the books.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from brokers.simulated.accounting import Holding
from config.settings import Settings, TradingRule
from graph.journal import OrderState
from portfolio.models import Execution, OrderStatus, ProposedTrade, Side, TradePlan
from tests.graph.hostile_bench import Bench
from tests.graph.hostile_worlds import LISTED, OPEN_AT, PersonsOrder, Round, World, a_world
from tests.graph.inspector import Entry, Inspector, Story
from tests.simulators.troubled_broker import Faults, Listing, Moment, Placed

CHUNKS, WORLDS = 2, 360
"""An eighth of the ten thousand plans that `benchmarks/hostile.py` brings before the guard."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as opened:
        yield opened


@examples(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_no_plan_brings_an_order_to_the_broker_that_breaks_a_limit(bench: Bench, random: Random) -> None:
    for story in bench.play(a_world(random)):
        assert Inspector(story).broken() == set()


def play_seeds(bench: Bench, seeds: range) -> None:
    for seed in seeds:
        for number, story in enumerate(bench.play(a_world(Random(seed)))):  # noqa: S311  (chance, not secrets)
            assert Inspector(story).broken() == set(), f"seed {seed}, run {number}"


@pytest.mark.slow
def test_no_plan_of_forty_known_worlds_breaks_a_limit(bench: Bench) -> None:
    """Hypothesis likes small worlds; these are of every size, and the same each time."""
    play_seeds(bench, range(1_000_000, 1_000_040))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_none_of_many_plans_breaks_a_limit(bench: Bench, chunk: int) -> None:
    bench.seen.clear()
    play_seeds(bench, range(chunk * WORLDS, (chunk + 1) * WORLDS))
    seen = bench.seen
    print(f"chunk {chunk}: {dict(seen)}")  # noqa: T201  (shown with -rP)
    assert seen["plans"] >= 600
    assert seen["orders"] >= seen["plans"] / 4, "a guard that lets nothing through is easily safe"
    kinds = ("partly filled", "filled in parts", "again", "asked", "protective sent", "journal UNKNOWN")
    assert all(seen[kind] for kind in kinds), "each kind of ending must have been met"


# --- what the worlds found --------------------------------------------------------------------------------------


def level(price: str = "100") -> Listing:
    return Listing(Decimal(price), Decimal("0.0002"), Decimal(10**9))


def rules(**changes: Any) -> tuple[TradingRule, ...]:
    """One bucket of ordinary symbols, and VTI, which is sold out 20 % below its cost."""
    core = TradingRule(name="Core", target_allocation=50, symbols=("SPY", "KO", "JNJ"), max_position_size=50)
    stop = TradingRule(name="Stop", target_allocation=50, symbols=("VTI",), max_position_size=50, stop_loss=-20)
    return (core.model_copy(update=changes), stop)


def one_run(settings: Settings, *trades: tuple[str, Side, int], **changes: Any) -> World:
    """At 100 USD a share for everything: 20,000 USD in cash, 50 KO, and 100 VTI that cost twice as much."""
    wanted = tuple(
        ProposedTrade(symbol=symbol, side=side, quantity=quantity, reason="a test", protective=symbol == "VTI")
        for symbol, side, quantity in trades
    )
    plan = TradePlan(source="a test", trades=wanted)
    world = World(
        listings=dict.fromkeys(LISTED, level()),
        cash=Decimal(20_000),
        holdings={"KO": Holding(Decimal(50), Decimal(100)), "VTI": Holding(Decimal(100), Decimal(200))},
        waiting=(),
        rounds=(Round(OPEN_AT, settings, plan, Faults(), None),),
    )
    return replace(world, **changes)


@pytest.mark.parametrize("quantity", range(80, 110, 3))
def test_a_persons_order_that_fills_while_the_account_is_read_is_never_spent_twice(bench: Bench, quantity: int) -> None:
    """Cash read before a fill, and open orders after it, know nothing of what that fill cost."""
    settings = Settings(
        trading_rules=rules(max_position_size=100),
        risk_threshold=50_000,
        max_trade_value=50_000,
        max_portfolio_change=100,
    )
    listings = dict.fromkeys(LISTED, level()) | {"CHEAP": Listing(Decimal("2.10"), Decimal(0), Decimal(10**7))}
    waiting = (PersonsOrder("CHEAP", Side.BUY, 5_000, Decimal("2.11")),)
    holdings = {"VTI": Holding(Decimal(800), Decimal(100))}
    world = one_run(settings, ("SPY", Side.BUY, quantity), listings=listings, waiting=waiting, holdings=holdings)
    (story,) = bench.play(world)
    assert Inspector(story).broken() == set()


# --- the inspector is no fool -----------------------------------------------------------------------------------

ORDINARY = Settings(trading_rules=rules(), max_portfolio_change=10, risk_threshold=1_000)
TRADES = (("VTI", Side.SELL, 90), ("KO", Side.SELL, 5), ("SPY", Side.BUY, 8))


@pytest.fixture(scope="module")
def ordinary(bench: Bench) -> Story:
    """An exit, a sale and a purchase, all of them sent and filled."""
    (story,) = bench.play(one_run(ORDINARY, *TRADES))
    return story


def test_an_ordinary_run_is_sent_and_breaks_nothing(ordinary: Story) -> None:
    assert [(order.symbol, order.status) for order in ordinary.orders] == [
        ("VTI", OrderStatus.FILLED),
        ("KO", OrderStatus.FILLED),
        ("SPY", OrderStatus.FILLED),
    ]
    assert Inspector(ordinary).broken() == set()


def seen_in(story: Story) -> set[str]:
    return {fault.partition(":")[0] for fault in Inspector(story).broken()}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"risk_threshold": Decimal(499)}, "risk_threshold"),
        ({"max_trade_value": Decimal(8_000)}, "max_trade_value"),
        ({"max_portfolio_change": 3.4}, "max_portfolio_change"),
        ({"min_cash": 83.0}, "min_cash"),
        ({"max_positions": 2}, "max_positions"),
        ({"max_orders_per_day": 2}, "max_orders_per_day"),
        ({"price_collar": 0.01}, "price_collar"),
        ({"trading_rules": rules(max_position_size=2.2)}, "max_position_size"),
        ({"trading_rules": rules(symbols=("KO", "JNJ"))}, "symbol"),
        ({"trading_rules": rules()[:1]}, "not protective"),
    ],
)
def test_the_inspector_sees_a_limit_that_is_broken(ordinary: Story, changes: dict[str, Any], fault: str) -> None:
    """One who sees nothing would be satisfied with anything."""
    assert fault in seen_in(replace(ordinary, settings=ordinary.settings.model_copy(update=changes)))


def first(story: Story, **changes: Any) -> Story:
    """The story with another first order in the books."""
    return replace(story, orders=(story.orders[0].model_copy(update=changes), *story.orders[1:]))


def before(story: Story, **changes: Any) -> Story:
    """The story with other books just before each order."""
    placed = tuple(Placed(one.request, replace(one.before, **changes), one.looks) for one in story.placed)
    return replace(story, placed=placed)


def after(story: Story, **changes: Any) -> Story:
    return replace(story, after=replace(story.after, **changes))


def fill(story: Story, side: Side) -> Execution:
    return story.fills[-1].model_copy(update={"side": side})


def short(moment: Moment) -> dict[str, Holding]:
    return {**moment.holdings, "KO": Holding(Decimal(-1), Decimal(100))}


@pytest.mark.parametrize(
    ("tampered", "fault"),
    [
        (lambda s: replace(s, account_id="DU1"), "account"),
        (lambda s: first(s, quantity=Decimal("0.5")), "whole shares"),
        (lambda s: first(s, order_type="MKT"), "limit price"),
        (lambda s: first(s, client_order_id=None), "client order ids"),
        (lambda s: first(s, client_order_id=None), "unseen"),
        (lambda s: replace(s, earlier=s.orders[:1]), "client order ids"),
        (lambda s: before(s, holdings={}), "short sale"),
        (lambda s: before(s, working=s.orders[:1]), "another order works"),
        (lambda s: before(s, at=OPEN_AT + timedelta(hours=6)), "closed"),
        (lambda s: after(s, holdings=short(s.after)), "short sale"),
        (lambda s: after(s, cash=Decimal(-1)), "on credit"),
        (lambda s: replace(s, first_net=s.first_net * 2), "max_daily_loss"),
        (lambda s: replace(s, earlier_fills=(fill(s, Side.SELL),)), "reversal_cooldown"),
    ],
)
def test_the_inspector_sees_books_that_are_wrong(ordinary: Story, tampered: Any, fault: str) -> None:
    assert fault in seen_in(tampered(ordinary))


def entry(story: Story, **changes: Any) -> Story:
    """The story with another journal entry for its first order."""
    wanted = story.orders[0].client_order_id
    told = tuple(replace(one, **changes) if one.order.client_order_id == wanted else one for one in story.journal)
    return replace(story, journal=told)


def journalled(story: Story, **changes: Any) -> Story:
    wanted = next(one for one in story.journal if one.order.client_order_id == story.orders[0].client_order_id)
    return entry(story, order=wanted.order.model_copy(update=changes))


def terms(story: Story, **changes: Any) -> Story:
    """The story with a permission for something else than its first order."""
    approved = entry_of(story).order.approved
    assert approved is not None
    other = approved.model_copy(update={"terms": approved.terms.model_copy(update=changes)})
    return journalled(story, approved=other)


def entry_of(story: Story) -> Entry:
    return next(one for one in story.journal if one.order.client_order_id == story.orders[0].client_order_id)


def verdict(story: Story, **changes: Any) -> Story:
    (told,) = entry_of(story).verdicts
    return entry(story, verdicts=(told.model_copy(update=changes),))


def refused(story: Story) -> Story:
    (told,) = entry_of(story).verdicts
    return verdict(story, checks=(told.checks[0].model_copy(update={"passed": None}), *told.checks[1:]))


@pytest.mark.parametrize(
    ("tampered", "fault"),
    [
        (lambda s: replace(s, journal=s.journal[1:]), "not in the journal"),
        (lambda s: journalled(s, approved=None), "never approved"),
        (lambda s: terms(s, quantity=89), "not the terms approved"),
        (lambda s: terms(s, limit_price=Decimal(99)), "not the terms approved"),
        (lambda s: entry(s, changes=entry_of(s).changes[1:]), "not approved before it was sent"),
        (
            lambda s: entry(s, changes=entry_of(s).changes[:1] + entry_of(s).changes[2:]),
            "not approved before it was sent",
        ),
        (lambda s: entry(s, verdicts=()), "no verdict let it through"),
        (lambda s: verdict(s, evidence="e" * 64), "no verdict let it through"),
        (lambda s: verdict(s, checks=()), "no verdict let it through"),
        (refused, "no verdict let it through"),
        (lambda s: journalled(s, state=OrderState.APPROVED), "left APPROVED"),
        (lambda s: journalled(s, state=OrderState.SUBMITTING), "left SUBMITTING"),
        (lambda s: first(s, filled_quantity=Decimal(1)), "FILLED in the journal, FILLED with 1 filled at the broker"),
        (lambda s: replace(s, orders=s.orders[1:]), "journalled and never at the broker"),
        (lambda s: journalled(s, state=OrderState.UNKNOWN), "sent on after an order nobody can account for"),
    ],
)
def test_the_inspector_sees_a_journal_that_does_not_tell_of_the_books(
    ordinary: Story, tampered: Any, fault: str
) -> None:
    assert fault in seen_in(tampered(ordinary))
