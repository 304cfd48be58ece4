"""A small real workspace for tests: three organisations, a city that asks, a separate linker.

Everything is real (keys, files, ledgers, DuckDB, Parquet and CSV sources); only people are few
and passwords are known.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bridleway.documents import Document
from bridleway.model.passport import Passport
from bridleway.node.workspace import Workspace

PASSWORD = "correct horse battery"
TODAY = datetime.now(UTC).date()
FROM = (TODAY - timedelta(days=2)).isoformat()
UNTIL = (TODAY + timedelta(days=200)).isoformat()
AREAS = ("north", "south", "east", "west")

BY_AREA = (
    "SELECT area, COUNT(DISTINCT person) AS people "
    "FROM housing JOIN health USING (person) JOIN work USING (person) "
    "WHERE tenure = 'rent' AND disabled AND low_income GROUP BY area"
)
RENT = "SELECT area, COUNT(DISTINCT person) AS people, SUM(rent) AS rent, AVG(rent) AS mean FROM housing GROUP BY area"

CATALOGUES = {
    "council.housing": """\
catalogue: 1
source: housing
tables:
  register:
    meaning: Housing register
    one_row_per: [person]
    entities:
      person: {column: nhs_number, identifier: nhs-number}
    columns:
      nhs_number: {type: text, class: identifier}
      area: {type: text, class: plain, domain: [north, south, east, west]}
      tenure: {type: text, class: plain, domain: [rent, own]}
      rent: {type: decimal, class: plain, scale: 2, bounds: [0, 5000]}
""",
    "health.conditions": """\
catalogue: 1
source: conditions
tables:
  conditions:
    meaning: Long-term conditions
    one_row_per: [person]
    entities:
      person: {column: nhs_number, identifier: nhs-number}
    columns:
      nhs_number: {type: text, class: identifier}
      disabled: {type: boolean, class: sensitive, domain: [true, false]}
""",
    "jobs.claims": """\
catalogue: 1
source: claims
tables:
  claims:
    meaning: Claims
    one_row_per: [person]
    entities:
      person: {column: nhs_number, identifier: nhs-number}
    columns:
      nhs_number: {type: text, class: identifier}
      low_income: {type: boolean, class: sensitive, domain: [true, false]}
""",
}


def nhs_number(serial: int) -> str | None:
    """Return the valid NHS number with these first nine digits, or None."""
    digits = f"{serial:09d}"
    check = (11 - sum(int(d) * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11) % 11
    return None if check == 10 else digits + str(check)


def write_sources(folder: Path, people: int = 2000, seed: int = 1) -> dict[str, str]:
    """Write housing.duckdb, conditions.parquet and claims.csv; return 'node.source' -> URL."""
    random_ = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [n for s in range(999_000_000, 999_000_000 + 2 * people) if (n := nhs_number(s))][
        :people
    ]
    rows = [
        (
            number,
            random_.choices(AREAS, (50, 30, 19, 1))[0],
            random_.choice(("rent", "own")),
            round(random_.uniform(100, 2000), 2),
            random_.random() < 0.4,
            random_.random() < 0.5,
        )
        for number in numbers
    ]
    housing, conditions, claims = (
        folder / "housing.duckdb",
        folder / "conditions.parquet",
        folder / "claims.csv",
    )
    for path in (housing, conditions, claims):
        path.unlink(missing_ok=True)
    with duckdb.connect(str(housing)) as engine:
        engine.execute(
            "create table everyone (nhs_number varchar, area varchar, tenure varchar, "
            "rent decimal(9,2), disabled boolean, low_income boolean)"
        )
        engine.executemany("insert into everyone values (?, ?, ?, ?, ?, ?)", rows)
        engine.execute(f"copy (select nhs_number, disabled from everyone) to '{conditions}'")
        engine.execute(f"copy (select nhs_number, low_income from everyone) to '{claims}' (header)")
        engine.execute(
            "create table register as select nhs_number, area, tenure, rent from everyone"
        )
        engine.execute("drop table everyone")
    return {
        "council.housing": f"duckdb://{housing}",
        "health.conditions": f"parquet://{conditions}",
        "jobs.claims": f"csv://{claims}",
    }


def body(**changes: Any) -> dict[str, Any]:
    """Return the enforced parts of a passport over the three sources; dotted keys replace parts."""
    made: dict[str, Any] = {
        "id": "renters-in-need",
        "version": 1,
        "title": "Renters in need",
        "level": "level-full",
        "question": {"plain": "How many renters live with a disability and a low income?"},
        "questions": [
            {"id": "by-area", "kind": "statistic", "text": BY_AREA},
            {"id": "rent-by-area", "kind": "statistic", "text": RENT},
        ],
        "technique": {
            "by-area": {"use": "linked", "why": "people are joined across three organisations"},
            "rent-by-area": {"use": "local", "why": "one source"},
        },
        "linker": "linker",
        "disclosure": {"smallest_group": 10},
        "purpose": {"code": "dpv:ServiceProvision", "aim": "plan support", "benefits": "support"},
        "parties": {
            "controllers": [
                {"id": "council", "name": "Council", "sources": ["council.housing"]},
                {"id": "health", "name": "Health", "sources": ["health.conditions"]},
                {"id": "jobs", "name": "Jobs", "sources": ["jobs.claims"]},
            ]
        },
        "roles": {"author": "city/sam-okoro", "dpo": "council/dee-pott"},
        "data": {
            "sources": [
                {"id": "council.housing", "fields": _fields("area", "tenure", "rent")},
                {"id": "health.conditions", "fields": _fields("disabled")},
                {"id": "jobs.claims", "fields": _fields("low_income")},
            ],
            "tables": {
                "housing": {"at": ["council.housing.register"]},
                "health": {"at": ["health.conditions.conditions"]},
                "work": {"at": ["jobs.claims.claims"]},
            },
            "links": [
                {
                    "entity": "person",
                    "tables": ["housing", "health", "work"],
                    "where": "at the linker",
                }
            ],
            "frequency": {"runs": 100, "per": "year"},
        },
        "users": [{"person": "city/sam-okoro", "training": "this year"}],
        "setting": {"code": "in-place", "text": "embedded"},
        "outputs": {"form": "aggregate", "recipients": ["city"]},
        "validity": {"from": FROM, "until": UNTIL, "runs": 100},
    }
    for path, value in changes.items():
        put(made, path, value)
    return made


def _fields(*names: str) -> list[dict[str, str]]:
    made = [
        {
            "name": "nhs_number",
            "form": "key-only",
            "why": "join key",
            "category": "uk.id.nhs_number",
        }
    ]
    return made + [
        {"name": n, "form": "raw", "why": "the question", "category": "plain"} for n in names
    ]


def put(data: dict[str, Any], path: str, value: Any) -> None:
    """Replace one part of nested data, `__` between keys."""
    *parents, last = path.split("__")
    for key in parents:
        data = data[key]
    data[last] = value


def make_place(
    folder: Path, people: int = 2000, seed: int = 1, catalogues: Mapping[str, str] | None = None
) -> Workspace:
    """Return a workspace with people, sources and released data versions; no passport yet."""
    urls = write_sources(folder / "data", people, seed)
    place = Workspace.init(folder / "place", ["Council", "Health", "Jobs", "City", "Linker"])
    place.add_person("city", "Sam Okoro", ["author", "analyst"], FROM, UNTIL, PASSWORD)
    for node, name in (("council", "Ann Lee"), ("health", "Bo Chen"), ("jobs", "Cy Dunn")):
        place.add_person(node, name, ["controller"], FROM, UNTIL, PASSWORD)
    place.add_person("council", "Dee Pott", ["dpo"], FROM, UNTIL, PASSWORD)
    for source, url in urls.items():
        node, name = source.split(".")
        place.node(node).holdings.add(name, url)
        catalogue = (catalogues or CATALOGUES)[source]
        place.node(node).holdings.catalogue_path(name).write_text(catalogue)
        place.release_source(node, name)
    return place


CONTROLLERS = ("council/ann-lee", "health/bo-chen", "jobs/cy-dunn")


def submit(place: Workspace, made: Mapping[str, Any]) -> Passport:
    """Submit a passport body as its author."""
    return place.submit(
        Document("passport.yaml", copy.deepcopy(dict(made))), made["roles"]["author"], PASSWORD
    )


def approve(place: Workspace, passport: str, people: Sequence[str] = CONTROLLERS) -> None:
    """Let the data protection officer advise and controllers approve."""
    place.sign(passport, "council/dee-pott", PASSWORD, "advise", "Proportionate.")
    for person in people:
        place.sign(passport, person, PASSWORD, "approve", "The need outweighs the risk here.")
