"""What earlier answers tell about a new one: their texts and released figures, cut into blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bridleway.disclosure.clear import Last, Outside
from bridleway.disclosure.rounding import possible_people
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import ALL, Cleared, Grant
from bridleway.model.plan import Recipe
from bridleway.model.policy import Rules
from bridleway.model.question import Question, question_from_json
from bridleway.questions.apart import comparable, family, in_place, place_of
from bridleway.questions.atoms import Atoms, TooManyAtoms
from bridleway.questions.canonical import canonical


@dataclass(frozen=True, slots=True)
class Earlier:
    """A released answer as a touched node stored it.

    question: canonical, its tables renamed to their places; facts: by place, of the columns that
    it used. versions: source id -> data version.
    rows: cell key -> (people as they may be known, released values), None where withheld.
    """

    question: Question
    digest: str
    facts: Mapping[str, TableFacts]
    versions: Mapping[str, str]
    rules: Rules
    figures: Mapping[str, Any]
    rows: Mapping[tuple[Any, ...], tuple[int | None, Mapping[str, Any] | None]]


def record_of(grant: Grant, cleared: Cleared) -> dict[str, Any]:
    """Return what each touched node stores beside an answer, for later answers to be held to."""
    return {
        "question": grant.question.to_json(),
        "places": places_of(grant),
        "versions": grant.versions,
        "rules": grant.rules.to_json(),
        "people": [cell.people for cell in cleared.cells],
        "facts": {t: grant.facts(t)[0].to_json() for t in grant.question.tables},
    }


def read_earlier(stored: Mapping[str, Any]) -> Earlier | None:
    """Read a stored answer with its record; None for one that was stored without."""
    record = stored.get("record")
    if record is None:
        return None
    question = question_from_json(record["question"])
    rows = {
        tuple(ALL if isinstance(v, dict) else v for v in row["key"]): (people, row["values"])
        for row, people in zip(stored["answer"]["rows"], record["people"], strict=True)
    }
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
    cells = {key: values for key, (_, values) in newest.rows.items()}
    return Last(cells, newest.figures), newest


def outside_of(grant: Grant, recipe: Recipe, earlier: Sequence[Earlier]) -> Outside | None:
    """Return what answers on the same data versions tell about this question's cells.

    Only answers over the same joined people can be compared by their texts; where joins differ,
    cell keys are required instead.
    """
    places = places_of(grant)
    question = in_place(canonical(grant.question), places)
    others = [
        e
        for e in earlier
        if _same_data(e, grant) and _is_comparable(e.question, question, grant.rules)
    ]
    if not others:
        return None
    tables = _all_facts({places[t]: grant.facts(t)[0] for t in grant.question.tables}, others)
    keys = [key for kept in recipe.grouping_sets for key in recipe.keys(kept)]
    try:
        atoms = Atoms([question, *(e.question for e in others)], tables, undeclared=True)
    except TooManyAtoms:
        nothing = np.zeros((0, 0), dtype=bool)
        number = np.zeros(0, dtype=np.int64)
        return Outside(nothing, nothing, number, number, untold=True)
    mine = {p.key: p.inside for p in atoms.populations(0) if not p.part}
    cells = np.array([mine.get(key, np.zeros(atoms.size, dtype=bool)) for key in keys])
    sets, low, high = [], [], []
    for place, one in enumerate(others, start=1):
        for population in atoms.populations(place):
            known = None if population.part else _known(one, population.key, others)
            if known is not None:
                sets.append(population.inside)
                low.append(known[0])
                high.append(known[1])
    earlier_sets = np.array(sets, dtype=bool).reshape(len(sets), atoms.size)
    _, first = np.unique(
        np.packbits(np.vstack([cells, earlier_sets]), axis=0), axis=1, return_index=True
    )
    return Outside(cells[:, first], earlier_sets[:, first], np.array(low), np.array(high))


def _all_facts(mine: Mapping[str, TableFacts], others: Sequence[Earlier]) -> dict[str, TableFacts]:
    """Return what is declared of every column that one of the questions uses."""
    made = dict(mine)
    for one in others:
        for place, facts in one.facts.items():
            known = made.get(place)
            columns = facts.columns if known is None else {**facts.columns, **known.columns}
            made[place] = replace(facts, columns=columns)
    return made


def _is_comparable(one: Question, other: Question, rules: Rules) -> bool:
    """Tell whether texts decide: with other joins they do where no noise is keyed to people."""
    return comparable(one, other) and (not rules.cell_key or family(one) == family(other))


def _same_data(one: Earlier, grant: Grant) -> bool:
    """Tell whether both answers read the same data of every source that they share."""
    return all(grant.versions.get(s, v) == v for s, v in one.versions.items())


def _known(one: Earlier, key: tuple[Any, ...], others: Sequence[Earlier]) -> tuple[int, int] | None:
    """Return the fewest and most people of an earlier cell, (-1, -1) if withheld, else None.

    A margin that was not asked for is known where every cell of it was shown.
    """
    if key in one.rows:
        people = one.rows[key][0]
        if people is not None:
            return possible_people(people, one.rules)
        shown = any(o.question == one.question and _people(o, key) is not None for o in others)
        return None if shown else (-1, -1)
    if one.question.limit is not None:
        return None
    parts = [
        people
        for other, (people, _) in one.rows.items()
        if all(k is ALL or k == o for k, o in zip(key, other, strict=True)) and ALL not in other
    ]
    if not parts or None in parts:
        return None
    bounds = [possible_people(people, one.rules) for people in parts if people is not None]
    return sum(low for low, _ in bounds), sum(high for _, high in bounds)


def _people(one: Earlier, key: tuple[Any, ...]) -> int | None:
    return one.rows[key][0] if key in one.rows else None
