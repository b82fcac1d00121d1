"""What came of it: gains by average cost, returns with deposits removed, and what each decision was worth."""

from portfolio.performance.books import Books, Event, Holding, Payment, PaymentKind, Split, Trade
from portfolio.performance.changes import Observed, explained
from portfolio.performance.returns import Valuation, gain, growth, time_weighted_return
from portfolio.performance.surroundings import Stand, Surroundings

__all__ = [
    "Books",
    "Event",
    "Holding",
    "Observed",
    "Payment",
    "PaymentKind",
    "Split",
    "Stand",
    "Surroundings",
    "Trade",
    "Valuation",
    "explained",
    "gain",
    "growth",
    "time_weighted_return",
]
