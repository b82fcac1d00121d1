"""A simulated IB Gateway: the TWS wire protocol on a loopback port, over the simulated broker."""

from tests.simulators.gateway.connection import Request
from tests.simulators.gateway.faults import DropOnPlace, Faults, NotLoggedIn, WhatIfFault
from tests.simulators.gateway.orders import Order
from tests.simulators.gateway.server import Gateway, gateway

__all__ = ["DropOnPlace", "Faults", "Gateway", "NotLoggedIn", "Order", "Request", "WhatIfFault", "gateway"]
