"""Limits that experience has made smaller for a while, and an index for the scores of late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "a5", "a4"


def upgrade() -> None:
    op.create_table(
        "tightenings",
        sa.Column("account_id", sa.String, primary_key=True),
        sa.Column("lesson", sa.String, primary_key=True),
        sa.Column("limit", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("made_at", sa.String, nullable=False),
        sa.Column("expires_at", sa.String, nullable=False),
        sa.Column("lifted_at", sa.String),
    )
    op.create_index("ix_scores_due", "scores", ["due"])
