"""Texts that people read, word for word, kept beside the tests that make them.

A change of words is then seen in the review of the change. After a change that was meant:

    BRIDLEWAY_RECORD=1 python -m pytest -q tests/questions tests/passport_document
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def is_recorded(path: Path, told: str) -> None:
    """Require that a text is what is recorded; with BRIDLEWAY_RECORD, record it."""
    if os.environ.get("BRIDLEWAY_RECORD"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")


def entry_is_recorded(path: Path, name: str, told: Any) -> None:
    """Require that something is what is recorded under a name; with BRIDLEWAY_RECORD, record it."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if os.environ.get("BRIDLEWAY_RECORD"):
        known[name] = told
        text = json.dumps(known, indent=0, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert told == known[name]
