"""Codes and their parents: a directed acyclic graph, kept small.

SNOMED CT has 360,000 concepts and 533,000 is-a relationships: codes stand sorted in one tuple,
and everything else is a flat array of places in it. Nothing here knows a word of any terminology.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bridleway.errors import UsageError

_SHOWN = 6  # codes of a cycle that its error names


def by_size(code: str) -> tuple[int, str]:
    """Return the key by which codes are compared: numbers by value, others by length, then text."""
    return len(code), code


@dataclass(frozen=True, eq=False, repr=False)
class Hierarchy:
    """The codes of one system, each with its parents.

    Of several parents the primary one has the lowest depth, then the smallest id (`by_size`); the
    primary parents form trees. A depth is the fewest steps up to a root, whose depth is 0.
    `withheld` names codes that say nothing, such as the root: no cut releases them or what stands
    above them. `replaced` leads from a retired code to the one that took its place.
    """

    system: str
    codes: tuple[str, ...]  # sorted as text
    withheld: frozenset[str]
    version: str = ""
    refsets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    # Of a hierarchy that holds only what was recorded and what stands above it: asks for the
    # codes that an ECL text means, since descendants are not all here.
    expand: Callable[[str], frozenset[str]] | None = None
    _first_parent: array[int] = field(default_factory=lambda: array("i"))
    _parents: array[int] = field(default_factory=lambda: array("i"))
    _first_child: array[int] = field(default_factory=lambda: array("i"))
    _children: array[int] = field(default_factory=lambda: array("i"))
    _primary: array[int] = field(default_factory=lambda: array("i"))  # -1: a root
    _depth: array[int] = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"Hierarchy({self.system!r}, {len(self.codes)} codes)"

    def known(self, code: str) -> bool:
        """Tell whether the hierarchy has a code; a retired one it has not."""
        return self._place(code) >= 0

    def current(self, code: str) -> str | None:
        """Return the code itself, or what replaced it; None for an unknown one."""
        if self._place(code) >= 0:
            return code
        return self.replaced.get(code)

    def parents(self, code: str) -> tuple[str, ...]:
        """Return a code's parents, sorted as text. Raises UsageError for an unknown code."""
        return self._named(self._up(self._known(code)))

    def children(self, code: str) -> tuple[str, ...]:
        """Return a code's children, sorted as text. Raises UsageError for an unknown code."""
        return self._named(self._down(self._known(code)))

    def primary(self, code: str) -> str | None:
        """Return a code's primary parent; None for a root. Raises UsageError if unknown."""
        place = self._primary[self._known(code)]
        return None if place < 0 else self.codes[place]

    def depth(self, code: str) -> int:
        """Return the fewest steps from a code up to a root. Raises UsageError if unknown."""
        return self._depth[self._known(code)]

    def ancestors(self, code: str) -> frozenset[str]:
        """Return all codes above a code, itself not. Raises UsageError if unknown."""
        place = self._known(code)
        return frozenset(self._named(self._reached({place}, self._up) - {place}))

    def descendants(self, code: str) -> frozenset[str]:
        """Return all codes below a code, itself not. Raises UsageError if unknown."""
        place = self._known(code)
        return frozenset(self._named(self._reached({place}, self._down) - {place}))

    def steps(self, code: str, ancestor: str) -> int | None:
        """Return the fewest steps up from a code to another; None where there is no way.

        Raises UsageError where one of them is unknown.
        """
        goal = self._known(ancestor)
        level, seen, taken = {self._known(code)}, set[int](), 0
        while level:
            if goal in level:
                return taken
            seen |= level
            level = {above for place in level for above in self._up(place)} - seen
            taken += 1
        return None

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Return the codes without a parent, sorted as text."""
        return tuple(self.codes[at] for at, above in enumerate(self._primary) if above < 0)

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of all that decides, as 64 hexadecimal digits."""
        found = hashlib.sha256()

        def say(kind: str, *words: str) -> None:
            # Lengths keep words apart whatever they hold.
            text = "".join(f"{len(word)}:{word}" for word in words)
            found.update(f"{kind}{len(words)} {text}\n".encode("utf-8", "surrogatepass"))

        say("system", self.system)
        for place, code in enumerate(self.codes):
            say("code", code, *self._named(self._up(place)))
        say("withheld", *sorted(self.withheld))
        for code in sorted(self.replaced):
            say("replaced", code, self.replaced[code])
        for name in sorted(self.refsets):
            say("refset", name, *sorted(self.refsets[name]))
        return found.hexdigest()

    def _place(self, code: str) -> int:
        place = bisect_left(self.codes, code)
        return place if place < len(self.codes) and self.codes[place] == code else -1

    def _known(self, code: str) -> int:
        place = self._place(code)
        if place < 0:
            raise UsageError("The hierarchy does not have this code.", "Ask `known` first.")
        return place

    def _named(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(map(self.codes.__getitem__, places))

    def _up(self, place: int) -> array[int]:
        return self._parents[self._first_parent[place] : self._first_parent[place + 1]]

    def _down(self, place: int) -> array[int]:
        return self._children[self._first_child[place] : self._first_child[place + 1]]

    def _reached(self, start: Collection[int], step: Callable[[int], Iterable[int]]) -> set[int]:
        """Return what is reached from some places by any number of steps, none included."""
        seen = set(start)
        waiting = list(seen)
        while waiting:
            for place in step(waiting.pop()):
                if place not in seen:
                    seen.add(place)
                    waiting.append(place)
        return seen


class Builder:
    """Takes codes and is-a edges in any order, and makes the hierarchy of them."""

    def __init__(self, system: str, where: str = "") -> None:
        self.system = system
        self.where = where
        self._places: dict[str, int] = {}
        self._declared = bytearray()
        self._child = array("i")
        self._parent = array("i")

    def __len__(self) -> int:
        return len(self._places)

    def code(self, code: str) -> bool:
        """Declare a code; tell whether it is new. Raises UsageError for an empty one."""
        place = self._at(code)
        new = not self._declared[place]
        self._declared[place] = 1
        return new

    def declared(self, code: str) -> bool:
        """Tell whether a code was declared."""
        place = self._places.get(code, -1)
        return place >= 0 and bool(self._declared[place])

    def edge(self, child: str, parent: str) -> None:
        """Take in that a code is a kind of another. Raises UsageError for an empty one."""
        self._child.append(self._at(child))
        self._parent.append(self._at(parent))

    def finish(
        self,
        *,
        closed: bool = False,
        repeated: bool = False,
        withheld: Iterable[str] | None = None,
        version: str = "",
        refsets: Mapping[str, frozenset[str]] | None = None,
        replaced: Mapping[str, str] | None = None,
        expand: Callable[[str], frozenset[str]] | None = None,
    ) -> Hierarchy:
        """Return the hierarchy.

        closed: every code of an edge must have been declared. repeated: an edge may be there
        twice, and counts once. withheld: None stands for the roots.
        Raises UsageError for a hierarchy without codes, an edge that is there twice, an undeclared
        code, a cycle, and a withheld code that is unknown. What replaced a retired code must be
        known, else the retired one is an unknown one.
        """
        if not self._places:
            raise self._wrong("The hierarchy has no codes.", "Check that it is the right file.")
        unsorted = list(self._places)
        if closed:
            self._refuse_undeclared(unsorted)
        order = sorted(range(len(unsorted)), key=unsorted.__getitem__)
        codes = tuple(unsorted[old] for old in order)
        rank = _zeros(len(codes))
        for new, old in enumerate(order):
            rank[old] = new
        del unsorted, order
        first_parent, parents = self._sorted_edges(codes, rank, repeated)
        first_child, children = _turned(first_parent, parents)
        depth = self._depths(codes, first_parent, parents, first_child, children)
        primary = _primaries(codes, first_parent, parents, depth)
        roots = [codes[place] for place, above in enumerate(primary) if above < 0]
        named = frozenset(roots if withheld is None else withheld)
        if unknown := sorted(code for code in named if code not in self._places):
            raise self._wrong(
                f"The withheld code '{unknown[0]}' is not in the hierarchy.", "Correct it."
            )
        current = {old: new for old, new in (replaced or {}).items() if new in self._places}
        return Hierarchy(
            self.system, codes, named, version, dict(refsets or {}), current, expand,
            first_parent, parents, first_child, children, primary, depth,
        )  # fmt: skip

    def _at(self, code: str) -> int:
        place = self._places.get(code)
        if place is None:
            if not code or code != code.strip():
                raise self._wrong("A code is empty or stands between spaces.", "Correct the row.")
            place = self._places[code] = len(self._places)
            self._declared.append(0)
        return place

    def _wrong(self, sentence: str, remedy: str) -> UsageError:
        return UsageError(sentence, remedy, where=self.where)

    def _refuse_undeclared(self, codes: list[str]) -> None:
        missing = [codes[place] for place, said in enumerate(self._declared) if not said]
        if missing:
            raise self._wrong(
                f"{len(missing)} codes stand in relationships but are not codes of the hierarchy; "
                f"the first is '{min(missing, key=by_size)}'.",
                "Give the whole of it: an extension needs the edition that it extends.",
            )

    def _sorted_edges(
        self, codes: tuple[str, ...], rank: array[int], repeated: bool
    ) -> tuple[array[int], array[int]]:
        """Return where each child's parents begin, and the parents."""
        count = len(codes)
        edges = sorted(
            rank[child] * count + rank[parent]
            for child, parent in zip(self._child, self._parent, strict=True)
        )
        first, parents = _zeros(count + 1), array("i")
        before = -1
        for edge in edges:
            child, parent = divmod(edge, count)
            if edge == before and repeated:
                continue
            if edge == before:
                raise self._wrong(
                    f"'{codes[child]}' stands below '{codes[parent]}' twice.", "Remove one row."
                )
            before = edge
            parents.append(parent)
            first[child + 1] += 1
        for place in range(count):
            first[place + 1] += first[place]
        return first, parents

    def _depths(
        self,
        codes: tuple[str, ...],
        first_parent: array[int],
        parents: array[int],
        first_child: array[int],
        children: array[int],
    ) -> array[int]:
        """Return every code's depth, walking down from the roots in topological order."""
        count = len(codes)
        open_parents = _zeros(count)
        for place in range(count):
            open_parents[place] = first_parent[place + 1] - first_parent[place]
        depth = array("i", [count]) * count
        ready = [place for place in range(count) if not open_parents[place]]
        for place in ready:
            depth[place] = 0
        for place in ready:  # grows while it is walked
            below = depth[place] + 1
            for child in children[first_child[place] : first_child[place + 1]]:
                depth[child] = min(depth[child], below)
                open_parents[child] -= 1
                if not open_parents[child]:
                    ready.append(child)
        if len(ready) < count:
            raise self._cycle(codes, open_parents, first_parent, parents)
        return depth

    def _cycle(
        self,
        codes: tuple[str, ...],
        open_parents: array[int],
        first_parent: array[int],
        parents: array[int],
    ) -> UsageError:
        """Name the codes of one cycle: from an unfinished code, unfinished parents lead into it."""
        place = next(place for place, left in enumerate(open_parents) if left)
        met: dict[int, int] = {}
        while place not in met:
            met[place] = len(met)
            above = parents[first_parent[place] : first_parent[place + 1]]
            place = next(parent for parent in above if open_parents[parent])
        way = [codes[at] for at in list(met)[met[place] :]]
        told = way if len(way) <= _SHOWN else [*way[:_SHOWN], "…"]
        return self._wrong(
            f"The hierarchy goes round: {' > '.join([*told, way[0]])}.", "Remove one of the rows."
        )


def build(
    system: str,
    edges: Iterable[tuple[str, str]],
    codes: Iterable[str] | None = None,
    withheld: Iterable[str] | None = None,
    where: str = "",
) -> Hierarchy:
    """Build a hierarchy of pairs (child, parent). With codes given, no edge may name another.

    Raises UsageError as `Builder.finish` does.
    """
    builder = Builder(system, where)
    for code in codes or ():
        builder.code(code)
    for child, parent in edges:
        builder.edge(child, parent)
    return builder.finish(closed=codes is not None, withheld=withheld)


def _zeros(count: int) -> array[int]:
    return array("i", [0]) * count


def _turned(first_parent: array[int], parents: array[int]) -> tuple[array[int], array[int]]:
    """Return where each parent's children begin, and the children in order."""
    count = len(first_parent) - 1
    first = _zeros(count + 1)
    for parent in parents:
        first[parent + 1] += 1
    for place in range(count):
        first[place + 1] += first[place]
    free = first[:]
    children = _zeros(len(parents))
    for child in range(count):
        for parent in parents[first_parent[child] : first_parent[child + 1]]:
            children[free[parent]] = child
            free[parent] += 1
    return first, children


def _primaries(
    codes: tuple[str, ...], first_parent: array[int], parents: array[int], depth: array[int]
) -> array[int]:
    """Return every code's primary parent, -1 for a root."""
    primary = array("i", [-1]) * len(codes)
    for place in range(len(codes)):
        above = parents[first_parent[place] : first_parent[place + 1]]
        if len(above) == 1:
            primary[place] = above[0]
        elif above:
            primary[place] = min(above, key=lambda at: (depth[at], *by_size(codes[at])))
    return primary
