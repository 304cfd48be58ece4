"""The types of FHIR R4 (4.0.1): which elements each has, of which type, how many, required or not.

The map in data/r4.json is made from HL7's definitions (CC0) as fhirclient and fhirpathpy carry
them; tests/fhir/definitions.py rebuilds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from bridleway.errors import Fault

_ENTRY = re.compile(r"([A-Za-z0-9.]+)(\*?)(!?)(?:\?(\w+))?")

# Primitive types and the JSON values in which they are written (FHIR R4, section 2.24).
PRIMITIVES: Mapping[str, type] = {
    **dict.fromkeys(
        ("string", "code", "uri", "id", "dateTime", "markdown", "canonical", "date", "instant",
         "time", "url", "base64Binary", "oid", "uuid", "xhtml"), str,
    ),
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), int),
    "decimal": float, "boolean": bool,
}  # fmt: skip


class Element(NamedTuple):
    """One element as JSON names it: `deceasedDateTime`, whose choice is `deceased`."""

    name: str
    type: str
    many: bool
    required: bool
    choice: str


@cache
def _definitions() -> tuple[Mapping[str, Mapping[str, Element]], Mapping[str, str]]:
    told = json.loads((files(__package__) / "data" / "r4.json").read_text(encoding="utf-8"))
    types: dict[str, dict[str, Element]] = {}
    for name, elements in told["types"].items():
        types[name] = {}
        for element, entry in elements.items():
            found = _ENTRY.fullmatch(entry)
            if found is None:
                raise Fault("The map of FHIR's types is damaged.", "Install Bridleway anew.")
            kind, many, required, choice = found.groups()
            types[name][element] = Element(element, kind, bool(many), bool(required), choice or "")
    return types, told["parents"]


def elements(type_name: str) -> Mapping[str, Element]:
    """Return a complex type's elements by JSON name; {} for a primitive or unknown type.

    Types inside others are named by their path: `Patient.contact`.
    """
    return _definitions()[0].get(type_name, {})


def parent(type_name: str) -> str:
    """Return the type that a type specialises; '' for a root or an unknown one."""
    if type_name in PRIMITIVES:
        return _PRIMITIVE_PARENTS.get(type_name, "Element")
    if "." in type_name:
        return "BackboneElement"
    return _definitions()[1].get(type_name, "")


# FHIR R4, section 2.24: which primitive types specialise another.
_PRIMITIVE_PARENTS = {
    "code": "string", "id": "string", "markdown": "string", "canonical": "uri", "url": "uri",
    "oid": "uri", "uuid": "uri", "positiveInt": "integer", "unsignedInt": "integer",
}  # fmt: skip


@cache
def kinds(type_name: str) -> tuple[str, ...]:
    """Return a type and everything that it specialises, nearest first."""
    found = [type_name]
    while above := parent(found[-1]):
        found.append(above)
    return tuple(found)


def is_type(name: str) -> bool:
    """Tell whether FHIR R4 has a type of this name."""
    return name in PRIMITIVES or name in _definitions()[0]


def is_resource(name: str) -> bool:
    """Tell whether a name is a type of resource that data can hold."""
    return name not in ("Resource", "DomainResource") and "Resource" in kinds(name)


@cache
def resource_types() -> tuple[str, ...]:
    """Return the types of resource, sorted."""
    return tuple(sorted(name for name in _definitions()[1] if is_resource(name)))


@cache
def type_names() -> tuple[str, ...]:
    """Return all complex types, with those inside others, sorted."""
    return tuple(sorted(_definitions()[0]))
