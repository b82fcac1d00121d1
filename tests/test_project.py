"""What holds for the project as a whole, as it is installed."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from graph.record import json_schema
from graph.studio import graph, think

ROOT = Path(__file__).parents[1]
PACKAGES = ("brokers", "cli", "config", "graph", "portfolio", "prompts", "tools")


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_is_ours_and_not_somebody_elses_of_that_name(name: str) -> None:
    """Names as plain as these are easily shadowed by another distribution's."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name


def test_the_graph_has_the_four_steps_and_a_guard_before_the_order() -> None:
    drawn = graph.get_graph(xray=True)
    assert {"sense", "think", "act:guard", "act:approve", "act:order", "reflect"} <= drawn.nodes.keys()
    steps = [(edge.source, edge.target) for edge in drawn.edges]
    assert [source for source, target in steps if target == "act:order"] == ["act:approve"]


def test_thinking_is_a_loop_over_tools_that_ends_in_what_was_weighed() -> None:
    """No node of it leads to an order: the only way out is `settle`, which hands on a plan."""
    steps = {(edge.source, edge.target) for edge in think.get_graph().edges}
    assert {("ask", "look_up"), ("look_up", "ask"), ("ask", "weigh"), ("weigh", "ask"), ("weigh", "settle")} <= steps
    assert {source for source, target in steps if target == "__end__"} == {"prepare", "settle"}


def test_langgraph_json_names_those_graphs() -> None:
    declared = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))
    assert declared["graphs"] == {
        "smart-trading-agent": "./graph/studio.py:graph",
        "think": "./graph/studio.py:think",
    }


def test_the_published_schema_is_that_of_the_code() -> None:
    """The record is a public interface: a change to it must be seen in review."""
    published = json.loads((ROOT / "docs" / "run-record.schema.json").read_text(encoding="utf-8"))
    assert published == json_schema()
