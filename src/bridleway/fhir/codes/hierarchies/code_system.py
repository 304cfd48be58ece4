"""A FHIR CodeSystem (R4) in JSON: concepts in concepts, or properties `parent` and `child`.

Options: `file`. Properties are found by their URI
(http://hl7.org/fhir/concept-properties#parent, #child) or, undeclared, by these names. A system
whose hierarchy means part-of or a mere grouping is refused: a part is no kind of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bridleway.errors import UsageError
from bridleway.fhir.codes.hierarchies import _options
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy

SYSTEM = ""  # the file says it
_MOST = 512_000_000  # bytes
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_VALUES = ("valueCode", "valueString")


def load(options: Mapping[str, Any], where: Path, codes: Iterable[str] = ()) -> Hierarchy:
    """Load a CodeSystem. Raises UsageError for what is not one, or has no concepts."""
    _options.only(options, "file")
    path = where / _options.text(options, "file")
    try:
        told = json.loads(_options.read(path, _MOST))
    except (ValueError, RecursionError):
        raise _wrong(path, "The file is not JSON.", "Name a CodeSystem in JSON.") from None
    if not isinstance(told, dict) or told.get("resourceType") != "CodeSystem":
        raise _wrong(path, "The file is not a FHIR CodeSystem.", "Name a CodeSystem in JSON.")
    _refuse_what_means_something_else(told, path)
    system = options.get("system") or told.get("url")
    if not isinstance(system, str) or not system:
        raise _wrong(path, "The CodeSystem has no url.", "Write the option `system`.")
    builder = Builder(system, path.name)
    names = _property_names(told)
    edges: set[tuple[str, str]] = set()
    try:
        for concept, nested_in in _concepts(told["concept"]):
            code = concept["code"]
            if not builder.code(code):
                raise _wrong(path, f"The code '{code}' is there twice.", "Keep one.")
            if nested_in:
                edges.add((code, nested_in))
            for kind, other in _related(concept, names):
                edges.add((code, other) if kind == "parent" else (other, code))
    except (KeyError, TypeError, AttributeError):
        raise _wrong(path, "A concept is not built as FHIR says.", "Validate the file.") from None
    for child, parent in sorted(edges):
        builder.edge(child, parent)
    version = told.get("version")
    return builder.finish(
        closed=True,
        withheld=_options.withheld(options),
        version=version if isinstance(version, str) else "",
    )


def _refuse_what_means_something_else(told: Mapping[str, Any], path: Path) -> None:
    meaning = told.get("hierarchyMeaning", "is-a")
    if meaning not in ("is-a", "classified-with"):
        raise _wrong(
            path,
            "The CodeSystem's hierarchy does not mean is-a.",
            "Generalise up one that does, or write a table of two columns.",
        )
    if told.get("content") in ("not-present", "supplement"):
        raise _wrong(path, "The CodeSystem comes without its concepts.", "Name a complete one.")
    if not told.get("concept"):
        raise _wrong(path, "The CodeSystem has no concepts.", "Name a complete one.")


def _property_names(told: Mapping[str, Any]) -> dict[str, str]:
    """Return which property codes mean parent and child."""
    found = {"parent": "parent", "child": "child"}
    declared = told.get("property")
    for one in declared if isinstance(declared, list) else ():
        if not isinstance(one, dict):
            continue
        code, uri = one.get("code"), one.get("uri")
        for kind in ("parent", "child"):
            if isinstance(code, str) and uri == _PROPERTIES + kind:
                found[code] = kind
    return found


def _concepts(top: list[Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield every concept and the code that it is nested in."""
    waiting = [(concept, "") for concept in reversed(top)]
    while waiting:
        concept, nested_in = waiting.pop()
        yield concept, nested_in
        inner = [(one, concept["code"]) for one in concept.get("concept", ())]
        waiting += reversed(inner)


def _related(concept: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for one in concept.get("property", ()):
        kind = names.get(one["code"])
        if kind:
            coding = one.get("valueCoding") or {}
            found = [*(one.get(value) for value in _VALUES), coding.get("code")]
            code = next((code for code in found if isinstance(code, str)), None)
            if code is None:
                raise KeyError(kind)
            yield kind, code


def _wrong(path: Path, sentence: str, remedy: str) -> UsageError:
    return UsageError(sentence, remedy, where=path.name)
