"""What the program's exit code tells the caller; listed in `smart-agent --help`."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.record import Outcome


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    BAD_USAGE = 2
    UNREACHABLE = 3
    DATA_UNFIT = 4
    WAITING_FOR_APPROVAL = 5
    HALTED = 6
    ORDER_UNKNOWN = 7


MEANINGS = {
    ExitCode.DONE: "done (also: nothing to do)",
    ExitCode.FAILED: "anything else",
    ExitCode.BAD_USAGE: "bad usage or configuration",
    ExitCode.UNREACHABLE: "broker unreachable",
    ExitCode.DATA_UNFIT: "data or account not fit to trade on",
    ExitCode.WAITING_FOR_APPROVAL: "waiting for approval",
    ExitCode.HALTED: "halted",
    ExitCode.ORDER_UNKNOWN: "an order's outcome is unknown",
}

# An outcome that is not named here ended as the investor's rules wanted it: 0.
_NOT_DONE = {
    "failed": ExitCode.FAILED,
    "unreachable": ExitCode.UNREACHABLE,
    "data_unfit": ExitCode.DATA_UNFIT,
    "refused": ExitCode.DATA_UNFIT,
    "waiting_for_approval": ExitCode.WAITING_FOR_APPROVAL,
    "order_unknown": ExitCode.ORDER_UNKNOWN,
    "halted": ExitCode.HALTED,
    "interrupted": ExitCode.FAILED,
    "expired": ExitCode.FAILED,
}


def exit_code(outcome: Outcome) -> ExitCode:
    return _NOT_DONE.get(outcome.value, ExitCode.DONE)


def help_text() -> str:
    """The table for the help page."""
    return "Exit codes: " + ", ".join(f"{code.value} {MEANINGS[code]}" for code in ExitCode) + "."
