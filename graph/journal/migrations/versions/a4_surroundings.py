"""Prices, targets and buckets at each look, and indexes that keep a long history as quick as a short one.

Of earlier looks the prices of what was held are known, and no targets.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision, down_revision = "a4", "a3"


def upgrade() -> None:
    op.create_table(
        "surroundings",
        sa.Column("observation", sa.Integer, primary_key=True),
        sa.Column("prices", sa.String, nullable=False),
        sa.Column("targets", sa.String, nullable=False),
        sa.Column("buckets", sa.String, nullable=False),
    )
    for name in ("ix_orders_account_id", "ix_orders_sent_at", "ix_orders_trading_day"):
        op.drop_index(name, "orders")
    op.create_index("ix_orders_account_state", "orders", ["account_id", "state"])
    op.create_index("ix_orders_account_sent", "orders", ["account_id", "sent_at"])
    op.create_index("ix_orders_account_day", "orders", ["account_id", "trading_day"])
    op.create_index("ix_questions_answer", "questions", ["answer"])
    op.create_index("ix_marks_day", "marks", ["trading_day"])
    op.create_index("ix_events_account_kind", "events", ["account_id", "kind"])
    _keep_prices_of_what_was_held()


def _keep_prices_of_what_was_held() -> None:
    looks = sa.table("observations", sa.column("number"), sa.column("account"))
    surroundings = sa.table("surroundings", *map(sa.column, ("observation", "prices", "targets", "buckets")))
    rows = [
        {
            "observation": number,
            "prices": json.dumps(json.loads(account)["seen"]["prices"]),
            "targets": "{}",
            "buckets": "{}",
        }
        for number, account in op.get_bind().execute(sa.select(looks.c.number, looks.c.account))
    ]
    if rows:
        op.get_bind().execute(surroundings.insert(), rows)
