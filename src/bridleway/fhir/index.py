"""The first pass over a source: who and what it holds, written down on disk.

Per resource: its pseudonym and its patient's, 16 bytes. Per patient: years of birth and death,
gender, and a number for all that would leave besides the year of birth: patients with equal
numbers look alike. Per code of a patient: when. What the second pass decides about one line, it
decides from here, so that it does not matter in which file something stands.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bridleway.fhir import store
from bridleway.fhir.dates import year_of
from bridleway.fhir.keyed import Keys
from bridleway.fhir.resources import is_id
from bridleway.fhir.subjects import EVENTS, at, codes_in, day_in, patient_of
from bridleway.fhir.walks import Code

IDS = np.dtype([("name", "u8"), ("patient", "u8")])
PEOPLE = np.dtype(
    [("name", "u8"), ("birth", "i4"), ("death", "i4"), ("gender", "u1"), ("rest", "u8")]
)
RAW = np.dtype([("raw", "u8"), ("name", "u8")])
EVENT = np.dtype([("patient", "u8"), ("code", "u8"), ("day", "i4")])
GENDERS = ("", "male", "female", "other", "unknown")
_DIGITS = 16  # of a pseudonym, which make the number under which the index knows it
NOBODY = 0  # in place of how a Patient looks that is rejected
DEAD_UNDATED = -1  # as the year of death


def short(name: bytes) -> int:
    """Return the number under which the index knows a pseudonym: its first 64 bits."""
    return int.from_bytes(name[:8])


def code_number(code: Code) -> int:
    """Return the number under which the index knows a code."""
    told = f"{code[0]}|{code[1]}".encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest())


@dataclass
class Seen:
    """What one part of a source holds."""

    types: Counter[str] = field(default_factory=Counter)
    values: int = 0  # observations that have one
    codes: dict[int, Code] = field(default_factory=dict)
    lines: int = 0
    files: tuple[Path, ...] = ()


class Collector:
    """Notes resources one by one; `write` puts down what was noted.

    counted: the elements whose codes the policy generalises by count of patients, by type; looks:
    what of a Patient would leave besides the year of birth; without: resources of which it is
    known that they do not leave, so that their codes do not count.
    """

    def __init__(
        self,
        keys: Keys,
        counted: Mapping[str, Iterable[str]],
        looks: Callable[[Mapping[str, Any]], bytes],
        without: frozenset[int] = frozenset(),
    ) -> None:
        self._keys = keys
        self._without = without
        self._looks = looks
        self.seen = Seen()
        self._numbers: dict[Code, int] = {}
        self._names: dict[str, int] = {}
        self._counted = {name: tuple(paths) for name, paths in counted.items()}
        self._ids: list[tuple[int, int]] = []
        self._people: list[tuple[int, int, int, int, int]] = []
        self._raws: list[tuple[int, int]] = []
        self._events: set[tuple[int, int, int]] = set()

    def note(self, resource: Mapping[str, Any]) -> None:
        """Note one resource that the policy releases."""
        type_name, identifier = str(resource["resourceType"]), resource.get("id")
        if not is_id(identifier):
            return
        patient = patient_of(resource)
        person = self._person(patient) if patient is not None and is_id(patient) else 0
        name = person if type_name == "Patient" else short(
            self._keys.pseudonym(type_name, str(identifier))
        )  # fmt: skip
        self._ids.append((name, person))
        self.seen.types[type_name] += 1
        if type_name == "Patient":
            self._note_person(resource, name, self._looks(resource))
        elif person and name not in self._without:
            self._note_codes(type_name, resource, person)
        self._note_value(type_name, resource)

    def note_unreleased(self, resource: Mapping[str, Any]) -> None:
        """Note a Patient whose own record stays: what is about them may leave all the same."""
        if resource["resourceType"] == "Patient" and is_id(resource.get("id")):
            self._note_person(resource, self._person(resource["id"]), b"{}")

    def _note_person(self, patient: Mapping[str, Any], name: int, looks: bytes) -> None:
        self._people.append((name, *facts(patient), look_of(patient, looks)["rest"]))
        self._raws.append((_raw(patient), name))

    def note_released(
        self, resource: Mapping[str, Any], source: Mapping[str, Any] | None = None
    ) -> None:
        """Note the events of a resource as it leaves, under the same numbers.

        source: what it was, where its patient's pseudonym is not one of ours.
        """
        type_name = str(resource["resourceType"])
        self.seen.types[type_name] += 1
        self._note_value(type_name, resource)
        patient = patient_of(source or resource)
        if patient is None or type_name == "Patient" or not is_id(patient):
            return
        person = self._person(patient) if source else int(patient[:_DIGITS], 16)
        self._note_codes(type_name, resource, person)

    def _note_value(self, type_name: str, resource: Mapping[str, Any]) -> None:
        if type_name == "Observation" and any(name.startswith("value") for name in resource):
            self.seen.values += 1

    def _note_codes(self, type_name: str, resource: Mapping[str, Any], person: int) -> None:
        event = EVENTS.get(type_name)
        done: tuple[str, ...] = ()
        if event is not None:
            day, done = day_in(resource, event.dates), event.codes
            for path in done:
                self._add(resource, path, person, day)
        for path in self._counted.get(type_name, ()):
            if path not in done:
                self._add(resource, path, person, 0)

    def _add(self, resource: Mapping[str, Any], path: str, person: int, day: int) -> None:
        for concept in at(resource, path):
            for code in codes_in(concept):
                number = self._numbers.get(code)
                if number is None:
                    number = self._numbers[code] = code_number(code)
                    self.seen.codes[number] = code
                self._events.add((person, number, day))

    def _person(self, patient: str) -> int:
        found = self._names.get(patient)
        if found is None:
            if len(self._names) > 200_000:
                self._names.clear()
            found = self._names[patient] = short(self._keys.pseudonym("Patient", patient))
        return found

    def write(self, folder: Path, stem: str) -> Seen:
        """Write what was noted as sorted files, and forget it."""
        told = [
            store.write(folder / f"{stem}.{what}", np.array(list(rows), kind))
            for what, rows, kind in (
                ("ids", self._ids, IDS),
                ("people", self._people, PEOPLE),
                ("events", self._events, EVENT),
                ("raws", self._raws, RAW),
            )
        ]
        self.seen.files = tuple(told)
        self._ids, self._people, self._raws, self._events = [], [], [], set()
        return self.seen


def look_of(patient: Mapping[str, Any], looks: bytes) -> dict[str, int]:
    """Return by what a patient is told apart: year of birth, and a number for the rest."""
    rest = hashlib.blake2b(looks, digest_size=8).digest()
    return {"birth": facts(patient)[0], "rest": int.from_bytes(rest) if looks else NOBODY}


def _raw(patient: Mapping[str, Any]) -> int:
    """Return a number for what is commonly known of somebody: date of birth, gender, postcode."""
    where = next((code for code in at(patient, "address.postalCode") if type(code) is str), "")
    born, gender = (patient.get(name) for name in ("birthDate", "gender"))
    told = "|".join(one if type(one) is str else "" for one in (born, gender, where)).encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest())


def facts(patient: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return year of birth, year of death and gender of a Patient; 0 for what it does not say."""
    birth = year_of(patient.get("birthDate")) or 0
    death = year_of(patient.get("deceasedDateTime")) or 0
    if not death and patient.get("deceasedBoolean") is True:
        death = DEAD_UNDATED
    gender = patient.get("gender")
    return birth, death, GENDERS.index(gender) if gender in GENDERS else 0


class Index:
    """The merged index, for look-ups."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ids = store.Sorted(folder / "ids", IDS)
        self._people = store.Sorted(folder / "people", PEOPLE)

    @property
    def resources(self) -> int:
        """How many different resources there are."""
        return self._ids.count

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return self._people.count

    def holds(self, name: int) -> bool:
        """Tell whether a resource is in the source."""
        return self._ids.find(name) is not None

    def owner(self, name: int) -> int:
        """Return the number of the patient whom a resource is about, 0 for none."""
        found = self._ids.find(name)
        return 0 if found is None else int(found["patient"])

    def person(self, name: int) -> np.void | None:
        """Return what is known of a patient."""
        return self._people.find(name)

    def close(self) -> None:
        """Close its files."""
        self._ids.close()
        self._people.close()


def gather(folder: Path, seen: Iterable[Seen]) -> None:
    """Merge what all parts hold into one index in a folder."""
    told = list(seen)
    kinds = (("ids", IDS), ("people", PEOPLE), ("events", EVENT), ("raws", RAW))
    for number, (what, kind) in enumerate(kinds):
        store.merge([one.files[number] for one in told], folder / what, kind)
