"""At the meeting place: partial results wait, are combined and cleared, and leave once."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np

from bridleway.disclosure.clear import Last, MeasureFacts, Outside, Sensitivity, clear
from bridleway.disclosure.words import rules_in_words, what_you_can_do
from bridleway.errors import Fault, Refused
from bridleway.ledger.receipts import commitment
from bridleway.model.flow import ALL, Cell, Cleared, Combined, Grant
from bridleway.model.plan import Plan, Recipe
from bridleway.node.meter import Meter
from bridleway.node.note import notes_of
from bridleway.node.overlap import Earlier, last_of, outsides_of, record_of, rivals_of
from bridleway.questions.plan import plan
from bridleway.techniques.cells import count, people_matched
from bridleway.techniques.changes import Followed
from bridleway.techniques.federated import combine
from bridleway.techniques.frames import Frame, from_ipc

Parts: TypeAlias = Mapping[tuple[str, str], "bytes | memoryview | Frame"]


@dataclass
class Meeting:
    """One question at the meeting place, from the first partial result to the release.

    parts: what came, by (node, table); table is empty for masked numbers. local: what a worker
    has to know that answers from the only source. worked: what a worker
    made of them: never an exact cell. kept: members as bytes.
    held: positions of held cells; reasons: (cell key, rule) of hidden ones, for the sealed log.
    again: the answer was released before, and the asker's node brought it back.
    """

    grant: Grant
    plan: Plan
    parts: dict[tuple[str, str], bytes | memoryview] = field(default_factory=dict)
    local: dict[str, Any] | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    earlier: tuple[Earlier, ...] = ()
    related: list[Any] = field(default_factory=list)
    worked: dict[str, Any] | None = None
    kept: bytes | memoryview = b""
    members_key: bytes = b""
    held: list[int] = field(default_factory=list)
    reasons: list[Any] = field(default_factory=list)
    salt: str = ""
    answer: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    again: bool = False

    def receive(self, node: str, body: Mapping[str, Any], attachment: bytes | memoryview) -> None:
        """Take one node's partial result. Raises Refused from a node that does not take part."""
        if node not in self.grant.nodes:
            raise Refused(
                "That node takes no part in this question.", "Ask again.", code="stranger"
            )
        table = "" if self.grant.technique == "federated" else str(body["table"])
        if table and (node, table) in self.parts:
            raise Refused("A partial result came twice.", "Ask again.", code="replay")
        self.keep(node, table, attachment, body["figures"])

    def keep(
        self, node: str, table: str, part: bytes | memoryview, figures: Mapping[str, Any]
    ) -> None:
        """Keep a part and its protected figures."""
        self.parts[(node, table)] = part
        self.figures |= dict(figures)

    def require_all(self) -> None:
        """Raise Fault that names a node whose part is missing."""
        if self.local is not None:
            return
        wanted = {(task.node, task.name) for task in self.plan.tasks}
        if self.grant.technique == "federated":
            wanted = {(node, "") for node in self.grant.nodes}
        for node in sorted({n for n, _ in wanted} - {n for n, _ in self.parts}):
            raise Fault(
                f"The partial result of '{node}' did not arrive; no partial total is released.",
                f"Check that '{node}' is up, then ask again.",
                where=node,
            )
        if set(self.parts) != wanted:
            raise Fault("A partial result is missing.", "Ask again.")

    @property
    def last(self) -> tuple[Last, Earlier] | None:
        """What was last released of the question on other data versions."""
        return last_of(self.grant, self.earlier)

    def met(self, worked: dict[str, Any], kept: bytes | memoryview) -> None:
        """Take what a worker combined and cleared in one go; what came is let go."""
        self.worked, self.kept = worked, kept
        self.parts.clear()

    def cleared(self) -> None:
        """Make the worker's result the answer. Raises Fault where nothing was combined."""
        if self.worked is None:
            raise Fault("Nothing has been combined.", "Ask again.")
        told = self.worked
        self.figures |= told["figures"]
        self.answer, self.record = told["answer"], told["record"]
        self.held, self.reasons = told["held"], told["reasons"]
        self.worked = None

    def committed(self) -> str:
        """Return the salted commitment to answer and rules."""
        self.salt = self.salt or secrets.token_hex(16)
        if self.answer is None:
            raise Fault("Nothing has been cleared.", "Ask again.")
        return commitment(self.salt, self.answer, self.grant.rules.to_json())


def combined_of(
    grant: Grant, made: Plan, parts: Parts, before: bytes | None = None, asked_before: bool = False
) -> tuple[Combined, Followed | None]:
    """Join or add what came. Returns exact cells and who is in them.

    before: the members of what was last released of this question; asked_before: it was.
    """
    recipe = made.recipe
    followed = None
    if grant.technique == "federated":
        at_most = max(
            (m for t in recipe.tables if (m := grant.at_most.get(t)) is not None), default=1
        )
        words = [
            np.frombuffer(cast("bytes", parts[(node, "")]), dtype="<u8").reshape(-1, 2)
            for node in grant.nodes
        ]
        cells = combine(recipe, words, at_most)
    else:
        frames: dict[str, list[Frame]] = {table: [] for table in recipe.tables}
        for (_, table), part in sorted(parts.items(), key=lambda item: item[0]):
            frames[table].append(part if isinstance(part, Frame) else from_ipc(part))
        counted = count(recipe, frames, None if before is None else Followed.from_bytes(before))
        cells, followed = counted.cells, counted.followed
        if before is None and asked_before:
            cells = tuple(all_changed(cell) for cell in cells)
    asked = tuple(
        recipe.asked(kept) for kept in recipe.grouping_sets for _ in range(recipe.size(kept))
    )
    combined = Combined(cells, asked, {"people_matched": people_matched(recipe, cells)})
    return combined, followed


def clear_combined(
    combined: Combined, grant: Grant, recipe: Recipe, earlier: Sequence[Earlier]
) -> dict[str, Any]:
    """Apply disclosure control and return, as plain JSON data, what `Meeting.cleared` takes."""
    last = last_of(grant, earlier)
    cleared = cleared_of(
        combined,
        grant,
        recipe,
        None if last is None else last[0],
        outsides_of(grant, recipe, earlier),
    )
    return {
        "answer": answer_body(cleared, grant, recipe),
        "figures": dict(cleared.figures),
        "record": record_of(grant, cleared),
        "held": list(cleared.held),
        "reasons": notes_of(cleared),
    }


def all_changed(cell: Cell) -> Cell:
    """Return a cell of which nobody knows any more who was in it: it counts as just changed."""
    return Cell(cell.key, {**cell.numbers, "changed": 1})


def cleared_of(
    combined: Combined,
    grant: Grant,
    recipe: Recipe,
    last: Last | None = None,
    outsides: Sequence[Outside] = (),
) -> Cleared:
    """Apply the grant's rules to a combined result."""
    measures = {
        part.measure.name: MeasureFacts(
            scale=part.scale,
            low=part.low,
            high=part.high,
            sensitive=part.sensitive,
            conditional=part.conditional,
            branches=len(part.branches),
        )
        for part in recipe.measures
    }
    sensitivity = Sensitivity(
        predicate=recipe.predicate_sensitive, groups=tuple(g.sensitive for g in recipe.groups)
    )
    return clear(
        combined,
        grant.question,
        grant.rules,
        measures,
        sensitivity,
        last,
        outsides,
        rivals_of(grant),
    )


def answer_body(cleared: Cleared, grant: Grant, recipe: Recipe) -> dict[str, Any]:
    """Return the answer as canonical data: what is committed to, released and shown."""
    return {
        "question": grant.question_id,
        "groups": [group.name for group in recipe.groups],
        "measures": [part.measure.name for part in recipe.measures],
        "select": list(grant.question.select),
        "rows": [
            {
                "key": [{"all": True} if value is ALL else value for value in cell.key],
                "values": None if cell.values is None else dict(cell.values),
            }
            for cell in cleared.cells
        ],
        "rules_in_words": list(rules_in_words(grant.rules)),
        "advice": list(what_you_can_do(grant.rules)) if cleared.withheld else [],
    }


class Meetings:
    """All questions that meet at this node."""

    def __init__(self) -> None:
        self._open: dict[str, Meeting] = {}
        self._lock = threading.Lock()

    def start(self, grant: Grant) -> Meeting:
        """Return the meeting of a request, opening it when first met."""
        with self._lock:
            if grant.request not in self._open:
                self._open[grant.request] = Meeting(grant, plan(grant))
            return self._open[grant.request]

    def at(self, request: str) -> Meeting:
        """Return an open meeting. Raises Fault when there is none."""
        with self._lock:
            if request in self._open:
                return self._open[request]
        raise Fault("This question does not meet here.", "Ask again.")

    def end(self, request: str) -> None:
        """Forget a meeting and everything in it."""
        with self._lock:
            self._open.pop(request, None)
