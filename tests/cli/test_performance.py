"""`smart-agent performance`, from a history that is written here by hand."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from typer.testing import CliRunner, Result

from cli.exit_codes import ExitCode
from cli.main import app
from cli.performance import Kind
from cli.performance_screen import _bar
from config.home import Home
from graph.journal.history import Observation
from portfolio.performance import Observed, PaymentKind, Stand, Surroundings
from tests.permits import journal_in

FIRST = datetime(2026, 6, 15, 19, 55, tzinfo=UTC)
ACCOUNT = "DU1234567"


def look(day: int, cash: int, price: int) -> Observation:
    seen = Observed(
        at=FIRST + timedelta(days=day), cash=Decimal(cash), shares={"SPY": Decimal(10)}, prices={"SPY": Decimal(price)}
    )
    return Observation(run_id=f"run-{day}", net_liquidation=seen.value, seen=seen, costs={"SPY": Decimal(400)})


@pytest.fixture
def kept(home: Home) -> Home:
    """10 SPY at 500 and 5,000 in cash; they rise by 10 %, 2,000 come in, and they fall by 5 of 550."""
    with journal_in(home.root) as journal:
        for one in (look(0, 5_000, 500), look(1, 5_000, 550), look(2, 7_000, 550), look(3, 7_000, 545)):
            around = Surroundings(
                targets={"SPY": 80.0},
                buckets={"Core": Stand(float(100 * (one.seen.value - one.seen.cash) / one.seen.value), 80.0)},
            )
            journal.history.keep(ACCOUNT, one, around)
    return home


def performance(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["performance", "--home", str(home.root), *arguments])


def test_the_screen_tells_the_gain_and_not_the_deposit(kept: Home) -> None:
    done = performance(kept)
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    for told in (
        "DU1234567 2026-06-15 to 2026-06-18, 4 looks",
        "Value $12,450.00 it was $10,000.00",
        "Gain +450.00",
        "unrealised +450.00",
        "Paid in +2,000.00",
        "Return +4.58 % time-weighted",
        "doing nothing +4.58 % the account is level",
        "target mix daily +7.21 % the account is $256.91 behind",
        "Turnover 0.00 % bought 0, sold 0",
        "Orders filled none sent",
        "Core 80 % 43.8 % -36.2 ██████│ -36.2 on 2026-06-18",
        "What 100 USD became",
        "SPY 10 400.00 545.00 5,450.00 +0.00 +1,450.00 +450.00",
        "2,000.00 deposit (not confirmed)",
    ):
        assert told in words, done.output


def test_the_json_and_the_csv_hold_the_same_figures(kept: Home) -> None:
    told = json.loads(performance(kept, "--json").stdout)
    assert (told["account"], told["gained"], told["paid_in"]) == (ACCOUNT, "450", "2000")
    assert told["time_weighted_return"] == pytest.approx(100 * (1.05 * 12_450 / 12_500 - 1))
    (payment,) = told["payments"]
    assert (payment["amount"], payment["kind"], payment["confirmed"]) == ("2000", "deposit", False)
    rows = list(csv.DictReader(io.StringIO(performance(kept, "--csv").stdout)))
    assert [row["value"] for row in rows] == ["10000", "10500", "12500", "12450"]
    for column, returned in (
        ("growth", told["time_weighted_return"]),
        ("doing_nothing", told["benchmarks"]["doing_nothing"]["time_weighted_return"]),
        ("target_mix", told["benchmarks"]["target_mix"]["time_weighted_return"]),
    ):
        assert float(rows[-1][column]) == pytest.approx(1 + returned / 100, abs=1e-6)
    (bucket,) = told["buckets"]
    assert told["drift_by_day"]["Core"][-1]["drift"] == bucket["drift"] == pytest.approx(-36.2249)
    assert [row["day"] for row in told["drift_by_day"]["Core"]] == [row["day"] for row in rows]
    assert (told["turnover"]["percent"], told["turnover"]["annualised"]) == (0, None)


def test_a_history_without_targets_says_that_the_mix_is_not_known(home: Home) -> None:
    with journal_in(home.root) as journal:
        for one in (look(0, 5_000, 500), look(1, 5_000, 550)):
            journal.history.keep(ACCOUNT, one)
    done = performance(home)
    words = " ".join(done.output.split())
    assert "target mix daily - a price or the targets are not known" in words, done.output
    assert json.loads(performance(home, "--json").stdout)["benchmarks"]["target_mix"] is None
    rows = list(csv.DictReader(io.StringIO(performance(home, "--csv").stdout)))
    assert [row["target_mix"] for row in rows] == ["", ""]


@pytest.mark.parametrize(
    ("drift", "most", "drawn"),
    [
        (4.0, 4.0, "      │██████"),
        (-4.0, 4.0, "██████│      "),
        (1.0, 4.0, "      │█▌    "),
        (-1.0, 4.0, "    ▐█│      "),
        (0.0, 0.0, "      │      "),
    ],
)
def test_a_bar_shows_drift_to_its_side(drift: float, most: float, drawn: str) -> None:
    assert str(_bar(drift, most)) == drawn


def test_the_screen_keeps_to_eighty_columns(kept: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = performance(kept)
    assert max(map(len, done.output.splitlines())) <= 80, done.output
    assert "doing nothing (.)" in done.output
    monkeypatch.setenv("COLUMNS", "50")
    assert "doing nothing (.)" not in performance(kept).output


def test_since_a_day_it_begins_with_the_look_before_it(kept: Home) -> None:
    told = json.loads(performance(kept, "--json", "--since", "2026-06-17").stdout)
    assert (told["since"][:10], told["began_with"], told["gained"]) == ("2026-06-16", "10500", "-50")


def test_a_persons_word_on_a_payment_changes_the_return(kept: Home) -> None:
    (payment,) = json.loads(performance(kept, "--json").stdout)["payments"]
    said = CliRunner().invoke(
        app, ["confirm-payment", str(payment["number"]), "--as", "dividend", "--home", str(kept.root)]
    )
    assert said.output == "+2,000.00 USD of 2026-06-17 counts as dividend.\n"
    told = json.loads(performance(kept, "--json").stdout)
    assert (told["gained"], told["income"], told["paid_in"]) == ("2450", "2000", "0")
    wrong = CliRunner().invoke(app, ["confirm-payment", "99", "--as", "fee", "--home", str(kept.root)])
    assert (wrong.exit_code, "no such payment" in wrong.output) == (ExitCode.BAD_USAGE, True)


def test_the_kinds_of_payments_are_those_of_the_books() -> None:
    assert [kind.value for kind in Kind] == [kind.value for kind in PaymentKind]


def test_without_a_run_there_is_nothing_to_tell(home: Home) -> None:
    done = performance(home)
    assert (done.exit_code, "smart-agent run" in done.stdout) == (ExitCode.DONE, True)
    for option in ("--json", "--csv"):
        for_a_script = performance(home, option)
        assert (for_a_script.exit_code, for_a_script.stdout) == (ExitCode.FAILED, "")


def test_an_account_that_nobody_looked_at_is_named_with_those_there_are(kept: Home) -> None:
    done = performance(kept, "--account", "DU7")
    assert (done.exit_code, f"there is {ACCOUNT}" in done.output) == (ExitCode.BAD_USAGE, True)
    both = performance(kept, "--json", "--csv")
    assert both.exit_code == ExitCode.BAD_USAGE
