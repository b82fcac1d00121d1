"""A simulated IB Gateway: the TWS wire protocol on a loopback port, over the simulated broker.

    async with gateway(open_simulated(folder, as_of=day)) as running:
        await ib.connectAsync("127.0.0.1", running.port, clientId=1)
        running.faults.reject_orders = True

It speaks server versions 157 to 178 to clients that nobody may change. What can be wrong is in `faults.py` and in the
methods of `Gateway`; `remote.py` runs it in another process. Its layouts were read off clients' decoders, and those of
openOrder, completedOrder, execDetails and commissionReport agree with published captures of a real Gateway, field by
field; where a capture of anything else differs, the capture is right.

Not served: combinations, orders other than LMT and MKT for the day, changes of orders, bars other than daily, depth,
news, options, and groups of accounts. Asking for them is an error.
"""

from tests.simulators.gateway.connection import Request
from tests.simulators.gateway.faults import DropOnPlace, Faults, NotLoggedIn, WhatIfFault
from tests.simulators.gateway.orders import Order
from tests.simulators.gateway.server import Gateway, gateway

__all__ = ["DropOnPlace", "Faults", "Gateway", "NotLoggedIn", "Order", "Request", "WhatIfFault", "gateway"]
