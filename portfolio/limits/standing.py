"""Paper and live, in one place: which account may be traded, in which mode, and who has to have said so.

| broker | paper_trading | confirmed | what happens |
|---|---|---|---|
| simulated or paper account | true | - | trades |
| live account | true | - | plans, asks the broker's what-if, and sends nothing |
| simulated | false | - | not started: there is no live account |
| paper account | false | yes | the data is unfit: a live account was wanted |
| live account | false | no | not started |
| live account | false | another id, or not in live_accounts | not started, or nothing is sent |
| live account | false | yes, and in live_accounts | trades |

Confirmed is the id a person typed when there is one, else the setting `live_account_confirmed`.
"""

from __future__ import annotations

from enum import StrEnum

from config.settings import Settings
from portfolio.models import Account


class Standing(StrEnum):
    """What a run may do with an account."""

    TRADES = "trades"
    LOOKS_ON = "looks on"
    UNFIT = "unfit"


def why_not_started(settings: Settings) -> str | None:
    """Why a live run cannot begin, in a sentence, before any account is seen; None where it can."""
    if settings.paper_trading:
        return None
    if not settings.mcp_url and settings.broker == "simulated":
        return (
            "Live trading needs a broker, and the embedded simulated one has only paper; nothing was started. "
            "Set broker to tws, or mcp_url to the MCP server of your broker."
        )
    confirmed = settings.live_account_confirmed
    if confirmed is None:
        return (
            "Live trading needs the id of the live account, and none is confirmed; nothing was started. "
            "Run `smart-agent run --live-trading` in a terminal, or set live_account_confirmed."
        )
    if confirmed not in settings.live_accounts:
        return (
            f"{confirmed} is not in live_accounts, the accounts that may be traded live; nothing was started. "
            f'Add "{confirmed}" to live_accounts in the config file if it is to be traded.'
        )
    return None


def standing_of(account: Account, settings: Settings) -> Standing:
    """What may be done with the account that the broker shows; paper is proven by its id alone."""
    if settings.paper_trading:
        return Standing.TRADES if account.is_paper else Standing.LOOKS_ON
    if account.is_paper:
        return Standing.UNFIT
    confirmed = account.account_id == settings.live_account_confirmed and account.account_id in settings.live_accounts
    return Standing.TRADES if confirmed else Standing.LOOKS_ON
