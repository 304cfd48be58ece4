"""Methods of FHIR policies: one file each; a file dropped in here is a method.

A part has NAME (as policies write it, in any case), SETTINGS (those it takes), TAG (the security
label of what it did, '' for none; `tag(spot, tools)` where it depends), `check(rule)` where
settings need checking, `leaf(spot, rule, tools)` for values of primitive types, and `whole(spot,
rule, tools)` for elements that have parts. Both return a walk, None to leave the element out;
`whole` returns NotImplemented where the parts are walked one by one instead. rule is None where
the policy's default speaks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bridleway import parts
from bridleway.errors import UsageError, nearest


@cache
def _known() -> dict[str, Any]:
    loaded = (parts.load(__name__, name) for name in parts.names(__name__))
    return {one.NAME.lower(): one for one in loaded}


def method(name: str, where: str = "") -> Any:
    """Return a method's part. Raises UsageError that lists the known ones."""
    found = _known().get(name.lower())
    if found is None:
        names = sorted(one.NAME for one in _known().values())
        raise UsageError(
            f"There is no method '{name}'.{nearest(name, names)}",
            f"Known: {', '.join(names)}.",
            where=where,
            code="fhir-policy",
        )
    return found
