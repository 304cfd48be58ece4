"""A small real workspace with many different questions: what crashes and races are tried on.

Council holds a register with many short columns, Health a list of conditions; every question is
pinned by one passport. Made once and copied: making it takes seconds.
"""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path
from typing import Any

from bridleway.node.workspace import Workspace
from tests.support.place import FROM, PASSWORD, UNTIL, approve, body, nhs_number, submit

ASKER = "city/sam-okoro"
PASSPORT = "many-questions"
PEOPLE = 120
MANY = 65  # local questions, one per column
LOCAL = tuple(f"local-{i:02d}" for i in range(MANY))
LINKED = tuple(f"linked-{i:02d}" for i in range(17))
TOUCHED = dict.fromkeys(LOCAL, ("council",)) | dict.fromkeys(LINKED, ("council", "health"))

_KEY = "      nhs_number: {type: text, class: identifier}\n"
_HEAD = """\
catalogue: 1
source: {source}
tables:
  {table}:
    meaning: {table}, issue {issue}
    people: {people}
    one_row_per: [person]
    entities:
      person: {{column: nhs_number, identifier: nhs-number}}
    columns:
"""


def column(place: int) -> str:
    """Return the name of a column of the register."""
    return f"c{place:02d}"


def council_catalogue(issue: int = 0) -> str:
    """Return the register's catalogue. Another issue makes another data version."""
    columns = "".join(
        f"      {column(i)}: {{type: text, class: plain, domain: [left, right]}}\n"
        for i in range(MANY)
    )
    head = _HEAD.format(source="housing", table="register", issue=issue, people=PEOPLE + issue)
    return head + _KEY + columns


def _health_catalogue() -> str:
    line = "      disabled: {type: boolean, class: plain, domain: [true, false]}\n"
    head = _HEAD.format(source="conditions", table="conditions", issue=0, people=PEOPLE)
    return head + _KEY + line


def _write(path: Path, head: list[str], rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def _fields(*names: str) -> list[dict[str, str]]:
    key = {"name": "nhs_number", "form": "key-only", "why": "join", "category": "uk.id.nhs_number"}
    return [key] + [
        {"name": n, "form": "raw", "why": "the question", "category": "plain"} for n in names
    ]


def passport_body(pinned: int = MANY, **changes: Any) -> dict[str, Any]:
    """Return the passport that pins the first so many questions of each kind."""
    texts = {
        f"local-{i:02d}": f"SELECT {column(i)}, COUNT(DISTINCT person) AS n FROM housing "
        f"GROUP BY {column(i)}"
        for i in range(len(LOCAL[:pinned]))
    } | {
        f"linked-{i:02d}": f"SELECT {column(i)}, COUNT(DISTINCT person) AS n FROM housing "
        f"JOIN health USING (person) WHERE disabled GROUP BY {column(i)}"
        for i in range(len(LINKED[:pinned]))
    }
    return body(
        id=PASSPORT,
        questions=[{"id": k, "kind": "statistic", "text": t} for k, t in texts.items()],
        technique={
            k: {"use": "local" if k in LOCAL else "linked", "why": "as few as can be"}
            for k in texts
        },
        parties__controllers=[
            {"id": "council", "name": "Council", "sources": ["council.housing"]},
            {"id": "health", "name": "Health", "sources": ["health.conditions"]},
        ],
        data__sources=[
            {"id": "council.housing", "fields": _fields(*map(column, range(MANY)))},
            {"id": "health.conditions", "fields": _fields("disabled")},
        ],
        data__tables={
            "housing": {"at": ["council.housing.register"]},
            "health": {"at": ["health.conditions.conditions"]},
        },
        data__links=[
            {"entity": "person", "tables": ["housing", "health"], "where": "at the linker"}
        ],
        data__frequency={"runs": 1_000_000, "per": "year"},
        validity={"from": FROM, "until": UNTIL, "runs": 1_000_000},
        **changes,
    )


def make_many(folder: Path, pinned: int = MANY, seed: int = 1) -> Path:
    """Make the workspace with its signed passport; return its root. pinned: of each kind."""
    rng = random.Random(seed)
    numbers = [n for s in range(999_000_000, 999_000_000 + 2 * PEOPLE) if (n := nhs_number(s))]
    numbers = numbers[:PEOPLE]
    data = folder / "place" / "data"
    with Workspace.init(folder / "place", ["Council", "Health", "City", "Linker"]) as place:
        names = [column(i) for i in range(MANY)]
        _write(
            data / "register.csv",
            ["nhs_number", *names],
            [[n, *(rng.choice(("left", "right")) for _ in names)] for n in numbers],
        )
        _write(
            data / "conditions.csv",
            ["nhs_number", "disabled"],
            [[n, rng.choice(("true", "false"))] for n in numbers],
        )
        place.add_person("city", "Sam Okoro", ["author", "analyst"], FROM, UNTIL, PASSWORD)
        place.add_person("council", "Dee Pott", ["dpo"], FROM, UNTIL, PASSWORD)
        for node, person, source, file, text in (
            ("council", "Ann Lee", "housing", "register.csv", council_catalogue()),
            ("health", "Bo Chen", "conditions", "conditions.csv", _health_catalogue()),
        ):
            place.add_person(node, person, ["controller"], FROM, UNTIL, PASSWORD)
            holdings = place.node(node).holdings
            holdings.add(source, f"csv://data/{file}")
            holdings.catalogue_path(source).write_text(text)
            place.release_source(node, source)
        submit(place, passport_body(pinned))
        approve(place, PASSPORT, ("council/ann-lee", "health/bo-chen"))
    return folder / "place"


def copy_of(root: Path, folder: Path) -> Path:
    """Return a copy of a workspace (nobody may be using it)."""
    shutil.copytree(root, folder / "place")
    return folder / "place"


def set_budget(root: Path, node: str, budget: int) -> None:
    """Let a node's policy allow so many questions per data version."""
    path = root / "nodes" / node / "policy.yaml"
    text = path.read_text()
    path.write_text(
        "".join(
            f"budget: {budget}\n" if line.startswith("budget:") else line
            for line in text.splitlines(keepends=True)
        )
    )
