"""A node's own view of every passport: texts and statements from its ledger, verified once each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from bridleway.errors import Gap, Refused, nearest
from bridleway.extract.recipe import read_recipe
from bridleway.keys.dsse import key_id
from bridleway.keys.people import read_certificate
from bridleway.ledger.store import Ledger
from bridleway.model.canonical import sha256_hex
from bridleway.model.passport import (
    NodeKeys,
    Passport,
    PersonCertificate,
    PinnedQuestion,
    Statement,
)
from bridleway.model.question import Listing, Question
from bridleway.passport.extracts import recipe_problems
from bridleway.passport.fhir_extracts import is_fhir, listing_problems
from bridleway.passport.seal import read_sealed
from bridleway.passport.state import Standing, became_valid, state_of
from bridleway.passport.statements import read as read_statement
from bridleway.questions.sql import Scope, parse, parse_listing


class Register:
    """Passports, statements and people as this node's ledger holds them."""

    def __init__(self, ledger: Ledger, trust: Mapping[str, NodeKeys]) -> None:
        self.ledger = ledger
        self.trust = trust
        self._read: dict[str, Any] = {}
        self._made: dict[str, tuple[int, Any]] = {}
        self._lock = threading.Lock()

    def _once(self, envelope: bytes, read: Callable[[bytes], Any]) -> Any:
        """Verify and read an envelope the first time it is met; it never changes."""
        key = sha256_hex(envelope)
        with self._lock:
            if key in self._read:
                return self._read[key]
        made = read(envelope)
        with self._lock:
            self._read[key] = made
        return made

    def _since(self, name: str, make: Callable[[], Any]) -> Any:
        """Look up what was made from the documents as they are; make it anew when they grew."""
        newest = self.ledger.last_document()
        with self._lock:
            known = self._made.get(name)
        if known is None or known[0] != newest:
            known = (newest, make())
            with self._lock:
                self._made[name] = known
        return known[1]

    @property
    def people(self) -> dict[str, PersonCertificate]:
        """Key id -> certificate of every person that a pinned node certified."""
        made: dict[str, PersonCertificate] = self._since("people", self._all_people)
        return made

    def _all_people(self) -> dict[str, PersonCertificate]:
        made = {}
        for envelope in self.ledger.documents("certificate"):
            certificate = self._once(envelope, lambda e: read_certificate(e, self.trust))
            made[key_id(bytes.fromhex(certificate.public_key))] = certificate
        return made

    def certificates(self) -> list[bytes]:
        """Return the certificates' envelopes, in ledger order."""
        return self.ledger.documents("certificate")

    def person(self, person: str) -> PersonCertificate:
        """Return the newest certificate of a person id. Raises Gap with the nearest name."""
        known = {c.id: c for c in self.people.values()}
        if person not in known:
            raise Gap(
                f"Nobody is known here as '{person}'.{nearest(person, known)}",
                "Add the person: bridleway person add NODE NAME --role ... --from ... --until ...",
            )
        return known[person]

    def passports(self) -> list[tuple[Passport, bytes]]:
        """Return every submitted passport with its envelope, in ledger order."""
        made: list[tuple[Passport, bytes]] = self._since("passports", self._all_passports)
        return made

    def _all_passports(self) -> list[tuple[Passport, bytes]]:
        people = self.people
        return [
            (self._once(e, lambda x: read_sealed(x, people)), e)
            for e in self.ledger.documents("passport")
        ]

    def versions(self, passport_id: str) -> list[tuple[Passport, bytes]]:
        """Return every version of one passport, oldest first. Raises Refused if there is none."""
        found = [(p, e) for p, e in self.passports() if p.id == passport_id]
        if not found:
            known = {p.id for p, _ in self.passports()}
            raise Refused(
                f"There is no passport '{passport_id}' here.{nearest(passport_id, known)}",
                "Write one with `bridleway passport new`, and submit it.",
                code="no-passport",
            )
        return sorted(found, key=lambda pair: pair[0].version)

    def statements(self, passport: Passport) -> list[tuple[Statement, bytes]]:
        """Return the statements over exactly this text, in ledger order."""
        made: list[tuple[Statement, bytes]] = self._since(
            f"statements {passport.digest}", lambda: self._all_statements(passport)
        )
        return made

    def _all_statements(self, passport: Passport) -> list[tuple[Statement, bytes]]:
        people = self.people
        made = [
            (self._once(e, lambda x: read_statement(x, people)), e)
            for e in self.ledger.documents("statement", passport.id)
        ]
        return [(s, e) for s, e in made if s.digest == passport.digest]

    def standing(self, passport: Passport, now: datetime) -> Standing:
        """Compute the passport's state at a time (the same within one second)."""
        at = now.replace(microsecond=0)
        known: dict[str, tuple[datetime, Standing]] = self._since("standings", dict)
        found = known.get(passport.digest)
        if found is None or found[0] != at:
            found = known[passport.digest] = (at, self._standing(passport, at))
        return found[1]

    def _standing(self, passport: Passport, now: datetime) -> Standing:
        newer = any(
            became_valid(other, self._said(other), self.people, now)
            for other, _ in self.versions(passport.id)
            if other.version > passport.version
        )
        return state_of(passport, self._said(passport), self.people, now, newer_valid=newer)

    def _said(self, passport: Passport) -> list[Statement]:
        return [statement for statement, _ in self.statements(passport)]

    def current(self, passport_id: str, now: datetime) -> tuple[Passport, bytes, Standing]:
        """Return the newest valid version, or the newest one, with its envelope and standing."""
        versions = self.versions(passport_id)
        for passport, envelope in reversed(versions):
            standing = self.standing(passport, now)
            if standing.state == "valid":
                return passport, envelope, standing
        passport, envelope = versions[-1]
        return passport, envelope, self.standing(passport, now)

    def by_digest(self, digest: str) -> tuple[Passport, bytes]:
        """Return the passport with this digest. Raises Refused if it is not here."""
        for passport, envelope in self.passports():
            if passport.digest == digest:
                return passport, envelope
        raise Refused("This node does not know that passport.", "Submit it.", code="no-passport")

    def pinned(self, passport: Passport) -> dict[str, Question]:
        """Return the passport's questions, parsed (once per text)."""
        key = f"pinned {passport.digest}"
        with self._lock:
            if key in self._read:
                return dict(self._read[key])
        scope = scope_of(passport)
        made = {p.id: parse(p.text, scope) for p in passport.questions if p.kind == "statistic"}
        with self._lock:
            self._read[key] = made
        return dict(made)

    def listings(self, passport: Passport) -> dict[str, Listing]:
        """Return what the passport's extracts list, parsed (once per text).

        Raises Gap where a recipe does not fit what its extract lists.
        """
        key = f"listings {passport.digest}"
        with self._lock:
            if key in self._read:
                return dict(self._read[key])
        made = listings_of(passport)
        with self._lock:
            self._read[key] = made
        return dict(made)


def listings_of(passport: Passport) -> dict[str, Listing]:
    """Parse a passport's extracts. Raises Gap where a recipe does not fit what is listed."""
    made = {}
    for pinned in passport.questions:
        if pinned.kind != "extract":
            continue
        made[pinned.id] = listing = parse_listing(pinned.text, scope_of(passport))
        for sentence, remedy in _problems(passport, pinned, listing):
            raise Gap(sentence, remedy, where=f"extracts.{pinned.id}", code="recipe")
    return made


def _problems(
    passport: Passport, pinned: PinnedQuestion, listing: Listing
) -> Iterable[tuple[str, str]]:
    if is_fhir(pinned.recipe):
        return listing_problems(listing)
    recipe = read_recipe(pinned.recipe, f"extracts.{pinned.id}")
    listed = [column.name for column in listing.columns]
    forms = {n: use.form for n, use in passport.fields.get(listing.table, {}).items()}
    return recipe_problems(recipe, listed, {}, forms)


def scope_of(passport: Passport) -> Scope:
    """Return the names that a passport's questions may use."""
    tables = {
        name: frozenset(f.name for f in fields.values()) for name, fields in passport.fields.items()
    }
    return Scope(tables, frozenset({"person", *passport.links}))
