"""What ids and names may look like.

Ids are ASCII: lower case with hyphens (ids) or underscores (SQL names). A person's name may be in
any script, but in one that a reader can tell apart (Unicode TR 39, mixed-script confusables).
"""

from __future__ import annotations

import re
import unicodedata

from bridleway.errors import UsageError

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SQL_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.IGNORECASE)


def require_id(value: object, what: str) -> str:
    """Return the value if it is an id such as `city-council`; else raise UsageError."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise UsageError(
        f"The {what} is not an id.",
        "Use lower-case letters a to z, digits and hyphens, at most 64.",
    )


def is_sql_name(value: object) -> bool:
    """Tell whether a value can name a table or column in a question."""
    return isinstance(value, str) and _SQL_NAME.fullmatch(value) is not None


# Scripts whose letters look alike: a name keeps to one of them.
_ALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "FULLWIDTH")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
MAX_NAME = 200


def require_name(value: object, what: str) -> str:
    """Return a name of a person as it is, if it reads as it is written; else raise UsageError.

    NFC, single plain spaces, nothing unseen, no letters of scripts that pass for each other.
    """
    problem = _name_problem(value) if isinstance(value, str) else "is not text"
    if problem or not isinstance(value, str):
        raise UsageError(f"The {what} {problem}.", "Write it plainly, in one script.")
    return value


def _name_problem(name: str) -> str:
    if not name or len(name) > MAX_NAME:
        return f"is empty or longer than {MAX_NAME} characters"
    if name != " ".join(name.split()) or any(c.isspace() and c != " " for c in name):
        return "holds spaces that a reader does not see"
    if any(unicodedata.category(c) in _UNSEEN for c in name):
        return "holds a hidden character"
    if not unicodedata.is_normalized("NFC", name):
        return "writes an accent as a separate character"
    words = (unicodedata.name(c, "").split(" ")[0].split("-")[0] for c in name if c.isalpha())
    if len({word for word in words if word in _ALIKE}) > 1:
        return "mixes letters of scripts that look alike"
    return ""


def slug(name: str) -> str:
    """Return an id made from a name: accents dropped, the rest joined by hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    made = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:64].strip("-")
    return require_id(made, f"name '{name}'") if made else require_id(None, "name")
