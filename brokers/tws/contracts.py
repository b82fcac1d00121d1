"""What a symbol or a contract id stands for; each is asked for once, as contracts do not change in a day."""

from __future__ import annotations

from dataclasses import dataclass

from ib_async import Contract as TwsContract
from ib_async import ContractDetails, Stock

from brokers.errors import Terminal
from brokers.tws.line import Line
from brokers.tws.numbers import price
from config.rules import ticker
from portfolio.models import Contract

SHARES, SMART, DOLLAR = "STK", "SMART", "USD"
NO_DEFINITION = 200


@dataclass(frozen=True)
class Listed:
    """A contract as TWS takes it and as the house speaks of it, with its `hours` as TWS writes them, in `zone`."""

    asked: TwsContract
    facts: Contract
    hours: str
    zone: str


class ContractBook:
    """The contracts asked for so far."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._by_symbol: dict[str, Listed] = {}
        self._by_conid: dict[int, Listed] = {}

    async def by_symbol(self, symbol: str, sec_type: str = SHARES) -> Listed:
        """The stock or ETF of that symbol that trades in USD.

        Raises:
            Terminal: there is none, or more than one.
        """
        name = ticker(symbol)
        if sec_type != SHARES:
            words = f"{name} ({sec_type}): no security definition; only stocks and ETFs (STK) are traded here."
            raise Terminal(words, code=NO_DEFINITION)
        if name not in self._by_symbol:
            found = await self._details(name, Stock(name, SMART, DOLLAR))
            same = [one for one in found if one.contract and ticker(one.contract.symbol) == name]
            self._by_symbol[name] = self._keep(name, same)
        return self._by_symbol[name]

    async def by_conid(self, conid: int) -> Listed:
        """The contract of that id.

        Raises:
            Terminal: there is none.
        """
        if conid not in self._by_conid:
            name = f"contract {conid}"
            found = await self._details(name, TwsContract(conId=conid))
            self._keep(name, [one for one in found if one.contract and one.contract.conId == conid])
        return self._by_conid[conid]

    async def _details(self, name: str, wanted: TwsContract) -> list[ContractDetails]:
        return await self._line.ask(name, lambda ib: ib.reqContractDetailsAsync(wanted))

    def _keep(self, name: str, found: list[ContractDetails]) -> Listed:
        kinds = {one.contract.conId: one for one in found if one.contract}
        if len(kinds) != 1:
            told = f"{len(kinds)} contracts of that name" if kinds else "no security definition has been found"
            raise Terminal(f"{name}: {told}; nothing was traded in it.", code=NO_DEFINITION)
        (details,) = kinds.values()
        listed = _listed(details)
        self._by_conid[listed.facts.conid] = listed
        return listed


def _listed(details: ContractDetails) -> Listed:
    told = details.contract
    if told is None:
        raise Terminal("TWS told of a contract without saying which; nothing was traded in it.", code=NO_DEFINITION)
    asked = TwsContract(
        conId=told.conId, symbol=told.symbol, secType=told.secType, exchange=SMART, currency=told.currency
    )
    step = price(details.minTick)
    facts = {
        "conid": told.conId,
        "symbol": told.symbol,
        "sec_type": told.secType,
        "exchange": told.primaryExchange or told.exchange,
        "currency": told.currency,
        "name": details.longName,
        **({"min_tick": step} if step else {}),
    }
    return Listed(asked, Contract.model_validate(facts), details.liquidHours, details.timeZoneId)
