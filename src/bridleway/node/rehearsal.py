"""A question on dummy data, or on data all in one place: the same steps, without a passport.

Analysts develop here before anything is approved; tests compare here with a pooled reference.
Rows take the very path that they take between nodes: source query, tokens, Arrow bytes or
masks, meeting place, disclosure control.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from bridleway.answer import Answer, answer_from_body
from bridleway.errors import Gap, Refused, UsageError, nearest
from bridleway.model.catalogue import Catalogue, TableFacts
from bridleway.model.flow import Combined, Grant, Share
from bridleway.model.passport import Passport
from bridleway.model.policy import Rules
from bridleway.model.question import Question
from bridleway.node.meeting import Meeting, answer_body, cleared_of, combined_of
from bridleway.node.protect import frame_of
from bridleway.node.register import scope_of
from bridleway.questions.check import check
from bridleway.questions.plan import plan
from bridleway.questions.sql import Scope, parse
from bridleway.sources.run import run
from bridleway.techniques.cells import cells_of
from bridleway.techniques.federated import vector
from bridleway.techniques.frames import Frame, to_ipc
from bridleway.techniques.masks import mask
from bridleway.techniques.tokens import question_key

if TYPE_CHECKING:
    from bridleway.sources.connect import Source

DUMMY_ROWS = 5000


def rehearsal_grant(
    question: Question,
    tables: Mapping[str, Sequence[TableFacts]],
    technique: str,
    rules: Rules | None = None,
    at_most: Mapping[str, int | None] | None = None,
) -> Grant:
    """Return a grant that no node gave: for dummy and test data only.

    tables: passport table name -> facts at each organisation.
    """
    floor = rules or Rules()
    nodes = sorted({facts.node for parts in tables.values() for facts in parts})
    shares = tuple(
        Share(
            node,
            {name: f for name, parts in tables.items() for f in parts if f.node == node},
            floor,
            {},
            "",
        )
        for node in nodes
    )
    limits = {name: 1 if len(parts) == 1 else None for name, parts in tables.items()}
    limits |= dict(at_most or {})
    facts = {
        name: tuple(s.tables[name] for s in shares if name in s.tables) for name in question.tables
    }
    return Grant(
        passport_id="rehearsal",
        passport_digest="",
        question_id="rehearsal",
        question=check(question, facts, limits, technique, most_cells=floor.most_cells),
        technique=technique,
        linker=None if technique == "local" else "linker",
        shares=shares,
        rules=floor,
        asker="",
        request=secrets.token_hex(8),
        at="",
        until="",
        at_most=limits,
    )


def compute(grant: Grant, sources: Mapping[str, Source]) -> Combined:
    """Return the combined result, exact. sources: source id -> open source."""
    made = plan(grant)
    meeting = Meeting(grant, made)
    secret = secrets.token_bytes(32)
    held: dict[str, dict[str, list[Frame]]] = {}
    for task in made.tasks:

        def key_of(identifier: str) -> bytes:
            return question_key(secret, grant.passport_digest, grant.question.digest, identifier)

        facts = next(s for s in grant.shares if s.node == task.node).tables[task.name]
        batches = run(sources[f"{task.node}.{task.source}"], facts, task)
        frame, _ = frame_of(batches, task, key_of)
        held.setdefault(task.node, {}).setdefault(task.name, []).append(frame)
        if grant.technique == "linked":
            body = {"table": task.name, "figures": {}}
            meeting.receive(task.node, body, to_ipc(frame))
        elif grant.technique == "local":
            meeting.keep(task.node, task.name, to_ipc(frame), {})
    if grant.technique == "federated":
        pairs = {pair: secrets.token_bytes(32) for pair in combinations(grant.nodes, 2)}
        for node, frames in held.items():
            words = vector(made.recipe, cells_of(made.recipe, frames))
            mine = {
                (b if a == node else a): secret
                for (a, b), secret in pairs.items()
                if node in (a, b)
            }
            masked = mask(words, node, mine, b"rehearsal")
            meeting.receive(node, {"figures": {}}, masked.tobytes())
    return combined_of(grant, made, meeting.parts)[0]


def ask_dummy(
    text: str,
    facts: Mapping[str, TableFacts],
    *,
    passport: Passport | None = None,
    rows: int = DUMMY_ROWS,
    seed: int = 0,
) -> Answer:
    """Answer a question on dummy data made from catalogues alone.

    text: SQL, or the id of a question in the passport. facts: `node.source.table` -> declared
    facts. passport: a draft that names tables and technique; without one, table names are the
    catalogues' own and people are joined with `linked`.
    """
    if passport is not None:
        pinned = next((q for q in passport.questions if q.id == text), None)
        tables = {
            name: tuple(_found(facts, ".".join(at)) for at in binding.at)
            for name, binding in passport.tables.items()
        }
        limits = {
            name: 1 if binding.disjoint or len(binding.at) == 1 else binding.at_most
            for name, binding in passport.tables.items()
        }
        question = parse(pinned.text if pinned else text, scope_of(passport))
        technique = pinned.technique if pinned else "linked"
    else:
        tables = _by_table_name(facts)
        limits = {}
        entities = {e for parts in tables.values() for f in parts for e in f.entities}
        scope = Scope(
            {name: frozenset(parts[0].columns) for name, parts in tables.items()},
            frozenset({"person", *entities}),
        )
        question, technique = parse(text, scope), "linked"
    touched = {}
    for name in question.tables:
        if name not in tables:
            raise Refused(
                f"There is no table '{name}'.{nearest(name, tables)}",
                f"Known: {', '.join(tables)}.",
            )
        touched[name] = tables[name]
    grant = rehearsal_grant(question, touched, technique, at_most=limits)
    with tempfile.TemporaryDirectory(prefix="bridleway-dummy-") as folder:
        combined = compute(grant, _dummy_sources(touched, Path(folder), rows, seed))
    recipe = plan(grant).recipe
    cleared = cleared_of(combined, grant, recipe)
    outcome = "answered" if any(c.values is not None for c in cleared.cells) else "withheld"
    return answer_from_body(
        answer_body(cleared, grant, recipe),
        outcome=outcome,
        figures=cleared.figures,
        dummy=True,
        notes=("Dummy data, made from the catalogues alone: the numbers mean nothing.",),
    )


def _found(facts: Mapping[str, TableFacts], name: str) -> TableFacts:
    if name not in facts:
        raise Gap(
            f"No catalogue describes '{name}'.{nearest(name, facts)}",
            "Run `bridleway source describe`, or correct data.tables.",
        )
    return facts[name]


def _by_table_name(facts: Mapping[str, TableFacts]) -> dict[str, tuple[TableFacts, ...]]:
    made: dict[str, tuple[TableFacts, ...]] = {}
    for table in facts.values():
        if table.table in made:
            raise UsageError(
                f"Two catalogues have a table '{table.table}'.",
                "Name the tables in a passport and add --passport FILE.",
            )
        made[table.table] = (table,)
    return made


def _dummy_sources(
    tables: Mapping[str, Sequence[TableFacts]], folder: Path, rows: int, seed: int
) -> dict[str, Source]:
    from bridleway.sources.connect import connect
    from bridleway.sources.dummy import write_dummy

    by_source: dict[str, dict[str, TableFacts]] = {}
    for parts in tables.values():
        for facts in parts:
            by_source.setdefault(facts.source_id, {})[facts.table] = facts
    made = {}
    for source, held in by_source.items():
        node, _, name = source.partition(".")
        write_dummy(Catalogue(node, name, held), folder / source, rows=rows, seed=seed)
        made[source] = connect(f"parquet://{folder / source}", base=folder)
    return made
