"""What the model is told first: its role, the owner's rules, the limits, the account, the baseline, and memory.

Its length depends on the strategy and on what is held, never on how many runs there were.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import Template
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

import prompts
from config.rules import ticker
from config.settings import Settings, TradingRule
from graph.memory import in_words
from graph.record import Lesson
from graph.think.analysis import ANALYSIS_TOOLS, drift_sheet, trades_sheet
from graph.think.claims import Sources
from graph.think.mind import Question
from graph.think.reading import READING_TOOLS
from graph.think.sheets import Column, Sheet, facts, fenced, plain
from graph.think.study import ModelTool, Study
from portfolio.drift import weight_of
from portfolio.exposure import ZERO, free_cash
from portfolio.models import PortfolioSnapshot, TradePlan
from portfolio.percent import share_of

MOST_OF_A_LESSON = 240
MOST_OF_A_DESCRIPTION = 120
CHARACTERS_A_TOKEN = 4
"""By a common rule of thumb; a server's own count is used where it gives one."""


@dataclass(frozen=True)
class Briefing:
    """The first messages, and the figures in them by source."""

    messages: tuple[BaseMessage, ...]
    sources: Sources


def filled_in(name: str, **values: str) -> str:
    """The text of prompt `name` with its placeholders replaced; one too many or too few is an error."""
    text = Template(prompts.load(name))
    if extra := values.keys() - set(text.get_identifiers()):
        raise KeyError(min(extra))
    return text.substitute(values)


def briefing(study: Study, baseline: TradePlan, lessons: Iterable[Lesson]) -> Briefing:
    settings, snapshot = study.context.settings, study.snapshot
    sheets = {
        "account": _account(study),
        "snapshot": _holdings(snapshot, settings),
        "drift": drift_sheet(study, baseline.trades, after="after_baseline"),
        "baseline": trades_sheet(baseline, snapshot),
    }
    limits = _limits(study)
    closes = snapshot.session.closes_at
    facts_told = filled_in(
        "think_facts",
        now=f"{snapshot.as_of:%A %Y-%m-%d %H:%M} UTC",
        session=f"The session ends at {closes:%H:%M} UTC.",
        rules=rules_in_words(settings),
        limits=limits.text(),
        memory=fenced("memory", _memory(lessons)),
        **{name: fenced(name, sheet.text()) for name, sheet in sheets.items()},
    )
    messages = (SystemMessage(prompts.load("think")), HumanMessage(facts_told))
    cited = {**sheets, "limits": limits, "rules": _targets(settings)}
    return Briefing(messages, {name: sheet.figures() for name, sheet in cited.items()})


def offered_tools(study: Study) -> dict[str, ModelTool[Study]]:
    """The tools of this session's model, by name."""
    offers = study.context.reader.offers
    return {tool.name: tool for tool in (*ANALYSIS_TOOLS, *READING_TOOLS) if all(map(offers, tool.needs))}


def tokens_in(question: Question) -> int:
    """About how many tokens a request has, the form of its answer included."""
    calls = (str(getattr(message, "tool_calls", "")) for message in question.messages)
    words = (message.text for message in question.messages)
    told = (*words, *calls, *map(str, question.tools), str(question.form.schema if question.form else ""))
    return sum(map(len, told)) // CHARACTERS_A_TOKEN


def _account(study: Study) -> Sheet:
    summary = study.snapshot.summary
    net = summary.net_liquidation
    free = free_cash(study.snapshot, study.day.unresolved)
    least = share_of(net, study.context.settings.min_cash)
    return facts(
        [
            ("net_liquidation", net, "USD"),
            ("cash", summary.total_cash, "USD"),
            ("cash_weight", weight_of(summary.total_cash, net), "%"),
            ("free_cash", None if free is None else max(free - least, ZERO), "USD"),
        ]
    )


def _holdings(snapshot: PortfolioSnapshot, settings: Settings) -> Sheet:
    """Every symbol of the rules and every holding."""
    columns = (
        Column("shares", "shares"),
        Column("last", "USD"),
        Column("weight", "%", 1),
        Column("target", "%", 1),
        Column("gain", "%", 1),
    )
    held = {ticker(row.symbol): row for row in snapshot.positions if row.quantity}
    rows: list[tuple[str, tuple[Any, ...]]] = []
    for symbol in dict.fromkeys([*settings.symbols, *held]):
        row, rule, quote = held.get(symbol), settings.rule_of(symbol), snapshot.quotes.get(symbol)
        value = row.market_value if row else None
        gain = row.gain if row else None
        weight = None if value is None else weight_of(value, snapshot.summary.net_liquidation)
        target = rule.share_of(symbol) if rule else None
        rows.append((symbol, (row.quantity if row else 0, quote.last if quote else None, weight, target, gain)))
    return Sheet(columns, tuple(rows))


def _limits(study: Study) -> Sheet:
    settings, net = study.limits, study.snapshot.summary.net_liquidation
    return facts(
        [
            ("risk_threshold", settings.risk_threshold, "USD"),
            ("min_order_value", settings.min_order_value, "USD"),
            ("max_portfolio_change", round(share_of(net, settings.max_portfolio_change), 2), "USD"),
            ("min_cash", settings.min_cash, "%"),
            ("rebalance_threshold", settings.rebalance_threshold, "points"),
            ("max_positions", settings.max_positions, ""),
            ("orders_left_today", max(settings.max_orders_per_day - study.day.orders_sent, 0), ""),
            ("reversal_cooldown", settings.reversal_cooldown_hours, "hours"),
        ],
        places=None,
    )


def rules_in_words(settings: Settings) -> str:
    """The enabled rules, one line each."""
    return "\n".join(map(_rule, settings.rules))


def _rule(rule: TradingRule) -> str:
    parts = [
        f"{plain(rule.name)}: target {float(rule.target_allocation):g} %",
        f"each at most {rule.max_position_size:g} %",
    ]
    if rule.stop_loss is not None:
        parts.append(f"stop loss {rule.stop_loss:g} %")
    if rule.take_profit is not None:
        parts.append(f"take profit {rule.take_profit:g} %")
    words = f" ({plain(rule.description, MOST_OF_A_DESCRIPTION)})" if rule.description else ""
    return f"- {', '.join(parts)}: {' '.join(rule.symbols)}{words}"


def _targets(settings: Settings) -> Sheet:
    """The figures in the rules' lines, so that they may be cited like any other."""
    columns = tuple(Column(name, "%", 1) for name in ("target", "max_position_size", "stop_loss", "take_profit"))
    rows = (
        (rule.name, (float(rule.target_allocation), rule.max_position_size, rule.stop_loss, rule.take_profit))
        for rule in settings.rules
    )
    return Sheet(columns, tuple(rows))


def _memory(lessons: Iterable[Lesson]) -> str:
    return "\n".join(plain(in_words(lesson), MOST_OF_A_LESSON) for lesson in lessons) or "no earlier runs"
