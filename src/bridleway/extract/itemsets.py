"""k^m-anonymity of sets: every combination of up to m items occurs at least k times, or never.

Terrovitis, Mamoulis & Kalnis 2008; within classes of other quasi-identifiers it is (k, k^m) of
Poulis et al. 2013. Combinations are looked at by size, as their Apriori anonymisation does. Of a
combination that is too rare, that item is generalised along its hierarchy, or taken out, which
costs least; with an item everything below its new name is called so. Neither makes a smaller
combination rarer than k again, and it ends when a count of everything finds none that is.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bridleway.errors import UsageError
from bridleway.extract.hierarchy import Hierarchy

Items: TypeAlias = tuple[int, ...]

GONE = -1  # the level of an item that was taken out
_MOST = 30_000_000  # combinations that are counted in one scope


@dataclass(frozen=True)
class Record:
    """A set. leaves: its items, ascending; owner: whose it is, -1 where rows are people."""

    leaves: Items
    owner: int
    rows: int


@dataclass(frozen=True)
class Loss:
    """What was done to the items of some rows.

    items: how many there are; generalised, suppressed: of them; lost: the sum of what each lost,
    0 untouched, 1 taken out. rare: combinations that were too rare before.
    """

    items: int = 0
    generalised: int = 0
    suppressed: int = 0
    lost: float = 0.0
    rare: int = 0

    def __add__(self, other: Loss) -> Loss:
        return Loss(
            self.items + other.items, self.generalised + other.generalised,
            self.suppressed + other.suppressed, self.lost + other.lost, self.rare + other.rare,
        )  # fmt: skip


class Names:
    """What items are called at each level, as numbers in the order of the names.

    Raises UsageError where a name holds the separator.
    """

    def __init__(self, hierarchy: Hierarchy, separator: str) -> None:
        self.hierarchy = hierarchy
        self.texts = sorted({n for names in hierarchy.labels for n in names if n})
        if any(separator in text for text in self.texts):
            raise UsageError(
                "A name in the hierarchy of the items holds their separator.",
                "Choose other names, or another separator.",
                where=hierarchy.column,
            )
        place = {text: n for n, text in enumerate(self.texts)}
        self.codes: list[list[int]] = hierarchy.codes.tolist()
        self.names = [
            [place.get(names[code] or "", GONE) for code in codes]
            for names, codes in zip(hierarchy.labels, self.codes, strict=True)
        ]
        leaves = len(hierarchy.leaves)
        self.losses = [
            [(share - 1 / leaves) / (1 - 1 / leaves) if leaves > 1 else 0.0 for share in shares]
            for shares in (one.tolist() for one in hierarchy.shares)
        ]

    def name(self, leaf: int, level: int) -> int:
        """Return what an item is called at a level; `GONE` for one that was taken out."""
        return GONE if level == GONE else self.names[level][leaf]

    def loss(self, leaf: int, level: int) -> float:
        """Return what an item loses at a level."""
        return 1.0 if self.name(leaf, level) == GONE else self.losses[level][leaf]


class Scope:
    """The records among which combinations are counted: one class, or the whole table."""

    def __init__(self, records: Sequence[Record], names: Names, k: int, m: int) -> None:
        self.records, self.names, self.k, self.m = records, names, k, m
        self.levels: dict[int, int] = {leaf: 0 for r in records for leaf in r.leaves}
        self.rows: Counter[int] = Counter()
        self.holders: dict[int, list[int]] = defaultdict(list)
        for place, record in enumerate(records):
            for leaf in record.leaves:
                self.rows[leaf] += record.rows
                self.holders[leaf].append(place)
        self.called = [self.name(record) for record in records]
        self._require_few()
        # Which items have a name now, and which stand below a value of each level.
        self.bearers: dict[int, set[int]] = defaultdict(set)
        self.below: list[dict[int, list[int]]] = [defaultdict(list) for _ in names.codes]
        for leaf in self.levels:
            self.bearers[names.name(leaf, 0)].add(leaf)
            for level, codes in enumerate(names.codes):
                self.below[level][codes[leaf]].append(leaf)

    def name(self, record: Record) -> Items:
        """Return what the items of a record are called now, ascending."""
        found = {self.names.name(leaf, self.levels[leaf]) for leaf in record.leaves}
        return tuple(sorted(found - {GONE}))

    def run(self) -> Loss:
        """Make every combination frequent enough; return what that cost."""
        rare = left = self.rare()
        while left:  # once, unless two places of the hierarchy have the same name
            for size in range(1, self.m + 1):
                _Size(self, size).run()
            left = self.rare()
        told = [(n, leaf, self.levels[leaf]) for leaf, n in self.rows.items()]
        gone = sum(n for n, leaf, level in told if self.names.name(leaf, level) == GONE)
        return Loss(
            sum(self.rows.values()),
            sum(n for n, _, level in told if level) - gone,
            gone,
            sum(n * self.names.loss(leaf, level) for n, leaf, level in told),
            rare,
        )

    def rare(self) -> int:
        """Count the combinations that occur, but not often enough."""
        found = 0
        for size in range(1, self.m + 1):
            support = _Support()
            for record, items in zip(self.records, self.called, strict=True):
                support.add(items, size, record)
            found += sum(0 < n < self.k for n in support.number.values())
        return found

    def _require_few(self) -> None:
        lengths = Counter(len(items) for items in self.called)
        number = sum(
            math.comb(length, size) * sets
            for length, sets in lengths.items()
            for size in range(1, min(self.m, length) + 1)
        )
        if number > _MOST:
            raise UsageError(
                "The sets are too large to look at every combination of that many items.",
                "Write a smaller m, or count within classes.",
                where=self.names.hierarchy.column,
            )

    # -- what can be done about an item

    def cheapest(self, item: int) -> tuple[float, dict[int, int]]:
        """Return the loss of the cheaper way to make an item more frequent, and the new levels."""
        leaves = self.bearers[item]
        out = dict.fromkeys(leaves, GONE)
        up = self._up(leaves)
        if up is not None and self._cost(up) <= self._cost(out):
            return self._cost(up), up
        return self._cost(out), out

    def _up(self, leaves: Iterable[int]) -> dict[int, int] | None:
        """Return the levels with some leaves one level up, and all below their new names."""
        made: dict[int, int] = {}
        for leaf in leaves:
            level = self.levels[leaf] + 1
            if level >= len(self.below):
                return None
            for other in self.below[level][self.names.codes[level][leaf]]:
                if GONE < self.levels[other] < level:
                    made[other] = max(made.get(other, 0), level)
        return made

    def take(self, levels: dict[int, int]) -> None:
        """Put items on other levels."""
        for leaf, level in levels.items():
            self.bearers[self.names.name(leaf, self.levels[leaf])].discard(leaf)
            self.levels[leaf] = level
            self.bearers[self.names.name(leaf, level)].add(leaf)

    def _cost(self, levels: dict[int, int]) -> float:
        return sum(
            self.rows[leaf]
            * (self.names.loss(leaf, level) - self.names.loss(leaf, self.levels[leaf]))
            for leaf, level in levels.items()
        )


class _Support:
    """How many people have each combination of a size."""

    def __init__(self) -> None:
        self.number: dict[Items, int] = {}
        self.owners: Counter[tuple[Items, int]] = Counter()

    def add(self, items: Items, size: int, record: Record, sign: int = 1) -> None:
        """Count the combinations of a record, or with sign -1 take them out again."""
        number = self.number
        for combination in itertools.combinations(items, size):
            if record.owner < 0:
                more = sign * record.rows
            else:
                key = combination, record.owner
                before = self.owners[key]
                self.owners[key] = before + sign
                more = (before + sign > 0) - (before > 0)
            number[combination] = number.get(combination, 0) + more


class _Size:
    """Combinations of one size: rare ones are taken on, the rarest first."""

    def __init__(self, scope: Scope, size: int) -> None:
        self.scope, self.size = scope, size
        self.support = _Support()
        for record, items in zip(scope.records, scope.called, strict=True):
            self.support.add(items, size, record)
        self.waiting = [(n, c) for c, n in self.support.number.items() if 0 < n < scope.k]
        heapq.heapify(self.waiting)

    def run(self) -> None:
        while self.waiting:
            number, combination = heapq.heappop(self.waiting)
            if self.support.number.get(combination, 0) != number:
                continue
            ways = [(*self.scope.cheapest(item), item) for item in combination]
            _, levels, _ = min(ways, key=lambda way: (way[0], way[2]))
            self._take(levels, combination)

    def _take(self, levels: dict[int, int], combination: Items) -> None:
        scope = self.scope
        scope.take(levels)
        touched = {place for leaf in levels for place in scope.holders[leaf]}
        changed = {combination}  # whose new names may be the old ones
        for place in sorted(touched):
            record, before = scope.records[place], scope.called[place]
            after = scope.name(record)
            if after == before:
                continue
            self.support.add(before, self.size, record, -1)
            self.support.add(after, self.size, record)
            scope.called[place] = after
            changed.update(itertools.combinations(before, self.size))
            changed.update(itertools.combinations(after, self.size))
        for one in changed:
            number = self.support.number.get(one, 0)
            if 0 < number < scope.k:
                heapq.heappush(self.waiting, (number, one))
