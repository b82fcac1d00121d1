"""The trading floor: one market at one moment, with its contracts, quotes, history, scans and hours.

While the exchange is closed the floor shows the last session. History ends with the last completed session, so the day
that is still running is in the quote only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from brokers.errors import Terminal
from brokers.session import NEW_YORK, ExchangeCalendar
from brokers.simulated.accounting import Holding
from brokers.simulated.market import DayBar, Market, conids_of, quote_of
from portfolio.models import Bar, Contract, Quote, ScanRow, Session

_PERIOD = re.compile(r"([1-9][0-9]{0,3})([dwmy])")
_DAYS = {"w": 7, "m": 30.4375, "y": 365.25}
_USUAL_DAYS = 20

_Rank = Callable[[ScanRow, Decimal], Decimal]

# Each rank is of a row and the usual volume of its symbol; the highest comes first.
_SCANS: dict[str, _Rank] = {
    "TOP_PERC_GAIN": lambda row, _: row.change_percent or Decimal(0),
    "TOP_PERC_LOSE": lambda row, _: -(row.change_percent or Decimal(0)),
    "MOST_ACTIVE": lambda row, _: row.volume or Decimal(0),
    "MOST_ACTIVE_USD": lambda row, _: (row.volume or Decimal(0)) * (row.price or Decimal(0)),
    "HOT_BY_VOLUME": lambda row, usual: (row.volume or Decimal(0)) / (usual or Decimal(1)),
}
SCAN_CODES = tuple(_SCANS)


class TradingFloor:
    """What `market` shows at the time of `clock`; unknown symbols and contracts raise `Terminal` with code 200."""

    def __init__(self, market: Market, calendar: ExchangeCalendar, clock: Callable[[], datetime]) -> None:
        self.market = market
        self._calendar = calendar
        self._clock = clock
        self._conids = conids_of(market.symbols())
        self._symbols = {conid: symbol for symbol, conid in self._conids.items()}

    def session(self) -> Session:
        return self._calendar.session_at(self._clock())

    def price_day(self) -> date:
        """The day whose prices are shown: that of the running session, else of the last one."""
        return self._calendar.last_session(self._clock())

    def order_day(self) -> date:
        """The day of the session an order sent now belongs to: the running one, else the next."""
        return self.session().opens_at.astimezone(NEW_YORK).date()

    def contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        """The contract of `symbol`, refused where it has no price of the day, as no order could be priced."""
        if sec_type != "STK" or symbol not in self._conids:
            raise Terminal(self._unknown(symbol, sec_type), code=200)
        self._today(symbol)
        instrument = self.market.instrument(symbol)
        return Contract(conid=self._conids[symbol], symbol=symbol, exchange=instrument.exchange, name=instrument.name)

    def conid(self, symbol: str) -> int:
        """The contract id of a symbol that may be held though this market does not list it (yet)."""
        return self._conids.get(symbol) or conids_of([symbol])[symbol]

    def symbol(self, conid: int) -> str:
        if conid not in self._symbols:
            raise Terminal(
                f"Contract {conid}: no security definition has been found for the request. Look the symbol up again.",
                code=200,
            )
        return self._symbols[conid]

    def quote(self, symbol: str) -> Quote:
        session, day = self.session(), self.price_day()
        as_of = session.now if session.is_open else self._calendar.close_of(day)
        bars = self._today(symbol)
        previous = bars[-2] if len(bars) > 1 else None
        return quote_of(self.market.instrument(symbol), self._conids[symbol], bars[-1], previous, as_of or session.now)

    def is_priced(self, symbol: str) -> bool:
        """Whether `symbol` has a price of the day, and so a quote."""
        bars = self._bars(symbol, 1)
        return bool(bars) and bars[-1].day == self.price_day()

    def mark(self, symbol: str) -> Decimal | None:
        """The last price known at this moment, in USD, however old; None where there is none."""
        bars = self._bars(symbol, 1)
        return bars[-1].close if bars else None

    def marks(self, holdings: Mapping[str, Holding]) -> dict[str, Decimal]:
        """What each holding is valued at, in USD a share: its last known price, or its cost where there is none."""
        return {symbol: self.mark(symbol) or holding.average_cost for symbol, holding in holdings.items()}

    def previous_close(self, symbol: str) -> Decimal | None:
        """The last price known before the day shown, in USD."""
        earlier = self._bars(symbol, 1, self.price_day() - timedelta(days=1))
        return earlier[-1].close if earlier else None

    def history(self, conid: int, bar: str, period: str) -> list[Bar]:
        """Daily bars of completed sessions, oldest first, each starting at midnight UTC of its day."""
        symbol = self.symbol(conid)
        asked = _PERIOD.fullmatch(period)
        if bar != "1d" or not asked:
            raise Terminal(
                f"Historical Market Data Service error message: bar {bar!r} over {period!r} is not served. "
                'Ask for bar "1d" and a period such as "5d", "2w", "1m" or "1y".',
                code=162,
            )
        number, unit = int(asked[1]), asked[2]
        until = self.price_day() - timedelta(days=1 if self.session().is_open else 0)
        if unit == "d":
            return [_bar(past) for past in self._bars(symbol, number, until)]
        reach = min(round(number * _DAYS[unit]), until.toordinal() - 1)
        since = until - timedelta(days=reach)
        return [_bar(past) for past in self._bars(symbol, reach, until) if past.day > since]

    def scan(self, code: str, limit: int) -> list[ScanRow]:
        """The symbols that trade today, ranked by `code`; `Terminal` with code 162 for a code not in `SCAN_CODES`."""
        if code not in _SCANS:
            raise Terminal(
                f"Historical Market Data Service error message: scanner {code!r} is not served. "
                f"Use one of {', '.join(SCAN_CODES)}.",
                code=162,
            )
        rows = [(_scan_row(self.quote(symbol)), symbol) for symbol in self._conids if self.is_priced(symbol)]
        ranked = sorted(rows, key=lambda row: (-_SCANS[code](row[0], self._usual_volume(row[1])), row[1]))
        return [row for row, _ in ranked[: max(limit, 0)]]

    def _usual_volume(self, symbol: str) -> Decimal:
        bars = self._bars(symbol, _USUAL_DAYS)
        return sum((bar.volume for bar in bars), Decimal(0)) / max(len(bars), 1)

    def _today(self, symbol: str) -> list[DayBar]:
        """The bar of the day shown, preceded by the one before it if there is one."""
        day = self.price_day()
        bars = self._bars(symbol, 2)
        if not bars or bars[-1].day != day:
            raise Terminal(self.market.why_no_price(symbol, day), code=200)
        return bars

    def _bars(self, symbol: str, count: int, until: date | None = None) -> list[DayBar]:
        return self.market.bars(symbol, until or self.price_day(), count) if symbol in self._conids else []

    def _unknown(self, symbol: str, sec_type: str) -> str:
        if sec_type == "STK":
            why = self.market.why_no_price(symbol, self.price_day())
        else:
            why = "Only stocks and ETFs (STK) trade here."
        return f"{symbol} ({sec_type}): no security definition has been found for the request. {why}"


def _bar(past: DayBar) -> Bar:
    return Bar(
        start=datetime.combine(past.day, time(), UTC),
        open=past.open,
        high=past.high,
        low=past.low,
        close=past.close,
        volume=past.volume,
    )


def _scan_row(quote: Quote) -> ScanRow:
    last, before = quote.last, quote.previous_close
    change = last - before if last is not None and before else None
    percent = (change / before * 100).quantize(Decimal("0.01")) if change is not None and before else None
    return ScanRow(
        conid=quote.conid,
        symbol=quote.symbol,
        price=last,
        change=change,
        change_percent=percent,
        volume=quote.volume,
    )
