"""The journal: what may follow what, what a permission is worth, and a halt that nothing slips past."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest

from config.home import Home
from graph.halt_flag import lower_flag, raise_flag, words_of_flag
from graph.journal import (
    Answer,
    ApprovalVoid,
    Closing,
    Halted,
    Journal,
    JournalError,
    JournalUnusable,
    OrderState,
    Question,
    trading_day,
)
from graph.journal.halts import Halt, flag_raised
from graph.journal.states import FINAL, MAY_FOLLOW, UNSENT
from portfolio.models import OrderRecord, OrderStatus, OrderTerms, Side
from tests.permits import RUN, journal_in, now, permit, planned, verdict_on
from tests.portfolio.cases import NOW, PAPER, SNAPSHOT, terms

TERMS = terms("SPY", Side.BUY, 5)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with journal_in(tmp_path) as journal:
        yield journal


def record(order: OrderTerms, status: OrderStatus, filled: int = 0) -> OrderRecord:
    return OrderRecord(
        client_order_id=order.client_order_id,
        broker_order_id="7",
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        limit_price=order.limit_price,
        status=status,
        filled_quantity=Decimal(filled),
        average_price=order.limit_price if filled else None,
        commission=Decimal(1) if filled else None,
    )


def state_of(journal: Journal, order: OrderTerms = TERMS) -> OrderState:
    found = journal.orders.find(order.client_order_id)
    assert found is not None
    return found.state


# --- the life of an order -----------------------------------------------------------------------------------------


def test_every_step_of_an_order_is_kept_with_its_time_and_reason(journal: Journal) -> None:
    approved = permit(journal, TERMS)
    journal.orders.burn(approved, now())
    journal.orders.settle(record(TERMS, OrderStatus.SUBMITTED), now())
    journal.orders.settle(record(TERMS, OrderStatus.PARTIAL, 2), now())
    journal.orders.settle(record(TERMS, OrderStatus.FILLED, 5), now())
    changes = journal.orders.changes(TERMS.client_order_id)
    assert [change.state.value for change in changes] == [
        "PLANNED",
        "APPROVED",
        "SUBMITTING",
        "SUBMITTED",
        "PARTIAL",
        "FILLED",
    ]
    assert [change.why for change in changes][3:] == ["0 of 5 filled", "2 of 5 filled", "5 of 5 filled"]
    assert sorted(change.at for change in changes) == [change.at for change in changes]


def test_nothing_comes_back_from_an_end_nor_goes_back_before_it_was_sent() -> None:
    for before, after in product(OrderState, OrderState):
        if after in MAY_FOLLOW[before]:
            assert before not in FINAL
            assert after not in UNSENT or before in UNSENT
    assert {state for state in OrderState if OrderState.SUBMITTING in MAY_FOLLOW[state]} == {OrderState.APPROVED}


@pytest.mark.parametrize("end", [OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED])
def test_an_order_at_its_end_stays_as_it_is(journal: Journal, end: OrderStatus) -> None:
    journal.orders.burn(permit(journal, TERMS), now())
    journal.orders.settle(record(TERMS, end, 5 if end is OrderStatus.FILLED else 0), now())
    for status in set(OrderStatus) - {end}:
        with pytest.raises(JournalError, match=f"an order that is {end} cannot become"):
            journal.orders.settle(record(TERMS, status), now())
    with pytest.raises(JournalError, match="cannot become CANCELLED"):
        journal.orders.withdraw(TERMS.client_order_id, "a test", now())
    assert state_of(journal).value == end.value


def test_a_state_of_another_version_is_not_taken_for_an_end(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        journal.orders.burn(permit(journal, TERMS), now())
        journal.orders.settle(record(TERMS, OrderStatus.UNKNOWN), now())
    with closing(sqlite3.connect(tmp_path / "agent.db")) as database, database:
        database.execute("UPDATE orders SET state = 'PENDING_CANCEL'")
        database.execute("UPDATE order_changes SET state = 'PENDING_CANCEL' WHERE state = 'UNKNOWN'")
    with journal_in(tmp_path) as journal:
        (order,) = journal.orders.unsettled()
        assert order.state is OrderState.UNKNOWN
        assert journal.trading_day(PAPER, NOW, timedelta(days=1)).unresolved == (TERMS,)
        journal.orders.settle(record(TERMS, OrderStatus.FILLED, 5), now())
        assert journal.orders.unsettled() == ()


@pytest.mark.parametrize("name", ["what?", "a#b", "50%41", "file:x"])
def test_a_journal_lies_in_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    place = Home(tmp_path / name)
    place.create()
    Journal(place.database).close()
    assert place.database.exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_order_nobody_planned_is_not_known(journal: Journal) -> None:
    with pytest.raises(JournalError, match="does not know this order"):
        journal.orders.settle(record(TERMS, OrderStatus.FILLED, 5), now())
    assert journal.orders.find("nothing") is None


def test_what_is_planned_twice_is_planned_once(journal: Journal) -> None:
    """The guard runs again after a crash; what it has approved meanwhile must not fall back."""
    permit(journal, TERMS)
    planned(journal, TERMS)
    assert state_of(journal) is OrderState.APPROVED


def test_an_absurd_plan_can_be_written_down(journal: Journal) -> None:
    absurd = terms("☃ DROP TABLE orders; --", Side.SELL, 2**63 - 1)
    planned(journal, absurd)
    found = journal.orders.find(absurd.client_order_id)
    assert found is not None
    assert (found.symbol, found.quantity) == (absurd.symbol, 2**63 - 1)


# --- permissions --------------------------------------------------------------------------------------------------


def test_a_permission_is_used_up_by_the_attempt(journal: Journal) -> None:
    approved = permit(journal, TERMS)
    journal.orders.burn(approved, now())
    with pytest.raises(ApprovalVoid, match="is SUBMITTING in the journal"):
        journal.orders.burn(approved, now())


def test_of_many_who_try_at_once_one_may_send(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        approved = permit(journal, TERMS)
    outcomes: list[str] = []
    ready = threading.Barrier(8)

    def attempt() -> None:
        with journal_in(tmp_path) as mine:
            ready.wait()
            try:
                mine.orders.burn(approved, now())
                outcomes.append("sent")
            except ApprovalVoid:
                outcomes.append("void")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["sent"] + ["void"] * 7


def test_another_verdict_voids_the_permission_of_the_one_before(journal: Journal) -> None:
    earlier = permit(journal, TERMS)
    smaller = TERMS.model_copy(update={"quantity": 3})
    later = permit(journal, smaller)
    with pytest.raises(ApprovalVoid, match="it is not the one on record"):
        journal.orders.burn(earlier, now())
    journal.orders.burn(later, now())


def test_a_permission_without_a_verdict_that_passed_is_void(journal: Journal) -> None:
    planned(journal, TERMS)
    journal.orders.keep(verdict_on(TERMS, passed=False), RUN)
    at = now()
    forged = permit(journal, TERMS.model_copy(update={"client_order_id": "other"})).model_copy(
        update={"terms": TERMS, "approved_at": at}
    )
    with pytest.raises(ApprovalVoid, match="is PLANNED in the journal"):
        journal.orders.burn(forged, now())


@pytest.mark.parametrize("seconds", [-1, 60])
def test_a_permission_holds_in_its_time_only(journal: Journal, seconds: int) -> None:
    approved = permit(journal, TERMS)
    with pytest.raises(ApprovalVoid, match="it held from"):
        journal.orders.burn(approved, approved.approved_at + timedelta(seconds=seconds))
    assert state_of(journal) is OrderState.APPROVED


# --- halts --------------------------------------------------------------------------------------------------------


def test_a_new_journal_starts_free_and_a_halt_survives_until_a_person_lifts_it(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        assert journal.halts.current() is None
        first = now()
        assert journal.halts.halt("on holiday", first) is None
        assert journal.halts.halt("and ill", first + timedelta(days=1)) == Halt(since=first, why="on holiday")
    with journal_in(tmp_path) as journal:
        halt = journal.halts.current()
        assert halt is not None
        assert halt == Halt(since=first, why="on holiday; then and ill")
        assert journal.trading_day(PAPER, NOW, timedelta(days=1)).halted == "on holiday; then and ill"
        approved = permit(journal, TERMS)
        with pytest.raises(Halted, match="and ill"):
            journal.orders.burn(approved, now())
        journal.halts.resume("back again", now())
        assert journal.halts.current() is None
        journal.orders.burn(approved, now())
        assert journal.halts.halt("again", now()) is None, "what was lifted is over"


@pytest.mark.parametrize("action", ["", "HALT", "resumed", "\x00", "free"])
def test_an_entry_nobody_knows_means_halted(tmp_path: Path, action: str) -> None:
    with journal_in(tmp_path) as journal:
        pass
    with sqlite3.connect(tmp_path / "agent.db") as database:
        database.execute("INSERT INTO halts (at, action, why) VALUES ('2026-03-03T17:00:00+00:00', ?, '')", (action,))
    with journal_in(tmp_path) as journal:
        assert journal.halts.current() is not None
        with pytest.raises(Halted):
            journal.orders.burn(permit(journal, TERMS), now())


@pytest.mark.parametrize("content", [None, "", "2026-03-03T17:00:00+00:00\non holiday\n", "nobody can read this\x00"])
def test_a_file_beside_the_journal_halts_until_a_person_lifts_it(tmp_path: Path, content: str | None) -> None:
    """What is in it does not matter; a folder of that name (None) halts too, and is a person's to remove."""
    flag = tmp_path / "HALTED"
    with journal_in(tmp_path) as journal:
        approved = permit(journal, TERMS)
        if content is None:
            flag.mkdir()
        else:
            flag.write_text(content, encoding="utf-8")
        halt = journal.halts.current()
        assert halt is not None
        assert journal.trading_day(PAPER, NOW, timedelta(days=1)).halted == halt.why
        with pytest.raises(Halted):
            journal.orders.burn(approved, now())
        if content is None:
            with pytest.raises(JournalUnusable, match="trading stays halted"):
                journal.halts.resume("back again", now())
            assert journal.halts.current() is not None
            return
        journal.halts.resume("back again", now())
        assert not flag.exists()
        journal.orders.burn(approved, now())


def test_a_halt_that_comes_while_another_is_lifted_stays(tmp_path: Path) -> None:
    """Its file is raised after that of the first was read; its process may be killed before the journal knows of it."""
    database = tmp_path / "agent.db"
    raise_flag(database, "first", now())
    words = words_of_flag(database)
    raise_flag(database, "second", now())
    lower_flag(database, words)
    with journal_in(tmp_path) as journal:
        halt = journal.halts.current()
    assert halt is not None
    assert halt.why == "second"
    assert sorted(file.name for file in tmp_path.glob("HALTED*")) == ["HALTED"]


def test_a_file_stays_where_the_journal_does_not_take_down_that_trading_is_resumed(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        raise_flag(tmp_path / "agent.db", "the disk was full", now())
        with closing(sqlite3.connect(tmp_path / "agent.db")) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON halts BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            )
            connection.commit()
        with pytest.raises(JournalError):
            journal.halts.resume("back again", now())
        halt = journal.halts.current()
    assert halt is not None
    assert halt.why == "the disk was full"


def test_a_flag_that_is_lifted_while_it_is_raised_anew_is_there_afterwards(tmp_path: Path) -> None:
    """Two threads for as long as it takes to meet: whoever was told that it halts finds the file."""
    database, lost = tmp_path / "agent.db", list[int]()
    is_over = threading.Event()

    def lift() -> None:
        while not is_over.is_set():
            words = words_of_flag(database)
            if words is not None and "earlier" in words:
                lower_flag(database, words)

    lifting = threading.Thread(target=lift)
    lifting.start()
    for number in range(300):
        raise_flag(database, "earlier", now())
        raise_flag(database, f"later {number}", now())
        lost += [number for _ in range(20) if words_of_flag(database) is None]
    is_over.set()
    lifting.join()
    assert lost == []


def test_a_flag_that_a_dead_process_had_set_aside_halts_and_can_be_lifted(tmp_path: Path) -> None:
    raise_flag(tmp_path / "agent.db", "on holiday", now())
    (tmp_path / "HALTED").rename(tmp_path / "HALTED.lifted")
    with journal_in(tmp_path) as journal:
        halt = journal.halts.current()
        assert halt is not None
        assert halt.why == "on holiday"
        journal.halts.resume("back again", now())
        assert journal.halts.current() is None


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_whatever_bears_the_name_of_the_flag_halts_at_once_and_can_be_lifted(tmp_path: Path, kind: str) -> None:
    flag = tmp_path / "HALTED"
    if kind == "pipe":
        os.mkfifo(flag)
    else:
        flag.touch()
        os.truncate(flag, 1 << 40)
    with journal_in(tmp_path) as journal:
        assert journal.halts.current() is not None
        journal.halts.resume("back again", now())
        assert journal.halts.current() is None
    os.mkfifo(flag)
    raise_flag(tmp_path / "agent.db", "again", now())
    assert flag_raised(tmp_path / "agent.db") is not None


def test_a_halt_that_a_locked_journal_cannot_keep_is_kept_in_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "agent.db", patience=0.1)
    with closing(sqlite3.connect(tmp_path / "agent.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        journal.halts.halt("more shares than were ordered", now())
    halt = journal.halts.current()
    assert halt is not None
    assert halt.why == "more shares than were ordered"
    journal.close()


def rubbish(file: Path) -> None:
    file.write_bytes(b"this is no database" * 1000)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def another_table(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE halts")
        database.execute("CREATE TABLE halts (number INTEGER PRIMARY KEY, what TEXT)")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def no_time(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("INSERT INTO halts (at, action, why) VALUES ('yesterday', 'halt', '')")


@pytest.mark.parametrize("damage", [rubbish, cut_short, another_table, a_folder, no_time])
def test_a_journal_that_cannot_be_read_means_halted(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Promise 9: nobody can tell whether somebody has halted it."""
    with journal_in(tmp_path) as journal:
        approved = permit(journal, TERMS)
    for beside in ("agent.db-wal", "agent.db-shm"):
        (tmp_path / beside).unlink(missing_ok=True)
    damage(tmp_path / "agent.db")
    with pytest.raises(JournalUnusable, match="counts as halted"), journal_in(tmp_path) as journal:
        journal.orders.burn(approved, now())


# --- days, questions, runs ----------------------------------------------------------------------------------------


def test_the_first_value_of_a_day_stays_and_the_lowest_is_kept(journal: Journal) -> None:
    day = trading_day(NOW)
    for value in ("100000.01", "94000", "99000"):
        journal.runs.see_day(PAPER, day, Decimal(value))
    journal.runs.see_day("DU7", day, Decimal(2))
    today = journal.trading_day(PAPER, NOW, timedelta(days=1))
    assert today.first_net_liquidation == Decimal("100000.01")
    assert today.lowest_net_liquidation == 94_000
    tomorrow = journal.trading_day(PAPER, NOW + timedelta(days=1), timedelta(days=1))
    assert (tomorrow.first_net_liquidation, tomorrow.lowest_net_liquidation) == (None, None)


def test_a_day_counts_attempts_and_knows_what_traded_and_what_is_lost(journal: Journal) -> None:
    filled, lost, only_approved = (terms(symbol, Side.BUY, 5) for symbol in ("SPY", "VTI", "VOO"))
    for order in (filled, lost):
        journal.orders.burn(permit(journal, order), now())
    permit(journal, only_approved)
    journal.orders.settle(record(filled, OrderStatus.FILLED, 5), now())
    journal.orders.settle(record(lost, OrderStatus.UNKNOWN), now())
    day = journal.trading_day(PAPER, SNAPSHOT.as_of, timedelta(days=1))
    assert day.orders_sent == 2
    assert [past.symbol for past in day.past_trades] == ["SPY"]
    assert day.unresolved == (lost,)
    assert journal.trading_day("DU7", SNAPSHOT.as_of, timedelta(days=1)).orders_sent == 0


def question(run_id: str = RUN) -> Question:
    at = now()
    return Question(
        run_id=run_id,
        account_id=PAPER,
        asked_at=at,
        expires_at=at + timedelta(hours=8),
        why="a test",
        orders=(TERMS,),
        warnings=(),
        command={"strategy": None},
    )


def test_a_question_is_answered_once(journal: Journal) -> None:
    asked = question()
    journal.questions.ask(asked)
    assert journal.questions.open() == (asked,)
    assert journal.questions.closing_of(RUN) is None
    assert journal.questions.answer(RUN, Answer.REJECTED, "no", now())
    assert not journal.questions.answer(RUN, Answer.APPROVED, "yes", now())
    closed = journal.questions.closing_of(RUN)
    assert closed == Closing(answer=Answer.REJECTED, why="no")
    assert closed.in_words == "rejected (no)"
    assert journal.questions.open() == ()
    assert not journal.questions.answer("another", Answer.APPROVED, "", now())


def test_an_answer_without_a_reason_gives_none_and_what_was_superseded_says_it_once() -> None:
    assert Closing(answer=Answer.APPROVED, why="").in_words == "approved"
    assert Closing(answer=Answer.SUPERSEDED, why="superseded by run R").in_words == "superseded by run R"


@pytest.mark.parametrize("url", ["postgresql://localhost/agent", "sqlite:////nowhere/at/all/agent.db", "nonsense"])
def test_a_database_that_is_not_there_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(JournalUnusable, match="counts as halted"):
        Journal(url)
