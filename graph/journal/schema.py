"""Brings a journal to the tables of today: a new one at once, an older one by the steps in `migrations/`.

Alembic is imported only for an older one. A test holds the steps against the tables, so both ways lead to the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "a5"
"""The last step."""
STEPS = Path(__file__).with_name("migrations")
MARK = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Where Alembic writes how far a database has come."""


class NewerSchema(ValueError):
    """The journal was written by a newer version of the program."""


def bring_up_to_date(connection: Connection, tables: MetaData) -> None:
    """Do what is missing until there are all of `tables`, in the transaction of `connection`.

    Raises:
        NewerSchema: it knows steps that this version does not.
    """
    there = inspect(connection).get_table_names()
    if not there:
        tables.create_all(connection)
        MARK.create(connection)
        connection.execute(MARK.insert().values(version_num=HEAD))
    elif MARK.name not in there or connection.execute(select(MARK.c.version_num)).scalar_one_or_none() != HEAD:
        upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Do the steps that are missing; raises as `bring_up_to_date`."""
    from alembic import command  # noqa: PLC0415  (half a second)
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise NewerSchema("a newer version of this program wrote it, and only that can go on with it") from error


def _config(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
