"""The law: what the parties combine is what the pooled rows would give. Zero differences."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bridleway.errors import Refused
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.flow import ALL
from bridleway.model.policy import Rules
from bridleway.node.rehearsal import compute, rehearsal_grant
from bridleway.questions.plan import plan
from bridleway.questions.sql import Scope, parse
from bridleway.sources.connect import Source, connect
from tests.pooled import reference
from tests.pooled.generate import Asked, Held, Logical, make_question, make_tables, write

DATA_SETS, QUESTIONS, CHUNKS = 56, 20, 8
TYPES = {
    "nhs": "text", "uprn": "text", "cat": "text", "flag": "boolean", "num": "integer",
    "money": "decimal", "day": "date", "word": "text",
}  # fmt: skip


def facts_of(table: Logical) -> list[TableFacts]:
    """Declare what a controller would."""
    bounds = {"num": (Decimal(0), Decimal(120)), "money": (Decimal(0), Decimal(500))}
    columns = {
        name: ColumnFacts(
            name=name,
            type=kind,  # type: ignore[arg-type]
            cls="identifier" if name in ("nhs", "uprn") else table.classes[name],  # type: ignore[arg-type]
            domain=tuple(table.domains[name]) if name in table.domains else None,  # type: ignore[arg-type]
            bounds=bounds.get(name),
            scale=2 if name == "money" else 0,
        )
        for name, kind in TYPES.items()
    }
    entities = {"person": EntityKey("person", "nhs", "nhs-number")}
    if table.address:
        entities["address"] = EntityKey("address", "uprn", "uprn")
    return [
        TableFacts(
            part.node, "held", table.name, columns, entities, ("person",) if table.unique else ()
        )
        for part in table.parts
    ]


@pytest.mark.parametrize("technique", ["local", "federated", "linked"])
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_combined_equals_pooled(technique: str, chunk: int, tmp_path: Path) -> None:
    """More than 1,000 (data, question) pairs per technique; a seed replays a failure."""
    compared = 0
    for number in range(chunk, DATA_SETS, CHUNKS):
        seed = f"{technique} {number}"
        rng = random.Random(seed)
        tables = make_tables(rng, technique)
        write(tables, tmp_path / str(number))
        engine = reference.load(tables)
        nodes = {part.node for table in tables for part in table.parts}
        sources = {
            f"{n}.held": connect(f"parquet://{tmp_path / str(number) / n}", base=tmp_path)
            for n in nodes
        }
        for place in range(QUESTIONS):
            asked = make_question(rng, tables, technique)
            compared += _compare(
                asked, tables, technique, sources, engine, f"{seed}, question {place}"
            )
        for source in sources.values():
            source.close()
        engine.close()
    assert compared >= DATA_SETS // CHUNKS * QUESTIONS * 0.9


def _compare(
    asked: Asked,
    tables: list[Logical],
    technique: str,
    sources: dict[str, Source],
    engine: object,
    seed: str,
) -> int:
    scope = Scope(
        {t.name: frozenset(TYPES) - {"nhs", "uprn"} for t in tables},
        frozenset({"person", "address"}),
    )
    question = parse(asked.text, scope)
    facts = {t.name: facts_of(t) for t in tables if t.name in asked.tables}
    limits = {
        t.name: 1 for t in tables if technique == "federated" or t.unique or len(t.parts) == 1
    }
    grant = rehearsal_grant(question, facts, technique, Rules(), limits)
    found = {
        tuple("ALL" if v is ALL else v for v in cell.key): dict(cell.numbers)
        for cell in compute(grant, sources).cells
    }
    order = [g.name for g in question.groups]
    wanted = {}
    for key, numbers in reference.cells(engine, asked).items():  # type: ignore[arg-type]
        by_name = {f"g{name}": v for name, v in zip(_numbers_of(asked), key, strict=True)}
        wanted[tuple(by_name[name] for name in order)] = numbers
    assert set(found) == set(wanted), f"{seed}: {asked.text}"
    for key, numbers in wanted.items():
        shown = {name: found[key][name] for name in numbers}
        assert shown == numbers, f"{seed}: {asked.text} at {key}"
    return 1


def _numbers_of(asked: Asked) -> Iterator[str]:
    """Return the numbers of the group aliases in the text, in order."""
    import re

    seen = dict.fromkeys(re.findall(r" AS g(\d)", asked.text))
    return iter(seen)


def test_a_person_at_two_organisations_cannot_be_added_up(tmp_path: Path) -> None:
    """Without declared disjointness the federated count is refused, and linked named."""
    rng = random.Random(5)
    tables = [t for t in make_tables(rng, "federated")][:1]
    question = parse(
        "SELECT COUNT(DISTINCT person) AS people FROM t0",
        Scope({"t0": frozenset(TYPES)}, frozenset({"person"})),
    )
    with pytest.raises(Refused, match="linked"):
        rehearsal_grant(question, {"t0": facts_of(tables[0])}, "federated", Rules(), {"t0": None})


def test_a_federated_join_on_addresses_is_refused() -> None:
    """An address may be at two organisations; adding up would miss the pairs across them."""
    rng = random.Random(1)
    tables = [make_tables(rng, "federated")[0] for _ in range(2)]
    for number, table in enumerate(tables):
        table.name, table.address = f"t{number}", True
        table.parts = [Held(f"n{i}", []) for i in range(3)]
    question = parse(
        "SELECT COUNT(*) AS n FROM t0 JOIN t1 USING (address)",
        Scope({t.name: frozenset(TYPES) for t in tables}, frozenset({"person", "address"})),
    )
    facts = {t.name: facts_of(t) for t in tables}
    grant = rehearsal_grant(question, facts, "federated", Rules(), {"t0": 1, "t1": 1})
    with pytest.raises(Refused, match="linked"):
        plan(grant)
