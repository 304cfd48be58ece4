"""Canonical bytes: one JSON text for one value, so that a digest means something."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bridleway.errors import UsageError

MAX_JSON_BYTES = 4_000_000
MAX_JSON_DEPTH = 60


def canonical_json(value: Any) -> bytes:
    """Return sorted, unspaced UTF-8 JSON. Floats, NaN and non-text keys are refused.

    Raises UsageError where the value cannot be written that way.
    """
    _check(value, 0)
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode("utf-8")
    except ValueError:  # half of a surrogate pair, or a number of thousands of digits
        raise UsageError(
            "The document holds text or a number that cannot be written.", "Correct it."
        ) from None


_PLAIN = frozenset({str, int, bool, type(None)})


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind in _PLAIN:
        return
    if depth > MAX_JSON_DEPTH:
        raise UsageError("The document is nested too deeply.", "Flatten it.")
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise UsageError("A key of the document is not text.", "Quote it.")
            if type(item) not in _PLAIN:
                _check(item, depth + 1)
        return
    if kind is list or kind is tuple:
        for item in value:
            if type(item) not in _PLAIN:
                _check(item, depth + 1)
        return
    raise UsageError(
        f"The document holds a {kind.__name__}, which signed documents do not allow.",
        "Write whole numbers, or put the value in quotes.",
    )


def strict_json(data: bytes, most: int = MAX_JSON_BYTES) -> Any:
    """Read JSON once and strictly: no duplicate keys, no NaN, no floats, bounded size and depth.

    most: bytes. Raises UsageError; never shows the content.
    """
    if len(data) > most:
        raise UsageError("The document is too large.", f"Keep it under {most:,} bytes.")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in items:
            if key in out:
                raise UsageError("The document has the same key twice.", "Keep one of them.")
            out[key] = item
        return out

    def no_float(_: str) -> Any:
        raise UsageError("The document holds a number that is not whole.", "Quote it.")

    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_float=no_float,
            parse_constant=no_float,
        )
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise UsageError(
            "The document is not strict JSON.", "Restore it or make it anew."
        ) from None
    _check(value, 0)
    if b"\\u" in data:
        _refuse_half_characters(value)
    return value


def _refuse_half_characters(value: Any) -> None:
    """Refuse what only an escape can write: half of a surrogate pair is not a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError:
        raise UsageError("The document holds half a character.", "Write it whole.") from None


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of the bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    return sha256_hex(canonical_json(value))
