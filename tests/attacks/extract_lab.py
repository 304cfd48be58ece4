"""Extracts as a node makes them, without signatures, ledger and processes.

What is done to a table is the node's own code: rows and people from the catalogue's facts, search,
recoding, check of the written file, and the comparison with all earlier extracts of the source.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import ibis.expr.datatypes as dt
import pyarrow as pa
import pyarrow.parquet as pq

from bridleway.errors import BridlewayError
from bridleway.extract import engine
from bridleway.extract.make import solved, write
from bridleway.extract.members import Members, members_of, together_safe
from bridleway.extract.recipe import read_recipe
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.node.workers.jobs import _marks
from bridleway.questions.sql import Scope, parse_listing
from bridleway.sources.compile import query_of
from bridleway.sources.listing import PERSON, rows_of

Row = Mapping[str, Any]
_KEY = bytes(range(32))


class _Held:
    """A table in memory, as a source."""

    name, dialect, untyped = "clinic.people", "duckdb", False

    def __init__(self, table: pa.Table) -> None:
        self.held = table

    def columns(self, table: str) -> dict[str, Any]:
        return {f.name: dt.DataType.from_pyarrow(f.type) for f in self.held.schema}

    def read(self, query: Any) -> Iterator[pa.RecordBatch]:
        with duckdb.connect() as made:
            made.register("people", self.held)
            for name, lent in query.lent.items():
                made.register(name, lent)
            found = made.execute(query.sql).to_arrow_table().cast(query.schema)
        yield from found.to_batches()


@dataclass(frozen=True)
class File:
    """A file that left. rows: what it says; of: by person what the attacker's register says its
    quasi-identifiers became, without those who are not in it."""

    rows: list[Row]
    quasi: tuple[str, ...]
    of: Mapping[str, tuple[Any, ...]]

    def values(self, person: str, column: str) -> Counter[Any] | None:
        """Return what stands in a column beside a person's quasi-identifiers; None for nobody."""
        if person not in self.of:
            return None
        mine = self.of[person]
        return Counter(
            row[column] for row in self.rows if tuple(row[q] for q in self.quasi) == mine
        )


@dataclass
class Desk:
    """A node that hands extracts out. compares: whether it compares them with earlier ones."""

    rows: Sequence[Row]
    compares: bool = True
    key: str = "nhs"
    earlier: list[Members] = field(default_factory=list)
    left: list[File] = field(default_factory=list)

    def extract(self, body: Mapping[str, Any], where: str = "", rows: Sequence[Row] = ()) -> bool:
        """Ask for an extract (of a new data version, where rows are given); whether it left."""
        self.rows = rows or self.rows
        table = pa.Table.from_pylist([dict(row) for row in self.rows])
        names = list(body["columns"])
        listing = parse_listing(
            f"SELECT {', '.join(names)} FROM people" + (f" WHERE {where}" if where else ""),
            Scope({"people": frozenset(table.column_names)}, frozenset({"person"})),
        )
        kinds = {pa.int64(): "integer", pa.string(): "text"}
        facts = TableFacts(
            "clinic", "clinic", "people",
            {f.name: ColumnFacts(f.name, kinds[f.type], "plain") for f in table.schema},
            {"person": EntityKey("person", self.key, "nhs-number")}, ("person",),
        )  # fmt: skip
        source = _Held(table)
        rows_ = rows_of(source, facts, listing)  # type: ignore[arg-type]
        recipe = read_recipe(body)

        def run(work: engine.Work) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
            query = query_of(work.expression, source.dialect, work.lent)
            return query.schema, source.read(query)

        try:
            solution = solved(rows_.drop(PERSON), recipe, run)
            schema, batches = run(engine.members(rows_, solution, PERSON))
            known = pa.Table.from_batches(batches, schema)
            mine = members_of(
                known.to_batches(), schema, recipe, lambda people: _marks(people, _KEY)
            )
            if self.compares and not together_safe(mine, self.earlier):
                return False
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "data.parquet"
                with path.open("wb") as sink:
                    write(solution, rows_.drop(PERSON), run, sink, path, "parquet")
                said = pq.read_table(path).to_pylist()
        except BridlewayError:
            return False
        quasi = tuple(q.name for q in recipe.quasi)
        of = {row[PERSON]: tuple(row[q] for q in quasi) for row in known.to_pylist()}
        of = {person: tuple(map(_text, said)) for person, said in of.items()}
        said = [{k: _text(v) if k in quasi else v for k, v in row.items()} for row in said]
        self.earlier.append(Members.from_bytes(mine.to_bytes()))
        self.left.append(File(said, quasi, of))
        return True


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def learned(files: Sequence[File], column: str) -> dict[str, Any]:
    """Return whose value somebody with these files, and everybody's quasi-identifiers, reads.

    Of everybody: the only value that stands beside the person in every file (intersection), or
    the one by which a class differs in two files that one person is in, and the other not
    (differencing).
    """
    made: dict[str, Any] = {}
    people = {person for file in files for person in file.of}
    for person in people:
        seen = [v for file in files if (v := file.values(person, column)) is not None]
        common = set.intersection(*(set(values) for values in seen))
        if len(common) == 1:
            made[person] = common.pop()
    for one in files:
        for other in files:
            alone = {p for p in one.of if p not in other.of}
            for person in alone:
                mine = one.of[person]
                if sum(one.of[p] == mine for p in alone) > 1:
                    continue
                before = one.values(person, column) or Counter()
                after = Counter(
                    row[column]
                    for row in other.rows
                    if tuple(row[q] for q in other.quasi) == mine and other.quasi == one.quasi
                )
                left = before - after
                if after and sum(left.values()) == 1:
                    made[person] = next(iter(left))
    return made
