"""What the controllers' sealed log says of an answer's cells: never part of the answer."""

from __future__ import annotations

from typing import Any

from bridleway.model.flow import ALL, Cleared


def notes_of(cleared: Cleared) -> list[dict[str, Any]]:
    """Return every cell that is withheld or asks for a look, as JSON data.

    rule: what hid the cell first, empty where it is shown; findings: every rule that it fails and
    every note, with the measure it is about.
    """
    first = dict(cleared.reasons)
    return [
        {
            "cell": ["(all)" if value is ALL else value for value in one.key],
            "rule": first.get(one.key, ""),
            "status": one.status,
            "findings": [
                {"rule": rule, "measure": measure} if measure else {"rule": rule}
                for rule, measure in one.findings
            ],
        }
        for one in cleared.statuses
        if one.status != "pass"
    ]
