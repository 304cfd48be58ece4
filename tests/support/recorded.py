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
from itertools import zip_longest
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
    _require_same(told, path.read_text(encoding="utf-8"))


def _require_same(told: str, known: str) -> None:
    """Tell the first line that differs: a difference of two long texts takes minutes to work out."""
    if told != known:
        pairs = zip_longest(told.splitlines(), known.splitlines())
        number, (now, before) = next(
            ((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1]), (0, ("", ""))
        )
        pytest.fail(f"line {number} is {now!r}, and {before!r} is recorded", pytrace=False)


def entry_is_recorded(path: Path, name: str, told: Any) -> None:
    """Require that something is what is recorded under a name; with BRIDLEWAY_RECORD, record it."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if os.environ.get("BRIDLEWAY_RECORD"):
        known[name] = told
        text = json.dumps(known, indent=0, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
    _require_same(*(json.dumps(one, indent=0, sort_keys=True) for one in (told, known[name])))


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
