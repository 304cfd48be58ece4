"""The law on real public-use people: NIST's excerpts of the American Community Survey."""

from __future__ import annotations

import csv
import gzip
import random
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.flow import ALL
from bridleway.model.policy import Rules
from bridleway.node.rehearsal import compute, rehearsal_grant
from bridleway.questions.sql import Scope, parse
from bridleway.sources.connect import connect
from tests.pooled.generate import nhs

ACS = Path(__file__).parents[3] / "shared" / "data" / "acs"
pytestmark = pytest.mark.skipif(
    not ACS.is_dir(), reason=f"the folder {ACS.name} is not beside the project"
)

AREAS = ("25-00503", "25-00703", "25-01000", "25-01300", "25-02800")


@pytest.fixture(scope="module")
def people() -> list[dict[str, str]]:
    """Read the Boston excerpt in place; give each person a test identifier."""
    with gzip.open(ACS / "ma2019.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["nhs"] = nhs(number)
    return rows


def _facts(node: str, table: str, columns: dict[str, ColumnFacts]) -> TableFacts:
    keys = {"person": EntityKey("person", "nhs", "nhs-number")}
    key = ColumnFacts("nhs", "text", "identifier")
    return TableFacts(node, "held", table, {"nhs": key, **columns}, keys, ("person",))


BOUNDS = (Decimal(-20_000), Decimal(200_000))
HOUSING = {
    "puma": ColumnFacts("puma", "text", "plain", domain=AREAS),
    "renting": ColumnFacts("renting", "integer", "plain"),
}
HEALTH = {"disabled": ColumnFacts("disabled", "boolean", "sensitive")}
WORK = {"income": ColumnFacts("income", "integer", "plain", bounds=BOUNDS)}


def _write(folder: Path, table: str, rows: list[dict[str, str]], columns: tuple[str, ...]) -> None:
    def value(row: dict[str, str], column: str) -> object:
        if column == "renting":
            return None if row["OWN_RENT"] == "N" else int(row["OWN_RENT"])
        if column == "disabled":
            return None if row["DPHY"] == "N" else row["DPHY"] == "1"
        if column == "income":
            return None if row["PINCP"] == "N" else int(float(row["PINCP"]))
        return row[{"puma": "PUMA", "nhs": "nhs"}[column]]

    kinds = {"renting": pa.int64(), "disabled": pa.bool_(), "income": pa.int64()}
    arrays = {
        c: pa.array([value(r, c) for r in rows], kinds.get(c, pa.string()))
        for c in ("nhs", *columns)
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), folder / f"{table}.parquet")


def test_linked_over_three_organisations_equals_pooled(
    people: list[dict[str, str]], tmp_path: Path
) -> None:
    """Housing, health and work each hold an overlapping part; the join is the pooled join."""
    rng = random.Random(9)
    parts = {
        "housing": ("north", HOUSING, [p for p in people if rng.random() < 0.9]),
        "health": ("clinic", HEALTH, [p for p in people if rng.random() < 0.9]),
        "work": ("jobs", WORK, [p for p in people if rng.random() < 0.9]),
    }
    for table, (node, columns, rows) in parts.items():
        _write(tmp_path / node, table, rows, tuple(columns))
    question = parse(
        "SELECT puma, COUNT(DISTINCT person) AS people, SUM(income) AS income FROM housing "
        "JOIN health USING (person) JOIN work USING (person) "
        "WHERE renting = 2 AND NOT disabled AND income > 10000 GROUP BY ROLLUP (puma)",
        Scope({t: frozenset(c) for t, (_, c, _) in parts.items()}, frozenset({"person"})),
    )
    facts = {t: [_facts(n, t, c)] for t, (n, c, _) in parts.items()}
    grant = rehearsal_grant(question, facts, "linked", Rules())
    sources = {
        f"{n}.held": connect(f"parquet://{tmp_path / n}", base=tmp_path)
        for n, _, _ in parts.values()
    }
    found = {c.key[0]: c.numbers for c in compute(grant, sources).cells}
    pooled = duckdb.execute(
        f"""SELECT puma, count(DISTINCT h.nhs) FILTER (WHERE NOT disabled), count(DISTINCT h.nhs),
            sum(least(greatest(income, -20000), 200000)) FILTER (WHERE NOT disabled)
            FROM '{tmp_path}/north/housing.parquet' h JOIN '{tmp_path}/clinic/health.parquet' c
            ON c.nhs = h.nhs JOIN '{tmp_path}/jobs/work.parquet' w ON w.nhs = h.nhs
            WHERE renting = 2 AND income > 10000 GROUP BY ROLLUP (puma)"""
    ).fetchall()
    assert len(pooled) == len(AREAS) + 1
    for puma, count, base, income in pooled:
        numbers = found[ALL if puma is None else puma]
        assert (numbers["people"], numbers["base"], numbers["income.sum"]) == (count, base, income)
    assert found[ALL]["people"] > 500


def test_federated_over_three_organisations_equals_pooled(
    people: list[dict[str, str]], tmp_path: Path
) -> None:
    """The same register at three organisations; only masked totals meet."""
    nodes = ("east", "mid", "west")
    for place, node in enumerate(nodes):
        _write(tmp_path / node, "housing", people[place :: len(nodes)], tuple(HOUSING))
    question = parse(
        "SELECT puma, COUNT(DISTINCT person) AS people FROM housing "
        "WHERE renting = 2 GROUP BY puma",
        Scope({"housing": frozenset(HOUSING)}, frozenset({"person"})),
    )
    facts = {"housing": [_facts(node, "housing", HOUSING) for node in nodes]}
    grant = rehearsal_grant(question, facts, "federated", Rules(), {"housing": 1})
    sources = {f"{n}.held": connect(f"parquet://{tmp_path / n}", base=tmp_path) for n in nodes}
    found = {c.key[0]: c.numbers["people"] for c in compute(grant, sources).cells}
    pooled = {
        area: sum(1 for p in people if p["PUMA"] == area and p["OWN_RENT"] == "2") for area in AREAS
    }
    assert {area: found[area] for area in AREAS} == pooled
    assert found[ALL] == sum(pooled.values()) > 500
