"""A trading rule (a bucket of symbols with a target), and what makes a set of rules contradict itself.

Symbols are kept as Interactive Brokers writes them: `brk.b` and `BRK-B` become `BRK B`, since a position comes back
under that name, and a holding under another name would look like one no rule knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import ceil
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, ValidationError

TARGET_TOLERANCE = 0.01
"""How far, in % points, the targets of all enabled rules may be from 100."""

ROUNDING = 1e-9
"""What sums of binary fractions may be off: three times 33.33 is 99.99, give or take this."""

TICKER = re.compile(r"[A-Z]{1,6}( [A-Z]{1,3})?")


def wrong(why: str, instead: str, *, against: str = "") -> PydanticCustomError:
    """A validation error that says what to write instead; both are sentences without the full stop.

    `against` names another key that the value contradicts, which may be the one to blame.
    """
    return PydanticCustomError("wrong", "{why}", {"why": why, "instead": instead, "against": against})


def refuse_truth_as_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise wrong("a number is wanted here, not a yes or no", "Write a number")
    return value


@lru_cache(maxsize=8192)
def ticker(symbol: str) -> str:
    """`symbol` as Interactive Brokers writes it."""
    return re.sub(r"[ .-]+", " ", symbol.strip().upper())


def known_ticker(symbol: str) -> str:
    name = ticker(symbol)
    if not TICKER.fullmatch(name):
        raise wrong("this is not the ticker of a US stock or ETF", 'Write a ticker such as "SPY" or "BRK B"')
    return name


def one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line.isprintable():
        raise wrong("it holds characters that cannot be printed", "Write it in plain text")
    return line


def at_least_one(symbols: tuple[str, ...]) -> tuple[str, ...]:
    # The library's own length check counts valid items only, and would call a list of one bad symbol empty.
    if not symbols:
        raise wrong("the list is empty", 'Write at least one, such as ["SPY"]')
    return symbols


NotTruth = BeforeValidator(refuse_truth_as_number)
Number = Annotated[float, NotTruth]
Share = Annotated[Number, Field(gt=0, le=100)]
# The bound keeps sums finite, and leaves room for weights that are market values in dollars.
Weight = Annotated[Number, Field(gt=0, le=1_000_000_000_000_000)]
Ticker = Annotated[str, AfterValidator(known_ticker)]


def refuse_number_as_truth(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong("a number does not say yes or no", "Write true or false")
    return value


Flag = Annotated[bool, BeforeValidator(refuse_number_as_truth)]


def weights_by_ticker(raw: Any, read: ValidatorFunctionWrapHandler) -> dict[str, float] | None:
    """The weights in `raw` under the names of `ticker`; raises a `ValidationError` with all that is wrong with them."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise wrong("an object is wanted here", 'Write symbols and weights in braces: {"SPY": 2, "QQQ": 1}')
    found = list(unusable_names(raw))
    weights: dict[str, float] = {}
    try:
        weights = read(raw)
    except ValidationError as error:
        found.extend(told_again(detail) for detail in error.errors(include_url=False))
    if found:
        raise ValidationError.from_exception_data("weights", found)
    return {ticker(symbol): weight for symbol, weight in weights.items()}


def unusable_names(weights: dict[Any, Any]) -> Iterator[InitErrorDetails]:
    """Keys of `weights` that are no ticker, or another spelling of one before, since only one weight could hold."""
    first: dict[str, str] = {}
    for symbol, weight in weights.items():
        if not isinstance(symbol, str):
            continue
        try:
            name = known_ticker(symbol)
        except PydanticCustomError as error:
            yield InitErrorDetails(type=error, loc=(), input=symbol)
            continue
        if name in first:
            yield conflict(
                (symbol,),
                weight,
                f'it stands for {name}, and so does "{first[name].strip()}": only one weight can hold',
                "Keep the one you mean",
            )
        first.setdefault(name, symbol)


def told_again(detail: ErrorDetails) -> InitErrorDetails:
    """An error that was found, to be raised together with others."""
    kind = PydanticCustomError(detail["type"], detail["msg"], detail.get("ctx"))
    return InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"])


class TradingRule(BaseModel):
    """A bucket of symbols that is to be `target_allocation` % of the account.

    `max_position_size` is the most one symbol may be, in % of the account; `stop_loss` (below 0) and `take_profit`
    (above 0) are in % of a position's average cost, None for never. `weights` are relative: 2 and 1 make two thirds and
    one third of the bucket; without them every symbol is to be the same share of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    name: Annotated[str, AfterValidator(one_line), Field(min_length=1, max_length=80)]
    description: Annotated[str, AfterValidator(one_line)] = ""
    target_allocation: Share
    symbols: Annotated[tuple[Ticker, ...], AfterValidator(at_least_one)]
    max_position_size: Share = 10.0
    stop_loss: Annotated[Number, Field(lt=0, ge=-100)] | None = None
    take_profit: Annotated[Number, Field(gt=0)] | None = None
    weights: Annotated[dict[str, Weight] | None, WrapValidator(weights_by_ticker)] = None
    enabled: Flag = True

    def share_of(self, symbol: str) -> float:
        """What `symbol`, one of the rule's in any spelling, is to be of the account, in %."""
        if self.weights is None:
            return self.target_allocation / len(self.symbols)
        return self.target_allocation * (self.weights[ticker(symbol)] / sum(self.weights.values()))


def refuse_conflicts(rules: tuple[TradingRule, ...]) -> tuple[TradingRule, ...]:
    """`rules`, if they can be followed together; raises a `ValidationError` with every conflict otherwise."""
    if found := list(conflicts(rules)):
        raise ValidationError.from_exception_data("trading_rules", found)
    return rules


def readable_rule(number: int, raw: Any) -> TradingRule | None:
    """`raw` as far as it can be read, with what is broken replaced by something that conflicts with nothing.

    None if too little of it can be read to say what it would do.
    """
    try:
        return TradingRule.model_validate(raw)
    except ValidationError as error:
        places = {detail["loc"] for detail in error.errors()}
    broken = {place[0] for place in places if place}
    if not isinstance(raw, dict) or broken & {"target_allocation", "enabled"}:
        return None
    rest = {key: value for key, value in raw.items() if key not in broken}
    if "name" in broken:
        rest["name"] = f"trading_rules[{number}]"
    if broken & {"symbols", "max_position_size"}:
        rest["max_position_size"] = 100.0
    if "symbols" in broken and isinstance(raw.get("symbols"), list):
        rest["symbols"] = [symbol for at, symbol in enumerate(raw["symbols"]) if ("symbols", at) not in places]
    if "symbols" in broken:
        rest.pop("weights", None)
    elif "weights" in broken and isinstance(raw["weights"], dict):
        rest["weights"] = equal_weights(raw["weights"], raw["symbols"])
    try:
        return TradingRule.model_validate(rest)
    except ValidationError:
        return None


def equal_weights(weights: dict[Any, Any], symbols: Iterable[str]) -> dict[str, int]:
    """Weights that say nothing but which symbols have one; each of `symbols` may, where a name cannot be read."""
    readable = [symbol for symbol in weights if isinstance(symbol, str) and TICKER.fullmatch(ticker(symbol))]
    named = readable if len(readable) == len(weights) else [*readable, *symbols]
    return dict.fromkeys(map(ticker, named), 1)


def conflicts(rules: Sequence[TradingRule | None]) -> Iterator[InitErrorDetails]:
    """Everything that keeps `rules` from being followed together.

    None stands for a rule that could not be read; what depends on all rules is then left unsaid.
    """
    yield from repeated_names(rules)
    yield from repeated_symbols(rules)
    for number, rule in enumerate(rules):
        if rule is not None and rule.enabled:
            yield from unreachable_target(number, rule)
            yield from unusable_weights(number, rule)
    readable = [rule for rule in rules if rule is not None]
    if len(readable) == len(rules):
        yield from wrong_total([rule for rule in readable if rule.enabled])


def conflict(loc: tuple[str | int, ...], value: object, why: str, instead: str) -> InitErrorDetails:
    return InitErrorDetails(type=wrong(why, instead), loc=loc, input=value)


def repeated_names(rules: Sequence[TradingRule | None]) -> Iterator[InitErrorDetails]:
    first: dict[str, int] = {}
    for number, rule in enumerate(rules):
        if rule is None:
            continue
        name = rule.name.casefold()
        if name in first:
            yield conflict(
                (number, "name"),
                rule.name,
                f"trading_rules[{first[name]}] has the same name, and records could not tell them apart",
                "Give each rule a name of its own",
            )
        first.setdefault(name, number)


def repeated_symbols(rules: Sequence[TradingRule | None]) -> Iterator[InitErrorDetails]:
    owner: dict[str, str] = {}
    for number, rule in enumerate(rules):
        if rule is None:
            continue
        seen: set[str] = set()
        for place, symbol in enumerate(rule.symbols):
            why = None
            if symbol in seen:
                why = "the rule names this symbol twice"
            elif rule.enabled and symbol in owner:
                why = f'the enabled rule "{owner[symbol]}" has this symbol too, and it can count once only'
            if why:
                yield conflict((number, "symbols", place), symbol, why, "Keep it in one place and remove it here")
            seen.add(symbol)
            if rule.enabled:
                owner.setdefault(symbol, rule.name)


def unreachable_target(number: int, rule: TradingRule) -> Iterator[InitErrorDetails]:
    symbols = len(set(rule.symbols))
    cap, target = rule.max_position_size, rule.target_allocation
    if cap * symbols < target - TARGET_TOLERANCE - ROUNDING:
        yield conflict(
            (number, "max_position_size"),
            cap,
            f"{symbols} x {cap:g} % for one symbol make {cap * symbols:g} %, never the target of {target:g} %",
            f"Write at least {ceil(100 * target / symbols) / 100:g}, add symbols, or lower target_allocation",
        )


def unusable_weights(number: int, rule: TradingRule) -> Iterator[InitErrorDetails]:
    if rule.weights is None:
        return
    symbols = dict.fromkeys(rule.symbols)
    missing = [symbol for symbol in symbols if symbol not in rule.weights]
    if missing:
        yield conflict(
            (number, "weights"),
            rule.weights,
            f"{', '.join(missing)} of this rule's symbols {'have' if len(missing) > 1 else 'has'} no weight",
            "Give every symbol of the rule a weight, or leave weights out for equal shares",
        )
    # Where even equal shares are above the cap, `unreachable_target` says so, and no weight is to blame for them.
    most = max(rule.max_position_size, rule.target_allocation / len(symbols))
    for symbol in rule.weights:
        if symbol not in symbols:
            yield conflict(
                (number, "weights", symbol),
                symbol,
                "it is not among the rule's symbols",
                "Add it to symbols, or remove its weight",
            )
        elif not missing and (share := rule.share_of(symbol)) > most + TARGET_TOLERANCE + ROUNDING:
            yield conflict(
                (number, "weights", symbol),
                rule.weights[symbol],
                f"it makes {symbol} {share:g} % of the account, and max_position_size is {rule.max_position_size:g} %",
                f"Lower this weight, or raise max_position_size to at least {ceil(100 * share) / 100:g}",
            )


def wrong_total(enabled: Sequence[TradingRule]) -> Iterator[InitErrorDetails]:
    if not enabled:
        yield conflict((), [], "no rule is enabled, so there is nothing to aim at", "Enable or add at least one rule")
        return
    total = sum(rule.target_allocation for rule in enabled)
    if abs(total - 100) > TARGET_TOLERANCE + ROUNDING:
        targets = " + ".join(f"{rule.target_allocation:g}" for rule in enabled)
        yield conflict(
            (),
            total,
            f"the targets of the enabled rules sum to {total:g} % ({targets}), not 100 %",
            f"{'Add' if total < 100 else 'Take away'} {abs(100 - total):g} % points",  # noqa: PLR2004  (a whole)
        )
