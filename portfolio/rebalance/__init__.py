"""The baseline plan: protective exits, then the few orders that bring the buckets closest to their targets."""

from portfolio.rebalance.baseline import baseline_plan

__all__ = ["baseline_plan"]
