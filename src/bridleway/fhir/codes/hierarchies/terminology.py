"""A hierarchy from a FHIR terminology server: the recorded codes and all that stands above them.

Options: `server` (base address), `system` (default SNOMED CT), `version` (pins the edition:
http://snomed.info/sct/900000000000207008/version/20240101), `cache` (a folder; without it every
run asks anew), `token_file` (0600), `at_once` (requests, default 4), `timeout` (seconds).

Ancestors are complete, so depths and cuts are those of the whole system; descendants are not, so
ECL is evaluated by the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bridleway.errors import Fault, UsageError
from bridleway.fhir.codes.hierarchies import _options
from bridleway.fhir.codes.hierarchies.rf2 import ROOT
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy
from bridleway.fhir.codes.sctid import is_concept_id
from bridleway.fhir.codes.server import Found, Server, read_token

SYSTEM = "http://snomed.info/sct"
_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.*+/-]{0,18}[A-Za-z0-9*+])?")
_MOST = 500_000  # codes
_LONGEST_TIMEOUT = 600  # seconds


def load(options: Mapping[str, Any], where: Path, codes: Iterable[str] = ()) -> Hierarchy:
    """Ask a server for the codes' ancestors. Raises UsageError for options, Fault for a server."""
    _options.only(options, "server", "version", "cache", "token_file", "at_once", "timeout")
    system = _options.text(options, "system", SYSTEM)
    version = str(options.get("version") or "")
    cache = options.get("cache")
    token_file = options.get("token_file")

    def server() -> Server:
        return Server(
            _options.text(options, "server"),
            system,
            version,
            where / str(cache) if cache else None,
            read_token(where / str(token_file)) if token_file else "",
            _number(options, "timeout", 60, _LONGEST_TIMEOUT),
        )

    def expand(ecl: str) -> frozenset[str]:
        with server() as opened:
            return opened.expand(ecl)

    with server() as opened:
        return _climbed(options, system, opened, codes, expand)


def _number(options: Mapping[str, Any], name: str, default: int, most: int) -> int:
    found = options.get(name, default)
    if not isinstance(found, int) or not 1 <= found <= most:
        raise UsageError(f"'{name}' must be from 1 to {most}.", f"Usual is {default}.")
    return int(found)


def _climbed(
    options: Mapping[str, Any],
    system: str,
    server: Server,
    codes: Iterable[str],
    expand: Any,
) -> Hierarchy:
    """Go up from the recorded codes, level by level, until nothing new stands above."""
    snomed = system == SYSTEM
    plausible = is_concept_id if snomed else lambda code: bool(_CODE.fullmatch(code))
    level = sorted({code for code in codes if plausible(code)})
    asked = set(level)
    builder = Builder(system, "terminology server")
    versions: set[str] = set()
    recorded = True
    with ThreadPoolExecutor(_number(options, "at_once", 4, 32)) as pool:
        while level:
            if len(asked) > _MOST:
                raise UsageError(f"More than {_MOST:,} codes stand above the recorded ones.",
                                 "Load the release itself.")  # fmt: skip
            above: set[str] = set()
            for code, found in zip(level, pool.map(server.lookup, level), strict=True):
                if found is None or found.inactive or not (found.parents or _is_top(code, snomed)):
                    if not recorded:
                        raise Fault("The terminology server does not know a parent that it named.",
                                    "Empty the cache, or pin the `version`.")  # fmt: skip
                    continue
                _take(builder, code, found, versions)
                above.update(found.parents)
            level = sorted(above - asked)
            asked |= above
            recorded = False
    if not len(builder):
        raise UsageError(
            "The terminology server knows none of the recorded codes, or tells no parents.",
            "Check `server`, `system` and `version`, and that its $lookup has the property parent.",
        )
    withheld = _options.withheld(options, [ROOT] if snomed else None)
    if withheld is not None:  # what stands above no recorded code needs no withholding
        withheld = [code for code in withheld if builder.declared(code)]
    return builder.finish(
        closed=True,
        withheld=withheld,
        version=min(versions, default=""),
        expand=expand,
    )


def _is_top(code: str, snomed: bool) -> bool:
    """Tell whether a code may lack parents: in SNOMED CT only the root; others are retired."""
    return code == ROOT or not snomed


def _take(builder: Builder, code: str, found: Found, versions: set[str]) -> None:
    builder.code(code)
    for parent in found.parents:
        builder.edge(code, parent)
    versions.add(found.version)
    if len(versions) > 1:
        raise UsageError(
            "The terminology server's answers are of several versions of the code system.",
            "Pin the `version`, or empty the cache.",
        )
