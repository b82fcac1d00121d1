"""What the careful model says in a chat. A question it knows is looked up first, and told in the figures of the tools.

It knows a question by a few words in it, the first of `TOPICS` that fits; to any other it says which ones it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.simulators.model_server import Body, Call, Say, buckets, contents, offers, results

ASKS = "The owner asks:\n"
HEADS = ("symbol", "bucket", "run", "lesson")
"""What a table of a tool's result begins with."""
MOST_TOLD = 4
MOST_DIGITS = 12
SIZE = (
    r"(?P<before>\$\s?)?\b(?P<number>\d[\d,]*(?:\.\d+)?)"
    r"\s?(?:(?P<after>\$|dollars?\b|usd\b)|(?P<part>%|percent\b|k\b|thousand\b|million\b))?"
)
DAYS = {"week": 7, "month": 30, "year": 365}
KNOWN = (
    "I am a script and know these questions: What do I own? How far off target am I? What would the plan be, or what "
    "if a bucket had another target? Why did you sell a symbol, or what did you do? How did last month go? What did "
    "you learn? Does anything wait for me? And I can trim, sell or buy a symbol by so many dollars or shares."
)
UNCLEAR = "Say which symbol, and by how many dollars or whole shares: trim NVDA by so many dollars, buy so many SPY."
NOBODY = "I can put a trade before you only in a chat at a terminal, where you can say yes or no: smart-agent chat."
BLIND = "I may look nothing up any more, so I can tell you nothing of it."

Row = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A question of the owner, and the conversation it stands in."""

    question: str
    body: Body

    def has(self, words: str) -> bool:
        return re.search(words, self.question, re.IGNORECASE) is not None

    @property
    def symbol(self) -> str:
        """The symbol it names: one of the rules in whatever letters, else a word in capitals; "" if there is none."""
        words = [word.strip(".") for word in re.findall(r"[A-Za-z.]+", self.question)]
        ruled = {symbol for symbols in buckets(self.body).values() for symbol in symbols}
        named = (word.upper() for word in words if len(word) > 1 and word.upper() in ruled)
        capitals = (word for word in words if word.isupper() and word not in ("I", "USD"))
        return next(named, next(capitals, ""))

    def rows(self, key: str) -> list[Row]:
        """The tools' tables whose first column is `key`, row by row."""
        found: list[Row] = []
        head: list[str] = []
        for line in _lines(self.body):
            cells = line.split("|")
            if cells[0] in HEADS and len(cells) > 1:
                head = [cell.split(" ")[0] for cell in cells]
            elif head[:1] == [key] and len(cells) == len(head):
                found.append({"name": cells[0], **dict(zip(head[1:], cells[1:], strict=True))})
        return found

    def figure(self, label: str) -> str | None:
        """A single fact of the tools' results; None where there is none, or nothing stands there."""
        found = re.search(rf"\b{label} (-?\d\S*)", "\n".join(_lines(self.body)))
        return _shown(found[1].rstrip(",")) if found else None


@dataclass(frozen=True)
class Topic:
    """Questions with `words` in them: what is looked up for one, or why nothing is, and what is told of the results."""

    words: str
    looks: Callable[[Asked], Sequence[Call] | str]
    tells: Callable[[Asked], Sequence[str]]


def answer(body: Body) -> Say:
    """Calls of tools, or an answer from what they told; where that is no table, it is told as it stands."""
    heard = next(text for text in reversed(contents(body)) if ASKS in text)
    asked = Asked(heard.split(ASKS, 1)[1], body)
    topic = next((one for one in TOPICS if asked.has(one.words)), None)
    looks = topic.looks(asked) if topic else KNOWN
    if topic is None or isinstance(looks, str):
        return _said(str(looks))
    if not results(body):
        return Say("", looks, usage=(1800, 40)) if body.get("tools") else _said(BLIND)
    words, doubts, moment = _words(body)
    told = [*(topic.tells(asked) or map(_sentence, words)), *map(_sentence, doubts)]
    return _said(" ".join([*told, *([f"As of {moment}."] if moment else [])]))


def _said(words: str) -> Say:
    return Say(words, usage=(2200, 80), pieces=12)


def _lines(body: Body) -> list[str]:
    """The lines of the tools' results."""
    return [line for text in results(body) for line in text.splitlines() if not re.match("</?data", line)]


def _words(body: Body) -> tuple[list[str], list[str], str]:
    """The words of the tools; what they doubt, which stands behind the moment; and the moment of their figures."""
    words, doubts, moment = list[str](), list[str](), ""
    for text in results(body):
        said = words
        for line in text.splitlines():
            if of_when := re.match(r"(?:account and prices of|records up to) (.+)", line):
                moment, said = of_when[1], doubts
            elif "|" not in line and not re.match("</?data", line):
                said.append(line)
    return list(dict.fromkeys(words)), list(dict.fromkeys(doubts)), moment


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _shown(number: str) -> str:
    return f"{Decimal(number):,f}"


# --- what is looked up, and what is told of it ---------------------------------------------------------------------


def _wish(asked: Asked) -> Sequence[Call] | str:
    if not offers(asked.body, "propose_trades"):
        return NOBODY
    size = re.search(SIZE, asked.question, re.IGNORECASE)
    if size is None or not asked.symbol or len(size["number"]) > MOST_DIGITS or size["part"]:
        return UNCLEAR
    number, in_dollars = float(size["number"].replace(",", "")), size["before"] or size["after"]
    if not in_dollars and not number.is_integer():
        return UNCLEAR
    side = "BUY" if asked.has(r"\bbuy\b") else "SELL"
    much: dict[str, Any] = {"amount": number} if in_dollars else {"quantity": int(number)}
    wish = {"symbol": asked.symbol, "side": side, **much, "reason": "The owner asks for it."}
    return (Call("propose_trades", {"trades": [wish]}),)


def _wished(asked: Asked) -> Sequence[str]:
    return [
        f"I have put it before you: {row['side']} {row['quantity']} {row['name']}. The guard's word: {row['guard']}."
        for row in asked.rows("symbol")
    ]


def _past(asked: Asked) -> Sequence[Call]:
    return (Call("why_traded", {"symbol": asked.symbol}) if asked.symbol else Call("recent_runs"),)


def _of_the_past(asked: Asked) -> Sequence[str]:
    rows = asked.rows("run")
    side = "SELL" if asked.has(r"\bs[eo]ld?l?\b") else "BUY" if asked.has(r"\b(buy|bought)\b") else ""
    told = [row for row in rows if side in row.get("wanted", "")] or rows
    return [
        f"{row['when']}: {row['wanted']} {asked.symbol}. {_sentence(row['reason'])} {_sentence(row['became'])}"
        if "wanted" in row
        else f"{row['when']}: run {row['name']}, {row['outcome']}. {_sentence(row['message'])}"
        for row in told[:MOST_TOLD]
    ]


def _plan(asked: Asked) -> Sequence[Call]:
    """With another target for the bucket that the question names, if it gives a percentage."""
    percent = re.search(r"(\d+(?:\.\d+)?)\s?(?:%|percent)", asked.question)
    named = (name for name in buckets(asked.body) if any(asked.has(word) for word in re.findall(r"\w{4,}", name)))
    bucket = next(named, "")
    return (Call("propose_rebalance", {"targets": {bucket: float(percent[1])}} if percent and bucket else {}),)


def _planned(asked: Asked) -> Sequence[str]:
    words, _, _ = _words(asked.body)
    orders = [f"{row['side']} {row['quantity']} {row['name']} ({row['worth']} USD)" for row in asked.rows("symbol")]
    shares = [
        f"{row['name']} from {row['weight']} to {row['weight_after']} %"
        for row in asked.rows("bucket")
        if "weight_after" in row
    ]
    return [*map(_sentence, words), f"{', '.join(orders)}.", f"It would take {', '.join(shares)}."] if orders else []


def _drift(asked: Asked) -> Sequence[str]:
    return [
        f"{row['name']}: {row['drift'].lstrip('-')} points {'below' if row['drift'].startswith('-') else 'above'} its "
        f"target of {row['target']} %, at {row['weight']} %."
        for row in asked.rows("bucket")
    ]


def _owned(asked: Asked) -> Sequence[str]:
    held = [f"{row['shares']} {row['name']} ({_worth(row['value'])})" for row in asked.rows("symbol")]
    whole, cash = asked.figure("net_liquidation"), asked.figure("cash")
    account = f"The account is worth {whole} USD, and {cash} USD of it is cash." if whole and cash else ""
    return [told for told in (f"You own {', '.join(held)}." if held else "", account) if told]


def _worth(value: str) -> str:
    return "no price" if value == "-" else f"{_shown(value)} USD"


def _stretch(asked: Asked) -> Sequence[Call]:
    days = next((days for word, days in DAYS.items() if asked.has(word)), None)
    return (Call("performance", {"days": days} if days else {}),)


def _performed(asked: Asked) -> Sequence[str]:
    entries = (
        ("gained", "USD gained"), ("time_weighted_return", "% time-weighted return"),
        ("doing_nothing", "% by doing nothing"), ("commissions", "USD of commissions"),
    )  # fmt: skip
    told = [f"{figure} {words}" for label, words in entries if (figure := asked.figure(label))]
    stretch = next((words for words in _words(asked.body)[0] if words.startswith("from ")), "")
    return [f"{_sentence(stretch)} {', '.join(told)}."] if told and stretch else []


def _learned(asked: Asked) -> Sequence[str]:
    return [f"{_sentence(row['lesson'])} ({row['about']}; runs: {row['runs']})" for row in asked.rows("lesson")]


def _waiting(asked: Asked) -> Sequence[str]:
    words, _, _ = _words(asked.body)
    waits = any("waits for approval" in line for line in words)
    return [*map(_sentence, words), *([] if waits else ["Nothing waits for your approval."])]


TOPICS = (
    Topic(
        r"^\W*(?:(?:please|can you|could you|i want to|i want you to)\s+)*(?:trim|reduce|sell|buy)\b", _wish, _wished
    ),
    Topic(r"\bwhy\b|\bdid you (?:do|trade|sell|buy)\b|\bruns?\b", _past, _of_the_past),
    Topic(r"\bplan\b|\brebalanc|\bwould you\b|\bwhat if\b", _plan, _planned),
    Topic(r"\bwait|\bapprov|\bhalt|\bpending\b", lambda _asked: (Call("status"),), _waiting),
    Topic(r"\blearn|\blessons?\b", lambda _asked: (Call("lessons"),), _learned),
    Topic(r"\bperform|\bgain|\breturns?\b|\bdid\b.*\bgo\b", _stretch, _performed),
    Topic(r"\btarget|\bdrift", lambda _asked: (Call("drift_table"),), _drift),
    Topic(
        r"\bown\b|\bhold|\bposition|\bportfolio\b|\bworth\b|\bcash\b",
        lambda _asked: (Call("get_positions"), Call("get_portfolio_summary")),
        _owned,
    ),
)
