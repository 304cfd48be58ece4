"""The page of attacks says what the attack tests say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

WRITER = Path(__file__).parents[2] / "docs" / "reference" / "attacks_page.py"


def test_the_page_of_attacks_is_current() -> None:
    """`python docs/reference/attacks_page.py` would change nothing."""
    spec = importlib.util.spec_from_file_location("attacks_page", WRITER)
    assert spec is not None and spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert writer.PAGE.read_text(encoding="utf-8") == writer.page(), (
        "run python docs/reference/attacks_page.py"
    )
