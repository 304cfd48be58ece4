"""What a release rule looks at: exact cells, the rules in force, what is sensitive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridleway.model.flow import ALL, Cell
from bridleway.model.policy import Rules


@dataclass(frozen=True, slots=True)
class MeasureFacts:
    """What a measure's numbers mean.

    scale: decimal places; low, high: bounds of one row's value in units of 10**-scale;
    sensitive: it touches a sensitive column; conditional: its argument is not a bare column;
    branches: how many sets of people its conditions sort out.
    """

    scale: int = 0
    low: int = 0
    high: int = 0
    sensitive: bool = False
    conditional: bool = False
    branches: int = 0


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """predicate: some predicate touches a sensitive column; groups: per group column, likewise."""

    predicate: bool = False
    groups: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Outside:
    """What earlier answers over the same joined people on the same data versions tell.

    Blocks are the coarsest sets of people that tell all figures apart, by the questions' texts.
    cells: shape (cells, blocks), in the table's order; earlier: shape (figures, blocks); low,
    high: what is known of each earlier figure's people, -1 where it was withheld; same: whether
    it is of the same data versions. parts: (cell, name of the number, blocks) of every condition
    inside a measure; base: blocks of the people matched, whose side figure is shown; declared:
    blocks that declared values fall into. untold: the questions are too complex to be compared.
    twins: whether a set (row of cells, then parts, then base) and an earlier figure cut the same
    columns in different ways, although they overlap.
    """

    cells: NDArray[np.bool_]
    earlier: NDArray[np.bool_]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    untold: bool = False
    same: NDArray[np.bool_] | None = None
    parts: tuple[tuple[int, str, NDArray[np.bool_]], ...] = ()
    base: NDArray[np.bool_] | None = None
    declared: NDArray[np.bool_] | None = None
    twins: Callable[[int, int], bool] | None = None

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which earlier figures are of the same data versions."""
        return np.ones(len(self.low), dtype=bool) if self.same is None else self.same


@dataclass(frozen=True, slots=True)
class Table:
    """Every cell of every margin, exact. asked: shown by the question (others count as known).

    functions: measure name -> function. last: by cell key, what was last released of this
    question on an earlier data version (None where withheld); outside: what other answers tell;
    rivals: pairs of numbers of a cell that count nearly the same people by the question's text.
    """

    cells: tuple[Cell, ...]
    asked: tuple[bool, ...]
    rules: Rules
    functions: Mapping[str, str]
    measures: Mapping[str, MeasureFacts]
    sensitivity: Sensitivity
    last: Mapping[tuple[Any, ...], Mapping[str, Any] | None] | None = None
    outside: Outside | None = None
    rivals: tuple[tuple[str, str], ...] = ()

    @property
    def sensitive(self) -> bool:
        """Whether a cell tells about a sensitive column."""
        return self.sensitivity.predicate or any(self.sensitivity.groups)

    def finest(self, position: int) -> bool:
        """Tell whether a cell is in no margin."""
        return all(value is not ALL for value in self.cells[position].key)
