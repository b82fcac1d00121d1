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
from config.home import Home
from graph.journal.history import Observation
from portfolio.performance import Observed, PaymentKind
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
            journal.history.keep(ACCOUNT, one)
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
        "What 100 USD became",
        "SPY 10 400.00 545.00 5,450.00 +0.00 +1,450.00 +450.00",
        "2000 deposit (not confirmed)",
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
    assert float(rows[-1]["growth"]) == pytest.approx(1 + told["time_weighted_return"] / 100, abs=1e-6)


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
    assert (done.exit_code, "smart-agent run" in done.output) == (ExitCode.FAILED, True)


def test_an_account_that_nobody_looked_at_is_named_with_those_there_are(kept: Home) -> None:
    done = performance(kept, "--account", "DU7")
    assert (done.exit_code, f"there is {ACCOUNT}" in done.output) == (ExitCode.BAD_USAGE, True)
    both = performance(kept, "--json", "--csv")
    assert both.exit_code == ExitCode.BAD_USAGE
