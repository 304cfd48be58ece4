"""Reads the kick-off of an export: STU2's and STU3's parameters, by GET or by POST.

Strict: what is unknown, unsupported or malformed is a UsageError, which the server answers with 400
and an OperationOutcome. With `Prefer: handling=lenient`, what is unknown or unsupported is left out
and becomes a warning, which the export carries in its error files. What is malformed stays an
error, and so does whatever would let patients in that were not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from bridleway.errors import UsageError, nearest
from bridleway.fhir import r4
from bridleway.fhir.bulk import searches
from bridleway.fhir.bulk.compartments import PATIENT
from bridleway.fhir.bulk.moments import instant, written
from bridleway.fhir.bulk.outcomes import Outcome, of

FORMATS: Final = ("application/fhir+ndjson", "application/ndjson", "ndjson")
LEVELS: Final = ("system", "patient", "group")
MOST_PAIRS: Final = 1_000
MOST_PATIENTS: Final = 100_000
MOST_LEFT_OUT: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}")
# A comma between two _typeFilter queries, not between the values of one.
_NEXT_FILTER: Final = re.compile(r",(?=[A-Za-z]+\?)")
# In which value[x] a Parameters resource may carry each parameter.
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "_outputFormat": ("valueString", "valueCode"),
    "_since": ("valueInstant",),
    "_until": ("valueInstant",),
    "_type": ("valueString", "valueCode"),
    "_elements": ("valueString",),
    "_typeFilter": ("valueString",),
    "patient": ("valueReference",),
    "includeAssociatedData": ("valueCode", "valueString"),
    "organizeOutputBy": ("valueString", "valueCode"),
    "allowPartialManifests": ("valueBoolean",),
}
ASSOCIATED: Final = ("LatestProvenanceResources", "RelevantProvenanceResources")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server can export: its types, and the values of two optional parameters."""

    types: tuple[str, ...]
    organize_by: tuple[str, ...] = ()
    associated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """One export that was asked for and understood.

    `types` names every type to export, sorted; never empty. `type_filters` are searches such as
    `Condition?code=44054006`; a type that none names is not filtered. `elements` are `name` or
    `Type.name`. `patients` are `Patient/id`; None means everybody of the level. `outcomes` are
    OperationOutcomes, one for each parameter that was left out. `types_named` tells that the client
    named its types, rather than taking all.
    """

    level: str
    types: tuple[str, ...]
    group: str = ""
    since: datetime | None = None
    until: datetime | None = None
    elements: tuple[str, ...] = ()
    type_filters: tuple[str, ...] = ()
    patients: tuple[str, ...] | None = None
    organize_output_by: str = ""
    include_associated_data: tuple[str, ...] = ()
    lenient: bool = False
    outcomes: tuple[Outcome, ...] = field(default=())
    types_named: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads."""
        return {
            "level": self.level, "types": list(self.types), "group": self.group,
            "since": written(self.since) if self.since else None,
            "until": written(self.until) if self.until else None,
            "elements": list(self.elements), "type_filters": list(self.type_filters),
            "patients": None if self.patients is None else list(self.patients),
            "organize_output_by": self.organize_output_by,
            "include_associated_data": list(self.include_associated_data),
            "lenient": self.lenient, "outcomes": list(self.outcomes),
            "types_named": self.types_named,
        }  # fmt: skip


def from_json(told: Mapping[str, Any]) -> ExportRequest:
    """Return the request that `ExportRequest.to_json` wrote."""
    ready: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
    }
    for name in ("since", "until"):
        ready[name] = instant(told[name]) if told[name] else None
    return ExportRequest(**ready)


class Unsupported(UsageError):
    """A parameter, or a value of one, that this server does not support; lenient leaves it out."""


def preferences(headers: Iterable[str]) -> dict[str, str]:
    """Return what `Prefer` headers ask for (RFC 7240): {'respond-async': '', 'handling': …}."""
    found: dict[str, str] = {}
    for header in headers:
        for part in re.split(r"[,;]", header):
            name, _, value = part.strip().partition("=")
            if name.strip():
                found.setdefault(name.strip().lower(), value.strip().strip('"').lower())
    return found


def from_query(
    level: str, group: str, query: str, preferred: Mapping[str, str], abilities: Abilities
) -> ExportRequest:
    """Read a kick-off by GET, whose parameters are in the address. Raises UsageError."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PAIRS, errors="strict")
    except ValueError:
        raise UsageError(
            "The address's parameters cannot be read.", "Encode them as UTF-8.", code="structure"
        ) from None
    for name, _ in pairs:
        if name == "patient":
            raise UsageError(
                "'patient' is for POST only.", "Send a Parameters resource by POST.", code="invalid"
            )
    return _read(level, group, pairs, preferred, abilities)


def from_parameters(
    level: str, group: str, body: Any, preferred: Mapping[str, str], abilities: Abilities
) -> ExportRequest:
    """Read a kick-off by POST, whose parameters are a Parameters resource. Raises UsageError."""
    if not isinstance(body, Mapping) or body.get("resourceType") != "Parameters":
        raise UsageError(
            "The body is no Parameters resource.",
            "Send Parameters as application/fhir+json.",
            code="structure",
        )
    given = body.get("parameter", [])
    if not isinstance(given, list) or len(given) > MOST_PATIENTS:
        raise UsageError("'parameter' is no list that can be read.", "", code="structure")
    return _read(level, group, [_pair(one) for one in given], preferred, abilities)


def _pair(parameter: Any) -> tuple[str, str]:
    if not isinstance(parameter, Mapping) or not isinstance(parameter.get("name"), str):
        raise UsageError("A parameter has no name.", "Give each a 'name'.", code="structure")
    name = parameter["name"]
    held = [key for key in parameter if key.startswith("value") or key in ("resource", "part")]
    known = _VALUES.get(name)
    if known is None:
        return name, ""
    if len(held) != 1 or held[0] not in known:
        raise UsageError(
            f"The parameter '{name}' needs one value.", f"Use {' or '.join(known)}.", code="value"
        )
    value = parameter[held[0]]
    if held[0] == "valueReference":
        value = value.get("reference") if isinstance(value, Mapping) else None
    if held[0] == "valueBoolean" and isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str):
        raise UsageError(f"The value of '{name}' is no text.", "Check its type.", code="value")
    return name, value


def _read(
    level: str,
    group: str,
    pairs: Sequence[tuple[str, str]],
    preferred: Mapping[str, str],
    abilities: Abilities,
) -> ExportRequest:
    if level == "group" and not _ID.fullmatch(group):
        raise UsageError("The group has no valid id.", "Use its resource id.", code="value")
    handling = preferred.get("handling", "")
    if handling not in ("", "strict", "lenient"):
        raise UsageError("'handling' is strict or lenient.", "Correct the Prefer header.")
    reader = _Reader(level, abilities, handling == "lenient")
    told: dict[str, list[str]] = {}
    for name, value in pairs:
        if not value.strip() and name in _VALUES:
            raise UsageError(f"'{name}' is empty.", "Give it a value, or leave it out.")
        told.setdefault(name, []).append(value)
    for name in told:
        if name not in _VALUES:
            reader.leave(
                Unsupported(
                    f"There is no parameter '{name}'.{nearest(name[:64], _VALUES)}",
                    f"Known: {', '.join(_VALUES)}.",
                    code="not-supported",
                )
            )
    return reader.request(group, told)


class _Reader:
    """Reads parameters, and leaves out what a lenient request may do without."""

    def __init__(self, level: str, abilities: Abilities, lenient: bool) -> None:
        self.level = level
        self.abilities = abilities
        self.lenient = lenient
        self.outcomes: list[Outcome] = []

    def leave(self, error: Unsupported) -> None:
        """Leave something out and warn, or raise the error if the request is strict."""
        if not self.lenient or len(self.outcomes) >= MOST_LEFT_OUT:
            raise error
        self.outcomes.append(of(error, "warning"))

    def request(self, group: str, told: Mapping[str, list[str]]) -> ExportRequest:
        """Return the whole request."""
        self._format(told.get("_outputFormat", []))
        self._once("allowPartialManifests", told, ("true", "false"))
        since, until = self._moment("_since", told), self._moment("_until", told)
        if since and until and since >= until:
            raise UsageError("'_since' is not before '_until'.", "Exchange them.", code="value")
        types = self._types(_listed(told.get("_type", [])))
        return ExportRequest(
            level=self.level,
            types=types,
            group=group,
            since=since,
            until=until,
            elements=self._elements(_listed(told.get("_elements", [])), types),
            type_filters=self._filters(told.get("_typeFilter", []), types),
            patients=self._patients(told.get("patient")),
            organize_output_by=self._organize(told.get("organizeOutputBy", [])),
            include_associated_data=self._associated(
                _listed(told.get("includeAssociatedData", []))
            ),
            lenient=self.lenient,
            outcomes=tuple(self.outcomes),
            types_named="_type" in told,
        )

    def _format(self, given: list[str]) -> None:
        for one in given:
            # In an address, a plus that nobody encoded arrives as a space.
            if one.replace("fhir ndjson", "fhir+ndjson") not in FORMATS:
                raise UsageError(
                    "The '_outputFormat' is not supported.",
                    f"Known: {', '.join(FORMATS)}.",
                    code="not-supported",
                )

    @staticmethod
    def _once(name: str, told: Mapping[str, list[str]], known: Sequence[str] = ()) -> str:
        given = told.get(name, [])
        if len(given) > 1:
            raise UsageError(f"'{name}' is given twice.", "Give it once.", code="invalid")
        if given and known and given[0] not in known:
            raise UsageError(f"'{name}' is {' or '.join(known)}.", "Correct it.", code="value")
        return given[0] if given else ""

    def _moment(self, name: str, told: Mapping[str, list[str]]) -> datetime | None:
        text = self._once(name, told)
        if not text:
            return None
        moment = instant(text)
        if moment is None:
            raise UsageError(
                f"'{name}' is no instant.",
                "Write date, time with seconds, and zone: 2026-01-31T00:00:00Z; in an address, "
                "write + as %2B.",
                code="value",
            )
        return moment

    def _types(self, asked: list[str]) -> tuple[str, ...]:
        supported = set(self.abilities.types)
        if not asked:
            inside = supported if self.level == "system" else supported & set(PATIENT)
            if inside:
                return tuple(sorted(inside))
            raise UsageError("This server has no such resources.", "", code="not-supported")
        for name in asked:
            if name not in supported:
                why = "is not exported here" if r4.is_resource(name) else "is no type of FHIR R4"
                self.leave(
                    Unsupported(
                        f"'{name}' {why}.{nearest(name, supported)}",
                        "See the server's metadata for its types.",
                        code="not-supported",
                    )
                )
        types = tuple(sorted(set(asked) & supported))
        if not types or (self.level != "system" and not set(types) & set(PATIENT)):
            raise UsageError(
                "None of the types in '_type' can be exported at this level.",
                "Ask for at least one type of the patient compartment.",
                code="not-supported",
            )
        return types

    def _elements(self, asked: list[str], types: Sequence[str]) -> tuple[str, ...]:
        kept = []
        for one in asked:
            kind, dot, name = one.rpartition(".")
            if "." in kind:
                self.leave(
                    Unsupported(
                        "'_elements' takes elements at the root of a resource only.",
                        "Write Type.element or element.",
                        code="not-supported",
                    )
                )
                continue
            among = [kind] if dot else types
            if not any(searches.variants(known, name) for known in among):
                self.leave(
                    Unsupported(
                        f"No exported type has an element '{one}'.",
                        "Write Type.element or element, as FHIR R4 names it.",
                        code="not-supported",
                    )
                )
                continue
            kept.append(one)
        return tuple(dict.fromkeys(kept))

    def _filters(self, given: list[str], types: Sequence[str]) -> tuple[str, ...]:
        queries = [query for value in given for query in _NEXT_FILTER.split(value)]
        kept, unread = [], set()
        for query in queries:
            kind = query.partition("?")[0]
            try:
                if kind not in types:
                    raise UsageError(
                        f"'_typeFilter' is about '{kind}', which is not exported.",
                        "Name the type in '_type' too.",
                        code="not-supported",
                    )
                searches.compile_query(query)
                kept.append(query)
            except UsageError as error:
                self.leave(Unsupported(error.sentence, error.remedy, code="not-supported"))
                unread.add(kind)
        # Several filters of a type are alternatives: without one of them, the rest says too little.
        return tuple(query for query in kept if query.partition("?")[0] not in unread)

    def _patients(self, given: list[str] | None) -> tuple[str, ...] | None:
        if given is None:
            return None
        if self.level == "system":
            raise UsageError(
                "'patient' is not for the system level.", "Use Patient/$export.", code="invalid"
            )
        found = set()
        for value in given:
            for one in value.split(","):
                kind, _, name = one.rpartition("/")
                if kind not in ("", "Patient") or not _ID.fullmatch(name):
                    raise UsageError(
                        "'patient' has a reference that cannot be read.",
                        "Write Patient/id.",
                        code="value",
                    )
                found.add(f"Patient/{name}")
        return tuple(sorted(found))

    def _organize(self, given: list[str]) -> str:
        value = self._once("organizeOutputBy", {"organizeOutputBy": given})
        if value and value not in self.abilities.organize_by:
            known = ", ".join(self.abilities.organize_by) or "none"
            self.leave(
                Unsupported(
                    "This 'organizeOutputBy' is not supported.",
                    f"Supported: {known}.",
                    code="not-supported",
                )
            )
            return ""
        return value

    def _associated(self, asked: list[str]) -> tuple[str, ...]:
        for one in asked:
            if one not in self.abilities.associated:
                known = ", ".join(self.abilities.associated) or "none"
                self.leave(
                    Unsupported(
                        "A value of 'includeAssociatedData' is not supported.",
                        f"Supported: {known}.",
                        code="not-supported",
                    )
                )
        kept = [one for one in ASSOCIATED if one in asked and one in self.abilities.associated]
        # Where values contradict one another, the one that returns most holds.
        return tuple(kept[-1:])


def _listed(given: list[str]) -> list[str]:
    """Return repeated parameters and comma lists as one list."""
    parts = [part.strip() for value in given for part in value.split(",")]
    if "" in parts:
        raise UsageError("A list has an empty value.", "Remove the extra comma.", code="value")
    return list(dict.fromkeys(parts))
