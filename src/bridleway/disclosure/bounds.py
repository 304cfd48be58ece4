"""What an attacker can work out: the interval of a sum of unknown counts, by linear programming.

The attacker knows, for some sets of blocks, the lowest and highest number of people in them, and
that no block holds fewer than none. HiGHS (through SciPy) finds the smallest and largest number
that is possible for any other set: the audit of cell suppression (Fischetti & Salazar 2001).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridleway.model.blocks import blocks_of

Flags = NDArray[np.bool_]
Counts = NDArray[Any]


class Knowledge:
    """Known sets of blocks. sets: shape (known, blocks); low, high: shape (known,)."""

    def __init__(self, sets: Flags, low: Counts, high: Counts) -> None:
        self.sets = sets
        self.low = low
        self.high = high

    def interval(self, target: Flags) -> tuple[float, float]:
        """Return the fewest and the most people that can be in a set of blocks.

        Knowledge that contradicts itself (answers from different people) tells nothing.
        """
        from scipy.optimize import LinearConstraint, milp

        sets, goal = self._merged(target)
        if not goal.any():
            return 0.0, 0.0
        free = ~sets.any(axis=0)
        known: list[Any] = (
            [LinearConstraint(sets.astype(float), self.low, self.high)] if len(sets) else []
        )
        made = []
        for sign in (1, -1):
            if sign < 0 and bool((free & goal).any()):
                made.append(np.inf)
                continue
            solved = milp(sign * goal.astype(float), constraints=known)
            if not solved.success:
                return 0.0, np.inf
            made.append(sign * solved.fun)
        return made[0], made[1]

    def _merged(self, target: Flags) -> tuple[Flags, Flags]:
        """Join blocks that neither the known sets nor the target tell apart."""
        first, _ = blocks_of(self.sets, target[None, :])
        return self.sets[:, first], target[first]
