"""The grammar of every row on the wire: lenient when read, plain decimal strings when written.

Unknown keys are dropped and numbers may come as text or as JSON numbers, because two servers fill the same rows; which
facts must not be missing is decided in `tools.wire`. Field names in this package are the contract's own keys.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from portfolio.models import Amount, Claim

# A JSON number would lose cents on its way through a float.
_AS_TEXT = PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json")
_DECIMAL = WithJsonSchema({"type": "string", "format": "decimal"})
Number = Annotated[Amount, _AS_TEXT, _DECIMAL]
Claimed = Annotated[Claim, _AS_TEXT, _DECIMAL]


class Row(BaseModel):
    """A piece of a tool's answer; None is what the broker did not say."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)
