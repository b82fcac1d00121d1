"""Orders and their lives, verdicts, runs, questions, halts and days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "a1", None


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("client_order_id", sa.String, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False, index=True),
        sa.Column("account_id", sa.String, nullable=False, index=True),
        sa.Column("symbol", sa.String, nullable=False),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("quantity", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("approved", sa.String),
        sa.Column("judged_as_of", sa.String),
        sa.Column("sent_at", sa.String, index=True),
        sa.Column("trading_day", sa.Date, index=True),
        sa.Column("submitting_at", sa.String),
        sa.Column("held_before", sa.String),
        sa.Column("record", sa.String),
    )
    op.create_table(
        "order_changes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("client_order_id", sa.String, nullable=False, index=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
    )
    op.create_table(
        "verdicts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False, index=True),
        sa.Column("client_order_id", sa.String, nullable=False, index=True),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
    )
    op.create_table(
        "days",
        sa.Column("account_id", sa.String, primary_key=True),
        sa.Column("trading_day", sa.Date, primary_key=True),
        sa.Column("first_net_liquidation", sa.String, nullable=False),
        sa.Column("lowest_net_liquidation", sa.String, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, index=True),
        sa.Column("started_at", sa.String, nullable=False, index=True),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("record", sa.String, nullable=False),
    )
    op.create_table(
        "questions",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, nullable=False, index=True),
        sa.Column("asked_at", sa.String, nullable=False),
        sa.Column("expires_at", sa.String, nullable=False),
        sa.Column("question", sa.String, nullable=False),
        sa.Column("answer", sa.String),
        sa.Column("answered_at", sa.String),
        sa.Column("why", sa.String),
    )
    op.create_table(
        "halts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
    )
