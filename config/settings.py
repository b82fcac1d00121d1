"""Every value a person may set, with its default, unit and range; frozen once read.

Only what is passed in counts. The library's own readers of the process environment, of `.env` files and of secret
folders are off, because a value must be traceable to a source that `config.load` can name.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.problems import looks_secret
from config.rules import Flag, NotTruth, Number, Share, TradingRule, refuse_conflicts, ticker, wrong
from config.strategy import DEFAULT_STRATEGY, shipped_rules

__all__ = ["Settings", "TradingRule"]

LIVE_ACCOUNT = re.compile(r"[A-CE-Z][A-Z]{0,3}\d{4,12}")
ACCOUNT = re.compile(r"[A-Z]{1,4}\d{4,12}")
HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}")
QUIET_HOURS = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d")
STDIO = "stdio:"
NOT_IN_A_PATH = re.compile(r'[\\:*?"<>|]')


def checked_url(url: str) -> str:
    """The address of an MCP server, or the command that is one, without anything secret: it is shown and logged."""
    instead = 'Write an address such as "http://127.0.0.1:8001/mcp", or null for the embedded simulated broker'
    if url.startswith(STDIO) and url.removeprefix(STDIO).strip() and url.isprintable():
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or not url.isprintable() or " " in url:
        raise wrong("this is neither the http or https address of a server nor stdio: and a command", instead)
    if "@" in parts.netloc or any(looks_secret(name) for name, _ in parse_qsl(parts.query)):
        raise wrong("an address is shown and logged, so it must not hold a name, password or key", instead)
    return url


def checked_base_url(url: str) -> str:
    """The address that an OpenAI-compatible server has its API at, without anything secret: it is shown and logged."""
    if url.startswith(STDIO):
        raise wrong("this is not the http or https address of a server", MODEL_SERVER)
    if "#" in url or ("?" in url and not any(looks_secret(name) for name, _ in parse_qsl(urlsplit(url).query))):
        raise wrong("paths are added to this address, so it must end before any ? or #", MODEL_SERVER)
    try:
        return checked_url(url).rstrip("/")
    except PydanticCustomError as error:
        is_secret = "@" in url or "?" in url
        why = str((error.context or {})["why"]) if is_secret else "this is not the http or https address of a server"
        raise wrong(why, MODEL_SERVER) from None


def checked_model(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise wrong("this is not the name of a model", f'Write a name such as "{DEFAULT_MODEL}"')
    return name.strip()


def checked_log_file(name: str) -> str:
    """A path below the home folder; the ending keeps it off the databases and the configuration."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and path.stem != ".log"
    if not inside or path.suffix != ".log" or NOT_IN_A_PATH.search(name) or not name.isprintable():
        raise wrong(
            "the log is kept inside the home folder, in a file that ends in .log",
            'Write a name such as "trading_log.log", without a leading slash and without ".."',
        )
    return str(path)


def checked_live_account(account: str) -> str:
    if not LIVE_ACCOUNT.fullmatch(account):
        raise wrong(
            "this is not the id of a live account (ids of paper accounts begin with D and need no confirmation)",
            'Write the account id as IB shows it, such as "U1234567", or null',
        )
    return account


def checked_account(account: str) -> str:
    if not ACCOUNT.fullmatch(account):
        raise wrong("this is not the id of an account", 'Write it as IB shows it, such as "DU1234567", or null')
    return account


def checked_host(name: str) -> str:
    if not HOST.fullmatch(name):
        raise wrong("this is not the name or address of a computer", 'Write a name such as "127.0.0.1"')
    return name


def checked_approval(wanted: str) -> str:
    """never, live, always, or above:USD."""
    instead = 'Write "never", "live", "always", or an amount in USD such as "above:5000"'
    word, colon, amount = wanted.partition(":")
    if not colon and word in ("never", "live", "always"):
        return wanted
    try:
        most = Decimal(amount) if word == "above" else None
    except InvalidOperation:
        most = None
    if most is None or not most.is_finite() or not 0 <= most <= MOST_DOLLARS:
        raise wrong("it says when a person is asked before orders are sent", instead)
    return wanted


def checked_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise wrong(
            "a key is one word of plain characters", "Copy the key again, without quotes, spaces or line breaks"
        )
    return key


def checked_urls(urls: SecretStr) -> SecretStr:
    """Addresses for notifications, apart by white space; each holds what opens the way to somebody's phone."""
    parts = urls.get_secret_value().split()
    if not parts or not all(part.isprintable() and part.partition("://")[1] for part in parts):
        raise wrong(
            "these are not addresses for notifications",
            "Write one or more, with a space between them, as docs/notifications.md shows",
        )
    return urls


def checked_quiet_hours(text: str) -> str:
    """Two times of the day by this computer's clock, such as 22:00-07:00."""
    if not QUIET_HOURS.fullmatch(text):
        raise wrong("these are not two times of the day", 'Write them such as "22:00-07:00", or null')
    return text


def upper_case(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


MOST_DOLLARS = 1_000_000_000
SECRETS = ("openai_api_key", "notify_urls")
"""Keys whose values come from the environment, and are never shown or written."""
DEFAULT_MODEL = "gpt-5.4-mini"
MODEL_SERVER = 'Write an address such as "http://127.0.0.1:11434/v1", or null for OpenAI'
Dollars = Annotated[Decimal, NotTruth, Field(ge=1, le=MOST_DOLLARS)]
Count = Annotated[int, NotTruth, Field(ge=1, le=10_000)]
Seconds = Annotated[int, NotTruth, Field(ge=1)]
Hours = Annotated[Number, Field(le=8760)]
Tokens = Annotated[int, NotTruth, Field(ge=1, le=10_000_000)]
ModelName = Annotated[str, Field(max_length=200), AfterValidator(checked_model)]


class ModelPrice(BaseModel):
    """What a model costs, in USD for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    input: Annotated[Number, Field(ge=0, le=1_000_000)]
    output: Annotated[Number, Field(ge=0, le=1_000_000)]


class Settings(BaseSettings):
    """What the agent may do and how; money in USD, shares and thresholds in %, see docs/configuration.md."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True, validate_default=True
    )

    risk_threshold: Dollars = Decimal(1000)
    paper_trading: Flag = True
    trading_rules: Annotated[tuple[TradingRule, ...], AfterValidator(refuse_conflicts)] = Field(
        default_factory=lambda: shipped_rules(DEFAULT_STRATEGY)
    )
    strategy: str = DEFAULT_STRATEGY
    mcp_url: Annotated[str, AfterValidator(checked_url)] | None = None
    mcp_tool_names: dict[str, str] = Field(default_factory=dict)
    mcp_max_concurrency: Annotated[int, NotTruth, Field(ge=1, le=64)] = 8
    max_sense_seconds: Annotated[Seconds, Field(le=3600)] = 120
    broker: Literal["simulated", "tws"] = "simulated"
    tws_host: Annotated[str, AfterValidator(checked_host)] = "127.0.0.1"
    tws_port: Annotated[int, NotTruth, Field(ge=1, le=65_535)] = 4002
    tws_client_id: Annotated[int, NotTruth, Field(ge=1, le=999_999)] = 17
    tws_account: Annotated[str, AfterValidator(checked_account)] | None = None
    max_positions: Count = 50
    loop_interval_hours: Annotated[Hours, Field(ge=0.1)] = 24.0
    enable_continuous_loop: Flag = False
    max_trade_value: Dollars = Decimal(10000)
    max_portfolio_change: Share = 5.0
    require_whatif: Flag = True
    whatif_buffer: Annotated[Number, Field(ge=0, lt=100)] = 1.0
    max_commission: Share = 1.1
    whatif_fallback: Literal["estimate", "reject"] = "estimate"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper_case)] = "INFO"
    save_reflections: Flag = True
    log_file: Annotated[str, AfterValidator(checked_log_file)] = "trading_log.log"
    think_mode: Literal["rules", "model", "shadow"] = "model"
    openai_api_key: Annotated[SecretStr, AfterValidator(checked_key)] | None = None
    openai_base_url: Annotated[str, AfterValidator(checked_base_url)] | None = None
    model: ModelName = DEFAULT_MODEL
    use_responses_api: Flag = False
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    model_timeout_seconds: Annotated[Seconds, Field(le=3600)] = 60
    model_retries: Annotated[int, NotTruth, Field(ge=0, le=10)] = 2
    max_model_calls: Annotated[int, NotTruth, Field(ge=1, le=100)] = 8
    max_tool_calls: Annotated[int, NotTruth, Field(ge=0, le=1000)] = 20
    max_input_tokens: Tokens = 100_000
    max_output_tokens: Tokens = 16_000
    max_think_seconds: Annotated[Seconds, Field(le=3600)] = 180
    max_revisions: Annotated[int, NotTruth, Field(ge=0, le=5)] = 1
    model_prices: dict[str, ModelPrice] = Field(default_factory=dict)
    rebalance_threshold: Share = 5.0
    rebalance_method: Literal["optimal", "first_symbol"] = "optimal"
    min_order_value: Annotated[Decimal, NotTruth, Field(ge=0, le=1_000_000_000)] = Decimal(100)
    order_penalty: Annotated[Decimal, NotTruth, Field(ge=0, le=1_000_000)] = Decimal(1)
    min_cash: Annotated[Number, Field(ge=0, lt=100)] = 1.0
    max_daily_loss: Share = 5.0
    max_orders_per_day: Count = 20
    reversal_cooldown_hours: Annotated[Hours, Field(ge=0)] = 24.0
    max_quote_age_seconds: Annotated[Seconds, Field(le=86_400)] = 900
    allow_delayed_data: Flag = False
    max_spread: Share = 1.0
    price_collar: Share = 1.0
    price_policy: Literal["marketable", "mid", "passive"] = "marketable"
    limit_offset: Annotated[Number, Field(ge=0, le=100)] = 0.1
    fill_timeout_seconds: Annotated[Seconds, Field(le=3600)] = 30
    live_accounts: tuple[Annotated[str, AfterValidator(checked_live_account)], ...] = ()
    live_account_confirmed: Annotated[str, AfterValidator(checked_live_account)] | None = None
    require_approval: Annotated[str, AfterValidator(checked_approval)] = "live"
    approval_expires_hours: Annotated[Hours, Field(gt=0)] = 8.0
    notify_urls: Annotated[SecretStr, AfterValidator(checked_urls)] | None = None
    notify_level: Literal["routine", "important", "urgent"] = "important"
    notify_quiet_hours: Annotated[str, AfterValidator(checked_quiet_hours)] | None = None
    notify_batch_minutes: Annotated[int, NotTruth, Field(ge=0, le=1440)] = 0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (the library passes all five by name)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @field_validator("broker")
    @classmethod
    def is_one_door(cls, broker: str, info: ValidationInfo) -> str:
        if broker != "simulated" and info.data.get("mcp_url"):
            raise wrong(
                f"mcp_url names a server already, and broker {broker} would be another",
                "Leave out one of them",
                against="mcp_url",
            )
        return broker

    @field_validator("max_trade_value")
    @classmethod
    def covers_risk_threshold(cls, most: Decimal, info: ValidationInfo) -> Decimal:
        risk: Decimal | None = info.data.get("risk_threshold")
        if risk is not None and risk > most:
            raise wrong(
                f"risk_threshold ({risk} USD) is above max_trade_value ({most} USD), which bounds every order",
                f"Lower risk_threshold to at most {most}, or raise max_trade_value to at least {risk}",
                against="risk_threshold",
            )
        return most

    @field_validator("require_whatif")
    @classmethod
    def asks_before_real_money(cls, required: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  (pydantic calls it)
        if not required and info.data.get("paper_trading") is False:
            raise wrong(
                "with a live account every order is previewed (paper_trading is false)",
                "Write true, or set paper_trading to true",
            )
        return required

    @field_validator("min_order_value")
    @classmethod
    def leaves_room_for_orders(cls, least: Decimal, info: ValidationInfo) -> Decimal:
        risk: Decimal | None = info.data.get("risk_threshold")
        # The method first_symbol plans orders of any size.
        if risk is not None and least > risk and info.data.get("rebalance_method") == "optimal":
            raise wrong(
                f"min_order_value ({least} USD) is above risk_threshold ({risk} USD), the most an order may be worth: "
                "nothing could be bought",
                f"Lower min_order_value to at most {risk}, or raise risk_threshold to at least {least}",
                against="risk_threshold",
            )
        return least

    @field_validator("limit_offset")
    @classmethod
    def stays_inside_collar(cls, offset: float, info: ValidationInfo) -> float:
        collar: float | None = info.data.get("price_collar")
        if collar is not None and offset > collar:
            raise wrong(
                f"prices {offset:g} % beyond the quote would fail price_collar ({collar:g} %): nothing would trade",
                f"Lower limit_offset to at most {collar:g}, or raise price_collar to at least {offset:g}",
                against="price_collar",
            )
        return offset

    @property
    def knows_model(self) -> bool:
        """Whether there is a model to ask: one that a key opens, or a server of one's own that may want none."""
        return self.openai_api_key is not None or self.openai_base_url is not None

    @property
    def has_model(self) -> bool:
        """Whether a model is asked to think."""
        return self.think_mode != "rules" and self.knows_model

    @property
    def rules(self) -> tuple[TradingRule, ...]:
        """The enabled rules."""
        return tuple(rule for rule in self.trading_rules if rule.enabled)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the enabled rules, in the order they are written."""
        return tuple(symbol for rule in self.rules for symbol in rule.symbols)

    @property
    def approval_above(self) -> Decimal | None:
        """Orders of a run that together are worth more than this, in USD, need approval; None where none is named."""
        word, _, amount = self.require_approval.partition(":")
        return Decimal(amount) if word == "above" else None

    def rule_of(self, symbol: str) -> TradingRule | None:
        """The enabled rule that names `symbol`; None for a symbol that may only be sold."""
        wanted = ticker(symbol)
        return next((rule for rule in self.rules if wanted in rule.symbols), None)

    def document(self) -> dict[str, Any]:
        """Every value as a config file holds it: money as numbers, and no secret whether set or not."""
        values = self.model_dump(mode="python")
        plain = {key: as_number(value) if isinstance(value, Decimal) else value for key, value in values.items()}
        return {**plain, **dict.fromkeys(SECRETS)}


def as_number(money: Decimal) -> int | float:
    return int(money) if money == money.to_integral_value() else float(money)
