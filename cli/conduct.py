"""Leads one run from start to exit code: events to the trace and the log, questions to the person."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from brokers.errors import BrokerError, Retryable
from brokers.simulated import MarketError
from cli.exit_codes import ExitCode, exit_code
from cli.trace import Trace
from cli.wiring import Market, open_run
from config.home import Home
from config.settings import Settings
from graph.journal import JournalError
from graph.record import RunRecord
from graph.runner import ApprovalWanted, Event, Run, StepFinished

log = logging.getLogger("smart_agent")


async def conduct(settings: Settings, home: Home, market: Market, trace: Trace) -> ExitCode:
    """Run once; the exit code says how it ended."""
    log_file = home.log_file(settings.log_file)
    try:
        async with open_run(settings, home, market) as run:
            trace.headline(run.run_id, settings)
            record = await _lead(run, trace)
    except MarketError as error:
        trace.refuse(str(error))
        return ExitCode.BAD_USAGE
    except (BrokerError, JournalError) as error:
        log.warning("%s", error)
        trace.refuse(str(error))
        return ExitCode.UNREACHABLE if isinstance(error, Retryable) else ExitCode.FAILED
    except Exception as error:  # the last line of defence: a person gets a sentence, the log gets the rest
        log.exception("the run broke off")
        trace.refuse(f"The run broke off: {type(error).__name__}: {error}. The log has the details: {log_file}.")
        return ExitCode.FAILED
    trace.finish(record, home.root)
    return exit_code(record.outcome)


async def _lead(run: Run, trace: Trace) -> RunRecord:
    wanted = await _show(run.start(), run, trace)
    while wanted:
        await asyncio.sleep(0)  # a Ctrl-C from a moment ago takes effect here, before the question blocks the loop
        with prompt_interrupts():
            given = trace.ask(wanted.orders)
        if given is None:
            break
        wanted = await _show(run.resume(given), run, trace)
    record = await run.record()
    log.info("run %s %s: %s", run.run_id, record.outcome.value, record.message)
    return record


@contextmanager
def prompt_interrupts() -> Iterator[None]:
    """Ctrl-C at a question ends it at once; the event loop's own handler would wait for the answer."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def log_lines(event: StepFinished) -> Iterator[str]:
    """What a step decided or did, one line each, for whoever greps the log."""
    state = event.state
    match event.step:
        case "sense":
            snapshot = state["snapshot"]
            yield f"sense {snapshot.account.account_id} net liquidation {snapshot.summary.net_liquidation}"
        case "think":
            for trade in state["plan"].trades:
                yield f"plan {trade.side} {trade.quantity} {trade.symbol}: {trade.reason}"
        case "act":
            for verdict in state.get("verdicts", ()):
                failed = ", ".join(f"{check.rule} ({check.why})" for check in verdict.failures)
                outcome = f"refused: {failed}" if failed else "passed"
                yield f"guard {verdict.side} {verdict.quantity} {verdict.symbol} at {verdict.limit_price} {outcome}"
            for order in state.get("orders", ()):
                filled = f"{order.filled_quantity} at {order.average_price}, commission {order.commission}"
                yield f"order {order.client_order_id} {order.status}: {filled}"
        case _:
            yield f"reflect {' '.join(state['reflection'].lessons_learned)}"


async def _show(events: AsyncIterator[Event], run: Run, trace: Trace) -> ApprovalWanted | None:
    """Show every event; the question the run stopped at, if it did."""
    question = None
    async for event in events:
        if isinstance(event, ApprovalWanted):
            question = event
        elif isinstance(event, StepFinished):
            for line in log_lines(event):
                log.info("run %s %s", run.run_id, line)
        trace.show(event, run.context.settings)
    return question
