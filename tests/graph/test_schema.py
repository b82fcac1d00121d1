"""The tables of the journal: a new one and one that came step by step are the same, and a newer one is left alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, insert

from graph.journal import Journal, JournalUnusable
from graph.journal.database import OBSERVATIONS, TABLES
from graph.journal.history import Observation
from graph.journal.schema import HEAD, STEPS, _config, upgrade
from portfolio.performance import Observed

AT = datetime(2026, 6, 15, 19, 55, tzinfo=UTC)


def tables_in(file: Path) -> dict[str, str]:
    with closing(sqlite3.connect(file)) as database:
        return dict(database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def step_by_step(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, TABLES))


def test_the_last_step_is_the_one_that_a_new_journal_stands_at() -> None:
    assert ScriptDirectory(str(STEPS)).get_heads() == [HEAD]


def test_the_steps_lead_to_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    step_by_step(tmp_path / "old.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_a_new_journal_and_one_that_came_step_by_step_are_alike(tmp_path: Path) -> None:
    step_by_step(tmp_path / "old.db")
    Journal(tmp_path / "new.db").close()
    old, new = tables_in(tmp_path / "old.db"), tables_in(tmp_path / "new.db")
    assert old.keys() == new.keys()
    Journal(tmp_path / "old.db").close()
    assert tables_in(tmp_path / "old.db") == old


def test_looks_of_an_earlier_version_keep_the_prices_they_know(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    seen = Observed(at=AT, cash=Decimal(5), shares={"SPY": Decimal(2)}, prices={"SPY": Decimal("500.5")})
    look = Observation(run_id="r", net_liquidation=seen.value, seen=seen, costs={})
    with engine.begin() as connection:
        command.upgrade(_config(connection), "a3")
        row = {"account_id": "DU1", "run_id": "r", "at": AT.isoformat(), "value": "1006", "net_liquidation": "1006"}
        connection.execute(insert(OBSERVATIONS), {**row, "account": look.model_dump_json(), "last_change": 0})
    engine.dispose()
    journal = Journal(tmp_path / "old.db")
    period = journal.history.period("DU1")
    assert period
    (marked,) = period.marked
    assert (marked.prices, marked.targets, period.buckets) == ({"SPY": Decimal("500.5")}, {}, ({},))
    journal.close()


def test_a_journal_of_a_newer_version_is_left_alone_and_counts_as_halted(tmp_path: Path) -> None:
    file = tmp_path / "agent.db"
    Journal(file).close()
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'z9'")
        database.commit()
    before = tables_in(file)
    with pytest.raises(JournalUnusable, match=r"a newer version of this program wrote it.*counts as halted"):
        Journal(file)
    assert tables_in(file) == before


def test_a_journal_that_is_up_to_date_costs_no_library(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom graph.journal import Journal\n"
        "Journal(Path(sys.argv[1])).close()\nJournal(Path(sys.argv[1])).close()\nprint('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "agent.db"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False", done.stderr
