"""The nouns that a question becomes on its way: Grant, Plan, Partial, Combined, Cleared, Answer.

Each step of `ask` accepts only the previous step's noun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridleway.model.canonical import digest_of
from bridleway.model.catalogue import TableFacts
from bridleway.model.policy import Rules
from bridleway.model.question import Case, Column, Predicate, Question, Scalar, question_from_json


@dataclass(frozen=True, slots=True)
class Share:
    """One node's word on one question: what it holds of it, its floor and its data versions.

    tables: passport table name -> the declared facts of this node's part, restricted to the
    columns that the question uses. versions: source id -> declared data version (SHA-256).
    """

    node: str
    tables: Mapping[str, TableFacts]
    rules: Rules
    versions: Mapping[str, str]
    until: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "node": self.node,
            "tables": {name: facts.to_json() for name, facts in sorted(self.tables.items())},
            "rules": self.rules.to_json(),
            "versions": dict(sorted(self.versions.items())),
            "until": self.until,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Share:
        """Read what `to_json` wrote."""
        return cls(
            node=data["node"],
            tables={k: TableFacts.from_json(v) for k, v in data["tables"].items()},
            rules=Rules.from_json(data["rules"]),
            versions=dict(data["versions"]),
            until=data["until"],
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What passport, approvals and policies permit for one question now.

    shares: one per touched node, in the order of node ids. rules: the strictest of passport,
    conditions and every share. at_most: table name -> in how many organisations a person may be.
    """

    passport_id: str
    passport_digest: str
    question_id: str
    question: Question
    technique: str
    linker: str | None
    shares: tuple[Share, ...]
    rules: Rules
    asker: str
    request: str
    at: str
    until: str
    at_most: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every touched node, sorted."""
        return tuple(share.node for share in self.shares)

    @property
    def versions(self) -> dict[str, str]:
        """Source id -> data version over all shares."""
        return {s: v for share in self.shares for s, v in sorted(share.versions.items())}

    def facts(self, table: str) -> tuple[TableFacts, ...]:
        """Return the declared facts of a passport table at each organisation, by node order."""
        return tuple(s.tables[table] for s in self.shares if table in s.tables)

    @property
    def unit(self) -> str:
        """Digest of (canonical question, data versions): what an answer is stored under."""
        return digest_of({"question": self.question.digest, "versions": self.versions})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "passport_id": self.passport_id,
            "passport_digest": self.passport_digest,
            "question_id": self.question_id,
            "question": self.question.to_json(),
            "technique": self.technique,
            "linker": self.linker,
            "shares": [share.to_json() for share in self.shares],
            "rules": self.rules.to_json(),
            "asker": self.asker,
            "request": self.request,
            "at": self.at,
            "until": self.until,
            "at_most": dict(self.at_most),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Grant:
        """Read what `to_json` wrote."""
        return cls(
            passport_id=data["passport_id"],
            passport_digest=data["passport_digest"],
            question_id=data["question_id"],
            question=question_from_json(data["question"]),
            technique=data["technique"],
            linker=data["linker"],
            shares=tuple(Share.from_json(s) for s in data["shares"]),
            rules=Rules.from_json(data["rules"]),
            asker=data["asker"],
            request=data["request"],
            at=data["at"],
            until=data["until"],
            at_most=dict(data["at_most"]),
        )


@dataclass(frozen=True, slots=True)
class CodeColumn:
    """A group expression that a source sends as the position in its public domain.

    domain: the declared values, in order (None is the group of missing values). Rows outside
    the domain are left out and counted.
    """

    name: str
    expression: Column | Case
    domain: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """A number that a source sends as a 64-bit integer of 10**-scale units, clamped to bounds.

    low and high are the bounds in those units, inclusive.
    """

    name: str
    expression: Scalar
    scale: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class BitColumn:
    """A predicate that a source sends as one bit per row: true, or not true."""

    name: str
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """An identifier column that leaves only as a keyed token."""

    entity: str
    column: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Task:
    """What one source does for one table of a question. Built only by `questions.plan`.

    filters: predicates over plain and quasi-identifier columns, applied at the source.
    keys: identifiers of the entities that the question joins or counts. marked: the frame also
    tells which rows are of the same person in another data version; record_keys: and brings
    each person's record key.
    """

    node: str
    source: str
    table: str
    name: str
    keys: tuple[KeyColumn, ...]
    filters: tuple[Predicate, ...] = ()
    codes: tuple[CodeColumn, ...] = ()
    bits: tuple[BitColumn, ...] = ()
    values: tuple[ValueColumn, ...] = ()
    one_row_per: tuple[str, ...] = ()
    marked: bool = False
    record_keys: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell before disclosure control: exact, never shown.

    key: one value per group of the question, `ALL` in a margin. numbers: 'people' (distinct),
    'base' (distinct people who meet only plain predicates), 'rows' (bounded per person); per
    measure m: 'm.sum', 'm.n', 'm.sumsq', 'm.people' (distinct contributors), 'm.top' (the
    largest |contribution| of one person), 'm.top_n' (of the n largest together), 'm.abs'
    (sum of |contributions|). Sums are integers of 10**-scale units. Where asked for: 'key' and
    'm.key' (the sum of the people's record keys, modulo 256), 'changed' (people of the cell who
    came, went or differ since the last released data version).
    """

    key: tuple[Any, ...]
    numbers: Mapping[str, int]


class _All:
    """The margin: every value of a group."""

    def __repr__(self) -> str:
        return "ALL"

    def __reduce__(self) -> str:
        return "ALL"


ALL = _All()


@dataclass(frozen=True, slots=True)
class Combined:
    """Every cell of every grouping set, margins that the attacker may know included.

    asked: for each cell, whether the question shows it (margins that were not asked are used
    by secondary suppression only). figures: exact side figures (people matched, invalid
    identifiers ...), protected before they leave.
    """

    cells: tuple[Cell, ...]
    asked: tuple[bool, ...]
    figures: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; every cell has the same numbers."""
        names = list(self.cells[0].numbers) if self.cells else []
        return {
            "keys": [[{"all": True} if v is ALL else v for v in c.key] for c in self.cells],
            "names": names,
            "numbers": [[cell.numbers[name] for name in names] for cell in self.cells],
            "asked": list(self.asked),
            "figures": dict(self.figures),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Combined:
        """Read what `to_json` wrote."""
        keys = [tuple(ALL if isinstance(v, dict) else v for v in key) for key in data["keys"]]
        cells = (
            Cell(key, dict(zip(data["names"], numbers, strict=True)))
            for key, numbers in zip(keys, data["numbers"], strict=True)
        )
        return cls(tuple(cells), tuple(data["asked"]), dict(data["figures"]))


@dataclass(frozen=True, slots=True)
class ClearedCell:
    """A cell that may leave: numbers rounded, or None where withheld (all alike).

    people: the cell's people, protected like a released count, whether asked for or not; kept at
    the touched nodes, so that later answers can be held to it. None where not shown as it is.
    parts: likewise the people whom a measure's conditions sort out, by the number's name.
    """

    key: tuple[Any, ...]
    values: Mapping[str, Any] | None
    people: int | None = None
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellStatus:
    """What rules say of one cell, for its controllers alone (see `disclosure.statuses`).

    status: pass, review or fail. findings: (rule, measure) pairs; the measure is empty where the
    finding is about the cell.
    """

    key: tuple[Any, ...]
    status: str
    findings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cleared:
    """What disclosure control lets through, and the controllers' sealed account of the rest.

    reasons: (cell key, rule name) pairs and statuses: for the sealed log only; they never leave
    with the answer. held: positions among the combined cells of those that keep their last figures.
    """

    cells: tuple[ClearedCell, ...]
    rules: Rules
    figures: Mapping[str, Any]
    reasons: tuple[tuple[tuple[Any, ...], str], ...] = ()
    statuses: tuple[CellStatus, ...] = ()
    held: tuple[int, ...] = ()

    @property
    def withheld(self) -> int:
        """How many of the shown cells are withheld."""
        return sum(cell.values is None for cell in self.cells)
