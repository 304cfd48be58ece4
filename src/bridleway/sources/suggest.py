"""Suggests a column's class and the entity it identifies, from its name and its shape."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridleway.model.catalogue import ColumnClass

# (words in the column's name, identifier type, entity): tried in this order.
_IDENTIFIERS = (
    ("nhs_number|nhs_no|nhsnumber|nhsno|nhs", "nhs-number", "person"),
    ("nino|ni_number|ni_no|national_insurance(_number|_no)?", "nino", "person"),
    ("uprn", "uprn", "address"),
    ("postcode|post_code|postal_code|pcd|pcds", "postcode", "postcode"),
    ("dob|date_of_birth|birth_date|birthdate|born", "date-of-birth", "birth_date"),
    ("household(_id|_ref|_reference|_number|_no)?|hh_id", "reference", "household"),
    (
        "(person|patient|client|customer|citizen|resident|pupil|claimant|tenant)"
        "_?(id|ref|reference|number|no)",
        "reference",
        "person",
    ),
)
# Entities that are a person, household or address; the others describe one.
LINKING = ("person", "household", "address")

_NAMED = (
    ("identifier", "name|forename|surname|first_name|last_name|full_name|email|e_mail|phone|"
     "mobile|telephone|address|street|passport_number|licence_number|iban|account_number"),
    ("sensitive", "disab|health|diagnos|condition|illness|disease|medic|treatment|mental|gp_|"
     "religio|faith|belief|ethnic|race|racial|sexual|orientation|gender_identity|union|politic|"
     "crime|criminal|offen[cs]e|convict|arrest|income|salary|wage|pay|earning|benefit|debt|"
     "arrears|sanction|claim|vulnerab|safeguard|abuse|pregnan|immigra|asylum|smok|drug|alcohol"),
    ("quasi-identifier", "age|sex|gender|birth|national|country|language|marital|occupation|job|"
     "education|qualification|household_size|children|ward|area|lsoa|msoa|district|borough|"
     "region|locality|parish|school|employer|date|year"),
    ("plain", "tenure|status|type|kind|category|class|provider|scheme|band|level|source|channel"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What was measured of a column: no value, only shares and counts.

    nulls: share of NULLs; distinct: distinct values; rows: rows of the table; valid: identifier
    type -> share of a sample that its rule accepts.
    """

    declared: str
    rows: int
    nulls: float
    distinct: int
    valid: dict[str, float]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A class, why, and the entity and identifier type if the column is a key."""

    cls: ColumnClass
    why: str
    entity: str = ""
    identifier: str = ""


def suggest(name: str, shape: Shape) -> Suggestion:
    """Return a suggestion for a person to correct; doubt falls on the careful side."""
    key = _key(name, shape)
    if key is not None:
        return key
    for cls, words in _NAMED:
        match = re.search(f"(?:^|_)(?:{words})", _words(name))
        if match:
            return Suggestion(cls, f"its name has '{match[0].strip('_')}'")  # type: ignore[arg-type]
    filled = max(1, round(shape.rows * (1 - shape.nulls)))
    if shape.declared in ("text", "integer") and shape.distinct > 0.95 * filled and filled > 20:
        return Suggestion("identifier", "nearly every row has its own value")
    if shape.declared == "text" and shape.distinct > 200:
        return Suggestion("sensitive", "many different texts: free text can name people")
    if shape.declared in ("decimal", "boolean"):
        return Suggestion("sensitive", "amounts and yes/no facts about people often are")
    return Suggestion("quasi-identifier", "its name tells nothing; combined it may single out")


def _key(name: str, shape: Shape) -> Suggestion | None:
    if shape.declared in ("boolean", "decimal"):
        return None
    words = _words(name)
    for pattern, identifier, entity in _IDENTIFIERS:
        if not re.fullmatch(f"(?:.*_)?(?:{pattern})", words):
            continue
        why = f"its name is that of a {identifier}"
        if identifier != "reference" and shape.valid.get(identifier, 1.0) < 0.5:
            why += ", though most of its values are not valid ones"
        return _made(identifier, entity, why)
    for identifier, entity in (
        ("nhs-number", "person"),
        ("nino", "person"),
        ("postcode", "postcode"),
    ):
        if shape.valid.get(identifier, 0.0) > 0.9:
            return _made(identifier, entity, f"most values have the form of a {identifier}")
    return None


def _made(identifier: str, entity: str, why: str) -> Suggestion:
    cls: ColumnClass = "identifier" if entity in LINKING else "quasi-identifier"
    return Suggestion(cls, why, entity, identifier)


def _words(name: str) -> str:
    """Return a name as lower-case words: `NHSNumber` becomes `nhs_number`."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")
