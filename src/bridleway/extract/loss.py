"""How much a generalisation loses, by ARX's default measure "Loss", geometric mean.

The share of a value is the part of a hierarchy's leaves that it stands for; a suppressed record's
is 1. Loss of column j: L_j = (mean share - 1/D_j) / (1 - 1/D_j), D_j the leaves of its hierarchy;
the score is the product of (1 + L_j)^(1/d), less 1 (Iyengar 2002; ARX 3.9, MetricNormalized).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bridleway.extract.hierarchy import Hierarchy
from bridleway.extract.keys import Groups, Numbers

Floats = NDArray[np.float64]


class Loss:
    """Loss over one table.

    The search compares products of (1 + L_j) and takes the root at the end: `score`.
    """

    def __init__(self, groups: Groups, hierarchies: Sequence[Hierarchy]) -> None:
        self.groups = groups
        self.total = int(groups.counts.sum())
        self.columns = len(hierarchies)
        self.shares = [one.shares for one in hierarchies]
        self.least = np.array([1 / len(one.leaves) for one in hierarchies])
        # A hierarchy of one leaf can lose nothing.
        self.scale = np.array([1 / (1 - x) if x < 1 else 0.0 for x in self.least])
        self.means = [self._means(column) for column in range(self.columns)]
        # What one suppressed row adds at least to the sum of shares, by column and level.
        adds = [np.array([1 - s.max() for s in shares]) for shares in self.shares]
        total = max(self.total, 1)
        columns = list(zip(self.means, adds, self.least, self.scale, strict=True))
        self.bases = [1 + (mean - least) * scale for mean, _, least, scale in columns]
        self.slopes = [more * scale / total for _, more, _, scale in columns]
        self._plain_bases = [base.tolist() for base in self.bases]
        self._plain_slopes = [slope.tolist() for slope in self.slopes]

    def _means(self, column: int) -> Floats:
        leaves = self.groups.layout.leaves(self.groups.words, column)
        weights = np.bincount(leaves, self.groups.counts, len(self.shares[column][0]))
        return np.array([weights @ share / max(self.total, 1) for share in self.shares[column]])

    def bounds(self) -> Floats:
        """Return the product of every node of the lattice without suppression."""
        made: Floats = np.ones(())
        for column in range(self.columns):
            made = np.multiply.outer(made, self.bases[column])
        return made

    def lines(self, nodes: Numbers) -> tuple[Floats, Floats]:
        """Return 1 + L_j of nodes, shape (nodes, columns), and what every suppressed row adds."""
        columns = range(self.columns)
        base = [self.bases[column][nodes[:, column]] for column in columns]
        slope = [self.slopes[column][nodes[:, column]] for column in columns]
        return np.stack(base, axis=1), np.stack(slope, axis=1)

    def line(self, node: Sequence[int]) -> tuple[list[float], list[float]]:
        """Return `lines` of one node, as plain numbers."""
        return (
            [self._plain_bases[column][level] for column, level in enumerate(node)],
            [self._plain_slopes[column][level] for column, level in enumerate(node)],
        )

    def products(
        self, groups: Groups, node: Sequence[int], first: Numbers, rows: Numbers, which: Numbers,
        limits: int,
    ) -> Floats:  # fmt: skip
        """Return the product for each of `limits` rules about what is suppressed.

        first, rows: the first combination of each class that some rule suppresses, and the rows
        of the class; which: rules from this number on suppress it.
        """
        made = np.ones(limits)
        for column, level in enumerate(node):
            words = [word[first] for word in groups.words]
            share = self.shares[column][level][groups.layout.leaves(words, column)]
            added = np.bincount(which, rows * (1 - share), limits + 1)[:limits].cumsum()
            made *= (
                1
                + (self.means[column][level] + added / max(self.total, 1) - self.least[column])
                * self.scale[column]
            )
        return made

    def score(self, product: float) -> float:
        """Return the score of a product."""
        return float(product ** (1 / self.columns) - 1)
