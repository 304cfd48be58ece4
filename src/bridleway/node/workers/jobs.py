"""What a worker does: each job takes plain JSON data and blocks, and returns the like.

A job knows nothing but what it is handed. The same functions run inline, without a process, for
statistical trials and where there is no fork.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pyarrow as pa

from bridleway.errors import Fault, Refused, UsageError
from bridleway.model.catalogue import TableFacts
from bridleway.model.flow import Grant
from bridleway.model.plan import Plan
from bridleway.model.question import Listing, asked_from_json
from bridleway.node.meeting import Parts, all_changed, clear_combined, combined_of
from bridleway.node.overlap import read_earlier
from bridleway.node.protect import Figures, Marks, frame_of
from bridleway.node.workers.blocks import new_block, open_block, sink_block
from bridleway.node.workers.confine import Needs
from bridleway.questions.plan import plan
from bridleway.sources.connect import Source, connect
from bridleway.sources.run import run
from bridleway.techniques.cells import count
from bridleway.techniques.changes import Followed
from bridleway.techniques.federated import vector
from bridleway.techniques.frames import Frame, to_ipc
from bridleway.techniques.tokens import question_key

if TYPE_CHECKING:
    from bridleway.extract.engine import Work
    from bridleway.extract.recipe import Recipe


@dataclass
class Done:
    """What a job made: JSON data, and blocks of bytes."""

    told: dict[str, Any]
    blocks: list[memoryview] = field(default_factory=list)


PEOPLE = "person"
_FILES = ("duckdb", "parquet", "csv", "fhir", "spark")
_SPARK_CONNECT, _SPARK_CONNECT_PORT = "sc", 15002
_POSTGRES, _POSTGRES_PORT = ("postgresql", "postgres"), 5432

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


def meet(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At the meeting place: frames, or added numbers, become exact cells, and those an answer.

    What is exact ends with the worker.
    """
    grant, made = _granted(told)
    parts = {
        (node, table): block for (node, table), block in zip(told["parts"], blocks, strict=False)
    }
    before = bytes(blocks[len(parts)]) if len(blocks) > len(parts) else None
    return _answered(told, grant, made, parts, before)


def local(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At a source that is alone: its rows become an answer at once, in one worker."""
    grant, made = _granted(told)
    frames: dict[tuple[str, str], Frame] = {}
    exact = {}
    for task in told["tasks"]:
        frames[(told["node"], task["name"])], counted = _frame(task, told, grant, made)
        exact[task["name"]] = counted.to_json()
    done = _answered(told, grant, made, frames, bytes(blocks[0]) if blocks else None)
    return Done({**done.told, "exact": exact}, done.blocks)


def _answered(
    told: Mapping[str, Any], grant: Grant, made: Plan, parts: Parts, before: bytes | None
) -> Done:
    combined, followed = combined_of(grant, made, parts, before, told["asked_before"])
    earlier = [one for a in told["earlier"] if (one := read_earlier(a)) is not None]
    kept = b"" if followed is None else followed.to_bytes()
    return Done(clear_combined(combined, grant, made.recipe, earlier), [memoryview(kept)])


def released(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """Return the members to keep after a release that held some cells."""
    _, made = _granted(told)
    followed = Followed.from_bytes(bytes(blocks[0]))
    kept = followed.released(made.recipe, made.recipe.cells_at(told["held"]))
    return Done({}, [memoryview(kept.to_bytes())])


def extract(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At the source: an anonymised table, its papers, and who is in which of its classes.

    blocks: the members of earlier extracts of the source. Nothing of the table is told where the
    new one and an earlier one together would break the recipe, or where an attack on the file
    succeeds.
    """
    from bridleway.extract import challenge, engine, make, members
    from bridleway.extract.afterwards import Own
    from bridleway.extract.papers import papers
    from bridleway.extract.pseudonyms import Names
    from bridleway.sources.listing import PERSON
    from bridleway.sources.spelling import spelled

    asked, facts = told["task"], TableFacts.from_json(told["facts"])
    own = Own(bytes.fromhex(told["chance"]), Names(bytes.fromhex(told["names"]), spelled))
    source = _connected(asked, told)

    def marks(people: Any) -> Any:
        return _marks(people, bytes.fromhex(told["mark"]))

    try:
        recipe, rows, listed, run = _listed(source, facts, told)
        solution = make.solved(listed, recipe, run)
        schema, batches = run(engine.members(rows, solution, PERSON))
        mine = members.members_of(batches, schema, recipe, marks)
        earlier = [members.Members.from_bytes(block) for block in blocks]
        if not members.together_safe(mine, earlier):
            _require_same(source, asked)
            return Done({"withheld": True}, [memoryview(b""), memoryview(b"")])
        with open_block() as (sink, path):
            try:
                written = make.write(solution, listed, run, sink, path, told["form"], own=own)
            except Refused as refused:
                if refused.code != challenge.CODE:
                    raise
                _require_same(source, asked)
                return Done({"withheld": True}, [memoryview(b""), memoryview(b"")])
            block = sink_block(sink)
        _require_same(source, asked)
    except Fault:
        _require_same(source, asked)
        raise
    finally:
        source.close()
    beside = papers(written.contract, written.report)
    return Done(
        {"withheld": False, "rows": written.rows, "papers": beside},
        [block, memoryview(mine.to_bytes())],
    )


def _marks(people: pa.ChunkedArray, key: bytes) -> Any:
    """Return a keyed mark of each person, by the text by which an extract tells people apart.

    Not by the type of the identifier: what the catalogue says of it may change between extracts.
    """
    from bridleway.techniques.tokens import hmac_long

    coded = people.combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    known = hmac_long([text.encode() for text in coded.dictionary.to_pylist()], key)
    return known.view(np.uint64)[:, 0][np.asarray(coded.indices)]


def curve(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """At the source: what every k and every share of left-out rows would cost an extract."""
    from bridleway.extract.curves import curve_of

    source = _connected(told["task"], told)
    try:
        recipe, _, listed, run = _listed(source, TableFacts.from_json(told["facts"]), told)
        made = curve_of(listed, recipe, run)
    finally:
        source.close()
    return Done({"curve": json.dumps(made.to_json())})  # a message holds no fractions


def _listed(
    source: Source, facts: TableFacts, told: Mapping[str, Any]
) -> tuple[Recipe, Any, Any, Callable[[Work], Any]]:
    """Return an extract's recipe, its rows with whose each is, the rows as it takes them, and
    what runs work on them.
    """
    from bridleway.extract.changing import changed
    from bridleway.extract.recipe import read_recipe
    from bridleway.sources.listing import PERSON, rows_of

    listing = asked_from_json(told["listing"])
    if not isinstance(listing, Listing):
        raise UsageError("An extract is made of a listing.", "Write SELECT columns FROM table.")
    recipe = read_recipe(told["recipe"])
    # Where each person has one row at most, rows are people.
    entity = None if PEOPLE in facts.one_row_per else PERSON
    types = {key.column: key.identifier for key in facts.entities.values()}
    named = (replace(p, identifier=p.identifier or types.get(p.column)) for p in recipe.pseudonyms)
    recipe = replace(recipe, k=max(recipe.k, told["k"]), entity=entity, pseudonyms=tuple(named))
    rows, run = changed(rows_of(source, facts, listing), recipe, _runner(source))
    return recipe, rows, rows if entity else rows.drop(PERSON), run


def _runner(source: Source) -> Callable[[Work], Any]:
    from bridleway.sources.compile import query_of

    def run_at_source(work: Work) -> Any:
        query = query_of(work.expression, source.dialect, work.lent)
        return query.schema, source.read(query)

    return run_at_source


def snapshot(told: Mapping[str, Any], blocks: Sequence[memoryview]) -> Done:
    """Return the digest of a source as it stands now."""
    source = _connected(told["whole"], told)
    try:
        return Done({"snapshot": source.fingerprint()})
    finally:
        source.close()


JOBS: dict[str, Job] = {
    "frame": frame,
    "local": local,
    "vector": vector_of,
    "meet": meet,
    "released": released,
    "extract": extract,
    "curve": curve,
    "snapshot": snapshot,
}


def needs(told: Mapping[str, Any]) -> Needs:
    """Return which paths a job has to read, and what of the network."""
    sources = told.get("tasks") or [told[name] for name in ("task", "whole") if name in told]
    found = [_needs(source["url"], Path(told["base"])) for source in sources]
    networks = [each for each in found if each.network]
    ports = {each.port for each in networks}
    return Needs(
        tuple(path for each in found for path in each.reads),
        bool(networks),
        ports.pop() if len(ports) == 1 else None,
    )


def _needs(url: str, base: Path) -> Needs:
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() in _FILES:
        path = (base / (rest if found else url)).absolute()
        return Needs((str(path), f"{path}.wal", *_linked(path)))
    try:
        split = urlsplit(url)
        port, given = split.port, [value for _, value in parse_qsl(split.query)]
    except ValueError:  # several hosts, each with its port
        return Needs((), True)
    if scheme.lower() == _SPARK_CONNECT:
        return Needs((), True, port or _SPARK_CONNECT_PORT)
    # Certificates and password files that the URL names, or that the driver looks for.
    named = [split.path, *given, str(Path("~/.postgresql").expanduser())]
    reads = tuple(path for path in named if os.path.isabs(path) and path != "/")
    if scheme.lower() in _POSTGRES:
        return Needs(reads, True, port or _POSTGRES_PORT)
    return Needs(reads, True, port)


def _linked(path: Path) -> list[str]:
    """Return where the links in a source's folder, and in its own folders, lead."""
    if not path.is_dir():
        return []
    within = [*path.glob("*"), *path.glob("*/*")]
    return [str(entry.resolve()) for entry in within if entry.is_symlink()]


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
    source = _connected(asked, told)
    try:
        made_frame, figures = frame_of(
            run(source, facts, task),
            task,
            lambda identifier: question_key(
                secret, grant.passport_digest, grant.question.digest, identifier
            ),
            marks or None,
        )
        _require_same(source, asked)
    except Fault:
        # A file that is written anew may look damaged meanwhile: that it changed says more.
        _require_same(source, asked)
        raise
    finally:
        source.close()
    return made_frame, figures


def _connected(asked: Mapping[str, Any], told: Mapping[str, Any]) -> Source:
    return connect(
        asked["url"],
        base=Path(told["base"]),
        name=asked["source"],
        threads=told["threads"],
        seconds=told["seconds"],
    )


def _require_same(source: Source, asked: Mapping[str, Any]) -> None:
    """Raise Refused unless what was read is the declared data version.

    A mark changes with every change. The mark of the declared version, seen after reading, tells
    that nothing changed before; another one may have other reasons, so all is digested again.
    """
    try:
        stamp = source.quick_stamp()
        if stamp is not None and stamp in asked["stamps"]:
            return
        if source.fingerprint() == asked["snapshot"]:
            return
    except (UsageError, Fault):  # gone, or no longer what it was
        pass
    raise Refused(
        f"The data of '{asked['source']}' changed while the question was worked out.",
        "Nothing was answered: ask again when its controller has declared a new version.",
        code="data-changed",
    )
