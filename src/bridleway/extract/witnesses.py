"""Rows that prove nodes wrong, where nothing may be suppressed.

A row whose class is too small at one node is likely alone at others too. To count the class of
one row takes one pass over the table, to make all classes takes a sort; most nodes fail, and a
few rows tell of most of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridleway.extract.keys import Groups

_MOST = 12


class Witnesses:
    """The rows that were useful last, over one table; k: below which a class is too small."""

    def __init__(self, base: Groups, k: int) -> None:
        self.base, self.k = base, k
        self.rows: list[int] = []

    def against(self, node: Sequence[int]) -> int:
        """Return the rows of a class that is too small at a node, 0 where no witness knows one."""
        masks = self._masks(node)
        held = [word & mask for word, mask in zip(self.base.words, masks, strict=True)]
        for place, row in enumerate(self.rows):
            same = held[0] == held[0][row]
            for word in held[1:]:
                same &= word == word[row]
            if np.count_nonzero(same) >= self.k:  # each has a row or more
                continue
            found = int(self.base.counts[same].sum())
            if found < self.k:
                self.rows.insert(0, self.rows.pop(place))
                return found
        return 0

    def learn(self, node: Sequence[int], groups: Groups, place: int) -> None:
        """Remember a row of the class in which the combination at `place` of a node is."""
        same = np.ones(len(self.base), dtype=bool)
        for word, mine, mask in zip(self.base.words, groups.words, self._masks(node), strict=True):
            same &= word & mask == mine[place] & mask
        self.rows.insert(0, int(same.argmax()))
        del self.rows[_MOST:]

    def _masks(self, node: Sequence[int]) -> list[np.uint64]:
        layout = self.base.layout
        return [
            mask & own for mask, own in zip(layout.masks(node), layout.class_masks, strict=True)
        ]
