"""What the account was worth at each look, and what changed it between them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "a2", "a1"


def upgrade() -> None:
    op.create_table(
        "observations",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False, index=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("net_liquidation", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("last_change", sa.Integer, nullable=False),
    )
    op.create_index("ix_observations_account", "observations", ["account_id", "number"])
    op.create_table(
        "events",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("observation", sa.Integer, nullable=False, index=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("client_order_id", sa.String, index=True),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("confirmed", sa.Boolean, nullable=False),
    )
    op.create_index("ix_events_account", "events", ["account_id", "number"])
