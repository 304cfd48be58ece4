"""Finds secrets in text: detect-secrets' detectors, and our own for what those do not know.

Our own: age identities, otpauth URLs and TOTP seeds (base32), private keys in PEM, URLs with a
password. What is found is never kept: a finding has a kind, a line and a 16-bit tag, enough to
tell that the value changed and too little to guess it from. Nothing is sent anywhere: the
detectors' own "verify" steps, which ask the issuer over the network, are never called.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bridleway.node.secret_urls import written_out

LONGEST_LINE = 4000  # characters that the line detectors look at
_AGE = re.compile(r"AGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9]+)-(?:PQ-)?1[02-9AC-HJ-NP-Z]{20,}", re.I)
_OTPAUTH = re.compile(r"otpauth://[^\s\"'<>]*?secret=([A-Z2-7]{8,}=*)", re.I)
_PEM = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_PERSON_KEY = re.compile(r"\"sealed\"\s*:\s*\"[0-9a-f]{96}\"")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>`]+")
_OTP_WORD = re.compile(r"totp|hotp|otp|2fa|mfa|authenticator|seed", re.I)
_ASSIGNED = re.compile(r"(?:[:=]\s*|^\s*)[\"']?([A-Z2-7]{16,64}=*)[\"']?\s*,?\s*$")
_NEAR_A_WORD = re.compile(r"(?<![A-Za-z0-9])([A-Z2-7]{16,64}|[a-z2-7]{16,64})=*(?![A-Za-z0-9])")
_GROUPS = re.compile(r"(?<![A-Za-z0-9])((?:[A-Za-z2-7]{4}[ -]){3,15}[A-Za-z2-7]{4})(?![A-Za-z0-9])")
_SEED_LENGTHS = {16, 20, 24, 26, 32, 40, 52, 56, 64}
_DIGEST_LENGTHS = {32, 40, 56, 64, 96, 128}
_EXAMPLES = re.compile(
    r"\.{2,}|\*+|x{3,}|<[^>]*>|\{[^}]*\}|\[[^\]]*\]|[A-Z_]+|pass(?:word)?|pw|secret|token|key", 0
)
# Not secrets, or found by our own detectors.
_LEFT_OUT = {"IPPublicDetector", "BasicAuthDetector", "PrivateKeyDetector"}
_ENTROPY = {"Base64HighEntropyString", "HexHighEntropyString"}


@dataclass(frozen=True, slots=True)
class Found:
    """A secret that was found. kind: in words; line: from 1; tag: 4 hex digits of its digest."""

    kind: str
    line: int
    tag: str
    certain: bool


def find(text: str, *, guess: bool = True) -> list[Found]:
    """Return what looks like a secret in a text, one finding per line and value, in order.

    guess: use the detectors that can err as well: keywords, entropy, seeds without a word.
    """
    made: dict[tuple[int, str], Found] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        for kind, value, certain in _in_line(line, guess):
            made.setdefault((number, tag := tag_of(value)), Found(kind, number, tag, certain))
    return list(made.values())


def tag_of(value: str) -> str:
    """Return 16 bits of a value's digest: the same value is known again, none can be guessed."""
    return hashlib.sha256(b"bridleway doctor\x00" + value.encode("utf-8", "replace")).hexdigest()[
        :4
    ]


def _in_line(line: str, guess: bool) -> Iterator[tuple[str, str, bool]]:
    for detect in (_age, _otp, _pem, _urls):
        yield from ((kind, value, True) for kind, value in detect(line))
    if not guess or len(line) > LONGEST_LINE or not line.strip():
        return
    own = {value for value in _seeds(line)}
    yield from (("a TOTP seed (base32)", value, False) for value in own)
    for kind, detector, filters in _plugins():
        for value in detector.analyze_string(line):
            if value and value not in own and not any(f(value) for f in filters):
                yield kind, value, False


def _age(line: str) -> Iterator[tuple[str, str]]:
    for match in _AGE.finditer(line):
        yield "an age secret key", match[0].upper()


def _otp(line: str) -> Iterator[tuple[str, str]]:
    for match in _OTPAUTH.finditer(line):
        yield "an otpauth URL with its seed", match[1].upper()


def _pem(line: str) -> Iterator[tuple[str, str]]:
    if _PEM.search(line):
        yield "a private key (PEM)", line
    if _PERSON_KEY.search(line):
        yield "a person's key (sealed under a password)", line


def _urls(line: str) -> Iterator[tuple[str, str]]:
    if "://" not in line:
        return
    for match in _URL.finditer(line):
        if match[0].lower().startswith("otpauth:"):
            continue
        for value in written_out(match[0].rstrip(").,;")):
            if not _EXAMPLES.fullmatch(value) and value.strip("\x00"):
                yield "a URL with a password", value


def _seeds(line: str) -> Iterator[str]:
    """Yield TOTP seeds: any base32 beside a word for it, or one that stands alone as a value."""
    if _OTP_WORD.search(line):
        for match in _NEAR_A_WORD.finditer(line):
            if _is_seed(match[1], letters_only=match[1].isupper() and len(match[1]) >= 26):
                yield match[1].upper()
        for match in _GROUPS.finditer(line):
            if _is_seed(re.sub(r"[ -]", "", match[1])):
                yield re.sub(r"[ -]", "", match[1]).upper()
        return
    alone = _ASSIGNED.search(line)
    if alone and _is_seed(alone[1].rstrip("=")):
        yield alone[1].rstrip("=")


def _is_seed(text: str, *, letters_only: bool = False) -> bool:
    """Tell whether a text has a seed's length, is base32 and looks drawn at random."""
    body = text.upper()
    if len(body) not in _SEED_LENGTHS or len(set(body)) < 8:
        return False
    if not letters_only and not re.search(r"[2-7]", body):
        return False
    try:
        base64.b32decode(body + "=" * (-len(body) % 8))
    except binascii.Error:
        return False
    return True


@lru_cache(maxsize=1)
def _plugins() -> tuple[tuple[str, Any, tuple[Callable[[str], bool], ...]], ...]:
    """Return detect-secrets' detectors, each with what it is told to pass over."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.filters import heuristic

    common: tuple[Callable[[str], bool], ...] = (
        heuristic.is_sequential_string,
        heuristic.is_templated_secret,
        heuristic.is_prefixed_with_dollar_sign,
        _is_example,
    )
    made = []
    for kind, part in sorted(get_mapping_from_secret_type_to_class().items()):
        if part.__name__ in _LEFT_OUT:
            continue
        detector = part()
        more: tuple[Callable[[str], bool], ...] = ()
        if part.__name__ in _ENTROPY:
            more = (_too_even(detector), heuristic.is_potential_uuid, _is_digest)
        if part.__name__ == "KeywordDetector":
            more = (heuristic.is_not_alphanumeric_string, _is_word)
        made.append((_in_words(kind), detector, (*common, *more)))
    return tuple(made)


def _too_even(detector: Any) -> Callable[[str], bool]:
    """Pass over what has too little entropy per character, or no digit, to be drawn at random."""

    def check(value: str) -> bool:
        entropy = detector.calculate_shannon_entropy(value)
        return bool(entropy <= detector.entropy_limit) or not any(c.isdigit() for c in value)

    return check


def _in_words(kind: str) -> str:
    return f"what looks like a secret ({kind})"


def _is_example(value: str) -> bool:
    return _EXAMPLES.fullmatch(value) is not None or "${" in value


def _is_digest(value: str) -> bool:
    """Hexadecimal of a digest's length: lock files and ledgers are full of them."""
    return len(value) in _DIGEST_LENGTHS and re.fullmatch(r"[0-9a-fA-F]+", value) is not None


def _is_word(value: str) -> bool:
    """A word of a language or the name of something: `password: required`."""
    return re.fullmatch(r"[A-Za-z_. -]{0,24}", value) is not None
