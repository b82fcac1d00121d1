"""How Alembic runs the steps: in the transaction of whoever opens the journal."""

from __future__ import annotations

from alembic import context

from graph.journal.database import TABLES

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TABLES,
    transactional_ddl=False,  # the caller's transaction holds them all
)
context.run_migrations()
