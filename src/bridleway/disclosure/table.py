"""What a release rule looks at: exact cells, the rules in force, what is sensitive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridleway.model.flow import ALL, Cell
from bridleway.model.policy import Rules


@dataclass(frozen=True, slots=True)
class MeasureFacts:
    """What a measure's numbers mean.

    scale: decimal places; low, high: bounds of one row's value in units of 10**-scale;
    sensitive: it touches a sensitive column; conditional: its argument is not a bare column.
    """

    scale: int = 0
    low: int = 0
    high: int = 0
    sensitive: bool = False
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """predicate: some predicate touches a sensitive column; groups: per group column, likewise."""

    predicate: bool = False
    groups: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Every cell of every margin, exact. asked: shown by the question (others count as known).

    functions: measure name -> function.
    """

    cells: tuple[Cell, ...]
    asked: tuple[bool, ...]
    rules: Rules
    functions: Mapping[str, str]
    measures: Mapping[str, MeasureFacts]
    sensitivity: Sensitivity

    @property
    def sensitive(self) -> bool:
        """Whether a cell tells about a sensitive column."""
        return self.sensitivity.predicate or any(self.sensitivity.groups)

    def finest(self, position: int) -> bool:
        """Tell whether a cell is in no margin."""
        return all(value is not ALL for value in self.cells[position].key)
