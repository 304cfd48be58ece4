"""Engines of policies written in a test, and the shared sample."""

from __future__ import annotations

import gzip
import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bridleway.fhir.engine import Engine
from bridleway.fhir.keyed import Keys
from bridleway.fhir.policy import Policy
from bridleway.fhir.reading import read_policy
from bridleway.fhir.walks import Tools

AS_OF = date(2026, 11, 28)
KEYS = Keys(b"k" * 32)
SHARED = Path(__file__).parents[4] / "shared" / "data" / "fhir"
POLICIES = (
    "microsoft-r4-configuration-sample.json",
    "cumulus-ms-config.json",
    "miracum-hipaa-anonymization.yaml",
)


def engine(policy: Policy, *, as_of: date = AS_OF, keys: Keys = KEYS) -> Engine:
    """Return a policy at work."""
    return Engine(policy, Tools(keys, as_of, policy.parameters, policy.shift_days, policy.is_own))


def policy_text(*rules: dict[str, Any], **parameters: Any) -> str:
    """Return a policy in Microsoft's language as JSON."""
    body = {"fhirVersion": "R4", "fhirPathRules": list(rules), "parameters": parameters}
    return json.dumps(body)


def rule(path: str, method: str, **settings: Any) -> dict[str, Any]:
    """Return one rule."""
    return {"path": path, "method": method, **settings}


def microsoft(*rules: dict[str, Any], **parameters: Any) -> Engine:
    """Return the engine of a policy in Microsoft's language."""
    return engine(read_policy(policy_text(*rules, **parameters), "test.json"))


def leaves(made: dict[str, Any]) -> dict[str, Any]:
    """Return a resource without what was added to meta."""
    meta = {key: value for key, value in made.get("meta", {}).items() if key != "security"}
    return {**{k: v for k, v in made.items() if k != "meta"}, **({"meta": meta} if meta else {})}


def labels(made: dict[str, Any]) -> list[tuple[str, str]]:
    """Return system and code of a resource's security labels."""
    told = made.get("meta", {}).get("security", [])
    return [(one.get("system", ""), one["code"]) for one in told]


def policy_file(name: str) -> str:
    """Return another tool's policy as it is; skips where the shared folder is not."""
    path = SHARED / "policies" / name
    if not path.exists():
        pytest.skip("the shared sample is not here")
    return path.read_text(encoding="utf-8")


@cache
def sample(kind: str) -> list[dict[str, Any]]:
    """Return all resources of one type of the shared sample; skips where it is not."""
    path = SHARED / "synthea-100" / f"{kind}.ndjson.gz"
    if not path.exists():
        pytest.skip("the shared sample is not here")
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def paths(value: Any, path: str = "") -> set[str]:
    """Return the distinct paths of leaves."""
    if isinstance(value, dict):
        return {one for key, item in value.items() for one in paths(item, f"{path}.{key}")}
    if isinstance(value, list):
        return {one for item in value for one in paths(item, path)}
    return {path}


def stratified(kind: str, most: int = 4) -> list[dict[str, Any]]:
    """Return a few resources of a type that hold every leaf path of it."""
    seen: set[str] = set()
    chosen, rest = [], []
    for resource in sample(kind):
        here = paths(resource)
        if here <= seen:
            rest.append(resource)
            continue
        seen |= here
        chosen.append(resource)
    step = max(1, len(rest) // most)
    return chosen + rest[::step][:most]
