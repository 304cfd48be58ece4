"""Optimal full-domain generalisation, for every k and every suppression limit in one search.

A node of the lattice says to which level each column is generalised. What it suppresses follows
from its classes; what it loses from its levels and what it suppresses. Looked for is, for each k,
every node that no other beats in both: the frontier of loss and suppressed rows.

Bounds that cost nothing decide what is looked at:

- generalisation alone loses a product of one number per column, so nodes are taken in its order;
- where suppression is monotone (coarser never suppresses more: k-anonymity, k-map, distinct
  l-diversity), what a coarser node suppressed, any finer one suppresses too, and every suppressed
  row adds at least 1 minus the largest share of the level. Coarser nodes have few classes, so
  before a node is looked at, some between it and the top are: most nodes never are.

Models that are not monotone with suppression give no such bound, the others among them still do.
LeFevre et al. 2005 (Incognito), El Emam et al. 2009 (OLA), Kohlmayer et al. 2012 (Flash).
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridleway.extract.classes import ROWS, Classes, Unit, classes_of
from bridleway.extract.keys import Flags, Groups, Numbers
from bridleway.extract.loss import Floats, Loss
from bridleway.extract.models import Model
from bridleway.extract.witnesses import Witnesses

Node = tuple[int, ...]

EXACT = 100_000  # nodes up to which the search always ends
_CHUNK = 512
_PARTS = (0, 0.01, 0.05, 0.2, 1)  # of the rows, suppressed by the first choices
_SNAPSHOTS = 4_000_000  # combinations in tables that are kept
_MOST_TABLES = 4096
_STEPS = 3  # columns by which tables in common are made
_NONE = np.iinfo(np.int64).max
_TIE = 1e-12


@dataclass(frozen=True)
class Point:
    """One choice: a node, the k that holds, rows suppressed and the score of the loss."""

    node: Node
    k: int
    suppressed: int
    score: float


@dataclass(frozen=True)
class Found:
    """What a search found.

    points: by k, ever more suppressed rows for ever less loss; looked_at: nodes whose classes
    were counted; nodes: in the lattice. gap: how much lower than a reported score any node could
    still be, 0 where the search ended.
    """

    points: dict[int, tuple[Point, ...]]
    looked_at: int
    nodes: int
    gap: float

    def best(self, k: int, most: int) -> Point | None:
        """Return the best choice that suppresses at most so many rows, None if there is none."""
        allowed = [point for point in self.points[k] if point.suppressed <= most]
        return allowed[-1] if allowed else None


class _Frontier:
    """For one k: the best product by suppressed rows, falling as more are suppressed."""

    def __init__(self) -> None:
        self.suppressed: list[int] = []
        self.products: list[float] = []
        self.nodes: list[Node] = []

    def best(self, suppressed: int) -> float:
        """Return the best product known for so many suppressed rows, else infinity."""
        at = bisect_right(self.suppressed, suppressed)
        return self.products[at - 1] if at else np.inf

    def add(self, suppressed: int, product: float, node: Node) -> None:
        """Take a node in, and those out that it beats."""
        if self.best(suppressed) <= product + _TIE:
            return
        start = end = bisect_left(self.suppressed, suppressed)
        while end < len(self.nodes) and self.products[end] >= product - _TIE:
            end += 1
        self.suppressed[start:end] = [suppressed]
        self.products[start:end] = [product]
        self.nodes[start:end] = [node]


class Search:
    """One search over one table.

    base: distinct combinations, with the extra columns of `unit`; models: what must hold besides
    k; ks: every k that is asked for, ascending; limits: numbers of rows that may be suppressed,
    ascending, or None for all of them; seconds: beyond `EXACT` nodes, how long to go on; fixed:
    the level of each column that is not searched.
    """

    def __init__(
        self,
        base: Groups,
        models: Sequence[Model] = (),
        *,
        ks: Sequence[int] = (5,),
        limits: Sequence[int] | None = None,
        unit: Unit = ROWS,
        seconds: float = 30.0,
        fixed: Sequence[int | None] | None = None,
    ) -> None:
        self.base = base
        self.layout = base.layout
        self.shape = base.layout.shape
        self.unit = unit
        told = fixed or (None,) * len(self.shape)
        self.low = np.array([0 if at is None else at for at in told])
        self.high = np.array(
            [size - 1 if at is None else at for at, size in zip(told, self.shape, strict=True)]
        )
        self.loss = Loss(base, base.layout.hierarchies)
        self.ks = np.array(ks, dtype=np.int64)
        self.models = tuple(models)
        self.sound = tuple(model for model in models if model.monotone)
        most = self.loss.total if limits is None else max(limits)
        self.limits = None if limits is None else sorted(limits)
        self.most = most
        self.seconds = seconds
        self.frontiers = [_Frontier() for _ in ks]
        # What any node finer than a node that was looked at suppresses at least.
        self.floor = np.zeros((*self.shape, len(self.ks)), dtype=np.int32)
        self.seen = np.zeros(self.shape, dtype=bool)
        self.tables: dict[Node, Groups] = {}
        self.listed: list[Groups] = []
        self.levels = np.zeros((_MOST_TABLES, len(self.shape)), dtype=np.int64)
        self.table_sizes = np.zeros(_MOST_TABLES, dtype=np.int64)
        self.held = 0
        self._keep((0,) * len(self.shape), base)
        self.strongest = self._strongest()
        self.witnesses = Witnesses(base, int(self.ks[0]))
        self.looked_at = 0

    # -- one node

    def look(self, node: Node) -> None:
        """Count a node's classes; keep what it suppresses, and what it loses if that may matter."""
        if self.seen[node]:
            return
        self.seen[node] = True
        finer = tuple(slice(0, level + 1) for level in node)
        if not self.most:
            known = self.witnesses.against(node)
            if known:
                np.maximum(self.floor[finer], known, out=self.floor[finer])
                return
        self.looked_at += 1
        groups = self._table(node)
        classes = classes_of(groups, self.unit)
        size = _without(classes.size, self.sound, classes, node)
        told = self._suppressed(classes, size)
        np.maximum(self.floor[finer], told[0], out=self.floor[finer])
        if not self.most and len(told[1]):
            self.witnesses.learn(node, groups, int(groups.starts[told[1][0]]))
        if len(self.sound) < len(self.models):
            told = self._suppressed(classes, _without(size, self.models, classes, node))
        suppressed, at, which = told
        if not self._may_win(_products(*self.loss.line(node), suppressed), suppressed.tolist()):
            return
        first, rows = groups.starts[at], classes.rows[at]
        products = self.loss.products(groups, node, first, rows, which, len(self.ks))
        for frontier, number, product in zip(
            self.frontiers, suppressed.tolist(), products.tolist(), strict=True
        ):
            if number <= self.most:
                frontier.add(number, product, node)

    def _suppressed(self, classes: Classes, size: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return rows suppressed per k, the classes that some k suppresses, and from which on."""
        at = np.flatnonzero(size < self.ks[-1])
        which = np.searchsorted(self.ks, size[at], side="right")
        counted = np.bincount(which, classes.rows[at], len(self.ks) + 1)[: len(self.ks)]
        return counted.cumsum().astype(np.int64), at, which

    def _table(self, node: Node) -> Groups:
        """Return the combinations of a node, from the smallest known table that is finer."""
        step = [0] * len(node)
        for column in self.strongest:  # by way of tables that many nodes have in common
            step[column] = node[column]
            self._from_nearest(tuple(step))
        return self._from_nearest(node)

    def _from_nearest(self, node: Node) -> Groups:
        known = self.tables.get(node)
        if known is not None:
            return known
        finer = (self.levels[: len(self.tables)] <= np.array(node)).all(axis=1)
        sizes = np.where(finer, self.table_sizes[: len(self.tables)], _NONE)
        groups = self.listed[int(sizes.argmin())].at(node)
        if self.held + len(groups) <= _SNAPSHOTS and len(self.tables) < len(self.levels):
            self._keep(node, groups)
        return groups

    def _keep(self, node: Node, groups: Groups) -> None:
        self.levels[len(self.tables)] = node
        self.table_sizes[len(self.tables)] = len(groups)
        self.tables[node] = groups
        self.listed.append(groups)
        self.held += len(groups)

    # -- what may still win

    def _may_win(self, bounds: Sequence[float], suppressed: Sequence[int]) -> bool:
        """Tell whether a node with these bounds of products and rows by k could beat the known."""
        for frontier, rows, bound in zip(self.frontiers, suppressed, bounds, strict=True):
            if rows <= self.most and bound < frontier.best(self._limit(rows)) - _TIE:
                return True
        return False

    def _limit(self, rows: int) -> int:
        """Return the nearest limit that so many suppressed rows could meet."""
        return rows if self.limits is None else self.limits[bisect_left(self.limits, rows)]

    # -- all nodes

    def run(self) -> Found:
        """Look until nothing can win any more, or beyond `EXACT` nodes until time is over."""
        bounds = self.loss.bounds()
        number = int((self.high - self.low + 1).prod())
        end = time.perf_counter() + self.seconds if number > EXACT else np.inf
        self._descend_all()
        # From above: what a node suppresses is a bound for all finer ones, which come later.
        waiting = np.argsort(-bounds, axis=None, kind="stable")
        for start in range(0, len(waiting), _CHUNK):
            nodes = np.stack(np.unravel_index(waiting[start : start + _CHUNK], self.shape), axis=1)
            nodes = nodes[self._left(nodes)]
            for node in map(tuple, nodes.tolist()):
                floor = self.floor[node]
                if floor[0] > self.most:
                    continue
                if self._may_win(_products(*self.loss.line(node), floor), floor.tolist()):
                    if time.perf_counter() > end:
                        return self._found(number, self._least_left(bounds))
                    self.look(node)
        return self._found(number, None)

    def _left(self, nodes: Numbers) -> Flags:
        """Tell which nodes, shape (nodes, columns), are worth a look by what is known now."""
        asked = ((nodes >= self.low) & (nodes <= self.high)).all(axis=1)
        at = tuple(nodes.T)
        floor = self.floor[at]
        base, slope = self.loss.lines(nodes)
        bounds = np.ones(floor.shape)
        for column in range(nodes.shape[1]):
            bounds *= base[:, column, None] + slope[:, column, None] * floor
        made = np.zeros(len(nodes), dtype=bool)
        for place, frontier in enumerate(self.frontiers):
            rows = floor[:, place]
            allowed = rows <= self.most
            if self.limits is not None:
                nearest = np.minimum(np.searchsorted(self.limits, rows), len(self.limits) - 1)
                rows = np.array(self.limits)[nearest]
            known = np.searchsorted(frontier.suppressed, rows, side="right")
            best = np.append(np.inf, frontier.products)[known]
            made |= allowed & (bounds[:, place] < best - _TIE)
        return np.asarray(made & asked & ~self.seen[at])

    def _descend_all(self) -> None:
        """Find good choices first: the better they are, the less has to be looked at."""
        limits = self.limits or [int(self.loss.total * part) for part in _PARTS]
        for place in sorted({0, len(self.ks) // 2, len(self.ks) - 1}):
            for limit in limits:
                self._descend(place, limit)

    def _descend(self, place: int, limit: int) -> None:
        """From the top, take the finer neighbour that loses least, as long as one is allowed."""
        node = tuple(self.high.tolist())
        self.look(node)
        while True:
            finer = [
                (*node[:column], level - 1, *node[column + 1 :])
                for column, level in enumerate(node)
                if level > self.low[column]
            ]
            ranked = []
            for one in finer:
                if self.floor[one][place] <= limit:  # else a coarser one suppressed too many
                    self.look(one)
                if self.floor[one][place] <= limit:
                    ranked.append((self._estimate(one, place), one))
            if not ranked:
                return
            node = min(ranked)[1]

    def _estimate(self, node: Node, place: int) -> float:
        return _products(*self.loss.line(node), self.floor[node])[place]

    def _strongest(self) -> list[int]:
        """Return the columns that tell rows apart most, by entropy."""
        entropy = []
        for column in range(len(self.shape)):
            leaves = self.layout.leaves(self.base.words, column)
            part = np.bincount(leaves, self.base.counts) / max(self.loss.total, 1)
            part = part[part > 0]
            entropy.append(float((part * np.log2(part)).sum()))
        return sorted(range(len(self.shape)), key=lambda column: entropy[column])[:_STEPS]

    def _least_left(self, bounds: Floats) -> float:
        """Return the least product that any node which was not looked at could have."""
        least = np.inf
        for start in range(0, bounds.size, 1 << 16):
            places = np.arange(start, min(start + (1 << 16), bounds.size))
            nodes = np.stack(np.unravel_index(places, self.shape), axis=1)
            nodes = nodes[self._left(nodes)]
            if len(nodes):
                base, slope = self.loss.lines(nodes)
                floor = self.floor[tuple(nodes.T)].min(axis=1)
                least = min(least, float((base + slope * floor[:, None]).prod(axis=1).min()))
        return least

    def _lowest(self, node: Node) -> Node:
        """Return the node with each column at the lowest level that joins the very same values."""
        made = list(node)
        for column, bases in enumerate(self.loss.bases):
            while (
                made[column] > self.low[column] and bases[made[column] - 1] == bases[made[column]]
            ):
                made[column] -= 1
        return tuple(made)

    def _found(self, nodes: int, rest: float | None) -> Found:
        points = {
            int(k): tuple(
                Point(self._lowest(node), int(k), int(rows), self.loss.score(product))
                for node, rows, product in zip(
                    frontier.nodes, frontier.suppressed, frontier.products, strict=True
                )
            )
            for k, frontier in zip(self.ks, self.frontiers, strict=True)
        }
        gap = 0.0
        if rest is not None:
            best = min((p[-1].score for p in points.values() if p), default=np.inf)
            gap = max(0.0, best - self.loss.score(rest))
        return Found(points, self.looked_at, nodes, gap)


def _without(size: Numbers, models: Sequence[Model], classes: Classes, node: Node) -> Numbers:
    """Return the sizes of classes, 0 where a model fails."""
    for model in models:
        size = np.where(model.fails(classes, node), 0, size)
    return size


def _products(base: list[float], slope: list[float], suppressed: Numbers) -> list[float]:
    """Return a lower bound of a node's product for each number of suppressed rows."""
    if len(suppressed) == 1:
        rows = int(suppressed[0])
        product = 1.0
        for one, more in zip(base, slope, strict=True):
            product *= one + more * rows
        return [product]
    lines = np.array(base)[:, None] + np.multiply.outer(slope, suppressed)
    made: list[float] = lines.prod(axis=0).tolist()
    return made
