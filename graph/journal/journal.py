"""The journal as a whole: what the nodes and the commands hold in their hands."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from graph.journal.database import PATIENCE, Database
from graph.journal.decisions import Decisions
from graph.journal.halts import Halts, halt_in_force
from graph.journal.history import History
from graph.journal.orders import Orders, filled_since, sent_on, trading_day
from graph.journal.questions import Questions
from graph.journal.runs import Runs, values_of_day
from graph.journal.tightenings import Tightenings, in_force
from portfolio.limits import PastTrade, TradingDay


class Journal:
    """Orders, runs, questions and halts in one database, a file or an address; close it when done.

    A locked one is waited for as many seconds as `patience` says. Every method raises `JournalError` when the database
    cannot be used.
    """

    def __init__(self, where: str | Path, patience: float = PATIENCE) -> None:
        self._database = Database(where, patience)
        self.orders = Orders(self._database)
        self.runs = Runs(self._database)
        self.questions = Questions(self._database)
        self.halts = Halts(self._database)
        self.history = History(self._database)
        self.decisions = Decisions(self._database)
        self.tightenings = Tightenings(self._database)

    def trading_day(self, account_id: str, now: datetime, lookback: timedelta) -> TradingDay:
        """The account's day so far, with the trades of the last `lookback`; `now` by the broker's clock."""
        day, lost = trading_day(now), self.orders.unsettled(account_id)
        with self._database.change() as connection:
            halt = halt_in_force(connection)
            traded = filled_since(connection, account_id, now - lookback)
            first, lowest = values_of_day(connection, account_id, day) or (None, None)
            return TradingDay(
                first_net_liquidation=first,
                lowest_net_liquidation=lowest,
                orders_sent=sent_on(connection, account_id, day),
                past_trades=tuple(
                    PastTrade(symbol=order.symbol, side=order.side, traded_at=at) for order, at in traded
                ),
                unresolved=tuple(order.approved.terms for order in lost if order.approved),
                halted=None if halt is None else halt.why,
                tightenings=in_force(connection, account_id, now),
            )

    def close(self) -> None:
        self._database.close()
