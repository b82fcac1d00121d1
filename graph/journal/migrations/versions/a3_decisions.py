"""What was proposed, and what it was worth some trading days later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "a3", "a2"


def upgrade() -> None:
    op.create_table(
        "marks",
        sa.Column("conid", sa.Integer, primary_key=True),
        sa.Column("trading_day", sa.Date, primary_key=True),
        sa.Column("price", sa.String, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.String, nullable=False, index=True),
        sa.Column("run_id", sa.String, nullable=False, index=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("decision", sa.String, nullable=False),
    )
    op.create_table(
        "scores",
        sa.Column("decision", sa.Integer, primary_key=True),
        sa.Column("horizon", sa.Integer, primary_key=True),
        sa.Column("due", sa.Date, nullable=False),
        sa.Column("later", sa.String),
        sa.Column("effect", sa.String),
    )
    op.create_index("ix_scores_open", "scores", ["effect", "due"])
