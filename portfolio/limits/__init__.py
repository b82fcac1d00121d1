"""What the guard holds every order to: `rules` lists the limits, `batch` applies them to a plan as a whole."""

from portfolio.limits.batch import Batch, first_refusal, sales_first
from portfolio.limits.case import Case, PastTrade, TradingDay
from portfolio.limits.funding import why_unfunded
from portfolio.limits.rules import RULES, judge

__all__ = ["RULES", "Batch", "Case", "PastTrade", "TradingDay", "first_refusal", "judge", "sales_first", "why_unfunded"]
