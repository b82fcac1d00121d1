"""Leads one run from start to exit code: events to the trace and the log, questions to the person."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from brokers.errors import BrokerError, Retryable
from brokers.simulated import PriceFileError
from cli.exit_codes import ExitCode, exit_code
from cli.trace import Trace
from cli.wiring import Market, open_run
from config.home import Home
from config.settings import Settings
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
    except PriceFileError as error:
        trace.refuse(str(error))
        return ExitCode.BAD_USAGE
    except BrokerError as error:
        log.warning("%s", error)
        trace.refuse(str(error))
        return ExitCode.UNREACHABLE if isinstance(error, Retryable) else ExitCode.FAILED
    except Exception as error:  # the last line of defence: a person gets a sentence, the log gets the rest
        log.exception("the run broke off")
        trace.refuse(f"The run broke off: {type(error).__name__}: {error}. The log has the details: {log_file}.")
        return ExitCode.FAILED
    trace.finish(record)
    return exit_code(record.outcome)


async def _lead(run: Run, trace: Trace) -> RunRecord:
    wanted = await _show(run.start(), run, trace)
    while wanted:
        given = trace.ask(wanted.orders)
        if given is None:
            break
        wanted = await _show(run.resume(given), run, trace)
    record = await run.record()
    log.info("run %s %s: %s", run.run_id, record.outcome.value, record.message)
    return record


async def _show(events: AsyncIterator[Event], run: Run, trace: Trace) -> ApprovalWanted | None:
    """Show every event; the question the run stopped at, if it did."""
    question = None
    async for event in events:
        if isinstance(event, ApprovalWanted):
            question = event
        elif isinstance(event, StepFinished):
            log.info("run %s %s finished in %.2f s", run.run_id, event.step, event.seconds)
        trace.show(event, run.context.settings)
    return question
