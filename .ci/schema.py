"""Writes docs/run-record.schema.json, the public interface of `smart-agent run --json`."""

from __future__ import annotations

import json
from pathlib import Path

from graph.record import json_schema

Path("docs/run-record.schema.json").write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
