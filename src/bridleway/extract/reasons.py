"""Why a column was generalised so far: what its next finer level would have done, really asked.

For each column the neighbour that is one level finer there, and alike in all other columns, is
counted and judged by the recipe's own models. Either too many rows would have been left out, and
by which rule; or they might have been, but then more had been lost in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridleway.extract.classes import Classes, classes_of
from bridleway.extract.few import Share, Told, share, told
from bridleway.extract.keys import Numbers
from bridleway.extract.loss import Loss
from bridleway.extract.models import Model
from bridleway.extract.population import people_beside
from bridleway.extract.solve import Solution, models_of

_DIGITS = 4
_AVERAGED = "Its numbers are averaged in groups, as the recipe says."
_TIE = 1e-9


@dataclass(frozen=True)
class _Finer:
    """What one finer level would do. out: rows left out; by: per rule, the rows that break it."""

    out: int
    by: dict[str, int]
    loss: float | None


def reasons(
    solution: Solution, owner: Numbers, digits: int | None = None
) -> dict[str, dict[str, Any]]:
    """Return by quasi-identifier why it stands where it stands.

    owner: the released class of each combination; digits: to which losses may be told.
    rule: "untouched", "stated" (by the recipe), "too-many-left-out", "loses-more", or
    "not-reached" where nothing is against the finer level (local recoding splits step by step,
    and a bounded search ends). sentence: the same in words.
    """
    asked = models_of(solution.recipe, solution.encoded, solution.crowd)
    look = _by_node(solution, asked) if solution.searched else _by_row(solution, asked, owner)
    finer = dict(look)
    made = {}
    least = _DIGITS if digits is None else min(_DIGITS, digits)
    for column, one in enumerate(solution.hierarchies):
        stated = solution.recipe.quasi[column].level
        usual = solution.searched
        highest = int(solution.levels[:, column].max()) if usual is None else usual[column]
        if solution.recipe.quasi[column].averaged:
            made[one.column] = {"rule": "stated", "sentence": _AVERAGED}
        elif highest <= (stated or 0):
            made[one.column] = _plain(stated)
        else:
            made[one.column] = _judged(solution, finer[column], least)
    return made


def _plain(stated: int | None) -> dict[str, Any]:
    if stated is None:
        return {"rule": "untouched", "sentence": "It leaves as it is."}
    return {"rule": "stated", "sentence": "The recipe states this level."}


def _by_node(solution: Solution, asked: Sequence[Model]) -> Iterator[tuple[int, _Finer]]:
    """Ask the neighbours of a node: all are made from one table that is finer than each."""
    node, unit = list(solution.searched or ()), solution.encoded.unit
    base = solution.encoded.groups
    common = base.at([max(level - 1, 0) for level in node])
    loss = Loss(base, solution.hierarchies)
    for column, level in enumerate(node):
        if not level:
            continue
        near = (*node[:column], level - 1, *node[column + 1 :])
        groups = common.at(near)
        classes = classes_of(groups, unit)
        bad, by = _fails(solution, asked, classes, near)
        at = np.flatnonzero(bad)
        zeros = np.zeros(len(at), dtype=np.int64)
        product = loss.products(groups, near, groups.starts[at], classes.rows[at], zeros, 1)[0]
        yield column, _Finer(int(classes.rows[at].sum()), by, loss.score(float(product)))


def _by_row(
    solution: Solution, asked: Sequence[Model], owner: Numbers
) -> Iterator[tuple[int, _Finer]]:
    """Ask, where levels differ, what would become of all rows one level finer than they are."""
    encoded = solution.encoded
    groups, unit = encoded.groups, encoded.unit
    extras = [groups.layout.extra_values(groups.words, n) for n in range(len(unit.extras))]
    for column, one in enumerate(solution.hierarchies):
        levels = solution.levels[:, column]
        least = solution.recipe.quasi[column].level or 0
        finer = np.maximum(levels - 1, np.minimum(levels, least))
        leaves = solution.leaves[column]
        code = finer * len(one.leaves) + one.codes[finer, leaves]
        names, part = np.unique(owner * (one.levels * len(one.leaves)) + code, return_inverse=True)
        people = _people(solution, column, part, len(names))
        classes = Classes(len(names), part, groups.counts, extras, unit, people=people)
        bad, by = _fails(solution, asked, classes, ())
        yield column, _Finer(int(classes.rows[bad].sum()), by, None)


def _people(solution: Solution, column: int, part: Numbers, number: int) -> Numbers | None:
    """Return for how many of the population each part would stand, one level finer in a column."""
    crowd, beside = solution.crowd, solution.crowd_levels
    if crowd is None or beside is None:
        return None
    two = []
    for levels in (solution.levels, beside):
        finer = levels.copy()
        least = solution.recipe.quasi[column].level or 0
        finer[:, column] = np.maximum(finer[:, column] - 1, np.minimum(finer[:, column], least))
        two.append(finer)
    stands = people_beside(solution.hierarchies, solution.encoded, two[0], crowd, two[1])
    made = np.zeros(number, dtype=np.int64)
    made[part] = stands
    return made


def _fails(
    solution: Solution, asked: Sequence[Model], classes: Classes, node: Sequence[int]
) -> tuple[Any, dict[str, int]]:
    k = solution.recipe.k
    people = "rows" if solution.encoded.unit.entities is None else "people"
    bad = classes.size < k
    by = {f"in groups of fewer than {k} {people}": int(classes.rows[bad].sum())}
    for model in asked:
        fails = model.fails(classes, node)
        words = _words(solution, model)
        by[words] = by.get(words, 0) + int(classes.rows[fails].sum())
        bad = bad | fails
    return bad, by


def _words(solution: Solution, model: Model) -> str:
    """Return what a class is like that breaks a model."""
    place = getattr(model, "column", None)
    names = list(solution.encoded.sensitive)
    column = f"'{names[place]}'" if isinstance(place, int) and place < len(names) else "others"
    kind = type(model).__name__
    known = {
        "DistinctL": "with fewer than {0.least} values of {1}",
        "EntropyL": "with less than entropy {0.least:g}-diversity of {1}",
        "RecursiveCL": "in which one value of {1} is too frequent ({0.c:g}, {0.least})",
        "TCloseness": "farther than {0.t:g} from the whole table in {1}",
        "BetaLikeness": "with a value of {1} that gains more than {0.beta:g}",
        "KMap": "in groups that stand for fewer than {0.k} people of the population",
        "DeltaPresence": "in groups that tell too well who of the population is in the table",
    }
    return known.get(kind, f"that break {kind} of {{1}}").format(model, column)


def _judged(solution: Solution, finer: _Finer, digits: int) -> dict[str, Any]:
    k, rows = solution.recipe.k, solution.rows
    limit = 0 if solution.searched is None else int(rows * solution.recipe.suppression)
    out, part = told(finer.out, k), share(finer.out, rows, k)
    made: dict[str, Any] = {"left_out": out, "share": part}
    broken = {words: n for words, n in finer.by.items() if n}
    made["because"] = [
        {"rows": words, "share": share(n, rows, k)}
        for words, n in sorted(broken.items(), key=lambda item: -item[1])
    ]
    if finer.loss is not None:
        made["loss"] = round(finer.loss, digits)
    if finer.out > limit:
        rule, said = "too-many-left-out", _too_many(solution, made)
    elif finer.loss is not None and finer.loss > _score(solution) - _TIE:
        rule, said = "loses-more", _loses_more(solution, finer.loss, out, part, digits)
    else:
        rule = "not-reached"
        said = "One level finer breaks no rule; the search, which is bounded, did not come to it."
    return {"rule": rule, "sentence": said, **made}


def _score(solution: Solution) -> float:
    """Return the loss of what was chosen."""
    found, limit = solution.found, int(solution.rows * solution.recipe.suppression)
    best = None if found is None else found.best(solution.recipe.k, limit)
    return np.inf if best is None else best.score


def _too_many(solution: Solution, made: dict[str, Any]) -> str:
    because = made["because"]
    told_of = [f"{one['rows']} ({_percent(one['share'])})" for one in because]
    if len(because) == 1:
        told_of = [because[0]["rows"]]
    whose = " or ".join((", ".join(told_of[:-1]), told_of[-1])) if told_of[1:] else told_of[0]
    said = f"One level finer, {_rows(made['left_out'], made['share'])} would stand {whose}"
    if solution.searched is None:
        return f"{said}; with local recoding no row may."
    return f"{said}; at most {_percent(solution.recipe.suppression)} of the rows may be left out."


def _loses_more(solution: Solution, loss: float, out: Told, part: Share, digits: int) -> str:
    return (
        f"One level finer is allowed, but would leave out {_rows(out, part)} and lose more in "
        f"all: {loss:.{digits}f} instead of {_score(solution):.{digits}f}."
    )


def _rows(count: Told, part: Share) -> str:
    if isinstance(count, str):
        return f"{count} rows"
    return f"about {count:,} rows ({_percent(part)})" if count else "no row"


def _percent(part: Share) -> str:
    return part if isinstance(part, str) else f"{100 * part:.1f} %".replace(".0 %", " %")
