"""Tokens are AES-CMAC and HMAC-SHA256 exactly as the standards say."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from bridleway.errors import Fault
from bridleway.techniques.tokens import (
    cmac_short,
    cmac_subkey,
    hmac_long,
    question_key,
    tokens_of,
)

# SP 800-38B, appendix D.1, and RFC 4493 section 4 (AES-128).
KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
K2 = "f7ddac306ae266ccf90bc11ee46d513b"
EMPTY_TAG = "bb1d6929e95937287fa37d129b756746"
# SP 800-38B D.2 and D.3: AES-192 and AES-256 over the empty message.
KEY_192 = bytes.fromhex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b")
KEY_256 = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")


def test_subkey_k2_is_the_standards() -> None:
    """K2 of SP 800-38B D.1."""
    assert cmac_subkey(KEY).hex() == K2


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        (KEY, EMPTY_TAG),
        (KEY_192, "d17ddf46adaacde531cac483de7a9367"),
        (KEY_256, "028962f61b7bf89efc6b551f4667d983"),
    ],
)
def test_the_empty_message_has_the_standards_tag(key: bytes, tag: str) -> None:
    """SP 800-38B examples 1, 5 and 9."""
    assert cmac_short(np.zeros((1, 0), np.uint8), key).tobytes().hex() == tag


@given(st.binary(min_size=16, max_size=16), st.integers(0, 15), st.integers(1, 20), st.data())
def test_a_column_of_short_messages_equals_cmac_one_by_one(
    key: bytes, width: int, count: int, data: st.DataObject
) -> None:
    """Vectorised or one at a time, a tag is a tag."""
    rows = [data.draw(st.binary(min_size=width, max_size=width)) for _ in range(count)]
    blocks = np.frombuffer(b"".join(rows), np.uint8).reshape(count, width)
    tags = cmac_short(blocks, key)
    for row, tag in zip(rows, tags, strict=True):
        one = CMAC(algorithms.AES(key))
        one.update(row)
        assert one.finalize() == tag.tobytes()


def test_a_long_identifier_takes_hmac_cut_to_128_bits() -> None:
    """RFC 2104 section 5; RFC 4231 test case 2 in full before the cut."""
    key, text = b"Jefe", b"what do ya want for nothing?"
    full = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac.digest(key, text, hashlib.sha256).hex() == full
    assert hmac_long([text], key).tobytes().hex() == full[:32]


def test_a_long_identifier_never_reaches_the_short_path() -> None:
    """Sixteen bytes are refused rather than wrongly padded."""
    with pytest.raises(Fault):
        cmac_short(np.zeros((1, 16), np.uint8), KEY)


def test_keys_differ_by_passport_question_and_identifier_type() -> None:
    """Two questions cannot be joined, nor a UPRN with an NHS number of the same digits."""
    secret = bytes(32)
    keys = {
        question_key(secret, *scope)
        for scope in (
            ("p", "q", "nhs-number"),
            ("p", "q", "uprn"),
            ("p", "r", "nhs-number"),
            ("o", "q", "nhs-number"),
        )
    }
    assert len(keys) == 4


def test_words_are_the_tags_bytes() -> None:
    """High and low words together are the tag."""
    blocks = np.frombuffer(b"9434765919", np.uint8).reshape(1, 10)
    high, low = tokens_of(blocks, KEY)
    assert high.tobytes() + low.tobytes() == cmac_short(blocks, KEY).tobytes()
