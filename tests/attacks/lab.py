"""Many trials quickly: the steps of a local question without signatures, ledger and processes.

A lab is one node with a table of people, and with more tables where joins are tried. What it does
with a question is the node's own code: pinned questions are weighed together, the task runs at
DuckDB, the frame is counted, disclosure control looks at earlier answers and at the last data
version, and the same question on the same data gets the stored answer. Only keys, messages and
worker processes are left out. All labs share one engine, and what follows from texts alone (the
parse, the check, the weighing) is kept from trial to trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

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
from bridleway.questions.apart import Standing, in_place, needs_cell_keys, require_apart
from bridleway.questions.canonical import canonical
from bridleway.questions.plan import plan
from bridleway.questions.sql import Scope, parse
from bridleway.sources.run import run
from bridleway.techniques.frames import to_ipc
from tests.support.place import nhs_number

N = "COUNT(DISTINCT person) AS n"
SOURCE = "office.people"
NUMBERS = [n for s in range(999_000_000, 999_009_000) if (n := nhs_number(s))]

Rows: TypeAlias = Sequence[Mapping[str, Any]]
Shown: TypeAlias = dict[tuple[Any, ...], Any]

_ENGINE = duckdb.connect(config={"threads": 1})
_ARROW = {
    "text": pa.string(), "integer": pa.int64(), "decimal": pa.decimal128(18, 6),
    "date": pa.date32(), "boolean": pa.bool_(),
}  # fmt: skip


def rules_of(kind: str, **off: Any) -> Rules:
    """Return the default rules, or with `weak` the default rules with some defences off."""
    return replace(Rules(), **off) if kind == "weak" else Rules()


def column(name: str, kind: str, cls: str = "plain", **facts: Any) -> ColumnFacts:
    """Return the declared facts of a column."""
    return ColumnFacts(name, kind, cls, **facts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Sheet:
    """A further table. rows bring their `nhs_number` or a `who`, a place among the people."""

    columns: tuple[ColumnFacts, ...]
    rows: Rows
    one_row_per: tuple[str, ...] = ("person",)
    people: int | None = None


class _Memory:
    """A source in memory: the tables of one lab at the shared engine."""

    name = SOURCE
    dialect = "duckdb"
    untyped = False
    served: Any = None  # whose tables stand at the engine

    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self.held = tables
        self.types: dict[str, dict[str, Any]] = {}

    def tables(self) -> tuple[str, ...]:
        return tuple(self.held)

    def columns(self, table: str) -> dict[str, Any]:
        if table not in self.types:
            fields = self.held[table].schema
            self.types[table] = {f.name: dt.DataType.from_pyarrow(f.type) for f in fields}
        return self.types[table]

    def serve(self) -> duckdb.DuckDBPyConnection:
        if _Memory.served is not self:
            for name, table in self.held.items():
                _ENGINE.register(name, table)
            _Memory.served = self
        return _ENGINE

    def change(self, name: str, table: pa.Table) -> None:
        self.held[name] = table
        _Memory.served = None

    def read(self, query: Any) -> Iterator[pa.RecordBatch]:
        yield from self.serve().execute(query.sql).to_arrow_table().to_batches()


@dataclass
class Lab:
    """One node, a table `people` (nhs_number, then the declared columns), and more tables.

    columns: declared facts; rows: dictionaries with a value per column; people get NHS numbers
    by place unless they bring one. people: the public figure of how many there are. record: the
    secret of the node's record keys.
    """

    columns: Sequence[ColumnFacts]
    rows: Rows
    rules: Rules = field(default_factory=Rules)
    people: int | None = None
    one_row_per: tuple[str, ...] = ("person",)
    more: Mapping[str, Sheet] = field(default_factory=dict)
    record: bytes = bytes(32)
    version: int = 1

    def __post_init__(self) -> None:
        sheets = {
            "people": Sheet(tuple(self.columns), self.rows, self.one_row_per, self.people),
            **self.more,
        }
        self.facts = {name: _facts(name, sheet) for name, sheet in sheets.items()}
        self.places = {name: f"{SOURCE}.{name}" for name in sheets}
        self.by_place = {self.places[name]: facts for name, facts in self.facts.items()}
        self.sheets = sheets
        self.source = _Memory({name: _table(s, s.rows) for name, s in sheets.items()})
        self.pinned: list[tuple[str, Standing]] = []
        self.stored: list[dict[str, Any]] = []
        self.read: list[Earlier] = []
        self.members: dict[str, bytes] = {}

    # -- the data, as its owner changes it

    def load(self, rows: Rows, table: str = "people") -> None:
        """Replace a table's data."""
        self.source.change(table, _table(self.sheets[table], rows))

    def next_version(self, rows: Rows | None = None) -> None:
        """Declare a new data version, with new data or the old."""
        if rows is not None:
            self.load(rows)
        self.version += 1

    def raw(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a text at the engine as it stands: what a node without a grammar would do."""
        return self.source.serve().execute(sql).fetchall()

    # -- the attacker's side

    def parse(self, text: str) -> Question:
        """Read a question's text. Raises what a node answers with."""
        shape = tuple((n, frozenset(f.columns)) for n, f in self.facts.items())
        return _parsed(text, shape)

    def pin(self, *texts: str, passport: str = "p") -> list[Question]:
        """Submit a passport that pins these questions. Raises Refused as a node would."""
        made = [self.parse(text) for text in texts]
        new = [
            Standing(f"{passport}{len(self.pinned) + i}", in_place(canonical(q), self.places))
            for i, q in enumerate(made)
        ]
        if self.rules.together:
            _weigh(
                tuple(new),
                tuple(standing for _, standing in self.pinned),
                _Known(self.by_place),
                threshold(self.rules),
            )
        self.pinned += [(passport, standing) for standing in new]
        return made

    def ask(self, text: str, rules: Rules | None = None, passport: str = "p") -> Shown:
        """Pin and ask; return the answer as cell key -> values (None where withheld)."""
        (question,) = self.pin(text, passport=passport)
        return self.answer(question, rules, passport)

    def answer(self, question: Question, rules: Rules | None = None, passport: str = "p") -> Shown:
        """Answer a pinned question on the present data version."""
        return _rows(self.told(question, rules, passport)["answer"])

    def told(
        self, question: Question, rules: Rules | None = None, passport: str = "p"
    ) -> dict[str, Any]:
        """Answer a pinned question; return what the node stores: answer, side figures, record."""
        rules = rules or self.rules
        if self._joined_otherwise(question, passport):
            rules = replace(rules, cell_key=self.rules.together or rules.cell_key)
        tables = {name: [self.facts[name]] for name in question.tables}
        bare = _granted(question, _Known(tables), rules)
        version = {SOURCE: str(self.version)}
        grant = replace(bare, shares=(replace(bare.shares[0], versions=version),))
        for told in self.stored:
            if told["unit"] == grant.unit and told["rules"] == grant.rules.digest:
                return told
        made = plan(grant)
        parts = {}
        for task in made.tasks:
            change = grant.question.digest.encode()[:32]
            frame, _ = frame_of(
                run(self.source, self.facts[task.name], task),  # type: ignore[arg-type]
                task,
                lambda _: bytes(32),
                Marks(change, self.record) if task.marked else None,
            )
            parts[("office", task.name)] = to_ipc(frame)
        earlier = tuple(self.read)
        last = last_of(grant, earlier)
        before = None
        if last is not None:
            before = self.members.get(f"{grant.question.digest} {dict(last[1].versions)}")
        combined, followed = combined_of(grant, made, parts, before, last is not None)
        cleared = clear_combined(combined, grant, made.recipe, earlier)
        if followed is not None:
            kept = followed.released(made.recipe, made.recipe.cells_at(cleared["held"]))
            self.members[f"{grant.question.digest} {version}"] = kept.to_bytes()
        told = {
            "unit": grant.unit,
            "rules": grant.rules.digest,
            "answer": cleared["answer"],
            "figures": cleared["figures"],
            "record": cleared["record"],
        }
        self.stored.append(told)
        one = read_earlier(told)
        if one is not None:
            self.read.append(one)
        return told

    def _joined_otherwise(self, question: Question, passport: str) -> bool:
        here = in_place(canonical(question), self.places)
        others = [s.question for other, s in self.pinned if other != passport]
        return needs_cell_keys(here, others)

    def tried(self, *texts: str, passport: str = "p") -> list[Shown | None]:
        """Pin and ask several questions; None for one that is refused."""
        made: list[Shown | None] = []
        for text in texts:
            try:
                made.append(self.ask(text, passport=passport))
            except BridlewayError:
                made.append(None)
        return made


# -- what follows from texts and declared facts alone, kept from trial to trial


class _Known:
    """Facts as a key of a cache: equal by what they say."""

    def __init__(self, said: Any) -> None:
        self.said = said
        self.text = repr(said)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and other.text == self.text


@lru_cache(maxsize=4096)
def _parsed(text: str, shape: tuple[tuple[str, frozenset[str]], ...]) -> Question:
    return parse(text, Scope(dict(shape), frozenset({"person"})))


@lru_cache(maxsize=4096)
def _granted(question: Question, tables: _Known, rules: Rules) -> Any:
    return rehearsal_grant(question, tables.said, "local", rules)


def _weigh(new: Any, others: Any, tables: _Known, k: int) -> None:
    """As `require_apart`; what it raised is raised again."""
    refused = _weighed(new, others, tables, k)
    if refused is not None:
        raise refused


@lru_cache(maxsize=4096)
def _weighed(new: Any, others: Any, tables: _Known, k: int) -> BridlewayError | None:
    try:
        require_apart(new, others, tables.said, k)
    except BridlewayError as refused:
        return refused
    return None


# -- tables


@lru_cache(maxsize=256)
def _facts_of(name: str, sheet: _Known) -> TableFacts:
    one: Sheet = sheet.said
    columns = {
        "nhs_number": ColumnFacts("nhs_number", "text", "identifier"),
        **{c.name: c for c in one.columns},
    }
    person = EntityKey("person", "nhs_number", "nhs-number")
    return TableFacts(
        "office", "people", name, columns, {"person": person}, one.one_row_per, people=one.people
    )


def _facts(name: str, sheet: Sheet) -> TableFacts:
    return _facts_of(name, _Known(replace(sheet, rows=())))


def _table(sheet: Sheet, rows: Rows) -> pa.Table:
    numbers = [
        row.get("nhs_number") or NUMBERS[row.get("who", place)] for place, row in enumerate(rows)
    ]
    made = {"nhs_number": pa.array(numbers, pa.string())}
    for one in sheet.columns:
        made[one.name] = pa.array([row[one.name] for row in rows], _ARROW[one.type])
    return pa.table(made)


def _rows(answer: Any) -> Shown:
    return {
        tuple("ALL" if isinstance(v, dict) else v for v in row["key"]): row["values"]
        for row in answer["rows"]
    }
