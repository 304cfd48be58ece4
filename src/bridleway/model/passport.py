"""The passport as a noun: a verified text, its digest, and what it binds names to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from typing import Literal as OneOf

Decision: TypeAlias = OneOf[
    "approve", "approve_with_conditions", "ask_changes", "refuse", "advise", "back",
    "suspend", "lift", "revoke", "withdraw",
]  # fmt: skip
State: TypeAlias = OneOf[
    "draft", "in-review", "changes-asked", "valid", "suspended", "refused", "expired",
    "revoked", "superseded", "withdrawn",
]  # fmt: skip
Level: TypeAlias = OneOf["level-light", "level-standard", "level-full", "level-urgent"]

PAYLOAD_PASSPORT = "application/vnd.bridleway.passport+json"
PAYLOAD_STATEMENT = "application/vnd.bridleway.statement+json"
PAYLOAD_PERSON = "application/vnd.bridleway.person+json"
PAYLOAD_RECEIPT = "application/vnd.bridleway.receipt+json"


@dataclass(frozen=True, slots=True)
class PinnedQuestion:
    """One question of the passport: its text, kind, technique and why that technique.

    recipe: of an extract, what is done to the rows before they leave, as plain data.
    """

    id: str
    kind: str
    text: str
    technique: str
    why: str = ""
    recipe: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TableBinding:
    """What a table name of the passport stands for.

    at: (node, source, table) for each organisation, in the passport's order. disjoint: people
    are declared to be at one of them only. at_most: a person is declared to be at no more of
    them than this (1 when disjoint).
    """

    name: str
    at: tuple[tuple[str, str, str], ...]
    disjoint: bool = False
    at_most: int | None = None
    why: str = ""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The organisations that hold it."""
        return tuple(node for node, _, _ in self.at)


@dataclass(frozen=True, slots=True)
class FieldUse:
    """A column that the passport opens, in which form (raw, banded, hashed, key-only), and why."""

    name: str
    form: str
    why: str
    category: str = ""


@dataclass(frozen=True, slots=True)
class Passport:
    """A sealed passport: the exact signed text (as data) and the digest of its bytes.

    `body` is the strict JSON payload; every accessor below was validated when it was made by
    `passport.read_sealed`.
    """

    body: Mapping[str, Any]
    digest: str
    id: str
    version: int
    level: Level
    author: str
    purpose: str
    questions: tuple[PinnedQuestion, ...]
    tables: Mapping[str, TableBinding]
    fields: Mapping[str, Mapping[str, FieldUse]]
    links: tuple[str, ...]
    controllers: Mapping[str, tuple[str, ...]]
    users: tuple[str, ...]
    linker: str | None
    rules: Mapping[str, Any]
    valid_from: str
    valid_until: str
    most_runs: int
    results_in_the_clear: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A person's signed decision or advice over exactly one passport digest.

    by: person id `node/person`; scope: the source ids it covers (controllers); conditions: typed
    limits that only narrow (`rules`, `until`, `fields_removed`, `most_runs`).
    """

    passport: str
    version: int
    digest: str
    role: str
    decision: Decision
    reasons: str
    by: str
    key_id: str
    at: str
    until: str
    scope: tuple[str, ...] = ()
    conditions: Mapping[str, Any] | None = None
    overrides: str = ""
    prev: str = ""


@dataclass(frozen=True, slots=True)
class PersonCertificate:
    """A node's word that a key belongs to a person with roles between two dates.

    id: `node/person`; roles: mapping of role to (from, until), ISO dates, inclusive;
    public_key: 32 raw bytes as 64 hex digits.
    """

    id: str
    name: str
    node: str
    roles: Mapping[str, tuple[str, str]]
    public_key: str


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """A pinned node: its name and public keys, 64 hex digits each."""

    id: str
    name: str
    signing_key: str
    sealing_key: str
