"""A model that does what a good one would: looks things up, tries a change on the guard, says why. It is a script.

`python -m tests.simulators.careful_model PORT` serves it; point the agent at it with OPENAI_BASE_URL. One number in its
words is invented, so that one can see what becomes of such.
"""

from __future__ import annotations

import asyncio
import sys

from tests.simulators.model_server import (
    Body,
    Call,
    Reply,
    Say,
    claim,
    fact,
    kept_baseline,
    lesson,
    lessons,
    model_server,
    plan,
    sheet,
    trade,
    wants_lessons,
)


def careful(body: Body, _number: int) -> Reply:
    """Puts the largest purchase of the baseline into another symbol of its bucket, if the guard would let it."""
    if wants_lessons(body):
        return Say(_taught(body), usage=(1400, 90))
    answered = sum(message["role"] == "tool" for message in body["messages"])
    bought = [one for one in kept_baseline(body) if one["side"] == "BUY"]
    if "tools" not in body:
        return Say(plan(*kept_baseline(body), summary="The baseline is as good as any."), usage=(3100, 240))
    if not answered:
        symbols = [one["symbol"] for one in kept_baseline(body)]
        words = "The growth bucket is far above its target. Let me see how calm the candidates are.\n"
        calls = [Call("price_statistics", {"symbol": symbol}) for symbol in [*symbols, "IWM"]]
        return Say(words, (*calls, Call("recall", {"query": "drift filled"})), usage=(2300, 120))
    if "IWM" not in sheet(body, "snapshot") or not bought:
        return Say(plan(*kept_baseline(body), summary="The baseline is as good as any."), usage=(3100, 240))
    last = float(sheet(body, "snapshot")["IWM"]["last"])
    quantity = int(float(fact(body, "risk_threshold")) // (last * 1.002))
    if answered < len(kept_baseline(body)) + 3:
        idea = {"symbol": "IWM", "side": "BUY", "quantity": quantity}
        return Say(
            "IWM has come down. I try it on the guard.\n", (Call("check_trades", {"trades": [idea]}),), (3000, 60)
        )
    swapped, *kept = sorted(
        kept_baseline(body), key=lambda one: (one["side"] != "BUY", one["symbol"] != bought[0]["symbol"])
    )
    drift = sheet(body, "drift")["Broad ETFs"]["drift"]
    volatility = sheet(body, f"r{len(kept_baseline(body)) + 1}")["IWM"]["volatility"]
    evidence = (
        claim("drift.Broad ETFs.drift", drift, "points", "Broad ETFs are below their target"),
        claim("snapshot.IWM.last", last, "USD", "last price of IWM"),
    )
    reason = f"Broad ETFs are {drift.lstrip('-')} points short, and IWM, at {last} USD, lost 31.4 % since spring."
    for one in kept:
        one["reason"] = f"Kept from the baseline: {sheet(body, 'baseline')[one['symbol']]['reason']}."
    left_out = {swapped["symbol"]: f"IWM does the same for the bucket; it swings by {volatility} % a year."}
    changed = trade("IWM", "BUY", quantity, *evidence, reason=reason)
    summary = "Trims growth as the rules do, and puts the purchase into small companies instead."
    return Say(plan(*kept, changed, left_out=left_out, summary=summary), usage=(3300, 420), pieces=12)


def _taught(body: Body) -> str:
    """What was worst of the trades that were scored, and how the run went where none were."""
    scored = {symbol: row for symbol, row in sheet(body, "scores").items() if row["after"] == "1"}
    if not scored:
        sent = fact(body, "orders_sent")
        return lessons(lesson(f"All {sent} orders were sent as planned.", claim("run.orders_sent", sent, "")))
    symbol, row = min(scored.items(), key=lambda one: float(one[1]["effect"]))
    words = f"{row['side']} {symbol} came to {row['effect']} USD a day later, against not doing it."
    evidence = claim(f"scores.{symbol}.effect", row["effect"], "USD")
    return lessons(lesson(words, evidence, scope="symbol", about=symbol))


async def _serve(port: int) -> None:
    async with model_server(careful, port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
