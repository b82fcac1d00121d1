"""The questions of `smart-agent setup`, each with a default that Enter takes; an answer that cannot hold is asked anew.

Where there is a config file, its own values are the defaults.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from cli.config_commands import rules_text
from cli.problems import print_problems
from cli.setup.steps import APPROVAL, BROKER, FILES, MODEL, RISK, STEPS, STRATEGY, TRADING, Step
from config.home import Home
from config.load import load_document
from config.problems import ConfigError
from config.settings import Settings
from config.strategy import CUSTOM_STRATEGY, shipped_rules, strategy_names

ANSWER = Path("your answer")


class Interview:
    """Asks for what `file`, which holds the document `before`, is to say."""

    def __init__(self, console: Console, place: Home, file: Path, before: dict[str, Any]) -> None:
        self._console = console
        self._place = place
        self._file = file
        self._before = before
        self._answers: dict[str, Any] = {}
        self._now = self._read({})

    def ask(self) -> dict[str, Any]:
        """The values that are to be other than they are, by key, as the file holds them."""
        with self._console.screen(hide_cursor=False):
            self._ask_all()
        now = self._now.document()
        if not self._before:
            return {key: value for key, value in self._answers.items() if value is not None}
        return {key: value for key, value in self._answers.items() if value != now[key]}

    def _ask_all(self) -> None:
        self._begin(FILES)
        self._console.print(f"Files:         {self._place.root}\nConfiguration: {self._file}\n", soft_wrap=True)
        Prompt.ask("Enter goes on, Ctrl-C leaves all as it is", console=self._console, default="", show_default=False)
        self._ask_trading()
        self._ask_broker()
        self._ask_strategy()
        self._begin(RISK)
        self._ask_for("risk_threshold", "USD")
        self._begin(APPROVAL)
        self._ask_for("require_approval", "Ask")
        self._ask_model()

    def _begin(self, step: Step) -> None:
        self._console.clear()
        number = Text(f"{STEPS.index(step) + 1} of {len(STEPS)}", style="dim")
        self._console.print(Text.assemble((step.title, "bold"), "   ", number))
        self._console.print(Text(f"\n{step.about}\n"))

    def _ask_trading(self) -> None:
        self._begin(TRADING)
        self._answers["paper_trading"] = True
        if self._choose("Trading", ["paper", "live"], "paper") == "paper":
            return
        self._console.print("\nPaper it is for now. When you are ready, with the id of your account:\n")
        self._console.print(
            Text("  smart-agent config set live_accounts '[\"U1234567\"]'\n  smart-agent run --live-trading\n")
        )
        Prompt.ask("Enter goes on", console=self._console, default="", show_default=False)

    def _ask_broker(self) -> None:
        self._begin(BROKER)
        now = self._now
        chosen = self._choose("Broker", ["simulated", "tws", "mcp"], "mcp" if now.mcp_url else now.broker)
        self._answers |= {"broker": "tws" if chosen == "tws" else "simulated", "mcp_url": None}
        if chosen == "tws":
            self._ask_for("tws_host", "Host")
            self._ask_for("tws_port", "Port (4002 Gateway or 7497 TWS for paper)")
        elif chosen == "mcp":
            self._ask_for("mcp_url", "URL", default=now.mcp_url or "http://127.0.0.1:8001/mcp")

    def _ask_strategy(self) -> None:
        self._begin(STRATEGY)
        for name in strategy_names():
            rules = [rule.model_dump(mode="json") for rule in shipped_rules(name)]
            self._console.print(Text.assemble((f"{name}\n", "cyan"), rules_text(rules), "\n"))
        own = ["own"] if self._now.strategy == CUSTOM_STRATEGY else []
        if own:
            kept = [rule.model_dump(mode="json") for rule in self._now.trading_rules]
            self._console.print(Text.assemble(("own, which the file has now\n", "cyan"), rules_text(kept), "\n"))
        now = "own" if own else self._now.strategy
        chosen = self._choose("Strategy", [*strategy_names(), *own], now)
        if chosen != "own":
            self._answers["strategy"] = chosen

    def _ask_model(self) -> None:
        self._begin(MODEL)
        has_key = bool(os.environ.get("OPENAI_API_KEY"))
        self._console.print(f"OPENAI_API_KEY is {'set' if has_key else 'not set'} here.\n")
        now = self._now
        default = "own" if now.openai_base_url else "openai" if has_key else "none"
        chosen = self._choose("Model", ["none", "openai", "own"], default)
        self._answers["openai_base_url"] = None
        if chosen == "own":
            self._ask_for("openai_base_url", "URL", default=now.openai_base_url or "http://127.0.0.1:11434/v1")
        if chosen != "none":
            self._ask_for("model", "Name of the model")
            self._answers["think_mode"] = "model" if now.think_mode == "rules" else now.think_mode
        elif has_key:
            self._answers["think_mode"] = "rules"  # or that key would have a model asked all the same

    def _choose(self, words: str, choices: list[str], default: str) -> str:
        return Prompt.ask(words, console=self._console, choices=choices, default=default)

    def _ask_for(self, key: str, words: str, default: str | None = None) -> None:
        """Ask for the value of `key` until there is one that can hold."""
        default = str(self._now.document()[key]) if default is None else default
        while True:
            typed = Prompt.ask(words, console=self._console, default=default).strip()
            try:
                self._answers[key] = self._read({key: typed}).document()[key]
            except ConfigError as error:
                print_problems(self._console, error, "it is asked anew")
                self._console.print()
            else:
                return

    def _read(self, more: dict[str, Any]) -> Settings:
        """The settings that the file and the answers make; the environment has no say in what is asked."""
        document = {**self._before, **self._answers, **more}
        if "strategy" in self._answers:
            document.pop("trading_rules", None)  # the two are one choice
        return load_document(document, file=ANSWER if more else self._file, environ={}).settings
