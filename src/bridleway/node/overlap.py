"""What earlier answers tell about a new one: their texts and released figures, cut into blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bridleway.disclosure.clear import MATCHED, Last, Outside
from bridleway.disclosure.rounding import possible_people
from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.errors import Refused
from bridleway.model.blocks import blocks_of
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import ALL, Cleared, Grant
from bridleway.model.plan import Recipe, branch_name
from bridleway.model.policy import Rules
from bridleway.model.question import Column, Question, question_from_json
from bridleway.questions.apart import comparable, in_place, place_of, rivals
from bridleway.questions.atoms import MOST_ATOMS, SUMMED, Atoms, Flags, TooManyAtoms, columns_of
from bridleway.questions.canonical import canonical

MOST_TOGETHER = 1 << 14  # atoms of one group of answers: what is weighed within a second


@dataclass(frozen=True, slots=True)
class Earlier:
    """A released answer as a touched node stored it.

    question: canonical, its tables renamed to their places; facts: by place, of the columns that
    it used. versions: source id -> data version.
    rows: cell key -> people as they may be known, under '' of the cell and by number of its
    parts, None where withheld; values: cell key -> released values, None where withheld.
    """

    question: Question
    digest: str
    facts: Mapping[str, TableFacts]
    versions: Mapping[str, str]
    rules: Rules
    figures: Mapping[str, Any]
    rows: Mapping[tuple[Any, ...], Mapping[str, int | None]]
    values: Mapping[tuple[Any, ...], Mapping[str, Any] | None]


def record_of(grant: Grant, cleared: Cleared) -> dict[str, Any]:
    """Return what each touched node stores beside an answer, for later answers to be held to."""
    return {
        "question": grant.question.to_json(),
        "places": places_of(grant),
        "versions": grant.versions,
        "rules": grant.rules.to_json(),
        "people": [cell.people for cell in cleared.cells],
        "parts": [dict(cell.parts) for cell in cleared.cells],
        "facts": {t: grant.facts(t)[0].to_json() for t in grant.question.tables},
    }


def read_earlier(stored: Mapping[str, Any]) -> Earlier | None:
    """Read a stored answer with its record; None for one that was stored without."""
    record = stored.get("record")
    if record is None:
        return None
    question = question_from_json(record["question"])
    keys = [
        tuple(ALL if isinstance(v, dict) else v for v in row["key"])
        for row in stored["answer"]["rows"]
    ]
    rows = {
        key: {"": people, **parts}
        for key, people, parts in zip(keys, record["people"], record["parts"], strict=True)
    }
    values = [row["values"] for row in stored["answer"]["rows"]]
    return Earlier(
        question=in_place(canonical(question), record["places"]),
        digest=question.digest,
        facts={
            record["places"][table]: TableFacts.from_json(facts)
            for table, facts in record["facts"].items()
        },
        versions=record["versions"],
        rules=Rules.from_json(record["rules"]),
        figures=stored["figures"],
        rows=rows,
        values=dict(zip(keys, values, strict=True)),
    )


def places_of(grant: Grant) -> dict[str, str]:
    """Return where each table of a granted question lies."""
    return {
        table: place_of((f.node, f.source, f.table) for f in grant.facts(table))
        for table in grant.question.tables
    }


def last_of(grant: Grant, earlier: Sequence[Earlier]) -> tuple[Last, Earlier] | None:
    """Return what was last released of this very question on other data versions.

    earlier: in the order of release.
    """
    digest = grant.question.digest
    same = [e for e in earlier if e.digest == digest and e.versions != grant.versions]
    if not same:
        return None
    newest = same[-1]
    return Last(newest.values, newest.figures, newest.rows), newest


def bears_on(one: Earlier, grant: Grant) -> bool:
    """Tell whether a released answer can say anything about a question's cells."""
    if one.digest == grant.question.digest:
        return True
    return comparable(one.question, in_place(canonical(grant.question), places_of(grant)))


def outsides_of(grant: Grant, recipe: Recipe, earlier: Sequence[Earlier]) -> list[Outside]:
    """Return what earlier answers tell about this question's cells, over few sets of blocks.

    All earlier answers are looked at together as far as `MOST_TOGETHER` atoms tell them apart;
    more of them are looked at in groups, those with the most columns in common first, so that
    the new answer and each earlier one always stand side by side.

    Where joins differ, being in a further table is one more condition on the people. A question
    that was never asked before is also held to the newest answers on other data versions; one
    that was is held to its own last release.
    """
    if not grant.rules.together:
        return []
    places = places_of(grant)
    question = in_place(canonical(grant.question), places)
    near = [e for e in earlier if comparable(e.question, question)]
    others = [e for e in near if _same_data(e, grant)]
    if last_of(grant, earlier) is None:
        newest = {e.digest: e for e in near if not _same_data(e, grant)}
        known = {e.digest for e in others}
        others += [e for digest, e in newest.items() if digest not in known]
    mine = {places[t]: grant.facts(t)[0] for t in grant.question.tables}
    try:
        groups = _groups(question, mine, others)
    except TooManyAtoms:
        nothing = np.zeros((0, 0), dtype=bool)
        number = np.zeros(0, dtype=np.int64)
        return [Outside(nothing, nothing, number, number, untold=True)]
    return [
        _Outside(atoms, recipe, group, [_same_data(e, grant) for e in group]).made()
        for group, atoms in groups
    ]


def _groups(
    question: Question, mine: Mapping[str, TableFacts], others: Sequence[Earlier]
) -> list[tuple[list[Earlier], Atoms]]:
    """Sort earlier answers into as few groups as `MOST_TOGETHER` atoms allow, by their columns.

    Each group comes with the atoms of its questions, this one first. Raises TooManyAtoms where
    this question and a single answer are too many.
    """

    def atoms(group: Sequence[Earlier], most: int) -> Atoms:
        questions = [question, *(e.question for e in group)]
        return Atoms(questions, _all_facts(mine, group), undeclared=True, most=most)

    alike: dict[frozenset[Column], list[Earlier]] = {}
    for one in others:
        alike.setdefault(columns_of(one.question), []).append(one)
    own = columns_of(question)
    waiting = sorted(alike, key=lambda columns: (len(columns - own), -len(columns & own)))
    made: list[tuple[list[Earlier], Atoms]] = []
    for columns in waiting:
        for place, (group, _) in enumerate(made):
            with suppress(TooManyAtoms):
                larger = [*group, *alike[columns]]
                made[place] = larger, atoms(larger, MOST_TOGETHER)
                break
        else:
            try:
                made.append((alike[columns], atoms(alike[columns], MOST_ATOMS)))
            except TooManyAtoms:
                made += [([one], atoms([one], MOST_ATOMS)) for one in alike[columns]]
    return made


def rivals_of(grant: Grant) -> tuple[tuple[str, str], ...]:
    """Return the pairs of numbers of each cell that differ by few people by the text alone.

    Raises Refused where the conditions are too many to be told apart.
    """
    facts = {table: grant.facts(table)[0] for table in grant.question.tables}
    try:
        pairs = rivals(canonical(grant.question), facts)
    except TooManyAtoms:
        raise Refused(
            "The measures have too many conditions to be weighed together.",
            "Ask for fewer measures at a time, or use fewer columns in their conditions.",
            code="together",
        ) from None
    return tuple((number_of(one), number_of(other)) for one, other in pairs)


class _Outside:
    """Puts together what is known of earlier figures, over blocks of atoms."""

    def __init__(
        self, atoms: Atoms, recipe: Recipe, others: Sequence[Earlier], same: Sequence[bool]
    ) -> None:
        self.atoms, self.others, self.same = atoms, others, same
        atoms.coarsen()
        self.size = len(atoms.base(0))
        keys = [key for kept in recipe.grouping_sets for key in recipe.keys(kept)]
        place = {key: i for i, key in enumerate(keys)}
        self.cells = np.zeros((len(keys), self.size), dtype=bool)
        self.parts: list[tuple[int, str, Flags]] = []
        for population in atoms.populations(0):
            cell = place.get(population.key)
            if cell is None:
                continue
            if population.part:
                self.parts.append((cell, number_of(population.part), population.inside))
            else:
                self.cells[cell] = population.inside
        self.known = [figure for i in range(len(others)) for figure in self._figures(i)]

    def _figures(self, index: int) -> Iterator[tuple[Flags, int, int, bool]]:
        """Return (people, fewest, most, on the same data) of an earlier answer's figures."""
        one, same = self.others[index], self.same[index]
        rest = [o for o, alike in zip(self.others, self.same, strict=True) if alike == same]
        for population in self.atoms.populations(index + 1):
            known = _known(one, population.key, rest, population.part)
            if known is not None:
                yield population.inside, *known, same
        matched = one.figures.get(MATCHED)
        if isinstance(matched, int):
            yield self.atoms.base(index + 1), *_base_bounds(matched, one.rules), same

    def made(self) -> Outside:
        """Return what is known, over the coarsest blocks that tell all figures apart."""
        atoms = self.atoms
        earlier = np.array([f for f, *_ in self.known], dtype=bool).reshape(-1, self.size)
        base = atoms.base(0)
        mine = np.vstack([self.cells, *(flags[None, :] for _, _, flags in self.parts), base])
        first, which = blocks_of(mine, earlier)
        weights = np.bincount(which, weights=atoms.weights(), minlength=len(first))
        return Outside(
            self.cells[:, first],
            earlier[:, first],
            np.array([low for _, low, _, _ in self.known], dtype=np.int64),
            np.array([high for _, _, high, _ in self.known], dtype=np.int64),
            same=np.array([same for *_, same in self.known], dtype=bool),
            parts=tuple((cell, name, flags[first]) for cell, name, flags in self.parts),
            base=base[first],
            declared=weights > 0,
            twins=lambda place, number: atoms.twins(mine[place], earlier[number]),
        )


def number_of(part: str) -> str:
    """Return the name of a cell's number that counts the people of a population's part."""
    name, _, number = part.removeprefix(SUMMED).rpartition(".")
    return branch_name(name, int(number)) if part.startswith(SUMMED) else f"{name}.people"


def _base_bounds(matched: int, rules: Rules) -> tuple[int, int]:
    base = rules.rounding_counts
    return max(matched - base // 2, threshold(rules)), matched + (base - 1) // 2


def _all_facts(mine: Mapping[str, TableFacts], others: Sequence[Earlier]) -> dict[str, TableFacts]:
    """Return what is declared of every column that one of the questions uses."""
    made = dict(mine)
    for one in others:
        for place, facts in one.facts.items():
            known = made.get(place)
            columns = facts.columns if known is None else {**facts.columns, **known.columns}
            made[place] = replace(facts, columns=columns)
    return made


def _same_data(one: Earlier, grant: Grant) -> bool:
    """Tell whether both answers read the same data of every source that they share."""
    return all(grant.versions.get(s, v) == v for s, v in one.versions.items())


def _known(
    one: Earlier, key: tuple[Any, ...], others: Sequence[Earlier], part: str
) -> tuple[int, int] | None:
    """Return the fewest and most people of an earlier cell, (-1, -1) if withheld, else None.

    A margin that was not asked for is known where every cell of it was shown. part: of a cell,
    the people whom a condition sorts out; a withheld part is protected as its cell.
    """
    number = number_of(part) if part else ""
    if key in one.rows:
        people = one.rows[key].get(number)
        if people is not None:
            return _bounds(people, one.rules)
        shown = part or any(
            o.question == one.question and key in o.rows and o.rows[key].get(number) is not None
            for o in others
        )
        return None if shown else (-1, -1)
    if one.question.limit is not None:
        return None
    cells = [
        row.get(number)
        for other, row in one.rows.items()
        if all(k is ALL or k == o for k, o in zip(key, other, strict=True)) and ALL not in other
    ]
    if not cells or None in cells:
        return None
    bounds = [_bounds(people, one.rules) for people in cells if people is not None]
    return sum(low for low, _ in bounds), sum(high for _, high in bounds)


def _bounds(people: int, rules: Rules) -> tuple[int, int]:
    """Return the fewest and the most people of a figure; only nobody is released as 0."""
    return (0, 0) if people == 0 else possible_people(people, rules)
