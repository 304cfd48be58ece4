"""The report as it goes to whoever asked: nothing in it tells of patients who were held back.

A controller sees exact figures. To everybody else, how many were held back, and what was not
written, is told in steps of k: the difference between two exact counts is somebody's record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEAST = 5


def in_steps(count: int, k: int) -> int:
    """Return a count as the nearest multiple of k, but not as 0 where there was one."""
    return 0 if count == 0 else max(k, k * round(count / k))


def for_asker(report: Mapping[str, Any], k: int) -> dict[str, Any]:
    """Return a report without exact figures of what did not leave; None where there is none."""
    step = max(k, LEAST)
    told, people, use = report["resources"], report["patients"], report["usefulness"]
    return {
        **report,
        "in_steps_of": step,
        "resources": {
            **told,
            "read": in_steps(told["read"], step),
            "rejected": {why: in_steps(count, step) for why, count in told["rejected"].items()},
            "not_asked_for": in_steps(told["not_asked_for"], step),
            "types": {
                name: {"read": None, "written": one["written"]}
                for name, one in told["types"].items()
                if one["written"]
            },
        },
        "patients": {
            **people,
            "patients": in_steps(people["patients"], step),
            "held_back": in_steps(people["held_back"], step),
            "before": {
                name: in_steps(value, step) if isinstance(value, int) else round(value, 1)
                for name, value in people["before"].items()
            },
        },
        "usefulness": {
            **use,
            "values": {**use["values"], "observations_with_value_before": None},
        },
        "index": None,
    }
