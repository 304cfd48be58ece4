"""What a worker does: each job takes plain JSON data and blocks, and returns the like.

A job knows nothing but what it is handed. The same functions run inline, without a process, for
statistical trials and where there is no fork.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridleway.errors import Refused
from bridleway.model.flow import Combined, Grant
from bridleway.model.plan import Plan
from bridleway.node.meeting import all_changed, clear_combined, combined_of
from bridleway.node.overlap import read_earlier
from bridleway.node.protect import Figures, Marks, frame_of
from bridleway.node.workers.blocks import new_block
from bridleway.questions.plan import plan
from bridleway.sources.connect import connect
from bridleway.sources.run import run
from bridleway.techniques.cells import count
from bridleway.techniques.changes import Followed
from bridleway.techniques.federated import vector
from bridleway.techniques.frames import Frame, to_ipc
from bridleway.techniques.tokens import question_key


@dataclass
class Done:
    """What a job made: JSON data, and blocks of bytes."""

    told: dict[str, Any]
    blocks: list[memoryview] = field(default_factory=list)


Job = Callable[[Mapping[str, Any], Sequence[memoryview]], Done]


def frame(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At the source: rows of one task become a frame, as Arrow bytes."""
    grant, made = _granted(told)
    made_frame, figures = _frame(told["task"], told, grant, made)
    return Done(
        {"figures": figures.to_json()},
        [to_ipc(made_frame, new_block)],
    )


def vector_of(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At one of many sources: all its tasks become the numbers that are masked and added."""
    grant, made = _granted(told)
    frames: dict[str, list[Frame]] = {}
    figures = {}
    for task in told["tasks"]:
        made_frame, counted_ = _frame(task, told, grant, made)
        frames[task["name"]] = [made_frame]
        figures[task["name"]] = counted_.to_json()
    before = Followed.from_bytes(bytes(blocks[0])) if blocks else None
    counted = count(made.recipe, frames, before)
    cells = counted.cells
    if before is None and told["asked_before"]:
        cells = tuple(map(all_changed, cells))
    kept = b"" if counted.followed is None else counted.followed.to_bytes()
    words = vector(made.recipe, cells)
    return Done({"figures": figures}, [memoryview(words.tobytes()), memoryview(kept)])


def combine(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At the meeting place: frames, or added numbers, become exact cells."""
    grant, made = _granted(told)
    parts = {
        (node, table): block for (node, table), block in zip(told["parts"], blocks, strict=False)
    }
    before = bytes(blocks[len(parts)]) if len(blocks) > len(parts) else None
    combined, followed = combined_of(grant, made, parts, before, told["asked_before"])
    kept = b"" if followed is None else followed.to_bytes()
    return Done({"combined": combined.to_json()}, [memoryview(kept)])


def clear(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At the meeting place: exact cells become what may leave."""
    grant, made = _granted(told)
    earlier = [one for a in told["earlier"] if (one := read_earlier(a)) is not None]
    combined = Combined.from_json(told["combined"])
    return Done(clear_combined(combined, grant, made.recipe, earlier))


def released(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """Return the members to keep after a release that held some cells."""
    _, made = _granted(told)
    followed = Followed.from_bytes(bytes(blocks[0]))
    kept = followed.released(made.recipe, made.recipe.cells_at(told["held"]))
    return Done({}, [memoryview(kept.to_bytes())])


JOBS: dict[str, Job] = {
    "frame": frame,
    "vector": vector_of,
    "combine": combine,
    "clear": clear,
    "released": released,
}


def reads(told: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the paths that a job has to read, and whether its source is over a network."""
    tasks = told.get("tasks") or ([told["task"]] if "task" in told else [])
    paths: list[str] = []
    network = False
    for task in tasks:
        scheme, found, rest = task["url"].partition("://")
        if found and scheme not in ("duckdb", "parquet", "csv"):
            network = True
            continue
        path = (Path(told["base"]) / (rest if found else task["url"])).absolute()
        paths += [str(path), f"{path}.wal"]
    return paths, network


def _granted(told: Mapping[str, Any]) -> tuple[Grant, Plan]:
    grant = Grant.from_json(told["grant"])
    return grant, plan(grant)


def _frame(
    asked: Mapping[str, Any], told: Mapping[str, Any], grant: Grant, made: Plan
) -> tuple[Frame, Figures]:
    """Run one task at its source. Raises Refused if the source changed while it was read."""
    task = next(t for t in made.for_node(told["node"]) if t.name == asked["name"])
    facts = next(s for s in grant.shares if s.node == told["node"]).tables[task.name]
    marks = asked["marks"] and Marks(*(bytes.fromhex(key) for key in asked["marks"]))
    secret = bytes.fromhex(told["secret"])
    source = connect(
        asked["url"], base=Path(told["base"]), name=asked["source"], threads=told["threads"]
    )
    try:
        stamp = source.quick_stamp()
        made_frame, figures = frame_of(
            run(source, facts, task),
            task,
            lambda identifier: question_key(
                secret, grant.passport_digest, grant.question.digest, identifier
            ),
            marks or None,
        )
        if source.quick_stamp() != stamp:
            raise Refused(
                f"The data of '{asked['source']}' changed while it was read.",
                "Nothing was answered: ask again when its controller has declared a new version.",
                code="data-changed",
            )
    finally:
        source.close()
    return made_frame, figures
