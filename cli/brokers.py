"""The broker that a server of this process stands before; without the graph, which a server alone has no use for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from brokers.protocol import Broker
from brokers.simulated import SimulatedBroker, open_simulated
from cli.run_command import RunCommand
from config.home import Home
from config.settings import Settings


@dataclass(frozen=True)
class Market:
    """Which market the embedded simulated broker trades on; all None: synthetic prices, today."""

    prices: Path | None = None
    as_of: date | None = None

    @classmethod
    def of(cls, command: RunCommand) -> Market:
        """The one a run's command names."""
        return cls(
            Path(command.prices) if command.prices else None,
            date.fromisoformat(command.as_of) if command.as_of else None,
        )


def simulated_broker(
    home: Home, market: Market, required: tuple[str, ...] = (), clock: Callable[[], datetime] | None = None
) -> SimulatedBroker:
    return open_simulated(home.simulated, prices=market.prices, as_of=market.as_of, clock=clock, required=required)


def broker_of(
    settings: Settings,
    home: Home,
    market: Market,
    required: tuple[str, ...] = (),
    clock: Callable[[], datetime] | None = None,
) -> Broker:
    """The broker that the settings name, for a server in this process; TWS is reached at the first question.

    A file of prices must have one of the day for every symbol that is `required`. The simulated broker lives by `clock`
    where its market is at no other day, and by real time if there is none.

    Raises:
        brokers.simulated.MarketError: nothing can be traded on that day, or with that price file.
    """
    if settings.broker == "simulated":
        return simulated_broker(home, market, required, clock)
    from brokers.tws import Address, open_tws  # noqa: PLC0415  (its library is for those alone who trade there)

    address = Address(settings.tws_host, settings.tws_port, settings.tws_client_id, settings.tws_account)
    return open_tws(address, home.history)
