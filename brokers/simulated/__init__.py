"""A shipped, deterministic stand-in for Interactive Brokers, on a synthetic market or on a file of real prices.

Which account is opened follows from the market, so that a replay never touches the synthetic account. The default clock
is now while the market is open and noon of the last session otherwise, so that a first run on a Sunday trades too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from brokers import session
from brokers.session import ExchangeCalendar, noon
from brokers.simulated import opening, synthetic
from brokers.simulated.books import Books, books_file, copy_books, remove_books, resets_of
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.floor import TradingFloor
from brokers.simulated.market import MarketError
from brokers.simulated.opening import opening_portfolio
from brokers.simulated.replay import PriceFileError, ReplayMarket

__all__ = ["MarketError", "PriceFileError", "SimulatedBroker", "copy_books", "open_simulated", "reset"]


def open_simulated(
    folder: Path,
    *,
    prices: Path | None = None,
    as_of: date | None = None,
    clock: Callable[[], datetime] | None = None,
    required: Iterable[str] = (),
) -> SimulatedBroker:
    """The simulated broker whose books lie in `folder`, opened with its sample portfolio if they are new.

    Args:
        folder: where the books are; made if it is missing.
        prices: a CSV (.gz) of real daily prices to replay, None for the synthetic market.
        as_of: the day to trade on, five minutes before its close, or at noon of a day without a session. With `prices`
            and no `as_of` it is the last day of the file.
        clock: the time otherwise, real time by default; noon of the last session stands in while the market is closed.
        required: symbols the file must have a price of that day for.

    Raises:
        MarketError: nothing is known of the day; or, as its kind `PriceFileError`, the file cannot be traded on, for
            the reason it names with line and column.
        Retryable, Terminal: the books cannot be opened.
    """
    calendar = ExchangeCalendar()
    if prices is None:
        floor = _synthetic_floor(calendar, as_of, clock or _real_time)
    else:
        floor = _replayed_floor(calendar, prices, as_of, tuple(required))
    books = Books(books_file(folder, floor.market.name))
    try:
        with books.change():
            if not books.is_open:
                books.open(*opening_portfolio(_opening_prices(floor)))
    except BaseException:
        books.close()
        raise
    return SimulatedBroker(floor, books, resets_of(folder))


def reset(folder: Path) -> list[Path]:
    """Remove the simulated books in `folder`, and nothing else; what was removed comes back.

    The next account there is another one, under another id.
    """
    return remove_books(folder)


def _synthetic_floor(calendar: ExchangeCalendar, as_of: date | None, clock: Callable[[], datetime]) -> TradingFloor:
    if as_of:
        _judge_day(as_of, synthetic.FIRST_DAY + timedelta(days=1))
    now = _stopped(calendar, as_of) if as_of else _awake(calendar, clock)
    return TradingFloor(synthetic.SyntheticMarket(calendar), calendar, now)


def _replayed_floor(
    calendar: ExchangeCalendar, path: Path, as_of: date | None, required: tuple[str, ...]
) -> TradingFloor:
    market = ReplayMarket(path, as_of)
    day = as_of or market.last_day
    _judge_day(day, session.FIRST_DAY)
    floor = TradingFloor(market, calendar, _stopped(calendar, day))
    market.judge_day(floor.price_day())
    for symbol in required:
        market.judge_symbol(symbol, floor.price_day())
    return floor


def _judge_day(day: date, first: date) -> None:
    if not first <= day <= session.LAST_DAY:
        raise MarketError(
            f"{day}: nothing can be traded on that day, as the market is known from {first} to {session.LAST_DAY}; "
            "take a day between them."
        )


def _opening_prices(floor: TradingFloor) -> dict[str, Decimal]:
    """Today's prices of the sample symbols; one that is not listed yet has none, one with a gap today is refused."""
    prices = {symbol: floor.mark(symbol) for symbol in opening.SYMBOLS}
    known = {symbol: price for symbol, price in prices.items() if price is not None}
    for symbol in known:
        if not floor.is_priced(symbol):
            raise PriceFileError(floor.market.why_no_price(symbol, floor.price_day()))
    return known


def _real_time() -> datetime:
    return datetime.now(UTC)


def _stopped(calendar: ExchangeCalendar, day: date) -> Callable[[], datetime]:
    """A clock that stands shortly before the bell of `day`, or at its noon where there is no session."""
    moment = calendar.before_the_bell(day) or noon(day)
    return lambda: moment


def _awake(calendar: ExchangeCalendar, clock: Callable[[], datetime]) -> Callable[[], datetime]:
    """`clock` while the exchange is open, noon of the last session while it is closed."""

    def now() -> datetime:
        moment = clock()
        return moment if calendar.session_at(moment).is_open else calendar.last_session_noon(moment)

    return now
