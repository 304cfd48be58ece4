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
# What the values of an address's extensions are, at any depth.
_EXTENSIONS = ("Patient.address.extension.value", "Patient.address.extension.descendants().value")
_RANDOM = ("random", "firstOfMonth", "fixed")  # one and the same there: the field decides
_METHODS = ("redact", *_RANDOM, "correlate")
FIRST_OF_YEAR = (
    "Bahmni's firstOfMonth sets January as well: dates leave as the first day of their year, here "
    "without the time of day."
)
RANDOM = (
    "Bahmni's random and fixed leave line, postalCode and text of addresses, and use and system of "
    "telecoms, as they are; random tells how long each value was. Values of extensions of "
    "addresses that are no texts are left out here."
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
    seen: set[tuple[str, str]] = set()
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
            field = (type_name, str(one.get("fieldName")))
            if field in seen:
                raise wrong_policy(
                    "A field has two methods, and Bahmni would do both.", "Leave one.", where
                )
            seen.add(field)
            rules += _rules(type_name, one, where)
    methods = {rule.method for rule in rules}
    warnings += [FIRST_OF_YEAR] if "firstOfYear" in methods else []
    warnings += [RANDOM] if methods & {"scramble", "overwrite"} else []
    warnings += [CORRELATE] if "cryptoHash" in methods else []
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
    if method.lower() in ("redact", "correlate"):  # Bahmni reads these two in any case
        method = method.lower()
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
    elif type_name == "Patient" and field in _DATES and method in _RANDOM:
        return [rule(f"Patient.{field}", "firstOfYear")]
    elif type_name == "Patient" and method in _RANDOM and field in ("address", "telecom"):
        value = told.get("value")

        def changed(path: str, letters: str) -> Rule:
            if value is None:
                return rule(path, "scramble", letters=letters)
            return rule(path, "overwrite", value=str(value))

        if field == "telecom":
            return [changed("Patient.telecom.value", "digits")]
        places = [changed(f"Patient.address.{part}", "letters") for part in _PLACES]
        return places + [changed(path, "both") for path in _EXTENSIONS]
    raise wrong_policy(
        f"Bahmni cannot {method} {type_name}.{field}, and its export would fail.",
        "Leave the field out.",
        where,
    )
