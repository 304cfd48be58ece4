"""Bahmni's export configuration, read as it is: what its words do there, said plainly.

{"resources": {"patient": [{"fieldName", "method", "value"}]}, "parameters": {"oneWayHashSalt"}},
as in openmrs-module-fhir2Extension. Resources and fields without a rule pass unchanged there, so
the policy keeps by default, and says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bridleway.documents import Document
from bridleway.errors import nearest
from bridleway.fhir.paths.rules import parse_rule_path
from bridleway.fhir.policy import BAHMNI, KEEPS_ALL, Policy, Rule, wrong_policy

# Per resource, the fields that Bahmni's own classes know, and the elements they change.
_TYPES = {
    "patient": "Patient",
    "condition": "Condition",
    "medicationrequest": "MedicationRequest",
    "servicerequest": "ServiceRequest",
    "procedure": "Procedure",
}
_REDACT = {
    "Patient": ("identifier", "address", "name", "telecom"),
    "Condition": ("encounter", "recorder", "recordedDate"),
    "MedicationRequest": (
        "priority", "authoredOn", "requester", "dosageInstruction", "encounter",
    ),
    "ServiceRequest": ("encounter",),
    "Procedure": ("encounter",),
}  # fmt: skip
_DATES = ("birthDate", "deceasedDateTime")
_PLACES = ("district", "city", "state", "country")
_METHODS = ("redact", "firstOfMonth", "random", "fixed", "correlate")
FIRST_OF_YEAR = (
    "Bahmni's firstOfMonth sets January the first as well: dates leave as the first of their year."
)
CORRELATE = (
    "Bahmni's correlate is SHA-256 of a salt and the id, and whoever knows the salt can find ids. "
    "Here it is HMAC-SHA256; other ids and displays stay as they are, as there."
)


def read(document: Document) -> Policy:
    """Read a configuration. Raises UsageError for fields and methods that Bahmni would ignore."""
    body = document.value
    told = body["resources"]
    if not isinstance(told, Mapping) or set(body) - {"resources", "parameters"}:
        raise wrong_policy(
            "This is no configuration of Bahmni.",
            "It says resources and parameters.",
            document.name,
        )
    rules: list[Rule] = []
    warnings = [KEEPS_ALL]
    for resource, listed in told.items():
        type_name = _TYPES.get(str(resource).lower())
        where = document.where("resources", resource)
        if type_name is None:
            raise wrong_policy(
                f"Bahmni exports no '{resource}'.", f"Known: {', '.join(_TYPES)}.", where
            )
        for one in listed if isinstance(listed, list) else [None]:
            if not isinstance(one, Mapping) or set(one) - {"fieldName", "method", "value"}:
                raise wrong_policy(
                    "A field says something else.", "It says fieldName, method, value.", where
                )
            rules += _rules(type_name, one, where)
    methods = {rule.where.rpartition(" ")[2] for rule in rules}
    warnings += [FIRST_OF_YEAR] if "firstOfMonth" in methods else []
    warnings += [CORRELATE] if "correlate" in methods else []
    untold = sorted(set(_TYPES.values()) - {_TYPES[str(r).lower()] for r in told})
    if untold:
        warnings.append(f"No rule speaks of {', '.join(untold)}: they leave unchanged.")
    salt = (body.get("parameters") or {}).get("oneWayHashSalt", "")
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return Policy(
        document.name.rpartition(".")[0] or document.name,
        BAHMNI,
        "keep",
        tuple(rules),
        {"cryptoHashKey": str(salt)} if salt else {},
        f"sha256:{digest}",
        warnings=tuple(warnings),
    )


def _rules(type_name: str, told: Mapping[str, Any], where: str) -> list[Rule]:
    field, method = str(told.get("fieldName")), str(told.get("method"))
    where = f"{where}, {field} {method}"
    if method not in _METHODS:
        raise wrong_policy(
            f"Bahmni has no method '{method}', and would not say so.{nearest(method, _METHODS)}",
            f"Known: {', '.join(_METHODS)}.",
            where,
        )

    def rule(path: str, name: str, **settings: Any) -> Rule:
        return Rule(parse_rule_path(path, where), name, settings, where)

    if method == "correlate":
        if type_name == "Patient" and field == "id":
            return [rule("Patient.id", "cryptoHash")]
        if field == "subject" and type_name in ("Condition", "MedicationRequest", "ServiceRequest"):
            return [
                rule(f"{type_name}.subject.display", "remove"),
                rule(f"{type_name}.subject.reference", "cryptoHash"),
            ]
    elif method == "redact" and field in _REDACT[type_name]:
        return [rule(f"{type_name}.{field}", "remove")]
    elif type_name == "Patient" and field in _DATES and method in ("firstOfMonth", "random"):
        return [rule(f"Patient.{field}", "firstOfYear")]
    elif type_name == "Patient" and method in ("random", "fixed"):
        value = {"value": str(told.get("value", ""))} if method == "fixed" else {}
        name = "scramble" if method == "random" else "overwrite"
        if field == "address":
            return [rule(f"Patient.address.{part}", name, **value) for part in _PLACES]
        if field == "telecom":
            return [rule("Patient.telecom.value", name, **value)]
    raise wrong_policy(
        f"Bahmni cannot {method} {type_name}.{field}, and its export would fail.",
        "Leave the field out.",
        where,
    )
