"""Seals a passport's text and reads sealed ones: verify first, parse once, then believe."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any

from bridleway.errors import Refused, UsageError
from bridleway.keys.dsse import Signer, open_envelope
from bridleway.keys.dsse import seal as seal_envelope
from bridleway.keys.people import held_role
from bridleway.model.canonical import canonical_json, sha256_hex, strict_json
from bridleway.model.passport import PAYLOAD_PASSPORT, Passport, PersonCertificate
from bridleway.passport.body import links_of, passport_from_body
from bridleway.passport.preset import require_written_out, written_out
from bridleway.passport.times import day_of

__all__ = ["links_of", "passport_from_body", "read_sealed", "seal"]


def seal(body: Mapping[str, Any], author: Signer) -> bytes:
    """Return the passport as canonical strict JSON in a DSSE envelope signed by its author.

    A preset that it names is written out first (see `passport.preset`).

    Raises UsageError or Gap where the text lacks a part that nodes enforce.
    """
    _require_seen(body)
    payload = canonical_json(written_out(body))
    passport_from_body(body, sha256_hex(payload))
    return seal_envelope(payload, PAYLOAD_PASSPORT, author)


def read_sealed(
    envelope: bytes, people: Mapping[str, PersonCertificate], *, on: date | None = None
) -> Passport:
    """Verify a sealed passport and read it. people: key id -> certificate.

    The digest is the SHA-256 of the payload's exact bytes. Raises Refused unless the one person
    who signed is the author that the text names and an author by the passport's last day. `on`:
    the day of submission, when it is known: the role has to be held then. That it ends later
    unmakes nothing, so a text that was taken in once is read again.
    """
    # (1) Verify: nothing of the payload is looked at before.
    keys = {keyid: person.public_key for keyid, person in people.items()}
    payload, signers = open_envelope(envelope, PAYLOAD_PASSPORT, keys)
    # (2) Parse once, strictly.
    body = strict_json(payload)
    _require_seen(body)
    if canonical_json(body) != payload:
        raise Refused(
            "The sealed passport is not written canonically.",
            "Seal it with `bridleway passport seal`.",
            code="not-canonical",
        )
    require_written_out(body)
    passport = passport_from_body(body, sha256_hex(payload))
    # (3) Believe only the author.
    if len(signers) != 1 or people[signers[0]].id != passport.author:
        raise Refused(
            "The passport is not signed by the author that it names.",
            f"{passport.author} seals and submits it.",
            code="author",
        )
    _require_author(people[signers[0]], passport, on)
    return passport


def _require_author(author: PersonCertificate, passport: Passport, on: date | None) -> None:
    span = author.roles.get("author")
    if (
        span is None
        or date.fromisoformat(span[0]) > day_of(passport.valid_until)
        or (on is not None and not held_role(author, "author", on))
    ):
        raise Refused(
            f"{author.id} is not certified as an author for this time.",
            "Certify the role: bridleway person add ... --role author.",
            code="author",
        )


def _require_seen(value: Any) -> None:
    """Refuse characters that a reader of the text cannot see: they hide what is signed."""
    if isinstance(value, str):
        if not value.isascii() or not value.isprintable():
            _require_visible(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _require_seen(key)
            _require_seen(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_seen(item)


def _require_visible(text: str) -> None:
    for character in text:
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
            raise UsageError(
                f"The text holds a hidden character (U+{ord(character):04X}).",
                "Delete it: a reader could not see it.",
            )
