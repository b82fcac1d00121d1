"""What the MCP server is, has and lacks, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checkup.finding import Finding, Stage, bad, good, note
from tools.contract import TOOL_CLASSES, ToolClass
from tools.fingerprint import Trait
from tools.offer import Offer

NAMES = "If the server has them under other names, say so in mcp_tool_names"


def of_the_server(offer: Offer, needed: tuple[str, ...]) -> Iterator[Finding]:
    """Its name and its tools; `needed` are those it lacks and no run can do without."""
    known = len(TOOL_CLASSES) - len(offer.missing)
    name = f"{offer.server} {offer.version}".strip() or "a server without a name"
    yield good("MCP server", f"{name}, with {known} of the contract's {len(TOOL_CLASSES)} tools")
    if needed:
        yield bad("MCP server", f"it lacks {', '.join(needed)}, and a run needs them", NAMES, stage=Stage.READING)
    orders = [tool for tool in offer.missing if TOOL_CLASSES[tool] is ToolClass.ORDER]
    if orders:
        yield bad("MCP server", f"it lacks {', '.join(orders)}, so nothing could be sent", NAMES)


def of_the_traits(traits: tuple[Trait, ...]) -> Iterator[Finding]:
    """What was observed of it, with what is done about each; those it does not have in one row."""
    for trait in traits:
        if trait.seen:
            yield note(f"fault {trait.fault}" if trait.fault else "server", trait.what, trait.so)
    clean = [trait.about for trait in traits if trait.seen is False]
    unknown = [trait.about for trait in traits if trait.seen is None]
    seen = len(traits) - len(clean) - len(unknown)
    hidden = f"; {', '.join(unknown)} cannot be told now" if unknown else ""
    if seen:
        beside = f"; not {', '.join(clean)}" if clean else ""
        yield note("fingerprint", f"{seen} of {len(traits)} known oddities of such servers, as above{beside}{hidden}")
    else:
        yield good("fingerprint", f"none of {len(clean)} known oddities of such servers{hidden}")
