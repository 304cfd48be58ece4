"""Pinned questions are weighed together: no combination may tell about a few people.

Each released figure counts the people of one cell, and whoever has several figures can add and
subtract them: n against n - 1, trackers (Denning, Denning & Schwartz 1979), a filter hidden in a
CASE. Cells are unions of atoms, so a combination is a sum of rows of a 0/1 matrix. If some sum
of rows of *different* figures leaves only atoms in which the declared facts allow fewer than k
people, the questions may not stand together. Sums within one figure's own cells are the business
of disclosure control at release (small cells, complements, secondary suppression).

Decided from texts and declared facts alone, so that a refusal tells nothing about the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import combinations
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from bridleway.errors import Refused
from bridleway.model.blocks import blocks_of
from bridleway.model.catalogue import TableFacts
from bridleway.model.question import Column, Join, Question
from bridleway.questions.atoms import SUMMED, Atoms, Flags, TooManyAtoms
from bridleway.questions.branches import branches_of

Place: TypeAlias = str  # where a table of a passport really lies, the same in every passport
Family: TypeAlias = tuple[frozenset[str], frozenset[Any]]

UNDECLARED_PEOPLE = 10_000  # of a table whose controller declares no number of people
_MOST_ENTRIES = 1_000_000  # of the matrix that is looked at as a whole
_TOLERANCE = 1e-7
_MOST_PAIRED = 60  # combinations that are looked at two by two
_MOST_CANCELLED = 2  # common atoms of two that are cancelled


@dataclass(frozen=True, slots=True)
class Standing:
    """A pinned question as it stands beside others. label: how a reader finds it.

    question: with its tables renamed to their places, see `in_place`.
    """

    label: str
    question: Question


def place_of(at: Iterable[tuple[str, str, str]]) -> Place:
    """Return the name of what a table stands for: `node.source.table` of each organisation."""
    return " + ".join(sorted(".".join(part) for part in at))


def in_place(question: Question, places: Mapping[str, Place]) -> Question:
    """Return the question with each table renamed to its place."""
    return cast("Question", _renamed(question, places))


def _renamed(node: Any, places: Mapping[str, Place]) -> Any:
    if isinstance(node, Column):
        return Column(places[node.table], node.name)
    if isinstance(node, tuple):
        return tuple(_renamed(item, places) for item in node)
    if not is_dataclass(node) or isinstance(node, type):
        return node
    changes = {f.name: _renamed(getattr(node, f.name), places) for f in fields(node)}
    if isinstance(node, Question | Join):
        changes["table"] = places[node.table]
    return replace(node, **changes)


def family(question: Question) -> Family:
    """Return what decides over which joined people a question speaks.

    The order of joins does not matter where all are on the person.
    """
    entities = {join.entity for join in question.joins}
    if entities <= {"person"}:
        return frozenset(question.tables), frozenset(entities)
    joins = tuple((join.table, join.entity) for join in question.joins)
    return frozenset(question.tables), frozenset({(question.table, joins)})


def comparable(one: Question, other: Question) -> bool:
    """Tell whether two questions may be about the same people: they read a table in common."""
    return bool(set(one.tables) & set(other.tables))


def needs_cell_keys(question: Question, others: Iterable[Question]) -> bool:
    """Tell whether a question of another passport reads one of these tables joined otherwise.

    Whom a join leaves out cannot be told from texts, and nobody reviewed the two together. What
    differs by a few people is withheld at release; noise keyed to the people themselves keeps
    differences that nobody looks for from being exact.
    """
    mine = family(question)
    return any(set(q.tables) & set(question.tables) and family(q) != mine for q in others)


def require_apart(
    new: Sequence[Standing],
    others: Sequence[Standing],
    tables: Mapping[Place, TableFacts],
    k: int,
) -> None:
    """Raise Refused (code 'together') if new questions and others could isolate fewer than k.

    tables: declared facts by place, as far as they are known here.
    """
    known = {s.question: s for s in others if all(s.question != n.question for n in new)}
    families: dict[Family, list[Standing]] = {}
    for standing in (*new, *known.values()):
        families.setdefault(family(standing.question), []).append(standing)
    fresh = {standing.label for standing in new}
    for together in families.values():
        if fresh & {standing.label for standing in together}:
            _require_family(together, fresh, tables, k)


def _require_family(
    together: Sequence[Standing], fresh: set[str], tables: Mapping[Place, TableFacts], k: int
) -> None:
    try:
        _require_group(together, tables, k)
        return
    except TooManyAtoms:
        pass
    for pair in combinations(together, 2):
        if not fresh & {standing.label for standing in pair}:
            continue
        try:
            _require_group(pair, tables, k)
        except TooManyAtoms:
            raise Refused(
                f"The questions {_names(pair)} have too many conditions to be weighed together.",
                "Use fewer or broader columns in one of them.",
                code="together",
            ) from None


def _names(standings: Sequence[Standing]) -> str:
    names = sorted({f"'{standing.label}'" for standing in standings})
    return " and ".join(names)


def people_of(question: Question, tables: Mapping[Place, TableFacts]) -> int:
    """Return about how many people stand behind a question, by the declared facts."""
    said = [tables[t].people for t in question.tables if t in tables]
    return min((number for number in said if number), default=UNDECLARED_PEOPLE)


def _require_group(
    together: Sequence[Standing], tables: Mapping[Place, TableFacts], k: int
) -> None:
    atoms = Atoms([standing.question for standing in together], tables, alike=True)
    rows: list[Flags] = []
    figures: list[tuple[int, str]] = []
    for place in range(len(together)):
        for population in atoms.populations(place):
            rows.append(population.inside)
            figures.append((place, population.part))
    weights = atoms.weights() * people_of(together[0].question, tables)
    matrix, expected = _merged(np.array(rows), weights)
    found = _isolated(matrix, expected, figures, k)
    if found:
        guilty = [together[place] for place in found]
        raise Refused(
            f"Together, {_names(guilty)} could tell about fewer than {k} people: their answers "
            "can be subtracted, and what is left is a group that the catalogue allows to be that "
            "small."
            if len(guilty) > 1
            else f"The figures of {_names(guilty)} could be subtracted from each other, and what "
            f"is left is a group that the catalogue allows to be fewer than {k} people.",
            "Leave out the narrow condition, or keep one of the questions; columns with a public "
            "domain and broad groups do not stand in each other's way.",
            code="together",
        )


def _merged(
    rows: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Join atoms that no cell tells apart; leave out those that no declared value falls into."""
    rows = rows[:, weights > 0]
    weights = weights[weights > 0]
    first, which = blocks_of(rows)
    matrix = rows[:, first]
    expected = np.bincount(which, weights=weights, minlength=len(first)).astype(float)
    seen = matrix.any(axis=0)
    return matrix[:, seen].astype(np.float64), expected[seen]


def _isolated(
    matrix: NDArray[np.float64],
    expected: NDArray[np.float64],
    figures: Sequence[tuple[int, str]],
    k: int,
) -> list[int]:
    """Return the places of questions whose combination isolates fewer than k expected people."""
    small = expected < k
    if not small.any():
        return []
    if matrix.size > _MOST_ENTRIES:
        raise TooManyAtoms
    within = np.zeros((0, int(small.sum())))
    for figure in dict.fromkeys(figures):
        # A part of a sum is no figure of its own: nothing at release looks at it alone.
        if not figure[1].startswith(SUMMED):
            own = matrix[[other == figure for other in figures]]
            within = np.vstack([within, _own_business(own, expected, k)[:, small]])
    # Heavy atoms first: they are eliminated first, and what is left of a row is light.
    order = np.argsort(-expected, kind="stable")
    place_among_small = np.cumsum(small)[order][small[order]] - 1
    within = within[:, place_among_small]
    weights = expected[order][small[order]]
    basis = _orthonormal(within)
    for vector, used in _sums(*_only_small(matrix[:, order], small[order]), weights):
        support = np.abs(vector) > _TOLERANCE
        if not support.any() or weights[support].sum() >= k:
            continue
        if np.abs(vector - (vector @ basis.T) @ basis).max() > _TOLERANCE * 10:
            rows = np.flatnonzero(np.abs(used) > _TOLERANCE).tolist()
            return sorted({figures[row][0] for row in rows})
    return []


def _sums(
    vectors: NDArray[np.float64], used: NDArray[np.float64], weights: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return combinations, and those of two of them in which their heaviest common atom cancels.

    The lightest combination of all is hard to find in general (it is a minimum-weight codeword);
    among few figures it is one of these.
    """
    yield from zip(vectors, used, strict=True)
    if len(vectors) > _MOST_PAIRED:
        return
    for one, other in combinations(range(len(vectors)), 2):
        common = (np.abs(vectors[one]) > _TOLERANCE) & (np.abs(vectors[other]) > _TOLERANCE)
        for atom in np.flatnonzero(common)[np.argsort(-weights[common])][:_MOST_CANCELLED]:
            factor = vectors[one][atom] / vectors[other][atom]
            yield vectors[one] - factor * vectors[other], used[one] - factor * used[other]


def _orthonormal(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return orthonormal rows with the same span."""
    if not rows.any():
        return np.zeros((0, rows.shape[1]))
    _, values, vectors = np.linalg.svd(rows, full_matrices=False)
    found: NDArray[np.float64] = vectors[values > _TOLERANCE]
    return found


def rivals(question: Question, tables: Mapping[Place, TableFacts]) -> tuple[tuple[str, str], ...]:
    """Return pairs of parts of a question's measures that could be subtracted to few people.

    By its text one lies within the other, or both cut the same columns in different ways.
    tables: declared facts by the question's table names. Parts are named as in `Population`.
    """
    alone = replace(question, groups=(), margins="none", select=(), order_by=(), limit=None)
    if sum(len(branches_of(m.argument)) for m in question.measures) < 2:
        return ()
    atoms = Atoms([alone], tables, undeclared=True)
    parts = {p.part: p.inside for p in atoms.populations(0) if p.part}
    made = []
    for (one, mine), (other, theirs) in combinations(parts.items(), 2):
        more, less = bool((mine & ~theirs).any()), bool((theirs & ~mine).any())
        nested = more != less
        if nested or (more and less and atoms.twins(mine, theirs)):
            made.append((one, other))
    return tuple(made)


def _own_business(
    own: NDArray[np.float64], expected: NDArray[np.float64], k: int
) -> NDArray[np.float64]:
    """Return what a figure's cells leave of the few people whom it tells apart by itself.

    Atoms that the figure's own cells do not split count as one: a cell of k people is no small
    one because another question splits it.
    """
    classes, which = np.unique(own, axis=1, return_inverse=True)
    which = which.ravel()
    small = np.bincount(which, weights=expected, minlength=classes.shape[1]) < k
    left = _only_small(classes, small)[0]
    spread = np.zeros((len(left), classes.shape[1]))
    spread[:, small] = left
    return spread[:, which]


def _only_small(
    matrix: NDArray[np.float64], small: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return combinations of rows that are zero outside the small atoms, and how they are made.

    Combinations are reduced to echelon form, so that each touches as few atoms as it can.
    """
    rest = matrix[:, ~small]
    augmented = np.hstack([rest, matrix[:, small], np.eye(len(matrix))])
    reduced = _echelon(augmented, rest.shape[1] + int(small.sum()))
    free = ~(np.abs(reduced[:, : rest.shape[1]]) > _TOLERANCE).any(axis=1)
    width = rest.shape[1] + int(small.sum())
    found = reduced[free]
    left = found[:, rest.shape[1] : width]
    some = (np.abs(left) > _TOLERANCE).any(axis=1)
    return left[some], found[some][:, width:]


def _echelon(matrix: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Return the reduced row echelon form over the first columns."""
    made = matrix.copy()
    row = 0
    for column in range(columns):
        if row == len(made):
            break
        best = row + int(np.argmax(np.abs(made[row:, column])))
        if abs(made[best, column]) <= _TOLERANCE:
            continue
        made[[row, best]] = made[[best, row]]
        made[row] /= made[row, column]
        others = np.abs(made[:, column]) > _TOLERANCE
        others[row] = False
        made[others] -= np.outer(made[others, column], made[row])
        row += 1
    return made
