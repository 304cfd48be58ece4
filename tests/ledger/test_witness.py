"""Cut, swapped, edited, restored and rebuilt logs are found; honest ones are not accused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridleway.errors import Refused
from bridleway.ledger import notes
from bridleway.ledger.notes import Checkpoint
from bridleway.ledger.store import Offer
from tests.ledger.tamper import KINDS, NODE, grow, honest_checks, new_signer, one_case, see, watched

KEY = new_signer()
NOTE = notes.sign(Checkpoint("bridleway/council", 3, bytes(32)), KEY)


def test_every_tampering_is_detected_and_most_would_pass_without_a_witness() -> None:
    cases = [one_case(seed) for seed in range(60)]
    assert {kind for kind, _, _ in cases} == set(KINDS)
    assert all(found for _, _, found in cases)
    assert sum(fits for _, fits, _ in cases) > 20


def test_honest_growth_is_never_accused() -> None:
    assert honest_checks(400, 5) == 0


def test_a_witness_keeps_nothing_of_a_batch_in_which_one_log_was_rewritten(tmp_path: Path) -> None:
    made = watched(tmp_path, 3)
    size, note = made.witness.seen(["bridleway/council"])["bridleway/council"]
    bad = Checkpoint("bridleway/council", size + 5, bytes(32))
    good = Checkpoint("bridleway/jobs", 4, bytes(32))
    offered = [
        Offer("jobs", good, "x\n4\ny", 0, []),
        Offer(NODE, bad, "note", size, [bytes(32)]),
    ]
    with pytest.raises(Refused) as refused:
        made.witness.witness(offered)
    assert refused.value.code == "log-rewritten"
    assert made.witness.seen(["bridleway/jobs", "bridleway/council"]) == {
        "bridleway/council": (size, note)
    }
    grow(made, "more")
    see(made)


def test_a_witness_never_goes_back(tmp_path: Path) -> None:
    made = watched(tmp_path, 4)
    old = notes.verify(made.ledger.checkpoint(), NODE, made.signer.public)
    grow(made, "more")
    see(made)
    size, _ = made.witness.seen([old.origin])[old.origin]
    assert made.witness.witness([Offer(NODE, old, "note", size, [])]) == {NODE: size}
    assert made.witness.witness([Offer(NODE, old, "note", old.size, [])]) == {NODE: size}
    other = Checkpoint(old.origin, size, bytes(32))
    with pytest.raises(Refused):
        made.witness.witness([Offer(NODE, other, "note", size, [])])


def test_a_cosignature_holds_for_its_note_its_witness_and_its_time() -> None:
    witness, stranger = new_signer(), new_signer()
    trust = {"health": witness.public, "jobs": stranger.public}
    line = notes.cosign(NOTE, "health", witness, 1_763_900_000)
    assert notes.cosigners(NOTE + line, trust, "council") == ("health",)
    assert notes.verify(NOTE + line, "council", KEY.public).size == 3
    assert notes.cosigners(NOTE, trust, "council") == ()
    other = notes.sign(Checkpoint("bridleway/council", 4, bytes(32)), KEY)
    with pytest.raises(Refused):
        notes.cosigners(other + line, trust, "council")
    forged = notes.cosign(NOTE, "health", stranger, 1_763_900_000)
    with pytest.raises(Refused):
        notes.cosigners(NOTE + forged, trust, "council")
    # Nobody known, and the node itself, count for nothing.
    assert notes.cosigners(NOTE + line, {"jobs": stranger.public}, "council") == ()
    own = notes.cosign(NOTE, "council", KEY, 1)
    assert notes.cosigners(NOTE + own, {"council": KEY.public}, "council") == ()


@pytest.mark.parametrize(
    "line", ["no signature at all\n", "one\n", "\u2014 bridleway/health !!!\n"]
)
def test_a_line_that_is_no_signature_spoils_the_note(line: str) -> None:
    """Nobody may add text to what others signed."""
    with pytest.raises(Refused):
        notes.cosigners(NOTE + line, {"health": KEY.public}, "council")


def test_a_cosignature_follows_the_published_form() -> None:
    """c2sp.org/tlog-cosignature: key id over name and 0x04, then time and signature."""
    import base64
    import hashlib

    from bridleway.keys.dsse import verify_signature

    witness = new_signer()
    _, name, encoded = notes.cosign(NOTE, "health", witness, 1_763_900_000).split()
    raw = base64.b64decode(encoded)
    public = bytes.fromhex(witness.public)
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    assert int.from_bytes(raw[4:12]) == 1_763_900_000
    text = NOTE.partition("\n\n")[0]
    signed = f"cosignature/v1\ntime 1763900000\n{text}\n".encode()
    assert verify_signature(witness.public, raw[12:], signed)


@pytest.mark.parametrize(
    ("origin", "node"),
    [
        ("bridleway/council", "council"),
        ("bridleway/council/2", "council"),
        ("bridleway/council/17", "council"),
        ("bridleway/council/1", ""),
        ("bridleway/council/02", ""),
        ("bridleway/", ""),
        ("other/council", ""),
    ],
)
def test_the_name_of_a_log_says_whose_it_is(origin: str, node: str) -> None:
    assert notes.node_of(origin) == node
