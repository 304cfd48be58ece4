"""Many trials quickly: the steps of a local question without signatures, ledger and processes.

A lab is one node with one table of people. What it does with a question is the node's own code:
pinned questions are weighed together, the task runs at DuckDB, the frame is counted, disclosure
control looks at earlier answers and at the last data version, and the same question on the same
data gets the stored answer. Only keys, messages and worker processes are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import ibis.expr.datatypes as dt
import pyarrow as pa

from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.errors import BridlewayError
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.policy import Rules
from bridleway.model.question import Question
from bridleway.node.meeting import clear_combined, combined_of
from bridleway.node.overlap import Earlier, last_of, read_earlier
from bridleway.node.protect import Marks, frame_of
from bridleway.node.rehearsal import rehearsal_grant
from bridleway.questions.apart import Standing, in_place, require_apart
from bridleway.questions.canonical import canonical
from bridleway.questions.plan import plan
from bridleway.questions.sql import Scope, parse
from bridleway.sources.run import run
from bridleway.techniques.frames import to_ipc
from tests.support.place import nhs_number

PLACE = "office.people.people"
N = "COUNT(DISTINCT person) AS n"

# Every rule off that can be: the node on which every attack must win.
WEAK = Rules(
    smallest_group=1, complement=False, dominance=False, homogeneity=False, secondary=False,
    rounding_counts=1, sum_significant_digits=30, rows_per_person=1_000_000, together=False,
    hold=False,
)  # fmt: skip


def rules_of(kind: str, **off: Any) -> Rules:
    """Return the default rules, or with `weak` the default rules with some defences off."""
    return replace(Rules(), **off) if kind == "weak" else Rules()


class _Memory:
    """A source in memory."""

    name = "office.people"
    dialect = "duckdb"
    untyped = False

    def __init__(self, engine: duckdb.DuckDBPyConnection) -> None:
        self.engine = engine

    def tables(self) -> tuple[str, ...]:
        return ("people",)

    def columns(self, table: str) -> dict[str, Any]:
        if not hasattr(self, "_columns"):
            schema = self.engine.execute("SELECT * FROM people LIMIT 0").to_arrow_table().schema
            self._columns = {
                f.name: dt.from_pyarrow(f.type)
                if hasattr(dt, "from_pyarrow")
                else dt.DataType.from_pyarrow(f.type)
                for f in schema
            }
        return self._columns

    def read(self, query: Any) -> Iterator[pa.RecordBatch]:
        yield from self.engine.execute(query.sql).to_arrow_table().to_batches()


@dataclass
class Lab:
    """One node, one table `people` (nhs_number, then the declared columns).

    columns: declared facts; rows: dictionaries with a value per column; people get NHS numbers
    unless they bring one (several rows of one person share it).
    """

    columns: Sequence[ColumnFacts]
    rows: Sequence[Mapping[str, Any]]
    rules: Rules = field(default_factory=Rules)
    people: int | None = None
    one_row_per: tuple[str, ...] = ("person",)
    version: int = 1

    def __post_init__(self) -> None:
        self.engine = duckdb.connect(config={"threads": 1})
        self.load(self.rows)
        columns = {
            "nhs_number": ColumnFacts("nhs_number", "text", "identifier"),
            **{c.name: c for c in self.columns},
        }
        person = EntityKey("person", "nhs_number", "nhs-number")
        self.facts = TableFacts(
            "office", "people", "people", columns, {"person": person}, self.one_row_per,
            people=self.people,
        )  # fmt: skip
        self.source = _Memory(self.engine)
        self.scope = Scope({"people": frozenset(columns)}, frozenset({"person"}))
        self.pinned: list[Standing] = []
        self.stored: list[dict[str, Any]] = []
        self.members: dict[str, bytes] = {}

    # -- the data, as its owner changes it

    def load(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the data."""
        kinds = {"text": "VARCHAR", "integer": "BIGINT", "decimal": "DECIMAL(18,6)",
                 "date": "DATE", "boolean": "BOOLEAN"}  # fmt: skip
        made = ", ".join(f"{c.name} {kinds[c.type]}" for c in self.columns)
        self.engine.execute(f"CREATE OR REPLACE TABLE people (nhs_number VARCHAR, {made})")
        names = [c.name for c in self.columns]
        filled = []
        for place, row in enumerate(rows):
            number = row.get("nhs_number") or NUMBERS[place]
            filled.append((number, *(row[name] for name in names)))
        marks = ", ".join("?" * (len(names) + 1))
        table = pa.table(
            {
                "nhs_number": pa.array([r[0] for r in filled], pa.string()),
                **{n: pa.array([r[i + 1] for r in filled]) for i, n in enumerate(names)},
            }
        )
        del marks
        self.engine.register("loaded", table)
        self.engine.execute("INSERT INTO people SELECT * FROM loaded")
        self.engine.unregister("loaded")

    def next_version(self, rows: Iterable[Mapping[str, Any]] | None = None) -> None:
        """Declare a new data version, with new data or the old."""
        if rows is not None:
            self.load(rows)
        self.version += 1

    # -- the attacker's side

    def parse(self, text: str) -> Question:
        """Read a question's text. Raises what a node answers with."""
        return parse(text, self.scope)

    def pin(self, *texts: str) -> list[Question]:
        """Submit a passport that pins these questions. Raises Refused as a node would."""
        made = [self.parse(text) for text in texts]
        new = [
            Standing(f"q{len(self.pinned) + i}", in_place(canonical(q), {"people": PLACE}))
            for i, q in enumerate(made)
        ]
        if self.rules.together:
            require_apart(new, self.pinned, {PLACE: self.facts}, threshold(self.rules))
        self.pinned += new
        return made

    def ask(self, text: str, rules: Rules | None = None) -> dict[tuple[Any, ...], Any]:
        """Pin and ask; return the answer as cell key -> values (None where withheld)."""
        (question,) = self.pin(text)
        return self.answer(question, rules)

    def answer(self, question: Question, rules: Rules | None = None) -> dict[tuple[Any, ...], Any]:
        """Answer a pinned question on the present data version."""
        bare = rehearsal_grant(question, {"people": [self.facts]}, "local", rules or self.rules)
        version = {"office.people": str(self.version)}
        grant = replace(bare, shares=(replace(bare.shares[0], versions=version),))
        for told in self.stored:
            if told["unit"] == grant.unit and told["rules"] == grant.rules.digest:
                return _rows(told["answer"])
        made = plan(grant)
        task = made.tasks[0]
        marks = Marks(grant.question.digest.encode()[:32], bytes(32)) if task.marked else None
        frame, _ = frame_of(
            run(self.source, self.facts, task),  # type: ignore[arg-type]
            task,
            lambda _: bytes(32),
            marks,
        )
        parts = {("office", "people"): to_ipc(frame)}
        earlier = self.earlier(grant.question.digest, version)
        last = last_of(grant, earlier)
        before = None
        if last is not None:
            before = self.members.get(f"{grant.question.digest} {dict(last[1].versions)}")
        combined, followed = combined_of(grant, made, parts, before, last is not None)
        told = clear_combined(combined, grant, made.recipe, earlier)
        if followed is not None:
            kept = followed.released(made.recipe, made.recipe.cells_at(told["held"]))
            self.members[f"{grant.question.digest} {version}"] = kept.to_bytes()
        self.stored.append(
            {
                "unit": grant.unit,
                "rules": grant.rules.digest,
                "answer": told["answer"],
                "figures": told["figures"],
                "record": told["record"],
            }
        )
        return _rows(told["answer"])

    def earlier(self, digest: str, version: Mapping[str, str]) -> tuple[Earlier, ...]:
        """Return what a touched node would hand to the meeting place."""
        read = [one for told in self.stored if (one := read_earlier(told)) is not None]
        return tuple(e for e in read if e.digest == digest or e.versions == version)

    def tried(self, *texts: str) -> list[dict[tuple[Any, ...], Any] | None]:
        """Pin and ask several questions; None for one that is refused."""
        made: list[dict[tuple[Any, ...], Any] | None] = []
        for text in texts:
            try:
                made.append(self.ask(text))
            except BridlewayError:
                made.append(None)
        return made


def _rows(answer: Any) -> dict[tuple[Any, ...], Any]:
    return {
        tuple("ALL" if isinstance(v, dict) else v for v in row["key"]): row["values"]
        for row in answer["rows"]
    }


def column(name: str, kind: str, cls: str = "plain", **facts: Any) -> ColumnFacts:
    """Return the declared facts of a column."""
    return ColumnFacts(name, kind, cls, **facts)  # type: ignore[arg-type]


NUMBERS = [n for s in range(999_000_000, 999_009_000) if (n := nhs_number(s))]
