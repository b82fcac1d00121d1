"""The parameters that several tools share, each with the words and limits a caller sees in its schema.

Quantities and prices travel as JSON numbers, where 5 shares may arrive as 5.0: they are 5 again from here on.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

TOO_MANY = 1_000_000_000


def _plain(number: Decimal) -> Decimal:
    """`number` without the decimals a whole one brings along on its way through a float."""
    whole = number.to_integral_value()
    return Decimal(int(whole)) if number == whole else number


AccountId = Annotated[
    str | None, Field(description="Account id; may be left out when there is only one account.", min_length=1)
]
Symbol = Annotated[str, Field(description="Ticker of a US stock or ETF, such as SPY.", min_length=1, max_length=32)]
Symbols = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=32)]],
    Field(description="Tickers of US stocks and ETFs.", min_length=1, max_length=500),
]
Conid = Annotated[int, Field(description="IB contract id, from find_contract.", strict=True)]
Conids = Annotated[
    list[Annotated[int, Field(strict=True)]],
    Field(description="IB contract ids, from find_contract.", min_length=1, max_length=500),
]

OrderSide = Annotated[Literal["BUY", "SELL"], Field(description="Exactly BUY or SELL.")]
Quantity = Annotated[
    Decimal, Field(description="Whole shares, more than 0.", gt=0, lt=TOO_MANY), AfterValidator(_plain)
]
OrderType = Annotated[Literal["MKT", "LMT"], Field(description="MKT, or LMT with a price.")]
LimitPrice = Annotated[
    Annotated[Decimal, Field(gt=0, lt=TOO_MANY), AfterValidator(_plain)] | None,
    Field(description="Limit price in USD a share; with LMT and only with LMT."),
]
ClientOrderId = Annotated[
    str, Field(description="Your own id of the order, unique in the account.", min_length=1, max_length=64)
]
MaybeClientOrderId = Annotated[
    str | None, Field(description="Your own id of the order: the same id is sent once.", min_length=1, max_length=64)
]

MaxResults = Annotated[int, Field(description="At most so many rows.", ge=1, le=100)]
Location = Annotated[Literal["STK.US"], Field(description="Market to scan: US stocks and ETFs.")]

SkipWhatIf = Annotated[bool, Field(description="Send without asking the broker's what-if first.")]
OutsideHours = Annotated[bool, Field(description="Without effect: bars are of regular trading hours.")]
DayOnly = Annotated[Literal["DAY"], Field(description="Time in force: the day.")]
