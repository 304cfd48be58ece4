"""Texts that people read, word for word, kept beside the tests that make them.

A change of words is then seen in the review of the change. After a change that was meant:

    BRIDLEWAY_RECORD=1 python -m pytest -q tests/questions tests/passport_document
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridleway.errors import BridlewayError

_SO_FAR: Counter[str] = Counter()  # errors of the tests that ran in this process


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


def error_is_recorded(error: BridlewayError) -> None:
    """Require that what an error tells is what is recorded for the test that runs now."""
    path, _, test = os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)").partition("::")
    module = Path(path)
    _SO_FAR[test] += 1
    name = test if _SO_FAR[test] == 1 else f"{test} ({_SO_FAR[test]})"
    told = [type(error).__name__, error.code, error.where, error.sentence, error.remedy]
    folder = Path(__file__).parents[2] / module.parent / "said"
    folder.mkdir(exist_ok=True)
    entry_is_recorded(folder / f"{module.stem.removeprefix('test_')}.json", name, told)


@contextmanager
def told_why(
    kind: type[BridlewayError] | tuple[type[BridlewayError], ...] = BridlewayError,
    match: str | None = None,
) -> Iterator[pytest.ExceptionInfo[BridlewayError]]:
    """Require an error, told word for word."""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    error_is_recorded(caught.value)
