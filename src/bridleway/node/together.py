"""All passports on the same sources together: what may stand side by side, and under what noise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bridleway.disclosure.rules.smallest_group import threshold
from bridleway.model.catalogue import TableFacts
from bridleway.model.passport import Passport
from bridleway.model.policy import Rules
from bridleway.model.question import Question
from bridleway.node.holdings import Holdings
from bridleway.node.register import Register
from bridleway.questions.apart import (
    Place,
    Standing,
    in_place,
    needs_cell_keys,
    place_of,
    require_apart,
)
from bridleway.questions.canonical import canonical

# States out of which no further answer can come.
OVER = ("refused", "expired", "revoked", "superseded", "withdrawn")


def standing_questions(passport: Passport, pinned: Mapping[str, Question]) -> dict[str, Standing]:
    """Return a passport's statistics with their tables renamed to where they really lie."""
    places = {name: place_of(binding.at) for name, binding in passport.tables.items()}
    return {
        id_: Standing(f"{passport.id}: {id_}", in_place(canonical(question), places))
        for id_, question in pinned.items()
    }


def others(register: Register, passport_id: str, now: datetime) -> list[Standing]:
    """Return the questions of every other passport here that is not over."""
    return [
        standing
        for passport, _ in register.passports()
        if passport.id != passport_id and register.standing(passport, now).state not in OVER
        for standing in standing_questions(passport, register.pinned(passport)).values()
    ]


def own_facts(holdings: Holdings, node: str, passport: Passport) -> dict[Place, TableFacts]:
    """Return what this node declares of the tables that a passport reads."""
    made = {}
    known = holdings.names()
    for binding in passport.tables.values():
        for at, source, table in binding.at:
            if at != node or source not in known or not holdings.catalogue_path(source).exists():
                continue
            facts = holdings.catalogue(source).tables.get(table)
            if facts is not None:
                made[place_of(binding.at)] = facts
    return made


def require_together(
    register: Register,
    holdings: Holdings,
    node: str,
    passport: Passport,
    rules: Rules,
    now: datetime,
) -> None:
    """Raise Refused (code 'together') if a new passport's questions and the others' could isolate.

    Each node weighs what it declares itself: columns of others are looked at by their owners.
    """
    facts = own_facts(holdings, node, passport)
    if not facts or not rules.together:
        return
    new = standing_questions(passport, register.pinned(passport))
    touching = [s for s in new.values() if set(s.question.tables) & set(facts)]
    require_apart(touching, others(register, passport.id, now), facts, threshold(rules))


def cell_keys_required(
    register: Register, passport: Passport, question: Question, now: datetime
) -> bool:
    """Tell whether another passport reads the question's sources joined otherwise."""
    places = {name: place_of(binding.at) for name, binding in passport.tables.items()}
    here = in_place(canonical(question), places)
    return needs_cell_keys(here, [s.question for s in others(register, passport.id, now)])
