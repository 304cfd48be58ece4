"""What an id may look like: ASCII, lower case, hyphens (ids) or underscores (SQL names)."""

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


def slug(name: str) -> str:
    """Return an id made from a name: accents dropped, the rest joined by hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    made = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:64].strip("-")
    return require_id(made, f"name '{name}'") if made else require_id(None, "name")
