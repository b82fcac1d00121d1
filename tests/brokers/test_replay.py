from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from brokers.errors import Terminal
from brokers.simulated import MarketError, PriceFileError, SimulatedBroker, open_simulated
from tests.brokers.price_files import FRIDAY, HEADER, MONDAY, SUNDAY, TUESDAY, row, three_days, write

GOOD = row(MONDAY, "SPY", "210.00")


def opened(folder: Path, prices: Path, day: str | None = MONDAY, required: tuple[str, ...] = ()) -> SimulatedBroker:
    as_of = date.fromisoformat(day) if day else None
    return open_simulated(folder / "books", prices=prices, as_of=as_of, required=required)


async def last(broker: SimulatedBroker, symbol: str) -> str:
    (quote,) = await broker.quotes([(await broker.find_contract(symbol)).conid])
    return str(quote.last)


@pytest.mark.parametrize(
    ("bad_row", "place", "words"),
    [
        ("2020-02-30,SPY,1,1,1,1,1", "line 3, column date", "'2020-02-30' is not a date"),
        ("03/23/2020,SPY,1,1,1,1,1", "line 3, column date", "is not a date"),
        ("20200323,SPY,1,1,1,1,1", "line 3, column date", "is not a date"),
        (",SPY,1,1,1,1,1", "line 3, column date", "is not a date"),
        (f"{FRIDAY},SPY,nan,1,1,1,1", "line 3, column open", "'nan' is not a price"),
        (f"{FRIDAY},SPY,1,inf,1,1,1", "line 3, column high", "'inf' is not a price"),
        (f"{FRIDAY},SPY,1,1,0,1,1", "line 3, column low", "'0' is not a price"),
        (f"{FRIDAY},SPY,1,1,1,-1,1", "line 3, column close", "'-1' is not a price"),
        (f"{FRIDAY},SPY,1,1,1,,1", "line 3, column close", "'' is not a price"),
        (f"{FRIDAY},SPY,1,1,1,abc,1", "line 3, column close", "'abc' is not a price"),
        (f"{FRIDAY},SPY,1,1,1,1e999,1", "line 3, column close", "is not a price"),
        (f"{FRIDAY},SPY,1,1,2,1,1", "line 3, column high", "below the low"),
        (f"{FRIDAY},SPY,1,1,1,1e-9,1", "line 3, column close", "'1e-9' is not a price"),
        (f"{FRIDAY},SPY,1,1,1,0.000000001,1", "line 3, column close", "is not a price. Write USD from 0.0001"),
        (f"{FRIDAY},SPY,1_0,10,10,10,1", "line 3, column open", "'1_0' is not a price"),
        (f"{FRIDAY},SPY,1,1,1,\u0661,1", "line 3, column close", "is not a price"),
        (f"{FRIDAY},SPY,1,1,1,{'9' * 1000},1", "line 3, column close", "9…' is not a price"),
        (f"{FRIDAY},SPY,1,1,1,\x1b[2J,1", "line 3, column close", r"'\x1b[2J' is not a price"),
        (f"{FRIDAY},SPY,3,2,1,2,1", "line 3, column open", "'3' is not between the low of '1' and the high of '2'"),
        (f"{FRIDAY},SPY,1,2,1,0.99,1", "line 3, column close", "'0.99' is not between"),
        (f"{FRIDAY},SPY,1,1,1,1,1e6", "line 3, column volume", "is not a number of shares"),
        (f"{FRIDAY},S\x1b[2JPY,1,1,1,1,1", "line 3, column symbol", "is not a symbol"),
        (f"{FRIDAY},SPY,1,1,1,1,-5", "line 3, column volume", "is not a number of shares"),
        (f"{FRIDAY},SPY,1,1,1,1,nan", "line 3, column volume", "is not a number of shares"),
        (f"{FRIDAY},,1,1,1,1,1", "line 3, column symbol", "is empty"),
        (f"{FRIDAY},SPY,1,1", "line 3, column low", "the row ends before it"),
        (row(MONDAY, "spy ", "211.00"), "line 3, column symbol", "stands on line 2 already"),
    ],
)
def test_an_unsound_row_is_refused_with_file_line_and_column(
    tmp_path: Path, bad_row: str, place: str, words: str
) -> None:
    prices = write(tmp_path / "prices.csv", [GOOD, bad_row])
    with pytest.raises(PriceFileError) as refused:
        opened(tmp_path, prices)
    assert f"{prices}, {place}: " in str(refused.value)
    assert words in str(refused.value)
    assert not (tmp_path / "books").exists()


@pytest.mark.parametrize("column", ["date", "symbol", "open", "high", "low", "close"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    prices = write(tmp_path / "prices.csv", [GOOD], header=HEADER.replace(column, "other"))
    with pytest.raises(PriceFileError, match=f"line 1, column {column}: is missing"):
        opened(tmp_path, prices)


def test_a_column_that_stands_twice_is_named(tmp_path: Path) -> None:
    prices = write(tmp_path / "prices.csv", [GOOD + ",1"], header=HEADER + ",Close")
    with pytest.raises(PriceFileError, match="line 1, column close: stands twice"):
        opened(tmp_path, prices)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: is empty"),
        (HEADER.encode(), "line 1: holds no prices"),
        (HEADER.encode() + b"\n2020-03-23,\xff", "line 2, column 12: is not UTF-8"),
        (gzip.compress(b"x" * 100, mtime=0)[:-9], "is not whole gzip data"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_bytes(content)
    with pytest.raises(PriceFileError, match=words):
        opened(tmp_path, prices)


def test_text_named_gz_a_folder_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match="is not whole gzip data"):
        opened(tmp_path, three_days(tmp_path / "prices.csv.gz"))
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(PriceFileError, match="cannot be read"):
            opened(tmp_path, path)


@pytest.mark.parametrize("name", ["prices\0.csv", "prices\udcff\ud800.csv"])
def test_a_path_that_no_file_can_have_is_refused_in_printable_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(PriceFileError, match="holds characters that no file name can have") as refused:
        opened(tmp_path, tmp_path / name)
    assert str(refused.value).isprintable()


async def test_a_close_that_single_precision_moved_past_the_high_is_sound(tmp_path: Path) -> None:
    rows = [f"{MONDAY},SPY,222.949997,222.949997,222.94,222.95,1"]
    broker = opened(tmp_path, write(tmp_path / "prices.csv", rows))
    assert await last(broker, "SPY") == "222.95"
    await broker.close()


@pytest.mark.parametrize("day", ["1800-01-01", "2150-01-01"])
def test_a_day_no_calendar_knows_is_bad_usage_and_no_defect(tmp_path: Path, day: str) -> None:
    with pytest.raises(MarketError, match=f"{day}: .* known from 1962-01-02 to 2100-12-31"):
        opened(tmp_path, three_days(tmp_path / "prices.csv"), day)
    with pytest.raises(MarketError, match=f"{day}: .* known from 1962-01-02 to 2100-12-31"):
        opened(tmp_path, write(tmp_path / "far.csv", [row(day, "SPY", "200")]), None)


@pytest.mark.parametrize("day", ["2020-03-19", "2020-03-25"])
def test_a_day_outside_the_file_is_refused(tmp_path: Path, day: str) -> None:
    with pytest.raises(PriceFileError, match="the file goes from 2020-03-20 to 2020-03-24"):
        opened(tmp_path, three_days(tmp_path / "prices.csv"), day)


def test_a_session_without_rows_is_refused(tmp_path: Path) -> None:
    prices = write(tmp_path / "prices.csv", [row(FRIDAY, "SPY", "200"), row(TUESDAY, "SPY", "250")])
    with pytest.raises(PriceFileError, match="has no row of that session"):
        opened(tmp_path, prices, MONDAY)


def test_a_gap_in_a_symbol_of_the_opening_portfolio_is_refused(tmp_path: Path) -> None:
    rows = [row(FRIDAY, "SPY", "200"), row(FRIDAY, "KO", "40"), row(MONDAY, "KO", "39")]
    prices = write(tmp_path / "prices.csv", rows)
    with pytest.raises(PriceFileError) as refused:
        opened(tmp_path, prices)
    assert f"{prices}, line 4, column symbol: SPY has no row of {MONDAY}" in str(refused.value)
    assert f"from {FRIDAY} (line 2) to {FRIDAY} (line 2)" in str(refused.value)


async def test_a_required_symbol_the_file_lacks_is_refused_and_any_other_has_no_contract(tmp_path: Path) -> None:
    prices = three_days(tmp_path / "prices.csv")
    with pytest.raises(PriceFileError, match=r"line 5, column symbol: VOO has no row of 2020-03-23, nor any before"):
        opened(tmp_path, prices, required=("SPY", "VOO"))
    broker = opened(tmp_path, prices)
    with pytest.raises(Terminal, match="VOO has no row of 2020-03-23") as unknown:
        await broker.find_contract("VOO")
    await broker.close()
    assert unknown.value.code == 200


async def test_rows_may_stand_in_any_order_with_other_columns_beside_them(tmp_path: Path) -> None:
    rows = [f"x,{MONDAY},209,210.5,9,spy,211,208", "", f"x,{FRIDAY},200,200.5,9,SPY,201,199"]
    header = "\ufeffnote,Date,open,CLOSE,unused,symbol,high,low"
    broker = opened(tmp_path, write(tmp_path / "prices.csv", rows, header))
    (quote,) = await broker.quotes([(await broker.find_contract("SPY")).conid])
    await broker.close()
    assert (str(quote.last), str(quote.previous_close)) == ("210.5", "200.5")


async def test_nothing_after_the_day_can_be_seen_or_matters(tmp_path: Path) -> None:
    """Looking ahead would make every backtest a lie; and tomorrow's bad row is tomorrow's trouble."""
    rows = [row(TUESDAY, "KO", "-1"), GOOD, row(FRIDAY, "SPY", "200.00"), row(TUESDAY, "SPY", "250.00")]
    broker = opened(tmp_path, write(tmp_path / "prices.csv", rows))
    contract = await broker.find_contract("SPY")
    assert await last(broker, "SPY") == "210.00"
    assert [str(bar.close) for bar in await broker.history(contract.conid, "1d", "10y")] == ["200.00"]
    assert [str(scanned.price) for scanned in await broker.scan("MOST_ACTIVE", 10)] == ["210.00"]
    with pytest.raises(Terminal):
        await broker.find_contract("KO")
    await broker.close()


async def test_without_a_day_the_last_one_of_the_file_is_traded(tmp_path: Path) -> None:
    broker = opened(tmp_path, three_days(tmp_path / "prices.csv"), None)
    assert await last(broker, "SPY") == "250.00"
    assert (await broker.session("SPY")).is_open
    await broker.close()


async def test_on_a_sunday_the_market_is_closed_and_shows_friday(tmp_path: Path) -> None:
    broker = opened(tmp_path, three_days(tmp_path / "prices.csv"), SUNDAY)
    contract = await broker.find_contract("SPY")
    (quote,) = await broker.quotes([contract.conid])
    session = await broker.session("SPY")
    history = await broker.history(contract.conid, "1d", "1m")
    await broker.close()
    assert not session.is_open
    assert session.opens_at.date() == date.fromisoformat(MONDAY)
    assert str(quote.last) == "200.00"
    assert quote.as_of is not None
    assert quote.as_of.isoformat() == f"{FRIDAY}T20:00:00+00:00"
    assert [bar.start.date().isoformat() for bar in history] == [FRIDAY]


async def test_other_prices_are_another_account_and_packing_is_not(tmp_path: Path) -> None:
    plain = three_days(tmp_path / "prices.csv")
    packed = tmp_path / "prices.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    other = write(tmp_path / "other.csv", [GOOD])
    accounts = []
    for prices in (plain, packed, other):
        broker = opened(tmp_path, prices)
        accounts.append((await broker.accounts())[0].account_id)
        await broker.close()
    assert accounts[0] == accounts[1] != accounts[2]


async def test_what_the_file_does_not_know_stays_in_cash(tmp_path: Path) -> None:
    broker = opened(tmp_path, three_days(tmp_path / "prices.csv"))
    (account,) = await broker.accounts()
    summary = await broker.summary(account.account_id)
    positions = await broker.positions(account.account_id)
    await broker.close()
    assert str(summary.net_liquidation) == "50000.00"
    assert [held.symbol for held in positions] == ["KO", "SPY"]
    assert summary.total_cash > 30_000
