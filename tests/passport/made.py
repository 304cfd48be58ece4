"""Made-up people with real keys, and a small passport that tests change one thing of at a time."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridleway.keys.dsse import Signer
from bridleway.keys.dsse import seal as seal_envelope
from bridleway.model.canonical import canonical_json
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.passport import PAYLOAD_STATEMENT, Passport, PersonCertificate, Statement
from bridleway.passport.seal import read_sealed, seal
from bridleway.passport.state import Standing, state_of
from bridleway.passport.statements import make, read

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FROM, UNTIL = "2026-11-01", "2027-10-31"
ALWAYS = ("2026-01-01", "2027-12-31")

SQL = (
    "SELECT area, COUNT(DISTINCT person) AS people "
    "FROM housing JOIN health USING (person) JOIN work USING (person) "
    "WHERE tenure = 'rent' AND ill GROUP BY area"
)
AREAS_SQL = "SELECT area, COUNT(DISTINCT person) AS people FROM housing GROUP BY area"


@dataclass(frozen=True)
class Person:
    """An account: its key and its certificate."""

    signer: Signer
    certificate: PersonCertificate

    @property
    def id(self) -> str:
        """`node/person`."""
        return self.certificate.id


@cache
def person(
    account: str, *roles: str, name: str = "", held: tuple[str, str] = ALWAYS, key: str = ""
) -> Person:
    """Return an account with a key of its own (or of the account named by `key`)."""
    seed = hashlib.sha256((key or account).encode()).digest()
    signer = Signer.from_private(Ed25519PrivateKey.from_private_bytes(seed))
    node = account.split("/")[0]
    certificate = PersonCertificate(
        account, name or account, node, dict.fromkeys(roles, held), signer.public
    )
    return Person(signer, certificate)


SAM = person("city/sam", "author", "analyst", name="Sam Okoro")
ANN = person("council/ann", "controller", name="Ann Lee")
ALI = person("council/ali", "controller", name="Ali Shah")
BO = person("health/bo", "controller", name="Bo Chen")
CY = person("jobs/cy", "controller", name="Cy Dunn")
GAIL = person("health/gail", "caldicott-guardian", name="Gail Kerr")
DEE = person("council/dee", "dpo", name="Dee Pott")
LEE = person("council/lee", "adviser-legal", name="Lee Shaw")
LIV = person("council/liv", "leader", name="Liv Berg")
EVE = person(
    "elsewhere/eve", "author", "controller", "caldicott-guardian", "leader", "dpo", name="Eve Ash"
)
EVERYBODY = (SAM, ANN, ALI, BO, CY, GAIL, DEE, LEE, LIV, EVE)


def known(*persons: Person) -> dict[str, PersonCertificate]:
    """Return key id -> certificate."""
    return {p.signer.key_id: p.certificate for p in persons or EVERYBODY}


def field(name: str, form: str = "raw", category: str = "") -> dict[str, str]:
    """Return one listed field."""
    return {"name": name, "form": form, "why": "the question", "category": category}


KEY = field("nhs_number", "key-only", "uk.id.nhs_number")


def body(**changes: Any) -> dict[str, Any]:
    """Return a passport over three organisations; `__` in a name goes a level down."""
    made: dict[str, Any] = {
        "id": "renters",
        "version": 1,
        "title": "Renters in need",
        "level": "level-full",
        "questions": [
            {"id": "by-area", "kind": "statistic", "text": SQL},
            {"id": "areas", "kind": "statistic", "text": AREAS_SQL},
        ],
        "technique": {
            "by-area": {"use": "linked", "why": "people are joined"},
            "areas": {"use": "local", "why": "one source"},
        },
        "linker": "linker",
        "disclosure": {"smallest_group": 10},
        "purpose": {"code": "dpv:ServiceProvision", "aim": "plan support"},
        "parties": {
            "controllers": [
                {"id": "council", "name": "Council", "sources": ["council.housing"]},
                {"id": "health", "name": "Health", "sources": ["health.records"]},
                {"id": "jobs", "name": "Jobs", "sources": ["jobs.claims"]},
            ]
        },
        "roles": {"author": SAM.id, "dpo": DEE.id},
        "data": {
            "sources": [
                {"id": "council.housing", "fields": [KEY, field("area"), field("tenure")]},
                {"id": "health.records", "fields": [KEY, field("ill")]},
                {"id": "jobs.claims", "fields": [KEY]},
            ],
            "tables": {
                "housing": {"at": ["council.housing.register"]},
                "health": {"at": ["health.records.conditions"]},
                "work": {"at": ["jobs.claims.claims"]},
            },
            "links": [
                {"entity": "person", "tables": ["housing", "health", "work"], "where": "linker"}
            ],
        },
        "users": [{"person": SAM.id, "training": "this year"}],
        "outputs": {"form": "aggregate", "recipients": ["city"]},
        "validity": {"from": FROM, "until": UNTIL, "runs": 12},
    }
    made = copy.deepcopy(made)
    for path, value in changes.items():
        *parents, last = path.split("__")
        at = made
        for key in parents:
            at = at[key]
        at[last] = value
    return made


def passport(**changes: Any) -> Passport:
    """Return the passport sealed by its author and read back."""
    return read_sealed(seal(body(**changes), SAM.signer), known())


def health_body_changes() -> dict[str, Any]:
    """Return the change that makes the health source confidential health information."""
    sources = copy.deepcopy(body()["data"]["sources"])
    sources[1]["fields"][1]["category"] = "uk.health.gp"
    return {"data__sources": sources}


def clock(minutes: float = 0) -> str:
    """Return a signing time so many minutes after a morning before NOW."""
    return (NOW - timedelta(days=1) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def say(
    text: Passport,
    who: Person,
    role: str,
    decision: str,
    minutes: float = 0,
    people: Mapping[str, PersonCertificate] | None = None,
    **more: Any,
) -> Statement:
    """Return a statement, signed and read back."""
    node = who.id.split("/")[0]
    own = sorted({f"{n}.{s}" for t in text.tables.values() for n, s, _ in t.at if n == node})
    given: dict[str, Any] = {
        "reasons": "The need outweighs the risk.",
        "at": clock(minutes),
        "until": text.valid_until,
        "scope": own if role == "controller" else (),
    } | more
    envelope = make(
        text, role=role, decision=decision, by=who.certificate, signer=who.signer, **given
    )
    return read(envelope, people or known(*EVERYBODY, who))


def forge(statement: Statement, signer: Signer, **changes: Any) -> bytes:
    """Return an envelope that says something `make` would not let its signer say."""
    told = {f.name: getattr(statement, f.name) for f in fields(statement)}
    told |= {"scope": list(statement.scope)} | changes
    return seal_envelope(canonical_json(told), PAYLOAD_STATEMENT, signer)


def approved(text: Passport, minutes: float = 0) -> list[Statement]:
    """Return the data protection officer's advice and every controller's approval."""
    made = [say(text, DEE, "dpo", "advise", minutes)]
    for step, who in enumerate((ANN, BO, CY), start=1):
        made.append(say(text, who, "controller", "approve", minutes + step))
    return made


def standing(text: Passport, statements: Sequence[Statement], **more: Any) -> Standing:
    """Return the state now, as everybody's certificates have it."""
    people = more.pop("people", known())
    return state_of(text, statements, people, more.pop("now", NOW), **more)


# -- catalogues


def column(name: str, cls: str = "plain", kind: str = "text") -> ColumnFacts:
    """Return one column's facts."""
    bounds = (Decimal(0), Decimal(9)) if kind == "integer" else None
    return ColumnFacts(name, kind, cls, bounds=bounds)  # type: ignore[arg-type]


def facts(node: str, source: str, table: str, *columns: ColumnFacts) -> TableFacts:
    """Return one table that identifies people by NHS number."""
    held = {c.name: c for c in (column("nhs_number", "identifier"), *columns)}
    person_key = EntityKey("person", "nhs_number", "nhs-number")
    return TableFacts(node, source, table, held, {"person": person_key}, ("person",))


HOUSING = facts(
    "council", "housing", "register",
    column("area"), column("tenure"), column("rent", kind="integer"), column("uprn", "identifier"),
)  # fmt: skip
HEALTH = facts("health", "records", "conditions", column("ill", "sensitive", "boolean"))
WORK = facts("jobs", "claims", "claims")
