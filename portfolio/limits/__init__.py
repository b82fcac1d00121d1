"""What the guard holds every order to: `rules` lists the limits, `batch` applies them to a plan as a whole."""

from portfolio.limits.batch import Batch, discretionary_value, first_refusal, sales_first
from portfolio.limits.case import Case, PastTrade, TradingDay
from portfolio.limits.evidence import evidence_of
from portfolio.limits.funding import affordable
from portfolio.limits.rules import RULES, judge
from portfolio.limits.tightening import Limit, Tightening, tightened

__all__ = [
    "RULES",
    "Batch",
    "Case",
    "Limit",
    "PastTrade",
    "Tightening",
    "TradingDay",
    "affordable",
    "discretionary_value",
    "evidence_of",
    "first_refusal",
    "judge",
    "sales_first",
    "tightened",
]
