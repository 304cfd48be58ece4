"""pseudonymize (miracum): a keyed pseudonym per domain, made here instead of by a trust centre."""

from __future__ import annotations

import hmac
from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.policy import Rule
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Job, Spot, Tools, Walk

NAME = "pseudonymize"
SETTINGS = frozenset({"domain", "namespace"})
TAG = "PSEUDED"


def leaf(spot: Spot, rule: Rule | None, tools: Tools) -> Walk | None:
    """Replace a text by the HMAC-SHA256 of domain and text, 32 hexadecimal digits."""
    said = rule.settings if rule else {}
    domain = str(said.get("domain") or said.get("namespace") or "").encode()

    def walk(value: Any, job: Job) -> str:
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        prefix = ""
        if (spot.owner, spot.name) == ("Reference", "reference"):
            prefix, _, value = value.rpartition("/")
            prefix += "/" if prefix else ""
        told = domain + b"\x1f" + value.encode()
        return prefix + hmac.digest(tools.keys.hashes, told, "sha256").hex()[:32]

    return walk


def whole(spot: Spot, rule: Rule | None, tools: Tools) -> Any:
    """Walk the parts."""
    return NotImplemented
