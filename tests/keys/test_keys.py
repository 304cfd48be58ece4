"""Keys, envelopes and certificates hold what they promise."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.keys.dsse import Signer, is_public_key, open_envelope, seal, verify_signature
from bridleway.keys.files import (
    load_person_key,
    new_person_key,
    write_private,
)
from bridleway.keys.people import certify, read_certificate
from bridleway.keys.sealed import open_sealed, pair_secret, seal_to
from bridleway.keys.trust import trust_from_json
from bridleway.model.passport import NodeKeys, PersonCertificate

ONE, TWO = (
    Signer.from_private(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2)
)
KNOWN = {ONE.key_id: ONE.public, TWO.key_id: TWO.public}


def test_an_envelope_is_dsse_as_securesystemslib_reads_it() -> None:
    """The bytes that are signed are those of the DSSE standard's reference library."""
    dsse = pytest.importorskip("securesystemslib.dsse")
    data = json.loads(seal(b'{"a":1}', "application/x", ONE))
    envelope = dsse.Envelope.from_dict(data)
    signature = base64.b64decode(
        json.loads(seal(b'{"a":1}', "application/x", ONE))["signatures"][0]["sig"]
    )
    ONE.private.public_key().verify(signature, envelope.pae())


def test_what_two_signed_opens_with_both_named() -> None:
    """Every signature is verified and told."""
    payload, signers = open_envelope(seal(b"x", "t", ONE, TWO), "t", KNOWN)
    assert payload == b"x"
    assert set(signers) == {ONE.key_id, TWO.key_id}


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_refused(place: int, flip: int) -> None:
    """Whatever byte is changed, the envelope is refused or still says exactly the same."""
    envelope = bytearray(seal(b'{"k":10}', "t", ONE))
    envelope[place % len(envelope)] ^= flip
    try:
        payload, _ = open_envelope(bytes(envelope), "t", KNOWN)
    except BridlewayError:
        return
    assert payload == b'{"k":10}'


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e | {"payloadType": "other"},
        lambda e: e | {"extra": 1},
        lambda e: e | {"signatures": []},
        lambda e: e | {"signatures": e["signatures"] * 2},
        lambda e: e | {"signatures": [e["signatures"][0] | {"alg": "none"}]},
        lambda e: e | {"payload": "!!"},
    ],
)
def test_an_envelope_of_another_shape_is_refused(change: object) -> None:
    """No unknown key, no second copy of a signature, no algorithm from the message."""
    data = json.loads(seal(b"x", "t", ONE))
    with pytest.raises(Refused):
        open_envelope(json.dumps(change(data)).encode(), "t", KNOWN)  # type: ignore[operator]


def test_one_unknown_signer_spoils_the_envelope() -> None:
    """A signature nobody vouches for is not passed over."""
    with pytest.raises(Refused):
        open_envelope(seal(b"x", "t", ONE, TWO), "t", {ONE.key_id: ONE.public})


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    """Losing a key by accident is not possible."""
    write_private(tmp_path / "key", b"one")
    with pytest.raises(UsageError):
        write_private(tmp_path / "key", b"two")
    assert (tmp_path / "key").read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_persons_key_needs_the_password(tmp_path: Path) -> None:
    """The wrong password opens nothing; the file holds no plain key."""
    public = new_person_key(tmp_path / "key.json", "the right password")
    assert load_person_key(tmp_path / "key.json", "the right password").public == public
    with pytest.raises(Refused, match="password"):
        load_person_key(tmp_path / "key.json", "the wrong password")
    with pytest.raises(UsageError):
        new_person_key(tmp_path / "other.json", "short")


def test_a_certificate_counts_only_from_the_persons_own_node() -> None:
    """No organisation vouches for another's people."""
    nodes = {n: NodeKeys(n, n, s.public, "0" * 64) for n, s in (("a", ONE), ("b", TWO))}
    person = PersonCertificate(
        "a/jo", "Jo", "a", {"controller": ("2026-01-01", "2026-12-31")}, "1" * 64
    )
    assert read_certificate(certify(person, ONE), nodes) == person
    with pytest.raises(Refused):
        read_certificate(certify(person, TWO), nodes)


@pytest.mark.parametrize(
    "key",
    ["zz", "", "1" * 63, "A" * 64, " " + "1" * 63, "01" + "00" * 31, "00" * 32, "01" + "00" * 30 + "80",
     "ec" + "ff" * 30 + "7f", "ec" + "ff" * 31, "ed" + "ff" * 30 + "7f", "ff" * 32,
     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
     "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"],
)  # fmt: skip
def test_a_key_that_anybody_could_sign_for_is_none(key: str) -> None:
    """Small order, unreduced, or another spelling: not certified, not pinned, never verifies."""
    assert not is_public_key(key)
    assert is_public_key(ONE.public)
    nodes = {"a": NodeKeys("a", "a", ONE.public, "0" * 64)}
    person = PersonCertificate("a/jo", "Jo", "a", {}, key)
    with pytest.raises(BridlewayError):
        read_certificate(certify(person, ONE), nodes)
    assert not any(verify_signature(key, bytes([1, *[0] * 63]), bytes([n])) for n in range(64))
    pinned = {"a": {"name": "A", "signing_key": key, "sealing_key": "0" * 64}}
    with pytest.raises(BridlewayError):
        trust_from_json({"trust": 1, "nodes": pinned})


@pytest.mark.parametrize(
    "name",
    ["", " Ann", "Ann ", "Ann  Lee", "Ann\u00a0Lee", "Ann\tLee", "Ann\u200bLee", "Ann\u202eLee",
     "Jose\u0301", "\u0410nn Lee", "Ann L\u03b5e", "\uff21nn", "x" * 201, "Ann\nLee", "\x1b[31mAnn"],
)  # fmt: skip
def test_a_name_that_passes_for_another_is_not_certified(name: str) -> None:
    """Hidden characters, odd spaces, two forms of an accent, letters of two scripts."""
    nodes = {"a": NodeKeys("a", "a", ONE.public, "0" * 64)}
    with pytest.raises(UsageError):
        read_certificate(certify(PersonCertificate("a/jo", name, "a", {}, TWO.public), ONE), nodes)


@pytest.mark.parametrize(
    "name", ["José Ünal", "Ólafur O'Neill-Ng", "Анна Ли", "山田 はな", "Ελένη"]
)
def test_names_of_all_scripts_are_certified(name: str) -> None:
    """One script at a time."""
    nodes = {"a": NodeKeys("a", "a", ONE.public, "0" * 64)}
    made = PersonCertificate("a/jo", name, "a", {}, TWO.public)
    assert read_certificate(certify(made, ONE), nodes) == made


def test_a_sealed_message_opens_only_for_its_recipient_and_context() -> None:
    """Another key, another context or a changed byte: refused."""
    mine, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    sealed = seal_to(mine.public_key().public_bytes_raw().hex(), b"secret", b"request 1")
    assert open_sealed(mine, sealed, b"request 1") == b"secret"
    for key, data, context in (
        (other, sealed, b"request 1"),
        (mine, sealed, b"request 2"),
        (mine, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"request 1"),
        (mine, b"", b"request 1"),
    ):
        with pytest.raises(Refused):
            open_sealed(key, data, context)


def test_two_nodes_derive_the_same_pair_secret() -> None:
    """Static Diffie-Hellman agrees from both sides."""
    a, b = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    keys = [k.public_key().public_bytes_raw().hex() for k in (a, b)]
    assert pair_secret(a, keys[1]) == pair_secret(b, keys[0])
