"""The steps of a first configuration: what each is about, for the questions and for the guide alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """`by_hand` are commands that do the same without the questions."""

    title: str
    about: str
    by_hand: tuple[str, ...] = ()


FILES = Step(
    "Where its files are",
    "Everything it keeps is in one folder: configuration, log, reflections, databases. Another one is named by "
    "--home DIR with each command, or once and for all by the variable SMART_AGENT_HOME.",
)
TRADING = Step(
    "Paper or live",
    "Paper trading moves no real money, and is proven by the id of the account that the broker shows. Stay with it "
    "until a few weeks of runs did what you would have done. Live trading is never switched on here; it takes three "
    "things: the account's id in live_accounts, the option --live-trading with the run, and the id typed once more "
    "when it asks.",
    ("smart-agent config set paper_trading true",),
)
BROKER = Step(
    "Broker",
    "simulated needs nothing, and trades a made-up $50,000 portfolio. tws is a TWS or IB Gateway that runs and is "
    "logged in, with its API switched on (docs/interactive-brokers.md). mcp is an MCP server for Interactive Brokers "
    "that you have already.",
    (
        "smart-agent config set broker tws",
        "smart-agent config set tws_port 4002",
        "smart-agent config set mcp_url http://127.0.0.1:8001/mcp      # or this",
    ),
)
STRATEGY = Step(
    "Strategy",
    "What share of the account goes into which symbols. The agent trades back to these targets when one has drifted "
    "too far. For rules of your own, `smart-agent config samples` writes a file for each, to edit one of them "
    "(docs/configuration.md).",
    ("smart-agent config set strategy conservative",),
)
RISK = Step(
    "Most that one order may be worth",
    "In USD (risk_threshold). An order above it is never sent; start small. Exits at a stop loss have a limit of "
    "their own, max_trade_value.",
    ("smart-agent config set risk_threshold 500",),
)
APPROVAL = Step(
    "Whether you are asked before orders",
    "never; live, which is on a live account alone; always; or above:AMOUNT, such as above:5000, where all orders of "
    "a run together are worth more than that. Who is not at the terminal is not lost: `smart-agent pending` shows "
    "what waits, and `smart-agent approve` sends it.",
    ("smart-agent config set require_approval always",),
)
MODEL = Step(
    "Language model",
    "none: fixed rules plan, which is complete in itself. openai: a model of OpenAI thinks along, behind the same "
    "guard. own: a server of yours that speaks its protocol, such as Ollama (docs/model.md). Its key is read from "
    'the environment alone, and never asked for or stored here: export OPENAI_API_KEY="…" in your shell.',
    (
        "smart-agent config set openai_base_url http://127.0.0.1:11434/v1",
        "smart-agent config set model qwen3:8b",
    ),
)
STEPS = (FILES, TRADING, BROKER, STRATEGY, RISK, APPROVAL, MODEL)
