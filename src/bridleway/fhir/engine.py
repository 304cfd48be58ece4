"""One resource in, what leaves of it out: a policy at work on one line after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from bridleway.fhir import resources
from bridleway.fhir.build import Walks
from bridleway.fhir.forms import NOTHING, Kind
from bridleway.fhir.index import DEAD_UNDATED, Index, facts, short
from bridleway.fhir.policy import Policy
from bridleway.fhir.references import target
from bridleway.fhir.resources import Wrong, is_id
from bridleway.fhir.subjects import patient_of, references_in, subjects_of
from bridleway.fhir.walks import Tools

_TAGS = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_MOST_KEPT = 50_000


class Held:
    """Who is held back, and what was found to be rejected in an earlier pass.

    classes: (year of birth's band, number of the rest) too few look like; names: resources.
    """

    def __init__(
        self,
        classes: frozenset[tuple[int, int]] = frozenset(),
        names: frozenset[int] = frozenset(),
        width: int | None = 1,
    ) -> None:
        self.classes, self.names, self.width = classes, names, width

    def person(self, record: Any) -> bool:
        """Tell whether a patient of the index is held back."""
        return bool(self.classes) and self.look(record) in self.classes

    def look(self, record: Any) -> tuple[int, int]:
        """Return the class of a patient of the index."""
        return band(int(record["birth"]), self.width), int(record["rest"])


def band(year: int, width: int | None) -> int:
    """Return the first year of a band, 0 where birth does not leave."""
    return 0 if width is None else year - year % width


class Engine:
    """A policy with its keys and, after the first pass, the index of the source."""

    def __init__(
        self,
        policy: Policy,
        tools: Tools,
        index: Index | None = None,
        held: Held | None = None,
    ) -> None:
        self.policy = policy
        self.index = index
        self.held = held or Held()
        released = self.leaves if policy.is_own and index is not None else None
        self.tools = replace(tools, released=released)
        self.walks = Walks(policy, self.tools)
        self._is_own = policy.is_own
        self._kinds: dict[str, Kind] = {}
        self._doubts = bool(self.held.names)
        self._people: dict[str, tuple[int, int, str]] = {}
        self._scope = policy.shift_scope
        self._subject = tools.forms.subject
        ordinary = policy.is_own and self._scope == "patient" and not self._doubts
        self._walked = tools.forms.walked if ordinary else None
        self._job = tools.forms.Job()
        self.counts = self._job.counts
        self.parse = tools.forms.parse
        self._require_not_zero = tools.forms.require_not_zero

    def taken(self, line: bytes, file: str = "") -> bytes:
        """Return what leaves of a line, with a line's end. Raises Wrong."""
        made = self.anonymise(self.parse(line), file)
        if self._job.tiny:
            self.require_exact(line)
        try:
            return orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:
            raise Wrong(resources.TOO_DEEP) from None

    def written(self, made: Mapping[str, Any]) -> bytes:
        """Return as JSON what leaves of a resource. Raises Wrong."""
        try:
            return orjson.dumps(made)
        except orjson.JSONEncodeError:
            raise Wrong(resources.TOO_DEEP) from None

    def require_exact(self, line: bytes) -> None:
        """Refuse the resource just made if a number in it may have been too small for a double."""
        if self._job.tiny:
            self._require_not_zero(line)

    def anonymise(self, resource: dict[str, Any], file: str = "") -> dict[str, Any]:
        """Return what leaves of a resource. Raises Wrong where nothing may."""
        try:
            if self._walked is not None:
                made = self._walked(resource, self._kinds, self._people, self._job)
                if made is not None:
                    return made
            return self._anonymised(resource, file)
        except RecursionError:
            raise Wrong(resources.TOO_DEEP) from None

    def _anonymised(self, resource: dict[str, Any], file: str) -> dict[str, Any]:
        kind = resource["resourceType"]
        try:
            walk, subjects, contains = self._kinds[kind]
        except KeyError:
            walk, subjects, contains = self._kinds[kind] = self._kind(kind)
        if walk is None:
            raise Wrong(resources.NOT_RELEASED)
        job = self._job
        job.resource = resource
        job.tiny = False
        doubtful = self._doubts and self._is_doubtful(resource, kind)
        told = self._subject(resource, subjects)
        known = self._people.get(told) if told is not None else None
        if known is None:
            known = self._about(resource, kind, file)
            if told is not None and target(told) is not None:  # else more than it decides
                if len(self._people) >= _MOST_KEPT:
                    self._people.clear()
                self._people[told] = known
        job.shift, job.year, refused = known
        if refused and self.policy.is_own and kind != "Patient":
            raise Wrong(refused)  # a Patient may have a reason of its own
        if contains and "contained" in resource:
            made = self._with_contained(walk, resource, kind)
        else:
            job.local = NOTHING
            made = walk(resource, job)
        if made is None:
            raise Wrong(resources.NOT_RELEASED)
        if doubtful:
            raise Wrong(resources.SAME_ID)
        if refused and self.policy.is_own:
            raise Wrong(refused)
        if job.tags:
            _label(made, job.tags)
            job.tags.clear()
        return made

    def _with_contained(
        self, walk: Any, resource: dict[str, Any], kind: str
    ) -> dict[str, Any] | None:
        """Walk a resource; references to contained resources that do not leave go, too."""
        job = self._job
        job.local = self._inside(resource, kind)
        if not any(job.local.values()):
            return walk(resource, job)  # type: ignore[no-any-return]
        counted = dict(job.counts)
        made: dict[str, Any] | None = walk(resource, job)
        left = {f"#{one.get('id')}" for one in (made or {}).get("contained") or ()}
        gone = {told for told, name in job.local.items() if name is not None and name not in left}
        if gone:
            job.local = {**job.local, **dict.fromkeys(gone)}
            job.counts.clear()
            job.counts.update(counted)
            made = walk(resource, job)
        return made

    def _kind(self, kind: str) -> Kind:
        """Return the walk of a type of resource, the elements by which it names a patient where
        that decides anything, and whether what it contains may leave under names of its own."""
        subjects = subjects_of(kind) if self._scope == "patient" else ()
        return self.walks.root(kind), subjects, self._is_own and self.walks.keeps_contained(kind)

    def looks(self, patient: Mapping[str, Any]) -> bytes:
        """Return what of a Patient would leave besides its year of birth and exact death.

        Nothing for a Patient that is rejected.
        """
        try:
            made = dict(self.anonymise(dict(patient)))
        except Wrong:
            return b""
        for name in ("id", "meta"):
            made.pop(name, None)
        if self.policy.bands_births:
            made.pop("birthDate", None)
        if made.pop("deceasedDateTime", None) or made.get("deceasedBoolean") is True:
            made["deceasedBoolean"] = True
        else:
            made.pop("deceasedBoolean", None)
        try:
            return orjson.dumps(made, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # nested too deeply to be written
            return b""

    def _is_doubtful(self, resource: dict[str, Any], kind: str) -> bool:
        """Tell whether an earlier pass rejected what has this type and id."""
        if not is_id(resource.get("id")):
            return False
        return short(self.tools.keys.pseudonym(kind, resource["id"])) in self.held.names

    def _about(self, resource: dict[str, Any], kind: str, file: str) -> tuple[int, int, str]:
        """Return the shift of a resource's dates, the year from which ages are taken, and why
        nothing may leave."""
        if self._scope == "patient":
            return self._person(patient_of(resource), resource)
        scopes = {"resource": str(resource.get("id", "")), "file": file, "folder": ""}
        shift = self.tools.keys.shift(scopes[self._scope].encode(), self.tools.shift_days)
        death = facts(resource)[1] if kind == "Patient" else 0
        return shift, self._reference_year(death), ""

    def _reference_year(self, death: int) -> int:
        return death if death > 0 else self.tools.as_of.year

    def _person(self, patient: str | None, resource: dict[str, Any]) -> tuple[int, int, str]:
        """Return a patient's shift, reference year, and why nothing of them may leave."""
        keys, days = self.tools.keys, self.tools.shift_days
        if patient is not None and is_id(patient):
            number = short(keys.pseudonym("Patient", patient))
        else:
            owners = self._owners(resource)
            # Of several patients' none is the one by whom dates could be moved.
            number = min(owners) if len(owners) == 1 else 0
            if not number:
                own = keys.pseudonym(resource["resourceType"], str(resource.get("id")))
                refused = next(filter(None, map(self._refused, sorted(owners))), "")
                return keys.shift(own[:8], days), self.tools.as_of.year, refused
        shift = keys.shift(number.to_bytes(8), days)
        if self.index is None:
            death = facts(resource)[1] if resource["resourceType"] == "Patient" else 0
            return shift, self._reference_year(death), ""
        record = self.index.person(number)
        death = DEAD_UNDATED if record is None else int(record["death"])
        year = self._reference_year(0 if death == DEAD_UNDATED else death)
        return shift, year, self._refused(number)

    def _refused(self, number: int) -> str:
        """Return why nothing leaves of a patient, '' if it does."""
        record = None if self.index is None else self.index.person(number)
        if number in self.held.names or (record is not None and self.held.person(record)):
            return resources.PATIENT_HELD
        return "" if record is not None else resources.PATIENT_ABSENT

    def _owners(self, resource: dict[str, Any]) -> set[int]:
        """Return the patients of a resource that names none, by what it refers to."""
        owners: set[int] = set()
        if self.index is None:
            return owners
        for told in references_in(resource):
            found = target(told)
            if found is None:
                continue
            name = short(self.tools.keys.pseudonym(*found))
            owner = name if found[0] == "Patient" else self.index.owner(name)
            if owner:
                owners.add(owner)
        return owners

    def _inside(self, resource: dict[str, Any], kind: str) -> dict[str, str | None]:
        """Return what references to contained resources become, None where none leaves."""
        local: dict[str, str | None] = {}
        contained = resource["contained"]
        for one in contained if type(contained) is list else ():
            if type(one) is not dict or type(one.get("id")) is not str:
                continue
            inner = one.get("resourceType")
            leaves = (
                type(inner) is str
                and resources.known(inner)
                and self.walks.root(inner, inside=True) is not None
            )
            name = None
            if leaves:
                told = f"{kind}/{resource.get('id')}#{one['id']}"
                name = f"#{self.tools.keys.pseudonym('contained', told).hex()}"
            local[f"#{one['id']}"] = name
        return local

    def leaves(self, name: bytes) -> bool:
        """Tell whether a resource leaves, as far as is known: it is in the source, and not held
        back."""
        if self.index is None:
            return True
        number = short(name)
        if number in self.held.names:
            return False
        if not self.held.classes and not self.held.names:
            return self.index.holds(number)
        owner = self.index.owner(number)
        if not owner:
            return self.index.holds(number)
        record = self.index.person(owner)
        return record is not None and owner not in self.held.names and not self.held.person(record)


def _label(made: dict[str, Any], tags: set[str]) -> None:
    """Add security labels of what was done, as Microsoft's engine does."""
    meta = made.get("meta")
    meta = dict(meta) if type(meta) is dict else {}
    present = [one for one in meta.get("security", ()) if type(one) is dict]
    known = {one.get("code") for one in present}
    meta["security"] = present + [_tag(tag) for tag in sorted(tags) if tag not in known]
    made["meta"] = meta


def _tag(tag: str) -> dict[str, str]:
    # Microsoft's own three have no system: HL7 has no such codes.
    if tag in ("PERTURBED", "SUBSTITUTED", "GENERALIZED"):
        return {"code": tag}
    return {"system": _TAGS, "code": tag}
