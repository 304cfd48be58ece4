"""The cut for `minCount`: at least k distinct patients stand behind every released code.

The rule. Codes stand in the tree of primary parents. A record that carries a code with codes
below it counts as one more child of that code ("not otherwise specified"). From the deepest
level upwards, every group of fewer than k patients is merged with its siblings, that is with
every recorded code below the same parent, and the group is released as the parent; while it
still falls short it is merged again. A code that needs no merging stays as it is unless a
sibling needed it. Where the parent is withheld (`Hierarchy.withheld`: it says nothing), or
there is none, the short group alone is redacted. Unknown codes are redacted; retired ones count
as what replaced them. Climbing alone would not do: a parent that is only reached by three rare
cases has three patients.

A merged group's patients are counted exactly while all of its parts are known by patient, and as
at least its largest part otherwise, so no count is ever too high. The same input gives the same
cut in whatever order it comes, a cut applied to its own output changes nothing, and the time is
that of sorting (explicit sets never grow past k).

`swallow` bounds the loss: one stray record of a very general code would, by the rule, take all
that stands below its parent with it. A merge that would take in more than `swallow` codes with
k patients of their own leaves these as they are: only the short groups meet under the parent, and
go further up together while they fall short. None is the rule as written, 0 merges short groups
alone. What it costs, measured: of 120,000 made-up diagnoses (ICD-10, 10,331 codes of which 8,984
had fewer than ten patients, frequencies after Zipf) the rule as written leaves 4 % of the records
as they were, and 0 leaves 81 %. What it pays: under 0 a record released as a parent is known to
be one of the parent's rare codes.

Its limits. k holds for each released code, over the whole source from which the cut was made; a
job over a part of it (`_since`, a Group) may hold fewer of a code's patients. It
does not hold for differences: who knows from elsewhere exactly how many patients have a parent's
concept and sees all its children but one, can subtract (a complement attack), and so can who
holds two cuts over different data. Hence one cut is made per passport and data version, and
reused by every job (bridleway.fhir.codes.cuts); it says nothing about several codes of one
patient together, which the risk report measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from bridleway.errors import UsageError
from bridleway.fhir.codes.hierarchy import Hierarchy

_REDACTED = -1


@dataclass(slots=True)
class _Group:
    """Some records' patients: the explicit ones while they are fewer than k."""

    patients: set[int] = field(default_factory=set)
    enough: bool = False

    def add(self, given: int | Set[int], k: int) -> None:
        """Take in a count of at least k patients, or explicit patients."""
        if isinstance(given, int):
            self.enough = True
        elif not self.enough:
            self.patients |= given
        self._look(k)

    def take(self, other: _Group, k: int) -> None:
        """Take in a group, which is not used afterwards: its set may become ours."""
        self.enough |= other.enough
        if not self.enough:
            if len(self.patients) < len(other.patients):
                self.patients, other.patients = other.patients, self.patients
            self.patients |= other.patients
        self._look(k)

    def _look(self, k: int) -> None:
        self.enough = self.enough or len(self.patients) >= k
        if self.enough:
            self.patients = set()


@dataclass(slots=True)
class _Node:
    """A code that is recorded or stands above a recorded one."""

    direct: _Group | None = None  # records of exactly this code
    short: list[int] = field(default_factory=list)  # children whose own group falls short
    below: int = 0  # groups with k patients below it
    group: _Group | None = None  # what is released as this code
    merged: bool = False  # everything below goes here
    lifted: bool = False  # its group, though not what is below, goes where the parent's goes
    dropped: bool = False  # its group is redacted
    whole: int | None = None  # where everything below goes, if to one place
    target: int = _REDACTED  # where its group goes


def cut(
    hierarchy: Hierarchy | None,
    patients: Mapping[str, int | Set[int]],
    k: int,
    *,
    withheld: Iterable[str] | None = None,
    swallow: int | None = None,
) -> dict[str, str | None]:
    """Return the code to release for each recorded one; None: redact it.

    hierarchy: None redacts every code of fewer than k patients. patients: per recorded code the
    patients' numbers, or only how many they are, where they are at least k. withheld: codes never
    to be released, in place of the hierarchy's own; what stands above them is not released either.
    swallow: how many codes with k patients a merge may take in; None: any number.
    Raises UsageError for a k below 1, a negative swallow and an unknown withheld code; ValueError
    for a bare count below k.
    """
    if isinstance(k, bool) or k < 1:
        raise UsageError("minCount must be 1 or more.", "10 is usual.", where="minCount")
    if swallow is not None and swallow < 0:
        raise UsageError("swallow must be 0 or more.", "Leave it out for any.", where="swallow")
    for given in patients.values():
        if isinstance(given, int) and given < k:
            raise ValueError("codes with fewer than k patients need the patients' numbers")
    released: dict[str, str | None] = dict.fromkeys(sorted(patients))
    if hierarchy is None:
        for code, given in patients.items():
            if isinstance(given, int) or len(given) >= k:
                released[code] = code
        return released
    places = _current_places(hierarchy, patients)
    nodes = _nodes(hierarchy, places, patients, k)
    barred = _barred(hierarchy, hierarchy.withheld if withheld is None else withheld)
    rising = sorted(nodes, key=lambda place: (-hierarchy._depth[place], place))
    for place in rising:
        _settle(place, nodes, hierarchy._primary[place], barred, k, swallow)
    for place in reversed(rising):
        _lead(place, nodes, hierarchy._primary[place])
    for code, place in places.items():
        target = nodes[place].target
        released[code] = None if target == _REDACTED else hierarchy.codes[target]
    return released


def _current_places(hierarchy: Hierarchy, recorded: Iterable[str]) -> dict[str, int]:
    """Return the places of the codes that the hierarchy knows, or knows what replaced them."""
    found = {}
    for code in recorded:
        current = hierarchy.current(code)
        if current is not None and (place := hierarchy._place(current)) >= 0:
            found[code] = place
    return found


def _nodes(
    hierarchy: Hierarchy,
    places: Mapping[str, int],
    patients: Mapping[str, int | Set[int]],
    k: int,
) -> dict[int, _Node]:
    nodes: dict[int, _Node] = {}
    for code, place in places.items():
        above = place
        while above >= 0 and above not in nodes:
            nodes[above] = _Node()
            above = hierarchy._primary[above]
        node = nodes[place]
        if node.direct is None:
            node.direct = _Group()
        node.direct.add(patients[code], k)
    return nodes


def _barred(hierarchy: Hierarchy, withheld: Iterable[str]) -> set[int]:
    """Return the withheld codes and all that stands above them: it says even less."""
    start = set()
    for code in withheld:
        place = hierarchy._place(code)
        if place < 0:
            raise UsageError(
                f"The withheld code '{code}' is not in the hierarchy.", "Correct it.",
                where="withheld",
            )  # fmt: skip
        start.add(place)
    return hierarchy._reached(start, hierarchy._up)


def _settle(
    place: int,
    nodes: dict[int, _Node],
    parent: int,
    barred: set[int],
    k: int,
    swallow: int | None,
) -> None:
    """Decide what is released as one code, all codes below it being settled; tell its parent."""
    node = nodes[place]
    if place in barred:
        for child in node.short:
            nodes[child].dropped = True
        node.dropped = True
    elif node.short or (node.direct and not node.direct.enough and node.below):
        _merge(node, nodes, k, swallow)
    else:
        node.group = node.direct
    released = node.group is not None and node.group.enough
    if parent < 0:
        node.dropped |= not released
    else:
        above = nodes[parent]
        above.below += node.below + released
        if node.group is not None and not released:
            above.short.append(place)


def _merge(node: _Node, nodes: dict[int, _Node], k: int, swallow: int | None) -> None:
    """Merge short groups under a code: with all that is below it, or alone where it costs much."""
    made = node.direct or _Group()
    for child in node.short:
        part = nodes[child].group
        if part is not None:
            made.take(part, k)
    node.group = made
    if swallow is None or node.below <= swallow:
        node.merged = True
        made.enough = made.enough or node.below > 0
        node.below = 0
    else:
        for child in node.short:
            nodes[child].lifted = True


def _lead(place: int, nodes: dict[int, _Node], parent: int) -> None:
    """Find where a code's group goes, those of the codes above it being led."""
    node = nodes[place]
    above = nodes[parent] if parent >= 0 else None
    if above and above.whole is not None:
        node.whole = node.target = above.whole
        return
    if above and node.lifted:
        node.target = above.target
    elif not node.dropped:
        node.target = place
    if node.merged:
        node.whole = node.target
