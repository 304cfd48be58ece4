"""What the attacks on a real workspace share: one that stands, and every door for a text.

An analyst can put a text to `ask`; an author can pin it in a passport that every node reads. Both
doors are tried, and what came out (answer, error, sources touched) is told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from bridleway.errors import BridlewayError
from bridleway.keys.files import ARGON2
from bridleway.node.holdings import Holdings
from bridleway.node.workspace import Workspace
from tests.support.place import PASSWORD, approve, body, make_place, submit

PASSPORT = "renters-in-need"
ASKER = "city/sam-okoro"
MARKER = "Ada Marker"
_NUMBERS = itertools.count(1)


def standing_place(folder: Path, people: int = 300, **changes: Any) -> Workspace:
    """Return a workspace whose passport is valid."""
    place = make_place(folder, people)
    submit(place, body(**changes))
    approve(place, PASSPORT)
    return place


@contextmanager
def quick_passwords() -> Iterator[None]:
    """Let Argon2 cost little inside the block: these tests are not about guessing passwords."""
    kept = dict(ARGON2)
    ARGON2.update(iterations=1, lanes=1, memory_cost=64)
    try:
        yield
    finally:
        ARGON2.update(kept)


@contextmanager
def sources_touched() -> Iterator[list[str]]:
    """Collect the name of every source that a node opens inside the block."""
    seen: list[str] = []
    opened = Holdings.opened

    def watched(self: Holdings, name: str) -> Any:
        seen.append(f"{self.node}.{name}")
        return opened(self, name)

    Holdings.opened = watched  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Holdings.opened = opened  # type: ignore[method-assign]


@dataclass
class Tried:
    """What a text brought: answers, errors, and the sources that were opened for it."""

    text: str
    answers: list[Any] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    @property
    def refused_clean(self) -> bool:
        """Both doors refused it before any source, in one bounded sentence of our own."""
        return (
            not self.answers
            and not self.touched
            and len(self.errors) == 2
            and all(is_clean(error, self.text) for error in self.errors)
        )


def is_clean(error: BaseException, text: str = "") -> bool:
    """Tell whether an error is ours, short, without a trace and without much of the text."""
    told = f"{error} {error.to_json()}" if isinstance(error, BridlewayError) else ""
    echoes = any(text[i : i + 60] in told for i in range(0, max(len(text) - 60, 0), 10))
    return (
        isinstance(error, BridlewayError)
        and len(str(error)) <= 600
        and "Traceback" not in told
        and "Error:" not in told
        and MARKER not in told
        and not echoes
    )


def pinned_body(text: str, **changes: Any) -> dict[str, Any]:
    """Return a passport that pins one text over every table."""
    name = f"probe-{next(_NUMBERS)}"
    return body(
        id=name,
        questions=[{"id": "probe", "kind": "statistic", "text": text}],
        technique={"probe": {"use": "local", "why": "a probe"}},
        **changes,
    )


def try_text(place: Workspace, text: str) -> Tried:
    """Put a text through both doors; a passport that gets through is approved and asked."""
    tried = Tried(text)
    with sources_touched() as touched:
        try:
            tried.answers.append(place.ask(text, PASSPORT, ASKER, PASSWORD))
        except Exception as error:  # what kind it is, is judged by the test
            tried.errors.append(error)
        made = pinned_body(text)
        try:
            submit(place, made)
            approve(place, made["id"])
            tried.answers.append(place.ask("probe", made["id"], ASKER, PASSWORD))
        except Exception as error:
            tried.errors.append(error)
    tried.touched = touched
    return tried


def raw_engine() -> duckdb.DuckDBPyConnection:
    """Return what a node without a question language runs: an engine, with a person in it."""
    engine = duckdb.connect(config={"threads": 1})
    engine.execute(
        "CREATE TABLE register AS SELECT * FROM (VALUES "
        f"('{MARKER}', '9990000018', 'north', true, 900), ('Bo Other', '9990000026', 'south', "
        "false, 700)) AS t(name, nhs_number, area, disabled, rent)"
    )
    engine.execute("CREATE TABLE gone AS SELECT 1 AS one")
    return engine


def raw(engine: duckdb.DuckDBPyConnection, text: str) -> str:
    """Run a caller's text as it is; return everything that comes back, errors included."""
    try:
        found = engine.execute(text)
        return repr(found.fetchall() if found.description else None)
    except Exception as error:
        return str(error)
