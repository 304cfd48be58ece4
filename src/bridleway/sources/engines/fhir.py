"""FHIR R4 as NDJSON: a folder of files, one resource per line. One table, `fhir`.

Its columns: `patient`, the id of the patient whom a resource is about; `type`; `resource`, the
line itself. Extracts of it are made by the policy that their passport names; the table is there so
that the source is described, versioned and listed like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from bridleway.sources.engines._files import FileSource, files_of, text_literal
from bridleway.sources.source import Location, Source

SCHEMES = ("fhir",)
SUFFIXES = (".ndjson", ".ndjson.gz")
TABLE = "fhir"

_MAX_LINE = 16 << 20
_PATIENT = "Patient/([A-Za-z0-9.-]{1,64})"
_SUBJECTS = ("patient", "subject", "beneficiary", "for", "individual")


def open_source(location: Location) -> Source:
    """Open all files as one table."""
    root, place = location.path, location.name

    def find() -> Sequence[Path]:
        return files_of(root, SUFFIXES, place)

    def prepare(engine: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Sequence[str]:
        listed = ", ".join(text_literal(str(path)) for path in paths)
        named = ", ".join(f"json ->> '$.{name}.reference'" for name in _SUBJECTS)
        engine.execute(
            f"CREATE VIEW {TABLE} AS FROM read_ndjson_objects([{listed}], "
            f"maximum_object_size = {_MAX_LINE}, ignore_errors = true) SELECT "
            "CASE WHEN json ->> '$.resourceType' = 'Patient' THEN json ->> '$.id' "
            f"ELSE nullif(regexp_extract(coalesce({named}), '{_PATIENT}', 1), '') END AS patient, "
            "json ->> '$.resourceType' AS type, json::VARCHAR AS resource"
        )
        return [TABLE]

    return FileSource(place, location.threads, find, prepare)
