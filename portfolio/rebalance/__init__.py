"""The baseline plan: protective exits, then the few orders that bring the buckets closest to their targets."""

from portfolio.rebalance.baseline import NO_WISHES, SOURCE, Wishes, baseline_plan

__all__ = ["NO_WISHES", "SOURCE", "Wishes", "baseline_plan"]
