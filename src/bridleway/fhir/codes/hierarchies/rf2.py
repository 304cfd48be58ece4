"""SNOMED CT from the user's own RF2 release (Release File Specification, Snapshot files).

Options: `folder` (the unpacked release, looked through to any depth). Read are

    sct2_Concept_Snapshot*         active concepts
    sct2_Relationship_Snapshot*    active is-a relationships (typeId 116680003, inferred)
    der2_Refset_SimpleSnapshot*    members of simple reference sets, for `^` in ECL
    der2_cRefset_AssociationSnapshot*   what replaced a retired concept

Several packages in one folder (an edition and its extension) are read together: of one
component's rows the one with the latest effectiveTime counts, as RF2 says. A retired concept
counts as the active one that it is the same as or was replaced by, if there is exactly one;
other historical associations are not used, since they do not keep the meaning.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bridleway.errors import UsageError
from bridleway.fhir.codes.hierarchies import _options
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy

SYSTEM = "http://snomed.info/sct"
ROOT = "138875005"  # |SNOMED CT Concept|
IS_A = "116680003"  # |Is a|
SAME_AS = "900000000000527005"  # |SAME AS association reference set|
REPLACED_BY = "900000000000526001"  # |REPLACED BY association reference set|

# Editions write words into the names: sct2_Concept_MONOSnapshot_GB_20240101.txt.
_CONCEPTS = re.compile(r"x?sct2_Concept_[A-Z]*Snapshot.*\.txt")
_RELATIONSHIPS = re.compile(r"x?sct2_Relationship_[A-Z]*Snapshot.*\.txt")
_REFSETS = re.compile(r"x?der2_Refset_Simple(?:[A-Z]*)Snapshot.*\.txt")
_ASSOCIATIONS = re.compile(r"x?der2_cRefset_Association(?:Reference)?[A-Z]*Snapshot.*\.txt")

_CONCEPT = ("id", "effectiveTime", "active")
_RELATIONSHIP = ("id", "effectiveTime", "active", "sourceId", "destinationId", "typeId")
_MEMBER = ("id", "effectiveTime", "active", "refsetId", "referencedComponentId")
_ASSOCIATION = (*_MEMBER, "targetComponentId")


def load(options: Mapping[str, Any], where: Path, codes: Iterable[str] = ()) -> Hierarchy:
    """Load an RF2 release. Raises UsageError for a folder that holds none, or a damaged one."""
    _options.only(options, "folder")
    folder = where / _options.text(options, "folder")
    files = _files(folder)
    concepts = _chosen(files, _CONCEPTS, folder, "sct2_Concept_Snapshot")
    relationships = _chosen(files, _RELATIONSHIPS, folder, "sct2_Relationship_Snapshot")
    builder = Builder(_options.text(options, "system", SYSTEM), folder.name)
    newest = ""
    for row in _active(concepts, _CONCEPT):
        if not builder.code(row[0]):
            raise _wrong(concepts[0], "A concept stands in the snapshot twice.")
        newest = max(newest, row[1])
    for row in _active(relationships, _RELATIONSHIP, {5: {IS_A}}):
        if builder.declared(row[3]):  # a retired concept has no place
            builder.edge(row[3], row[4])
    top = [ROOT] if builder.declared(ROOT) else None
    return builder.finish(
        closed=True,
        repeated=True,
        withheld=_options.withheld(options, top),
        version=newest,
        refsets=_members(_matching(files, _REFSETS)),
        replaced=_replaced(_matching(files, _ASSOCIATIONS), builder),
    )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError("There is no such folder.", "Unpack the release and name its folder.",
                         where=folder.name)  # fmt: skip
    return sorted(path for path in folder.rglob("*.txt") if path.is_file())


def _matching(files: Iterable[Path], pattern: re.Pattern[str]) -> list[Path]:
    return [path for path in files if pattern.fullmatch(path.name)]


def _chosen(files: list[Path], pattern: re.Pattern[str], folder: Path, name: str) -> list[Path]:
    found = _matching(files, pattern)
    if not found:
        raise UsageError(
            f"The folder has no file {name}*.txt.",
            "Name the folder of an RF2 release.",
            where=folder.name,
        )
    return found


def _active(
    paths: list[Path], columns: tuple[str, ...], only: Mapping[int, set[str]] | None = None
) -> Iterator[tuple[str, ...]]:
    """Yield the active rows: of each component the newest one, where there are several files.

    only: which values of a column are of interest; a component's never change.
    """
    if not paths:
        return
    # The largest is read as a stream; the others, such as an extension's, are remembered.
    largest = max(paths, key=lambda path: (path.stat().st_size, path.name))
    newest: dict[str, tuple[str, ...]] = {}
    for path in paths:
        for row in _rows(path, columns, only) if path is not largest else ():
            before = newest.get(row[0])
            if before is None or _is_newer(row, before, path):
                newest[row[0]] = row
    for row in _rows(largest, columns, only):
        other = newest.get(row[0])
        if other is not None and not _is_newer(row, other, largest):
            continue
        newest.pop(row[0], None)
        if row[2] == "1":
            yield row
    yield from (row for row in newest.values() if row[2] == "1")


def _is_newer(row: tuple[str, ...], other: tuple[str, ...], path: Path) -> bool:
    if row[1] == other[1] and row != other:
        raise _wrong(path, "Two rows tell differently of one component at one time.")
    return row[1] > other[1]


def _rows(
    path: Path, columns: tuple[str, ...], only: Mapping[int, set[str]] | None
) -> Iterator[tuple[str, ...]]:
    """Yield a file's rows, reduced to some columns. RF2: UTF-8, tabs, CRLF, no quoting."""
    wanted = list((only or {}).items())
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            header = file.readline().rstrip("\r\n").split("\t")
            missing = [name for name in columns if name not in header]
            if missing:
                raise _wrong(path, f"There is no column '{missing[0]}'.")
            places = [header.index(name) for name in columns]
            for number, line in enumerate(file, start=2):
                cells = line.rstrip("\r\n").split("\t")
                if len(cells) != len(header):
                    raise _wrong(path, f"Row {number} has another number of cells.")
                row = tuple(cells[place] for place in places)
                if row[2] not in ("0", "1"):
                    raise _wrong(path, f"Row {number} is neither active nor inactive.")
                if all(row[place] in values for place, values in wanted):
                    yield row
    except UnicodeDecodeError:
        raise _wrong(path, "The file is not UTF-8.") from None
    except OSError as error:
        raise _wrong(path, f"The file cannot be read ({error.strerror}).") from None


def _wrong(path: Path, sentence: str) -> UsageError:
    return UsageError(sentence, "Restore the file from the release.", where=path.name)


def _members(paths: list[Path]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for _, _, _, refset, member in _active(paths, _MEMBER):
        found[refset].add(member)
    return {refset: frozenset(members) for refset, members in found.items()}


def _replaced(paths: list[Path], builder: Builder) -> dict[str, str]:
    """Return the one active concept that took each retired one's place."""
    found: dict[str, set[str]] = defaultdict(set)
    rows = _active(paths, _ASSOCIATION, {3: {SAME_AS, REPLACED_BY}})
    for _, _, _, _, old, new in rows:
        if not builder.declared(old):
            found[old].add(new)
    return {
        old: next(iter(new))
        for old, new in found.items()
        if len(new) == 1 and builder.declared(next(iter(new)))
    }
