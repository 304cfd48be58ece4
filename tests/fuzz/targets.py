"""What is fuzzed: each reader takes any bytes, and gives a value or one clear error.

The contract of every target: nothing but a `BridlewayError` leaves it; the error is one short
sentence with a remedy, without control characters; where there is a way back, what was read and
written again is the same.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridleway.documents import read_yaml
from bridleway.errors import BridlewayError, Fault
from bridleway.keys.dsse import Signer, key_id, open_envelope, seal
from bridleway.ledger import notes
from bridleway.ledger.receipts import verify
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import PAYLOAD_PASSPORT, NodeKeys
from bridleway.node.policy_file import policy_from
from bridleway.passport.body import passport_from_body
from bridleway.passport.gaps import check as check_gaps
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import Scope, parse
from bridleway.questions.write import to_sql
from bridleway.sources.catalogue_file import read_catalogue

LONGEST = 1_500  # characters of an error
CORPUS = Path(__file__).with_name("corpus")
SIGNER = Signer.from_private(Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
TRUST = {"council": NodeKeys("council", "Council", SIGNER.public, "00" * 32)}
SCOPE = Scope(
    {"housing": frozenset({"area", "rent", "moved", "tenure"}), "health": frozenset({"ill"})},
    frozenset({"person", "address"}),
)


class BrokenContract(AssertionError):
    """A target did what it must not."""


def _guarded(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    @functools.wraps(read)
    def target(data: bytes) -> None:
        try:
            read(data)
        except Fault as error:
            raise BrokenContract(f"a Fault for bad input: {error}") from error
        except BridlewayError as error:
            told = f"{error.sentence} {error.remedy} {error.where}"
            if len(told) > LONGEST:
                raise BrokenContract(f"an error of {len(told)} characters") from error
            if any(ord(letter) < 32 for letter in told):
                raise BrokenContract("an error with a control character") from error
            if not error.sentence or not error.remedy:
                raise BrokenContract("an error without sentence or remedy") from error

    return target


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@_guarded
def question(data: bytes) -> None:
    """SQL text; what is read can be written and read again."""
    made = parse(_text(data), SCOPE)
    if canonical(made) != canonical(canonical(made)):
        raise BrokenContract("the canonical form is not its own canonical form")
    if parse(to_sql(made), SCOPE) != made:
        raise BrokenContract("the question written and read again is another one")


@_guarded
def passport(data: bytes) -> None:
    """A passport's YAML, through the gap check and the reading of its body."""
    document = read_yaml(_text(data), "passport.yaml")
    check_gaps(document, None, None, date(2026, 11, 23))
    passport_from_body(document.value, "00" * 32)


@_guarded
def catalogue(data: bytes) -> None:
    """A catalogue's YAML."""
    read_catalogue(read_yaml(_text(data), "catalogue.yaml"), "council")


@_guarded
def policy(data: bytes) -> None:
    """A policy's YAML."""
    policy_from(read_yaml(_text(data), "policy.yaml"))


@_guarded
def envelope(data: bytes) -> None:
    """A DSSE envelope: only what was sealed opens."""
    keys = {key_id(bytes.fromhex(SIGNER.public)): SIGNER.public}
    payload, _ = open_envelope(data, PAYLOAD_PASSPORT, keys)
    if strict_json(seal(payload, PAYLOAD_PASSPORT, SIGNER)) != strict_json(data):
        raise BrokenContract("an envelope opened that was not sealed so")


@_guarded
def receipt(data: bytes) -> None:
    """A receipt given to `bridleway verify`: nothing made up verifies."""
    verify(data, TRUST)
    raise BrokenContract("a receipt verified that nobody issued")


@_guarded
def note(data: bytes) -> None:
    """A checkpoint with co-signatures."""
    told = _text(data)
    notes.verify(told, "council", SIGNER.public)
    notes.cosigners(told, {"health": SIGNER.public}, "council")


@_guarded
def canonical_bytes(data: bytes) -> None:
    """Strict JSON; what is read has one text."""
    value = strict_json(data)
    if strict_json(canonical_json(value)) != value:
        raise BrokenContract("a value does not survive its canonical text")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "question": question,
    "passport": passport,
    "catalogue": catalogue,
    "policy": policy,
    "envelope": envelope,
    "receipt": receipt,
    "note": note,
    "json": canonical_bytes,
}


def corpus(name: str) -> list[bytes]:
    """Return the kept inputs of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def keep(name: str, data: bytes, folder: Path = CORPUS) -> Path:
    """Keep an input under a name of its own."""
    path = folder / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
