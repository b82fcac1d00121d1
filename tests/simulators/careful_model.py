"""A model that does what a good one would: looks things up, tries a change on the guard, says why. It is a script.

`python -m tests.simulators.careful_model PORT` serves it; point the agent at it with OPENAI_BASE_URL. It answers all
that the agent asks of a model. One number in its plans is invented, so that one can see what becomes of such.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress
from dataclasses import dataclass

import prompts
from tests.simulators.careful_answers import answer
from tests.simulators.model_server import (
    Body,
    Call,
    Reply,
    Say,
    buckets,
    claim,
    contents,
    fact,
    kept_baseline,
    lesson,
    lessons,
    model_server,
    plan,
    results,
    sheet,
    trade,
)

STRANGE = "I am a script that answers what smart-agent asks of a model, and this is none of its questions."


def careful(body: Body, _number: int) -> Reply:
    """What a run, a look back, a chat or doctor asks of it, told apart by the text that each begins with."""
    asked = next(iter(contents(body)), "")
    for prompt, script in (("think", _plan), ("reflect", _lessons), ("chat", answer), ("doctor", _ready)):
        if asked == prompts.load(prompt):
            return script(body)
    return Say(STRANGE)


def _ready(_body: Body) -> Say:
    return Say(plan(summary="ready", confidence=0), usage=(90, 20))


def _plan(body: Body) -> Say:
    """Puts the largest purchase of the baseline into another symbol of its bucket, if the guard would let it."""
    wanted, swap, told = kept_baseline(body), _swap(body), results(body)
    if not wanted or "tools" not in body or prompts.load("think_revise").splitlines()[0] in "\n".join(contents(body)):
        return _as_the_rules(body)
    if not told:
        symbols = [*(one["symbol"] for one in wanted), *([swap.symbol] if swap else [])]
        calls = [Call("price_statistics", {"symbol": symbol}) for symbol in symbols]
        return Say(_first_words(body), (*calls, Call("recall", {"query": "drift filled"})), usage=(2300, 120))
    if swap is None:
        return _as_the_rules(body)
    place = len(wanted) + 1
    statistics = sheet(body, f"r{place}").get(swap.symbol, {})
    if len(told) < place + 2:
        idea = {"symbol": swap.symbol, "side": "BUY", "quantity": swap.quantity}
        way = "down" if statistics.get("return_5d", "").startswith("-") else "up"
        words = f"{swap.symbol} has come {way}. I try it on the guard.\n"
        return Say(words, (Call("check_trades", {"trades": [idea]}),), (3000, 60))
    if sheet(body, f"r{place + 2}").get(swap.symbol, {}).get("guard") != "passes" or not statistics:
        return _as_the_rules(body)
    return _swapped(body, swap, statistics["volatility"])


@dataclass(frozen=True)
class Swap:
    """`quantity` of `symbol`, at `last`, in place of what the baseline buys of `left_out`; both are in `bucket`."""

    bucket: str
    left_out: str
    symbol: str
    last: str
    quantity: int


def _swap(body: Body) -> Swap | None:
    """The change it would make, as large as one order may be; None where the largest purchase has no like."""
    bought = [one for one in kept_baseline(body) if one["side"] == "BUY"]
    if not bought:
        return None
    largest = max(bought, key=lambda one: one["evidence"][0]["value"])["symbol"]
    bucket, symbols = next(((name, names) for name, names in buckets(body).items() if largest in names), ("", []))
    most = float(fact(body, "risk_threshold"))
    for symbol in reversed(symbols):
        last = sheet(body, "snapshot").get(symbol, {}).get("last", "-")
        quantity = 0 if last == "-" else int(most // (float(last) * 1.002))
        if quantity and symbol not in sheet(body, "baseline"):
            return Swap(bucket, largest, symbol, last, quantity)
    return None


def _first_words(body: Body) -> str:
    """Which bucket is out of its band, one that has too much before one that has too little."""
    drifts = {name: float(row["drift"]) for name, row in sheet(body, "drift").items()}
    most, least = max(drifts, key=drifts.__getitem__), min(drifts, key=drifts.__getitem__)
    bucket, way = (most, "above") if drifts[most] > float(fact(body, "rebalance_threshold")) else (least, "below")
    name = re.sub(r"\b[A-Z][a-z]+\b", lambda word: word[0].lower(), bucket.split("/")[0])
    return f"The {name} bucket is far {way} its target. Let me see how calm the candidates are.\n"


def _as_the_rules(body: Body) -> Say:
    return Say(plan(*_kept(body), summary="The baseline is as good as any."), usage=(3100, 240))


def _swapped(body: Body, swap: Swap, volatility: str) -> Say:
    drift = sheet(body, "drift")[swap.bucket]["drift"]
    evidence = (
        claim(f"drift.{swap.bucket}.drift", drift, "points", f"{swap.bucket} are below their target"),
        claim(f"snapshot.{swap.symbol}.last", swap.last, "USD", f"last price of {swap.symbol}"),
    )
    short = f"{swap.bucket} {'are' if swap.bucket.endswith('s') else 'is'} {drift.lstrip('-')} points short"
    reason = f"{short}, and {swap.symbol}, at {swap.last} USD, lost 31.4 % since spring."
    changed = trade(swap.symbol, "BUY", swap.quantity, *evidence, reason=reason)
    kept = [one for one in _kept(body) if one["symbol"] != swap.left_out]
    left_out = {swap.left_out: f"{swap.symbol} does the same for the bucket; it swings by {volatility} % a year."}
    summary = f"Does as the rules do, and puts the largest purchase into {swap.symbol} instead."
    return Say(plan(*kept, changed, left_out=left_out, summary=summary), usage=(3300, 420), pieces=12)


def _kept(body: Body) -> list[Body]:
    """The baseline's trades with the baseline's reasons."""
    why = {symbol: row["reason"] for symbol, row in sheet(body, "baseline").items()}
    return [{**one, "reason": f"Kept from the baseline: {why[one['symbol']]}."} for one in kept_baseline(body)]


def _lessons(body: Body) -> Say:
    """What was worst of the trades that were scored, and how the run went where none were."""
    scored = {symbol: row for symbol, row in sheet(body, "scores").items() if row["after"] == "1"}
    if scored:
        symbol, row = min(scored.items(), key=lambda one: float(one[1]["effect"]))
        words = f"{row['side']} {symbol} came to {row['effect']} USD a day later, against not doing it."
        evidence = claim(f"scores.{symbol}.effect", row["effect"], "USD")
        taught = lesson(words, evidence, scope="symbol", about=symbol)
    else:
        sent = fact(body, "orders_sent")
        taught = lesson(f"All {sent} orders were sent as planned.", claim("run.orders_sent", sent, ""))
    return Say(lessons(taught), usage=(1400, 90))


async def _serve(port: int) -> None:
    async with model_server(careful, port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
