"""A cut as a document: made once for a passport and a data version, and reused by every job.

Two cuts over almost the same data differ where somebody crossed k, so a job never makes its own:
it reads the document, and is refused when anything that the cut was made for has changed. The
document names which known codes are rare: it stays with the data. It holds no patients and no
unknown codes, which may be any text; of those it has the number. Its digest finds damage, not
malice: whoever keeps the document keeps the digest elsewhere too, such as in a ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass, fields
from typing import Any

from bridleway.errors import Refused, UsageError
from bridleway.fhir.codes.cut import cut
from bridleway.fhir.codes.hierarchy import Hierarchy
from bridleway.model.canonical import digest_of

FORMAT = "bridleway-code-cut-1"


@dataclass(frozen=True, slots=True)
class Binding:
    """What a cut was made for. Digests are 64 hexadecimal digits; '' where there is none."""

    system: str  # the code system's URI
    k: int
    data_version: str  # digest
    passport: str  # digest
    hierarchy: str = ""  # digest
    withheld: tuple[str, ...] | None = None  # in place of the hierarchy's own, sorted
    swallow: int | None = None


_WORDS = {
    "system": "code system",
    "k": "minCount",
    "data_version": "data version",
    "passport": "passport",
    "hierarchy": "hierarchy",
    "withheld": "list of withheld codes",
    "swallow": "limit of swallowed codes",
}


@dataclass(frozen=True, slots=True)
class Cut:
    """The released code of every recorded one, bound to what it was made for."""

    binding: Binding
    codes: Mapping[str, str | None]  # None: redacted
    unknown: int  # recorded codes that the hierarchy does not have

    def release(self, code: str) -> str | None:
        """Return the code to release; None for one to redact, unknown ones included."""
        return self.codes.get(code)

    def knows(self, code: str) -> bool:
        """Tell whether a code was recorded and known when the cut was made."""
        return code in self.codes

    def to_json(self) -> dict[str, Any]:
        """Return the document, with a digest over all of it."""
        binding = asdict(self.binding)
        if self.binding.withheld is not None:
            binding["withheld"] = list(self.binding.withheld)
        body = {
            "format": FORMAT,
            "binding": binding,
            "codes": dict(sorted(self.codes.items())),
            "unknown": self.unknown,
        }
        return body | {"digest": digest_of(body)}


def make(
    binding: Binding, hierarchy: Hierarchy | None, patients: Mapping[str, int | Set[int]]
) -> Cut:
    """Make the cut of a whole source; patients as `cut` takes them. Raises what `cut` raises."""
    if binding.hierarchy != ("" if hierarchy is None else hierarchy.digest):
        raise UsageError("The hierarchy is not the one that the cut is bound to.", "Bind it anew.")
    released = cut(
        hierarchy,
        patients,
        binding.k,
        withheld=binding.withheld,
        swallow=binding.swallow,
    )
    known = {
        code: to
        for code, to in released.items()
        if hierarchy is None or hierarchy.current(code) is not None
    }
    return Cut(binding, known, len(released) - len(known))


def from_json(told: Any, expected: Binding) -> Cut:
    """Read a cut for reuse.

    Raises UsageError for what is no whole document, Refused when it was made for something else.
    """
    found = _read(told)
    for field in fields(Binding):
        if getattr(found.binding, field.name) != getattr(expected, field.name):
            raise Refused(
                f"The cut of codes was made for another {_WORDS[field.name]}.",
                "Use what it was made for, or make a new cut under a new passport or data version: "
                "two cuts over the same data could be differenced.",
                code="cut-differs",
            )
    return found


def _read(told: Any) -> Cut:
    wrong = UsageError(
        "The cut of codes is damaged or not one of this format.", "Restore the file."
    )
    if not isinstance(told, Mapping) or told.get("format") != FORMAT:
        raise wrong
    body = {name: value for name, value in told.items() if name != "digest"}
    if told.get("digest") != digest_of(body):
        raise wrong
    try:
        binding = dict(body["binding"])
        if binding["withheld"] is not None:
            binding["withheld"] = tuple(binding["withheld"])
        made = Cut(
            Binding(**binding),
            dict(body["codes"]),
            body["unknown"],
        )
    except (KeyError, TypeError, ValueError):
        raise wrong from None
    if (
        not isinstance(made.unknown, int)
        or not _is_text(made.codes)
        or not _is_text(filter(None, made.codes.values()))
    ):
        raise wrong
    return made


def _is_text(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
