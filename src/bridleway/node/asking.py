"""The asker's signature: a node answers a person, not a program."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from bridleway.ask import Asking
from bridleway.errors import Refused
from bridleway.keys.dsse import Signer, open_envelope, seal
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import PersonCertificate
from bridleway.model.question import Asked, asked_from_json

PAYLOAD_ASKING = "application/vnd.bridleway.asking+json"


def stamp(now: datetime) -> str:
    """Return a moment as UTC text to the second."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Read what `stamp` wrote."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def sign_asking(
    signer: Signer,
    question: Asked,
    passport: str,
    purpose: str,
    asker: str,
    request: str,
    at: str,
) -> Asking:
    """Return the asking, signed with the person's own key."""
    body = {
        "question": question.to_json(),
        "passport": passport,
        "purpose": purpose,
        "asker": asker,
        "request": request,
        "at": at,
    }
    proof = seal(canonical_json(body), PAYLOAD_ASKING, signer).decode()
    return Asking(question, passport, purpose, asker, request, at, proof)


def read_asking(proof: str, people: Mapping[str, PersonCertificate]) -> Asking:
    """Verify that a known person signed this asking in their own name. Raises Refused."""
    keys = {keyid: person.public_key for keyid, person in people.items()}
    payload, signers = open_envelope(proof.encode(), PAYLOAD_ASKING, keys)
    body = strict_json(payload)
    asking = Asking(
        question=asked_from_json(body["question"]),
        passport_id=str(body["passport"]),
        purpose=str(body["purpose"]),
        asker=str(body["asker"]),
        request=str(body["request"]),
        at=str(body["at"]),
        proof=proof,
    )
    if len(signers) != 1 or people[signers[0]].id != asking.asker:
        raise Refused(
            "The question is not signed by the person who asks.",
            "Ask with your own key.",
            code="asker",
        )
    return asking
