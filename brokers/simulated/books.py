"""The simulated broker's books: one SQLite file for each market, shared by any number of processes.

Every change is one transaction that takes the write lock first and is on disk when it returns, so a process may be
killed at any moment: an order is either wholly in the books, fills, cash and shares included, or not at all.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from threading import Lock

from brokers.errors import BrokerError, Retryable, Terminal
from brokers.simulated.accounting import Holding
from portfolio.models import BrokerOrder, Execution

_VERSION = 1
_LOCK_SECONDS = 30
_RESETS = "simulated-resets"
_OURS = re.compile(r"simulated-(synthetic-\d+|replay-[\w-]*-[0-9a-f]{8})\.db(-wal|-shm)?")

_SCHEMA = (
    "CREATE TABLE account (cash TEXT NOT NULL)",
    "CREATE TABLE holdings (symbol TEXT PRIMARY KEY, quantity TEXT NOT NULL, average_cost TEXT NOT NULL)",
    (
        "CREATE TABLE orders (order_id INTEGER PRIMARY KEY AUTOINCREMENT, client_order_id TEXT UNIQUE,"
        " session TEXT NOT NULL, working INTEGER NOT NULL, fact TEXT NOT NULL)"
    ),
    "CREATE INDEX working_orders ON orders (working) WHERE working",
    (
        "CREATE TABLE executions (number INTEGER PRIMARY KEY AUTOINCREMENT,"
        " session TEXT NOT NULL, realized TEXT NOT NULL, fact TEXT NOT NULL)"
    ),
    f"PRAGMA user_version = {_VERSION}",
)


class Books:
    """Cash, shares, orders and executions of one account in the file `path`.

    Raises:
        Retryable: another process kept the file locked for half a minute.
        Terminal: the file is damaged or out of reach, or was written by another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_at_a_time = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Terminal(f"{path.parent}: cannot be made ({error.strerror}); name another home folder.") from error
        with self._told():
            self._db = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction: what is read and written within it is consistent, and undone if the block raises."""
        with self._one_at_a_time, self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self._db.close()

    # --- cash and shares; within `change` ---

    @property
    def is_open(self) -> bool:
        """Whether the account has been opened."""
        return self._db.execute("SELECT 1 FROM account").fetchone() is not None

    def open(self, cash: Decimal, holdings: dict[str, Holding]) -> None:
        self._db.execute("INSERT INTO account VALUES (?)", (str(cash),))
        for symbol, holding in holdings.items():
            self.hold(symbol, holding)

    def cash(self) -> Decimal:
        (cash,) = self._db.execute("SELECT cash FROM account").fetchone()
        return Decimal(cash)

    def add_cash(self, change: Decimal) -> None:
        self._db.execute("UPDATE account SET cash = ?", (str(self.cash() + change),))

    def holdings(self) -> dict[str, Holding]:
        rows = self._db.execute("SELECT symbol, quantity, average_cost FROM holdings ORDER BY symbol")
        return {symbol: Holding(Decimal(quantity), Decimal(cost)) for symbol, quantity, cost in rows}

    def hold(self, symbol: str, holding: Holding) -> None:
        """Write down what is held of `symbol` now; a holding of no shares is struck out."""
        self._db.execute("DELETE FROM holdings WHERE symbol = ?", (symbol,))
        if holding.quantity:
            row = (symbol, str(holding.quantity), str(holding.average_cost))
            self._db.execute("INSERT INTO holdings VALUES (?, ?, ?)", row)

    # --- orders and executions; within `change` ---

    def add_order(self, order: BrokerOrder, session: date) -> BrokerOrder:
        """Enter a new order for the session of that day; it comes back with the id it got."""
        cursor = self._db.execute(
            "INSERT INTO orders (client_order_id, session, working, fact) VALUES (?, ?, 0, '')",
            (order.client_order_id, session.isoformat()),
        )
        entered = order.model_copy(update={"order_id": str(cursor.lastrowid)})
        self.amend_order(entered)
        return entered

    def amend_order(self, order: BrokerOrder) -> None:
        self._db.execute(
            "UPDATE orders SET working = ?, fact = ? WHERE order_id = ?",
            (order.status.is_working, order.model_dump_json(), int(order.order_id)),
        )

    def order(self, order_id: str) -> BrokerOrder | None:
        row = self._db.execute("SELECT fact FROM orders WHERE order_id = ?", (order_id,)).fetchone()
        return BrokerOrder.model_validate_json(row[0]) if row else None

    def order_sent_as(self, client_order_id: str) -> BrokerOrder | None:
        row = self._db.execute("SELECT fact FROM orders WHERE client_order_id = ?", (client_order_id,)).fetchone()
        return BrokerOrder.model_validate_json(row[0]) if row else None

    def working_orders(self) -> list[tuple[BrokerOrder, date]]:
        """Orders that may still fill, oldest first, each with the day of its session."""
        rows = self._db.execute("SELECT fact, session FROM orders WHERE working ORDER BY order_id").fetchall()
        return [(BrokerOrder.model_validate_json(fact), date.fromisoformat(session)) for fact, session in rows]

    def add_execution(self, execution: Execution, session: date, realized: Decimal) -> None:
        row = (session.isoformat(), str(realized), execution.model_dump_json())
        self._db.execute("INSERT INTO executions (session, realized, fact) VALUES (?, ?, ?)", row)

    def executions(self) -> list[Execution]:
        rows = self._db.execute("SELECT fact FROM executions ORDER BY number")
        return [Execution.model_validate_json(fact) for (fact,) in rows]

    def executions_on(self, session: date) -> list[tuple[Execution, Decimal]]:
        """Executions of one session, each with the profit it realised."""
        rows = self._db.execute(
            "SELECT fact, realized FROM executions WHERE session = ? ORDER BY number", (session.isoformat(),)
        )
        return [(Execution.model_validate_json(fact), Decimal(realized)) for fact, realized in rows]

    # --- the file ---

    def _prepare(self) -> None:
        with self._told():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        with self.change():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA:
                    self._db.execute(statement)
            elif version != _VERSION:
                raise Terminal(
                    f"{self._path}: these simulated books have format {version}, this version reads {_VERSION}. "
                    "`smart-agent sim reset` starts over."
                )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell a failure of SQLite as the broker error a caller can react to."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._broker_error(error) from error

    def _broker_error(self, error: sqlite3.Error) -> BrokerError:
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Retryable(
                f"{self._path}: another process kept the simulated books locked for {_LOCK_SECONDS} s; "
                "nothing was changed. Try again."
            )
        return Terminal(
            f"{self._path}: the simulated books cannot be used ({error}); nothing was changed. "
            "Check the disk; `smart-agent sim reset` starts over."
        )


def books_file(folder: Path, market: str) -> Path:
    """Where the books of `market` lie in `folder`."""
    return folder / f"simulated-{market}.db"


def remove_books(folder: Path) -> list[Path]:
    """Remove the books of every market from `folder`, and nothing else; what was removed comes back, sorted."""
    if not folder.is_dir():
        return []
    ours = sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.is_file())
    if ours:
        # Counted first: a reset that is cut short must not bring the old account's id back with empty books.
        (folder / _RESETS).write_text(f"{resets_of(folder) + 1}\n", encoding="ascii")
    for path in ours:
        path.unlink()
    return ours


def copy_books(folder: Path, into: Path) -> None:
    """Copy the books of every market, each as it stands between two changes.

    Raises:
        Terminal: one of them is damaged.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.db")):
        if _OURS.fullmatch(path.name) and path.is_file():
            try:
                with (
                    closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as books,
                    closing(sqlite3.connect(into / path.name)) as copy,
                ):
                    books.backup(copy)
            except sqlite3.Error as error:
                raise Terminal(
                    f"{path}: the simulated books cannot be read ({error}). `smart-agent sim reset` starts over."
                ) from error
    if resets := resets_of(folder):
        (into / _RESETS).write_text(f"{resets}\n", encoding="ascii")


def resets_of(folder: Path) -> int:
    """How often the books in `folder` were removed."""
    try:
        return int((folder / _RESETS).read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        raise Terminal(f"{folder / _RESETS}: cannot be read ({error}); remove that file, and run again.") from error
