"""The table of the benchmark: what it measures of one method on one account, and a line for each method and size."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.table import Table

OURS, MILP = "ours", "MILP"
NOTHING = "-"
COLUMNS = (
    "time\nms",
    "solver\nms",
    "above MILP\n%",
    "above bound\n%",
    "found,\nproved",
    "buckets\noff, %",
    "symbols\noff, %",
    "orders",
    "fees\nUSD",
    "orders\n/ ours",
)
PACKAGES = ("numpy", "highspy", "scipy", "pyportfolioopt", "cvxpy")

Method = tuple[str, str]
"""The limits, and who planned within them."""


@dataclass(frozen=True)
class Plan:
    """What a plan does: `fees` are commissions in USD.

    What buckets and symbols are then off their targets, all together, is in % of net liquidation.
    """

    orders: int
    fees: float
    buckets_off: float
    symbols_off: float


@dataclass(frozen=True)
class Result:
    """What one method made of one account, None where it made nothing of it; gaps are in %."""

    plan: Plan | None
    milliseconds: float | None = None
    solver_milliseconds: float | None = None
    above_best: float | None = None
    above_bound: float | None = None
    is_proved: bool | None = None


Results = Mapping[Method, Result]


def empty_table(seeds: int, seconds: float) -> Table:
    table = Table(
        title=f"{seeds} accounts of each size; median / worst, or median; MILP and LP may take {seconds:g} s",
        caption=_machine(),
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        show_edge=False,
    )
    for name in ("symbols", "limits", "method"):
        table.add_column(name, no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _machine() -> str:
    versions = [f"{package} {version(package)}" for package in PACKAGES]
    return ", ".join([f"One core of {_processor()}", f"Python {platform.python_version()}", *versions])


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def add_size(table: Table, size: str, found: Sequence[Results]) -> None:
    """The lines of the accounts of one size, one for each method."""
    for number, method in enumerate(found[0]):
        limits, name = method
        compared = found if limits == "none" else []
        ratios = [_ratio(results[method].plan, results["off", OURS].plan) for results in compared]
        cells = _cells([results[method] for results in found])
        table.add_row(size if number == 0 else "", limits, name, *cells, _median(ratios, ",.1f"))
    table.add_section()


def _ratio(plan: Plan | None, ours: Plan | None) -> float | None:
    return plan.orders / ours.orders if plan and ours and ours.orders else None


def _cells(results: Sequence[Result]) -> list[str]:
    plans = [result.plan for result in results if result.plan]
    proved = [result.is_proved for result in results if result.is_proved is not None]
    return [
        _both((result.milliseconds for result in results), _milliseconds),
        _both((result.solver_milliseconds for result in results), _milliseconds),
        _both((result.above_best for result in results), _percent),
        _both((result.above_bound for result in results), _percent),
        f"{len(plans)}, {sum(proved)}" if proved else NOTHING,
        _median((plan.buckets_off for plan in plans), ".1f"),
        _median((plan.symbols_off for plan in plans), ".1f"),
        _median((plan.orders for plan in plans), ",g"),
        _median((plan.fees for plan in plans), ",.2f"),
    ]


def _median(values: Iterable[float | None], shape: str) -> str:
    known = [value for value in values if value is not None]
    return format(statistics.median(known), shape) if known else NOTHING


def _both(values: Iterable[float | None], show: Callable[[float], str]) -> str:
    """The median and the worst, which is the largest."""
    known = [value for value in values if value is not None]
    return f"{show(statistics.median(known))} / {show(max(known))}" if known else NOTHING


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004  (three digits are enough)


def _percent(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004  (a zero has no sign)
