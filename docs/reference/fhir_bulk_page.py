"""Writes fhir-bulk-data.md from the code and the map of requirements:
`python docs/reference/fhir_bulk_page.py`. A test fails when the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("fhir-bulk-data.md")
ROOT = Path(__file__).parents[2]
MAP = ROOT / "tests" / "fhir" / "bulk" / "requirements.yaml"

HEAD = """\
# FHIR Bulk Data: what the server and the client do

Written by `docs/reference/fhir_bulk_page.py` from the code and from `tests/fhir/bulk/requirements.yaml`.
The standard is HL7's FHIR Bulk Data Access, STU3 (3.0.0), with STU2's kick-off by GET, over FHIR R4 (4.0.1).

## Kick-off

`[base]/$export`, `[base]/Patient/$export` and `[base]/Group/[id]/$export`, by GET, or by POST with a
Parameters resource. `Prefer: respond-async` is required. The server is strict: what it does not know or
support is 400 and an OperationOutcome; with `Prefer: handling=lenient` it is left out, and a warning stands in
the error files. What is malformed is 400 either way.

| parameter | read as |
|---|---|
| `_outputFormat` | `application/fhir+ndjson`, `application/ndjson` or `ndjson` |
| `_since`, `_until` | instants: `meta.lastUpdated` after the one, up to the other; a resource without it is included and counted in the error files |
| `_type` | types of R4; without it, all types (system) or those of the patient compartment (patients, group) |
| `_elements` | `Type.element` or `element`, at the root; mandatory ones stay, SUBSETTED is added |
| `_typeFilter` | searches, [below](#searches); several of one type are alternatives |
| `patient` | by POST, for patients and groups; nothing in the compartment of anybody else leaves, not even what the two share |
| `organizeOutputBy`, `includeAssociatedData` | what the exporter supports; by default none |
| `allowPartialManifests` | accepted; the manifest is always whole |

Group members count while they are not inactive and their period holds; groups within groups are not opened.

## Status and files

202 with `X-Progress` and `Retry-After`; 429 when polled too fast, or when too many exports run; then the
manifest, until it expires. `Prefer: separate-export-status` is known. Each file's SHA-256 stands in its item's
`extension`. A job belongs to the client that started it: to others it is 404. A job that was running when
the server stopped starts anew under the same address. All addresses begin with the configured base,
whatever a request's Host says.

## Access

Without registered clients access is open, and knowing an address is the permission. With them: SMART Backend
Services, RS384 and ES384, keys inline or by URL (https or this machine, 64 KB, kept five minutes), assertions
valid for five minutes at most and good once, tokens for 300 seconds. Scopes `system/<Type or *>` with `.rs`,
`.r`, `.s`, `.read`, `.*`; scopes with search parameters are not granted. Status and files need a token that
covers every type of the export.

## `$de-identify`

`POST [base]/$de-identify`: Parameters with `policy` and `identifiableData` (HL7 DARTS), or a resource or Bundle
with `?policy=`. The answer comes at once; files by address are refused.

## The client

It polls by `Retry-After` (seconds or date, at most five minutes) or with doubling waits up to a minute, renews
tokens before they end and when one is refused, sends a token only to the server's own origin and to those
named as trusted, and never where `requiresAccessToken` is false or across a redirection. Files are checked for
their gzip, their lines, their type, `count` and SHA-256 before they appear. A call that was cut short goes on.

What a server says of an error (the gravest issue of its OperationOutcome) is shown to whoever asked, below
Bridleway's own sentence and marked: severity, code and text (`details.text`, a coding's display or
`diagnostics`), one line of at most 200 characters without control characters and escape sequences, and without
what looks like a token. It is part of no error, log, receipt or report. Of error files only severities and codes
are counted.
"""  # noqa: E501 -- paragraphs and rows of a table

SEARCHES = """\
## Searches

Tokens (`code`, `system|code`, `:not`), dates (prefixes eq, ne, gt, lt, ge, le, sa, eb), references,
strings (`:exact`, `:contains`), numbers and quantities (the same prefixes), and `:missing`. Every
type also has `_id`, `_lastUpdated` and, where R4 has it, `identifier`. Anything else is
refused by name.

| type | parameters |
|---|---|
"""

TABLE = """\
## Requirements

Those of version 2.0.0 for servers and clients, by the numbers of Inferno's bulk-data-test-kit.
Tests are in `tests/fhir/bulk/`.

| no. | for | | requirement | test, or why not |
|---|---|---|---|---|
"""


def requirements() -> tuple[str, list[dict[str, Any]]]:
    """Return the guide's address and its requirements."""
    from bridleway.documents import read_yaml_file

    told = read_yaml_file(MAP).value
    return told["guide"], told["requirements"]


def page() -> str:
    """Return the page."""
    from bridleway.fhir.bulk import searches

    rows = []
    for kind in sorted(searches.searchable()):
        own = sorted(set(searches.parameters(kind)) - {"_id", "_lastUpdated", "identifier"})
        rows.append(f"| {kind} | {', '.join(f'`{name}`' for name in own)} |\n")
    guide, listed = requirements()
    lines = []
    for one in listed:
        tests = "<br>".join(f"`{test}`" for test in one.get("tests", []))
        lines.append(
            f"| [{one['id']}]({guide}{one['page']}) | {one['actor']} | {one['verb']} "
            f"| {one['says']} | {tests or one['instead']} |\n"
        )
    return "".join([HEAD, "\n", SEARCHES, *rows, "\n", TABLE, *lines])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
