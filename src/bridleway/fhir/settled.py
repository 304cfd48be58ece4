"""What was settled over a whole source, as a document that stays where the source is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridleway.errors import Fault
from bridleway.fhir.engine import Held
from bridleway.fhir.run import Settled
from bridleway.model.canonical import digest_of

_FORMAT = "bridleway-fhir-settled-1"


def settled_to_json(settled: Settled) -> dict[str, Any]:
    """Return the document: classes of patients by number, codes by rule, with a digest."""
    held = settled.held
    body: dict[str, Any] = {
        "format": _FORMAT,
        "width": held.width,
        "classes": [[birth, str(rest)] for birth, rest in sorted(held.classes)],
        "names": [str(name) for name in sorted(held.names)],
        "codes": {
            where: [
                [*code, None if leaves is None else leaves[1]] for code, leaves in found.items()
            ]
            for where, found in settled.codes.items()
        },
    }
    return body | {"digest": digest_of(body)}


def settled_from_json(told: Mapping[str, Any]) -> Settled:
    """Read the document. Raises Fault where it is damaged."""
    body = {name: value for name, value in told.items() if name != "digest"}
    if body.get("format") != _FORMAT or told.get("digest") != digest_of(body):
        raise Fault(
            "What was settled about the source for earlier exports is damaged.",
            "Restore the node's folder fhir/, or make a new version of the passport.",
            code="settled",
        )
    held = Held(
        frozenset((int(birth), int(rest)) for birth, rest in body["classes"]),
        frozenset(map(int, body["names"])),
        body["width"],
    )
    codes = {
        where: {
            (system, code): None if leaves is None else (system, leaves)
            for system, code, leaves in found
        }
        for where, found in body["codes"].items()
    }
    return Settled(held, codes)
