"""The simplest walks, of which there are two sets: in Python, and in C where somebody built them.

Which one works is decided here, once. A set in C serves only the very text of the Python that it
equals, `EQUALS`: after a change of that, or of its own text in a checkout, it rests until it is
built again.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from bridleway.errors import UsageError
from bridleway.fhir import dates, numbers, resources
from bridleway.fhir.forms import plain
from bridleway.fhir.forms.plain import (
    NOTHING,
    REMOVED,
    WITHOUT_TARGET,
    Children,
    Job,
    Kind,
    Named,
    Quick,
    Walk,
)

__all__ = [
    "NOTHING", "REMOVED", "WITHOUT_TARGET",
    "Children", "Forms", "Job", "Kind", "Named", "Walk", "best", "built", "in_python", "keeping",
]  # fmt: skip

_BUILT = "bridleway_compiled.forms"
# What the set in C says again, and, in a checkout, where it says so.
EQUALS = tuple(Path(str(module.__file__)) for module in (plain, numbers, resources, dates))
WALKS = EQUALS[0].parents[4] / "compiled" / "bridleway_compiled" / "forms.pyx"
# In the environment, 0: in Python, whatever is built; 1: in C, or an error.
SWITCH = "BRIDLEWAY_COMPILED"


class Forms(Protocol):
    """A set of walks; `plain` says what each does."""

    Job: type[Job]
    text: Walk
    truth: Walk
    whole_number: Walk
    number: Walk
    date: Walk
    instant: Walk
    walked: Quick | None

    def namer(self, inner: Any, outer: Any) -> Named:
        """Return what gives ids of one type their pseudonyms."""
        ...

    def native(self, walk: Walk | None) -> Walk | None:
        """Return a walk as these forms call it best."""
        ...

    def fields(self, children: Children, required: Collection[str], is_own: bool) -> Walk:
        """Return the walk of an element that has parts."""
        ...

    def root(
        self,
        children: Children,
        required: Collection[str],
        type_name: str,
        known_names: Mapping[str, str],
        name: Callable[[Any], str | None],
        meta: Mapping[str, Any],
    ) -> Walk:
        """Return the walk of a resource of an own policy."""
        ...

    def each(self, walk: Walk, is_primitive: bool) -> Walk:
        """Return the walk of a list."""
        ...

    def reference(self, known: Mapping[str, Any], first: Walk) -> Walk:
        """Return the walk of a Reference."""
        ...

    def coding(self, known: Mapping[tuple[str, str], Any], first: Walk) -> Walk:
        """Return the walk of a Coding."""
        ...

    def concept(self, known: Mapping[tuple[str, str], Any], first: Walk) -> Walk:
        """Return the walk of a CodeableConcept."""
        ...

    def concepts(self, known: Mapping[tuple[str, str], Any], first: Walk) -> Walk:
        """Return the walk of a list of CodeableConcepts."""
        ...

    def subject(self, resource: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
        """Return the reference by which a resource names its patient."""
        ...

    def parse(self, line: bytes) -> dict[str, Any]:
        """Read one resource."""
        ...

    def require_not_zero(self, line: bytes) -> None:
        """Refuse a number near to zero that was read as zero."""
        ...


def best() -> Forms:
    """Return the quicker set that may work here. Raises UsageError where it must be, and is not."""
    asked = os.environ.get(SWITCH)
    made = None if asked == "0" else built()
    if made is None and asked == "1":
        raise UsageError(
            "FHIR's walks are not built in C, or of another version.",
            f"Run make compiled, or leave {SWITCH} out.",
        )
    return made or in_python()


def in_python() -> Forms:
    """Return the set in Python."""
    return plain  # type: ignore[return-value]


@cache
def built() -> Forms | None:
    """Return the set in C, None where there is none for this version of Bridleway."""
    try:
        made: Any = importlib.import_module(_BUILT)
    except ImportError:
        return None
    return made if is_same(made, EQUALS, WALKS) else None


def is_same(made: Any, equals: Sequence[Path], walks: Path) -> bool:
    """Tell whether a set was built for these texts.

    walks: its own, if it is there.
    """
    own = not walks.exists() or _digest([walks]) == made.BUILT_OF
    return bool(own and _digest(equals) == made.BUILT_FOR)


def _digest(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def keeping(forms: Forms, kind: type) -> Walk:
    """Return the walk that keeps values of one kind of JSON: str, bool, int or float."""
    found = {str: forms.text, bool: forms.truth, int: forms.whole_number, float: forms.number}
    return found[kind]
