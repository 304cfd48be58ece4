"""At the meeting place: partial results wait, are combined and cleared, and leave once."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bridleway.disclosure.clear import Last, MeasureFacts, Outside, Sensitivity, clear
from bridleway.disclosure.words import rules_in_words, what_you_can_do
from bridleway.errors import Fault, Refused
from bridleway.ledger.receipts import commitment
from bridleway.model.flow import ALL, Cell, Cleared, Combined, Grant
from bridleway.model.plan import Plan, Recipe
from bridleway.node.meter import Meter
from bridleway.node.overlap import Earlier, last_of, outside_of, record_of, rivals_of
from bridleway.questions.plan import plan
from bridleway.techniques.cells import count, people_matched
from bridleway.techniques.changes import Followed
from bridleway.techniques.federated import combine
from bridleway.techniques.frames import Frame, from_ipc


@dataclass
class Meeting:
    """One question at the meeting place, from the first partial result to the release."""

    grant: Grant
    plan: Plan
    frames: dict[tuple[str, str], Frame] = field(default_factory=dict)
    vectors: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    combined: Combined | None = None
    cleared: Cleared | None = None
    salt: str = ""
    answer: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    earlier: tuple[Earlier, ...] = ()
    followed: Followed | None = None
    members_key: bytes = b""

    def receive(self, node: str, body: Mapping[str, Any], attachment: bytes | memoryview) -> None:
        """Take one node's partial result. Raises Refused from a node that does not take part."""
        if node not in self.grant.nodes:
            raise Refused(
                "That node takes no part in this question.", "Ask again.", code="stranger"
            )
        if self.grant.technique == "federated":
            words = np.frombuffer(attachment, dtype="<u8").reshape(-1, 2)
            self.vectors[node] = words
        else:
            table = str(body["table"])
            if (node, table) in self.frames:
                raise Refused("A partial result came twice.", "Ask again.", code="replay")
            self.frames[(node, table)] = from_ipc(attachment)
        self.figures |= dict(body["figures"])

    def keep(self, node: str, table: str, frame: Frame, figures: Mapping[str, Any]) -> None:
        """Keep a frame of the node's own (technique `local`)."""
        self.frames[(node, table)] = frame
        self.figures |= dict(figures)

    def combine(self, before: bytes | None = None) -> None:
        """Join or add what came. Raises Fault that names a node whose part is missing.

        before: the members of what was last released of this question, where it was.
        """
        recipe = self.plan.recipe
        if self.grant.technique == "federated":
            self._require(set(self.vectors), set(self.grant.nodes))
            at_most = max(
                (m for t in recipe.tables if (m := self.grant.at_most.get(t)) is not None),
                default=1,
            )
            parts = [self.vectors[node] for node in self.grant.nodes]
            cells = combine(recipe, parts, at_most)
        else:
            wanted = {(task.node, task.name) for task in self.plan.tasks}
            self._require({n for n, _ in self.frames}, {n for n, _ in wanted})
            if set(self.frames) != wanted:
                raise Fault("A partial result is missing.", "Ask again.")
            counted = count(
                recipe,
                {
                    table: [self.frames[(n, t)] for n, t in sorted(wanted) if t == table]
                    for table in recipe.tables
                },
                None if before is None else Followed.from_bytes(before),
            )
            cells, self.followed = counted.cells, counted.followed
            if before is None and self.last is not None:
                cells = tuple(all_changed(cell) for cell in cells)
        asked = tuple(
            recipe.asked(kept) for kept in recipe.grouping_sets for _ in range(recipe.size(kept))
        )
        self.combined = Combined(cells, asked, {"people_matched": people_matched(recipe, cells)})
        self.frames.clear()
        self.vectors.clear()

    @property
    def last(self) -> tuple[Last, Earlier] | None:
        """What was last released of the question on other data versions."""
        return last_of(self.grant, self.earlier)

    def _require(self, here: set[str], wanted: set[str]) -> None:
        for node in sorted(wanted - here):
            raise Fault(
                f"The partial result of '{node}' did not arrive; no partial total is released.",
                f"Check that '{node}' is up, then ask again.",
                where=node,
            )

    def clear(self) -> None:
        """Apply disclosure control and make the answer that may leave."""
        if self.combined is None:
            raise Fault("Nothing has been combined.", "Ask again.")
        recipe = self.plan.recipe
        last = self.last
        self.cleared = cleared_of(
            self.combined,
            self.grant,
            recipe,
            None if last is None else last[0],
            outside_of(self.grant, recipe, self.earlier),
        )
        self.record = record_of(self.grant, self.cleared)
        self.figures |= self.cleared.figures
        self.answer = answer_body(self.cleared, self.grant, recipe)
        self.combined = None

    def committed(self) -> str:
        """Return the salted commitment to answer and rules."""
        self.salt = self.salt or secrets.token_hex(16)
        if self.answer is None:
            raise Fault("Nothing has been cleared.", "Ask again.")
        return commitment(self.salt, self.answer, self.grant.rules.to_json())


def all_changed(cell: Cell) -> Cell:
    """Return a cell of which nobody knows any more who was in it: it counts as just changed."""
    return Cell(cell.key, {**cell.numbers, "changed": 1})


def cleared_of(
    combined: Combined,
    grant: Grant,
    recipe: Recipe,
    last: Last | None = None,
    outside: Outside | None = None,
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
        outside,
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
