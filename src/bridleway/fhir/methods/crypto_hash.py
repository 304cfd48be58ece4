"""cryptoHash: HMAC-SHA256 in hexadecimal; of a reference, the id alone."""

from __future__ import annotations

import hmac
import re
from typing import Any

from bridleway.fhir import r4, resources
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.policy import Rule, wrong_policy
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Spot, Tools

NAME = "cryptoHash"
SETTINGS = frozenset({"truncateToMaxLength"})
TAG = "CRYTOHASH"  # so spelled in HL7's v3-ObservationValue
_DIGITS = 64
# FHIR R4, section 2.3.0.1: an id after its type, with or without a server and a version.
_REFERENCE = re.compile(
    r"((?:https?://[^\s?#]*/)?([A-Z][A-Za-z]+)/)([A-Za-z0-9\-.]{1,64})"
    r"(/_history/[A-Za-z0-9\-.]{1,64})?"
)
_PREFIXES = ("#", "urn:uuid:", "urn:oid:")


def split(reference: str) -> tuple[str, str, str, str]:
    """Return what stands before a reference's id, its type, the id, and what stands after.

    All of it is the id where none can be told.
    """
    for prefix in _PREFIXES:
        if reference.startswith(prefix):
            return prefix, "", reference[len(prefix) :], ""
    found = _REFERENCE.fullmatch(reference)
    if found is None or not r4.is_resource(found[2]):
        return "", "", reference, ""
    return found[1], found[2], found[3], found[4] or ""


def check(rule: Rule) -> None:
    """Refuse a length that no hash has."""
    longest = rule.settings.get("truncateToMaxLength", _DIGITS)
    if type(longest) is not int or not 16 <= longest <= _DIGITS:
        raise wrong_policy(
            "truncateToMaxLength is no number from 16 to 64.",
            "Shorter hashes meet by chance.",
            rule.where,
        )


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Hash a text, a number or a truth value as it is written."""
    longest = rule.settings.get("truncateToMaxLength", _DIGITS) if rule else _DIGITS
    key = str(tools.parameters.get("cryptoHashKey") or "").encode() or tools.keys.hashes

    def hashed(told: str) -> str:
        return hmac.digest(key, told.encode(), "sha256").hex()[:longest]

    def walk(value: Any, job: Job) -> str:
        if type(value) is bool:
            return hashed("true" if value else "false")
        if type(value) in (int, float):
            return hashed(repr(value))
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        return hashed(value)

    def reference(value: Any, job: Job) -> str:
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        before, _, identifier, after = split(value)
        return before + hashed(identifier) + after

    return reference if (spot.owner, spot.name) == ("Reference", "reference") else walk


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented
