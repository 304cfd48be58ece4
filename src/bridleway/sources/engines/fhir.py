"""FHIR R4 as NDJSON: a folder of files, one resource per line. One table, `fhir`.

Its columns: `patient`, the id of the patient whom a resource is about; `type`; `resource`, the
line itself. A file that ends in .json is one resource; what a Bundle holds are rows of their own;
what is no resource is none. Extracts of it are made by the policy that their passport names; the
table is there so that the source is described, versioned and listed like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from bridleway.errors import UsageError
from bridleway.sources.engines._files import FileSource, text_literal
from bridleway.sources.source import Location, Source
from bridleway.sources.suggest import Suggestion

SCHEMES = ("fhir",)
SUFFIXES = (".ndjson", ".ndjson.gz")
TABLE = "fhir"

# Whatever an extract of the folder reads belongs to its data version, in folders below it too.
_ENDINGS = (*SUFFIXES, ".jsonl", ".json")
_MAX_LINE = 16 << 20
_PATIENT = "Patient/([A-Za-z0-9.-]{1,64})"
_SUBJECTS = ("patient", "subject", "beneficiary", "for", "individual")
_KNOWN = {
    "patient": Suggestion("identifier", "whose resource it is", "person", "reference"),
    "type": Suggestion("plain", "a type of FHIR R4"),
    "resource": Suggestion("sensitive", "all that is held of somebody; extracts list it whole"),
}


def open_source(location: Location) -> Source:
    """Open all files as one table."""
    root, place = location.path, location.name

    def find() -> Sequence[Path]:
        return _files(root, place)

    return FileSource(place, location.threads, find, _prepare, known=_KNOWN)


def _files(root: Path, place: str) -> list[Path]:
    """Return the file itself, or the files of a folder and of those below it, sorted."""
    try:
        found = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    except OSError:
        raise UsageError(
            "The file or folder cannot be read.", "Check its permissions.", where=place
        ) from None
    found = [path for path in found if path.name.endswith(_ENDINGS)]
    if not found:
        raise UsageError(
            "There is no file of FHIR.",
            f"Name a file or folder; files end in {', '.join(_ENDINGS)}.",
            where=place,
        )
    return found


def _prepare(engine: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Sequence[str]:
    """Make the view over lines and whole files. What cannot be read is NULL, and no row."""
    whole = [path for path in paths if path.name.endswith(".json")]
    lines = [path for path in paths if path not in whole]
    read = []
    if lines:
        read.append(
            f"FROM read_ndjson_objects([{_listed(lines)}], maximum_object_size = {_MAX_LINE}, "
            "ignore_errors = true) SELECT json"
        )
    if whole:
        read.append(
            f"FROM read_blob([{_listed(whole)}]) "
            "SELECT try_cast(ltrim(try(decode(content)), chr(65279)) AS JSON) AS json "
            f"WHERE size <= {_MAX_LINE}"
        )
    type_of = "json ->> '$.resourceType'"
    held = f"CASE {type_of} WHEN 'Bundle' THEN json -> '$.entry[*].resource' ELSE [json] END"
    named = ", ".join(f"json ->> '$.{name}.reference'" for name in _SUBJECTS)
    patient = f"nullif(regexp_extract(coalesce({named}), '{_PATIENT}', 1), '')"
    engine.execute(
        f"CREATE VIEW {TABLE} AS FROM (FROM ({' UNION ALL '.join(read)}) "
        f"SELECT unnest({held}) AS json) "
        f"SELECT CASE {type_of} WHEN 'Patient' THEN json ->> '$.id' ELSE {patient} END AS patient, "
        f"{type_of} AS type, json::VARCHAR AS resource WHERE {type_of} IS NOT NULL"
    )
    return [TABLE]


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(text_literal(str(path)) for path in paths)
