"""Leads one run from start to exit code: events to the trace and the log, questions to the person."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from brokers.errors import BrokerError, Retryable
from brokers.simulated import MarketError
from cli.exit_codes import ExitCode, exit_code
from cli.trace import Trace
from cli.wiring import Start, open_run
from config.home import Home
from config.settings import Settings
from graph.events import ApprovalWanted, Event, StepFinished
from graph.journal import Halted, Journal, JournalError, JournalUnusable
from graph.record import Approval, RunRecord
from graph.runner import NotWaiting, Run

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""SIGHUP is a terminal that was closed; Windows has no such signal."""

log = logging.getLogger("smart_agent")


@dataclass(frozen=True)
class Ending:
    """How a run ended: its record, or a sentence about why it came to none."""

    code: ExitCode
    record: RunRecord | None = None
    sentence: str = ""


async def conduct(settings: Settings, home: Home, trace: Trace, start: Start, answer: Approval | None = None) -> Ending:
    """Run once, or go on with a run that waits for `answer`."""
    log_file = home.log_file(settings.log_file)
    try:
        async with open_run(settings, home, start) as run:
            trace.headline(run.run_id, settings)
            record = await _lead(run, trace, start, answer)
    except (MarketError, NotWaiting) as error:
        return _refused(trace, str(error), ExitCode.BAD_USAGE)
    except (BrokerError, JournalError) as error:
        log.warning("%s", error)
        is_halted, is_away = isinstance(error, (Halted, JournalUnusable)), isinstance(error, Retryable)
        code = ExitCode.HALTED if is_halted else ExitCode.UNREACHABLE if is_away else ExitCode.FAILED
        return _refused(trace, str(error), code)
    except Exception as error:  # the last line of defence: a person gets a sentence, the log gets the rest
        log.exception("the run broke off")
        sent = _left_open(home)
        look = "The log has" if sent else "`smart-agent doctor` names a file that is damaged, and the log has"
        words = f"The run broke off: {type(error).__name__}: {error}. {sent}{look} the details: {log_file}."
        return _refused(trace, words, ExitCode.ORDER_UNKNOWN if sent else ExitCode.FAILED)
    try:
        trace.finish(record, home)
    except OSError as error:  # nobody reads on; what was done is done, and in the journal
        log.warning("the record could not be printed: %s", error)
    return Ending(exit_code(record.outcome), record)


def _refused(trace: Trace, sentence: str, code: ExitCode) -> Ending:
    trace.refuse(sentence)
    return Ending(code, sentence=sentence)


def _left_open(home: Home) -> str:
    """A sentence about orders that may be out there; none where the journal knows of none, or cannot be asked."""
    try:
        with closing(Journal(home.database)) as journal:
            orders = journal.orders.unsettled()
    except JournalError:
        return "Whether an order is out there cannot be told, so look in the broker's own screens. "
    named = ", ".join(f"{order.side} {order.quantity} {order.symbol}" for order in orders)
    return f"{named} may be out there; the next run looks for it first. " if named else ""


async def _lead(run: Run, trace: Trace, start: Start, answer: Approval | None) -> RunRecord:
    while True:
        with nullcontext() if start.heard else stopped_by_signals(start.stop, trace):
            question = await _show(run.start(start.wanted) if answer is None else run.resume(answer), run, trace)
        answer = None
        if question:
            try:
                answer = trace.ask(question)
            except (KeyboardInterrupt, EOFError):  # who leaves the question open may answer it later
                trace.left_open()
        if answer is None:
            break
    record = await run.record()
    log.info("%s: %s", record.outcome.value, record.message)
    return record


@contextmanager
def stopped_by_signals(stop: asyncio.Event, trace: Trace) -> Iterator[None]:
    """Signals end the run of the task that this is called in."""
    with heard(end_of(asyncio.current_task(), stop, trace)):
        yield


def end_of(task: asyncio.Task[Any] | None, stop: asyncio.Event, trace: Trace) -> Callable[[bool], None]:
    """What ends a run that has sent nothing at once; later, after the order under way, unless somebody insists."""

    def end(insists: bool) -> None:  # noqa: FBT001  (a signal's handler gets it by its place)
        is_first = not stop.is_set()
        stop.set()
        if trace.may_have_sent and is_first:
            trace.stopping()
        elif task and (insists or not trace.may_have_sent):
            task.cancel()

    return end


@contextmanager
def heard(end: Callable[[bool], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP call `end`, which is told whether a second one of them means now."""
    loop = asyncio.get_running_loop()
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    # A signal that is ignored was meant to be, by nohup say.
    listened = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    for number in listened:
        # A closed terminal may be told of twice, by the kernel and by the shell, where a person twice means now.
        loop.add_signal_handler(number, end, number.name != "SIGHUP")
    try:
        yield
    finally:
        for number in listened:
            loop.remove_signal_handler(number)


def log_lines(event: StepFinished) -> Iterator[str]:
    """What a step decided or did, one line each, for whoever greps the log."""
    state = event.state
    match event.step:
        case "sense":
            snapshot = state["snapshot"]
            yield f"sense {snapshot.account.account_id} net liquidation {snapshot.summary.net_liquidation}"
        case "think":
            thought = state.get("thought")
            if thought:
                usage = thought.usage
                tokens = f"{usage.input_tokens} tokens read, {usage.output_tokens} written"
                yield f"model {thought.model}: {usage.model_calls} calls, {tokens}. {thought.trouble or 'No trouble.'}"
                yield from (f"model called {use.name} {use.arguments}: {use.result}" for use in thought.tool_uses)
                yield from (f"struck {struck.words}: {struck.why}" for struck in thought.struck)
                for trade in thought.shadow.trades if thought.shadow else ():
                    yield f"shadow {trade.side} {trade.quantity} {trade.symbol}: {trade.reason}"
            yield from (f"deviation {one.symbol} {one.what}: {one.why}" for one in state["plan"].deviations)
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
            reflection = state["reflection"]
            yield f"reflect {' '.join((*reflection.results, *reflection.lessons_learned, *reflection.next_actions))}"


async def _show(events: AsyncIterator[Event], run: Run, trace: Trace) -> ApprovalWanted | None:
    """Show every event; the question the run stopped at, if it did."""
    question = None
    async for event in events:
        if isinstance(event, ApprovalWanted):
            question = event
        elif isinstance(event, StepFinished):
            for line in log_lines(event):
                log.info("%s", line)
        trace.show(event, run.context.settings)
    return question
