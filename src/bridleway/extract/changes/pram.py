"""PRAM, post-randomisation: a value stays with a stated probability, else it is drawn anew.

    change: {pram: {keep: "0.8"}}

What is drawn anew is drawn from the values of the rows that leave, as often as they have each
(Gouweleeuw, Kooiman, Willenborg & de Wolf 1998). The transition matrix is keep * I +
(1 - keep) * 1 t', t the frequencies, so that t' R = t': PRAM is *invariant*, and expected
frequencies are those of the table. A value stays with a probability of at least `keep`. A missing
value stays missing, and no other becomes missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bridleway.extract.chance import Chance
from bridleway.extract.changes._kinds import Options, text_of


@dataclass(frozen=True)
class Pram:
    """Post-randomisation; keep: from 0, below 1."""

    keep: Decimal

    def drawn(self, values: pa.Array, known: pa.Array, rows: Sequence[int], by: Chance) -> pa.Array:
        """Return what values become; two numbers are drawn for each, missing or not."""
        words = by.words(2 * len(values)).reshape(-1, 2)
        there = np.asarray(pc.is_valid(values))
        anew = there & (words[:, 0] >= np.uint64(int(self.keep * 2**64)))
        ends = np.cumsum(np.asarray(rows, dtype=np.int64))
        if not anew.any():
            return values
        # A row by number, of all that leave: so often each value (but for 1 part in 2**64 / rows).
        row = (words[:, 1] % np.uint64(ends[-1])).astype(np.int64)
        other = known.take(pa.array(np.searchsorted(ends, row, side="right")))
        return pc.if_else(pa.array(anew), other, values)

    def told(self) -> dict[str, Any]:
        """Return its options."""
        return {"keep": text_of(self.keep)}


def transition(keep: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the transition matrix: of each value (row), how often it becomes which (column)."""
    return keep * np.eye(len(shares)) + (1 - keep) * np.tile(shares, (len(shares), 1))


def read(said: object, where: str) -> Pram:
    """Read the options."""
    options = Options(said, where, ("keep",))
    keep = options.number("keep")
    if keep is None or not 0 <= keep < 1:
        options.wrong("'keep' is no share from 0 to below 1.", 'Write {keep: "0.8"}.')
    return Pram(keep)
