"""Builds the demo's workspace from the town generator, step by step, as users would."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

from bridleway.documents import Document, read_yaml
from bridleway.node.workspace import Workspace
from bridleway.testdata.town import Town, make_town, write_town

ORGANISATIONS = (
    "Thornby Council", "Thornby Health", "Job Service", "City Data Office", "Fairway Trust",
)  # fmt: skip
PASSWORD = "the demo's password is public"  # noqa: S105 (made-up people)
ASKER = "city-data-office/sam-okoro"
PASSPORT = "renters-in-need"
QUESTION = "by-area"
REFUSED = (
    "SELECT area, COUNT(DISTINCT person) AS people "
    "FROM housing JOIN health USING (person) WHERE disabled GROUP BY area"
)
PEOPLE = (
    ("city-data-office", "Sam Okoro", ("author", "analyst")),
    ("city-data-office", "Ana Duarte", ("leader",)),
    ("thornby-council", "Jo Marsh", ("controller",)),
    ("thornby-council", "Priya Nair", ("dpo",)),
    ("thornby-council", "Lewis Grant", ("adviser-legal",)),
    ("thornby-health", "Noor Haddad", ("controller",)),
    ("thornby-health", "Moira Fenn", ("caldicott-guardian",)),
    ("job-service", "Zoë Brandt", ("controller",)),
)
SIGNATURES = (
    (
        "thornby-council/lewis-grant",
        "advise",
        "The gateways claimed are arguable; keep the notice dates.",
    ),
    ("thornby-council/priya-nair", "advise", "Proportionate: counts only, fields few, review set."),
    (
        "city-data-office/ana-duarte",
        "back",
        "People lose homes while we guess; I answer for the notice.",
    ),
    (
        "thornby-health/moira-fenn",
        "approve",
        "Only one bit per person leaves, under a key of this question.",
    ),
    (
        "thornby-council/jo-marsh",
        "approve",
        "Small figures stay hidden; doing nothing costs people their homes.",
    ),
    (
        "thornby-health/noor-haddad",
        "approve",
        "The risk left is low; the harm of not asking is not.",
    ),
    ("job-service/zoe-brandt", "approve", "No decision about a person follows; the need is plain."),
)
SOURCES = (
    ("thornby-council", "housing", "housing.yaml"),
    ("thornby-health", "conditions", "conditions.yaml"),
    ("job-service", "claims", "claims.yaml"),
)


def text_of(name: str, today: date, areas: tuple[str, ...] = ()) -> str:
    """Return one of the demo's files with its dates and areas filled in."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    days = {"NOTICE_DUE": 25, "REVIEW_DUE": 100, "UNTIL": 180, "TODAY": 0}
    for word, later in days.items():
        text = text.replace(word, (today + timedelta(days=later)).isoformat())
    return text.replace("AREAS", f"[{', '.join(areas)}]")


def passport_document(today: date) -> Document:
    """Return the worked passport."""
    return read_yaml(text_of("passport.yaml", today), "passport.yaml")


def build(folder: Path, people: int, seed: int, tell: Callable[[str], None]) -> Workspace:
    """Make the town and the workspace, release the data, have everybody sign; return it open."""
    tell(f"A made-up town of {people:,} people: a DuckDB file, a Parquet file and a CSV file")
    town = make_town(people, seed)
    urls = write_town(town, folder / "town")
    tell("Five organisations, each with its own keys, policy and ledger")
    place = Workspace.init(folder / "workspace", ORGANISATIONS)
    today = place.now().date()
    start, until = today.isoformat(), (today + timedelta(days=365)).isoformat()
    for node, name, roles in PEOPLE:
        place.add_person(node, name, roles, start, until, PASSWORD)
    tell("Each controller connects its source, read-only, and declares a data version")
    for (node, name, catalogue), key in zip(SOURCES, ("housing", "health", "work"), strict=True):
        home = place.node(node).holdings
        home.add(name, str(urls[key]))
        home.catalogue_path(name).write_text(
            text_of(catalogue, today, areas_of(town)), encoding="utf-8"
        )
        place.release_source(node, name)
    tell("The passport is checked, sealed and laid before every node")
    document = passport_document(today)
    write_passport(folder, today)
    place.submit(document, ASKER, PASSWORD)
    return place


def write_passport(folder: Path, today: date) -> Path:
    """Write the worked passport beside the workspace, to be read."""
    path = folder / "passport.yaml"
    path.write_text(text_of("passport.yaml", today), encoding="utf-8")
    return path


def areas_of(town: Town) -> tuple[str, ...]:
    """Return the town's public list of areas."""
    return tuple(town.areas)
