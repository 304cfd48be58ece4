"""What builders share: levels as functions of a value, and the missing value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bridleway.errors import UsageError
from bridleway.extract.hierarchy import SUPPRESSED, Hierarchy, hierarchy


def by_levels(
    column: str, values: Iterable[str | None], levels: Sequence[Callable[[str], str]]
) -> Hierarchy:
    """Build from the value's name at each level; a top that joins everything is added.

    A missing value stays missing, until the top.
    """
    rows: list[list[str | None]] = []
    missing = False
    for value in values:
        if value is None:
            missing = True
            continue
        rows.append([value, *(level(value) for level in levels), SUPPRESSED])
    if missing or not rows:
        rows.append([None] * (len(levels) + 1) + [SUPPRESSED])
    return hierarchy(column, rows)


def no_options(column: str, options: object, builder: str) -> None:
    """Raise UsageError where a builder that has no options is given some."""
    if options:
        raise wrong_option(column, f"The hierarchy '{builder}' has no options.", "Leave them out.")


def wrong_option(column: str, sentence: str, remedy: str) -> UsageError:
    """Return the error for an option that cannot be read."""
    return UsageError(sentence, remedy, where=f"hierarchy of '{column}'")


def wrong_value(column: str, what: str) -> UsageError:
    """Return the error for a value that is none of its kind; the value is not told."""
    return UsageError(
        f"The column has a value that is no {what}.",
        "Correct or empty such values at the source, or give the column another hierarchy.",
        where=column,
    )
