"""Drafts the recipe of an extract from what the catalogue declares of its columns.

A draft is cautious: every quasi-identifier has a hierarchy, every sensitive column is protected by
l and t. `bridleway extract plan` then shows what it costs.
"""

from __future__ import annotations

import re
from typing import Any

from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.passport.fhir_extracts import KEY, TYPE, draft_fhir, is_fhir_table
from bridleway.passport.gaps_touch import question_words

_LISTED = re.compile(r"\bselect\b(.*?)\bfrom\b", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
# What a column is called -> the hierarchy that its values have.
_BY_NAME = (
    (re.compile(r"post_?code", re.IGNORECASE), "postcodes"),
    (re.compile(r"icd|diagnos", re.IGNORECASE), "icd10"),
    (re.compile(r"occupation|soc_?code", re.IGNORECASE), "occupation"),
)
_BY_TYPE = {"integer": "numbers", "decimal": "numbers", "date": "dates"}


def columns_listed(text: str) -> list[str]:
    """Return the words between SELECT and FROM, in order."""
    found = _LISTED.search(question_words(text))
    return list(dict.fromkeys(_WORD.findall(found[1]))) if found else []


def draft_recipe(text: str, facts: TableFacts, k: int) -> dict[str, Any]:
    """Return the recipe of an extract; k: the smallest class.

    That of a table of a FHIR source names a policy, and the types that its catalogue declares.
    """
    if is_fhir_table(facts):
        return {KEY: draft_fhir(facts.columns[TYPE].domain or (), k)}
    known = {name.lower(): column for name, column in facts.columns.items()}
    columns = {
        known[word.lower()].name: _column(known[word.lower()])
        for word in columns_listed(text)
        if word.lower() in known
    }
    return {"k": k, "suppression": "0.05", "columns": columns}


def _column(facts: ColumnFacts) -> Any:
    if facts.cls != "quasi-identifier":
        return facts.cls
    named = next((kind for name, kind in _BY_NAME if name.search(facts.name)), "values")
    builder = named if facts.type == "text" else _BY_TYPE.get(facts.type, "values")
    if builder == "values":
        return facts.cls
    return {"class": facts.cls, "hierarchy": builder}
