"""The graph for LangGraph's own tools (langgraph.json): to draw and inspect. Runs need a `Context`; `cli/` makes it."""

from __future__ import annotations

from graph.wiring import build_conversation, build_graph

graph = build_graph()
think = build_conversation()
