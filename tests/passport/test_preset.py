"""A passport may name a preset; what is sealed holds its numbers."""

from __future__ import annotations

from typing import Any

import pytest

from bridleway.documents import Document
from bridleway.errors import Refused, UsageError
from bridleway.keys.dsse import peek
from bridleway.keys.dsse import seal as seal_envelope
from bridleway.model.canonical import canonical_json, strict_json
from bridleway.model.passport import PAYLOAD_PASSPORT
from bridleway.passport.body import passport_from_body
from bridleway.passport.gaps_preset import with_preset
from bridleway.passport.preset import rules_said, written_out
from bridleway.passport.rules import rules_of
from bridleway.passport.seal import read_sealed, seal

from .made import SAM, body, known

OPENSAFELY = {"preset": "opensafely@1", "smallest_group": 8, "rounding_counts": 5}


def test_a_preset_gives_a_passport_its_rules() -> None:
    """Draft and sealed text mean the same rules, the passport's own stricter ones over them."""
    draft = body(disclosure={"preset": "opensafely", "rounding_counts": 10})
    made = written_out(draft)
    assert made["disclosure"] == {**OPENSAFELY, "rounding_counts": 10}
    assert written_out(made) == made
    one, other = (rules_of(passport_from_body(text, "")) for text in (draft, made))
    assert one == other and (one.smallest_group, one.rounding_counts) == (8, 10)


def test_a_passport_without_a_preset_is_left_as_it_is() -> None:
    """Nothing is written into a text that names no preset."""
    plain = body()
    assert written_out(plain) is plain and rules_said(plain) == plain["disclosure"]


def test_what_is_signed_holds_the_presets_numbers() -> None:
    """The author seals numbers: a later edition of the preset changes no signed text."""
    envelope = seal(body(disclosure={"preset": "opensafely"}), SAM.signer)
    sealed = strict_json(peek(envelope, PAYLOAD_PASSPORT))
    assert sealed["disclosure"] == OPENSAFELY
    read = read_sealed(envelope, known())
    assert read.body["disclosure"] == OPENSAFELY and rules_of(read).smallest_group == 8


@pytest.mark.parametrize(
    "disclosure",
    [
        {"preset": "opensafely"},
        {"preset": "opensafely@1"},
        {"preset": "opensafely", "smallest_group": 8, "rounding_counts": 5},
    ],
)
def test_a_sealed_text_that_only_names_its_preset_is_refused(disclosure: dict[str, Any]) -> None:
    """Whoever checks a receipt has no presets: edition and numbers stand in what was signed."""
    text = body(disclosure=disclosure)
    envelope = seal_envelope(canonical_json(text), PAYLOAD_PASSPORT, SAM.signer)
    with pytest.raises(Refused) as told:
        read_sealed(envelope, known())
    assert told.value.code == "preset-not-written-out"


@pytest.mark.parametrize(
    ("disclosure", "where"),
    [
        ({"preset": "opensafely", "smallest_group": 5}, "disclosure.smallest_group"),
        ({"preset": "opensafely", "secondary": False}, "disclosure.secondary"),
        ({"preset": "nobody"}, "disclosure.preset"),
        ({"preset": ["opensafely"]}, "disclosure.preset"),
    ],
)
def test_a_passport_cannot_loosen_a_preset(disclosure: dict[str, Any], where: str) -> None:
    """Neither a draft nor a sealed text may name a floor and go below it; one gap says so."""
    text = body(disclosure=disclosure)
    with pytest.raises(UsageError) as told:
        passport_from_body(text, "")
    assert told.value.where == where
    envelope = seal_envelope(canonical_json(text), PAYLOAD_PASSPORT, SAM.signer)
    with pytest.raises(UsageError):
        read_sealed(envelope, known())
    patched, found = with_preset(Document("p.yaml", text, {tuple(where.split(".")): 7}))
    assert [(f.severity, f.where) for f in found] == [("gap", "p.yaml, line 7")]
    assert "smallest_group" in patched.value["disclosure"]
