"""What the processes of a run do: read units, write parts, and say in numbers what they did."""

from __future__ import annotations

import gc
import gzip
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bridleway.fhir import reach, resources, weigh
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.bulk.select import Choice, chooser, narrowed
from bridleway.fhir.engine import Engine, Held
from bridleway.fhir.index import Collector, Index, Seen, short
from bridleway.fhir.keyed import Keys
from bridleway.fhir.policy import Policy
from bridleway.fhir.resources import Wrong
from bridleway.fhir.units import Unit, lines
from bridleway.fhir.walks import Code, Tools

_NOTED_AT_ONCE = 200_000


@dataclass(frozen=True)
class Plan:
    """What all processes of a pass know.

    request: what of the source an export holds, None for all; people: the patients whom the
    request's level lets in, None for all.
    """

    policy: Policy
    secret: bytes
    source: str
    tools: dict[str, Any]
    folder: Path
    packed: bool = False
    held: Held = field(default_factory=Held)
    codes: dict[str, dict[Code, Code | None]] = field(default_factory=dict)
    request: ExportRequest | None = None
    people: frozenset[str] | None = None


@dataclass
class Rejected:
    """A line that does not leave: its number in its unit, why, and which resource it was."""

    line: int
    reason: str
    name: int = 0


@dataclass
class Done:
    """What one unit came to. outside: what the request did not ask for."""

    number: int
    lines: int = 0
    read: int = 0
    written: int = 0
    outside: int = 0
    undated: int = 0
    bytes: int = 0
    digest: str = ""
    part: Path | None = None
    rejected: list[Rejected] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)
    parts: list[Seen] = field(default_factory=list)


class _Worker:
    """One process at work; what it has compiled serves every unit."""

    def __init__(self, plan: Plan, *, index: Index | None) -> None:
        self.plan = plan
        self.keys = Keys(plan.secret, plan.source)
        tools = Tools(self.keys, codes=plan.codes, **plan.tools)
        self.engine = Engine(plan.policy, tools, index, plan.held)
        self.counted = counted_paths(plan.policy)
        self.choose = None
        if plan.request is not None:
            self.choose = chooser(plan.request, plan.people)

    def collector(self) -> Collector:
        return Collector(self.keys, self.counted, self.engine.looks)

    def resources(self, line: bytes) -> tuple[dict[str, Any] | None, list[Any]]:
        """Return a Bundle and its entries' resources, or None and the one resource of a line."""
        found = self.engine.parse(line)
        if found["resourceType"] != "Bundle":
            return None, [found]
        entries = found.get("entry", [])
        if type(entries) is not list:
            raise Wrong(resources.SHAPE)
        inside = [one.get("resource") if type(one) is dict else None for one in entries]
        local = _addresses(found)
        if local:
            for one in inside:
                if type(one) is dict:
                    _resolve(one, local, 0)
        return found, inside


_worker: _Worker | None = None


def begin(plan: Plan, with_index: bool) -> None:
    """Get ready for units. Nothing that follows makes rings of objects, so none are looked for."""
    global _worker
    gc.disable()
    _worker = _Worker(plan, index=Index(plan.folder) if with_index else None)


def end() -> None:
    """Close what a process had open, where it goes on to other things."""
    global _worker
    gc.enable()
    if _worker is not None and _worker.engine.index is not None:
        _worker.engine.index.close()
    _worker = None


def counted_paths(policy: Policy) -> dict[str, tuple[str, ...]]:
    """Return the elements whose codes are counted, by type of resource."""
    found: dict[str, list[str]] = {}
    for rule in weigh.counted(policy):
        for type_name, path in reach.plain_paths(rule):
            found.setdefault(type_name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def note(unit: Unit) -> Done:
    """First pass: note what a unit holds."""
    assert _worker is not None  # noqa: S101 -- `begin` has run
    worker, done = _worker, Done(unit.number)
    collector, noted = worker.collector(), 0
    for line in lines(unit):
        done.lines += 1
        if not line:
            continue
        try:
            _, found = worker.resources(line)
        except Wrong:
            continue
        for resource in found:
            if _can_leave(worker, resource):
                collector.note(resource)
                noted += 1
        if noted >= _NOTED_AT_ONCE:
            done.parts.append(_put(collector, worker.plan.folder, unit, len(done.parts)))
            collector, noted = worker.collector(), 0
    done.parts.append(_put(collector, worker.plan.folder, unit, len(done.parts)))
    return done


def _can_leave(worker: _Worker, resource: Any) -> bool:
    kind = resource.get("resourceType") if type(resource) is dict else None
    return type(kind) is str and resources.known(kind) and worker.engine.walks.released(kind)


def _put(collector: Collector, folder: Path, unit: Unit, number: int) -> Seen:
    return collector.write(folder, f"note-{unit.number}-{number}")


def write(unit: Unit) -> Done:
    """Second pass: write what leaves of a unit."""
    assert _worker is not None  # noqa: S101 -- `begin` has run
    worker, done = _worker, Done(unit.number)
    engine = worker.engine
    engine.counts.clear()
    collector, noted = worker.collector(), 0
    done.part = worker.plan.folder / f"part-{unit.number}"
    digest = hashlib.sha256()
    opener: Any = gzip.open if worker.plan.packed else open
    options = {"compresslevel": 1} if worker.plan.packed else {"buffering": 1 << 20}
    with opener(done.part, "wb", **options) as file:
        for line in lines(unit):
            done.lines += 1
            if not line:
                continue
            out, made = _leaving(worker, line, unit, done)
            for one in made:
                collector.note_released(one)
                noted += 1
            if out:
                digest.update(out)
                file.write(out)
                done.bytes += len(out)
            if noted >= _NOTED_AT_ONCE:
                done.parts.append(_put_released(collector, worker, unit, len(done.parts)))
                collector, noted = worker.collector(), 0
    done.parts.append(_put_released(collector, worker, unit, len(done.parts)))
    done.counts = Counter(engine.counts)
    done.digest = digest.hexdigest()
    return done


def _put_released(collector: Collector, worker: _Worker, unit: Unit, number: int) -> Seen:
    return collector.write(worker.plan.folder, f"left-{unit.number}-{number}")


def _leaving(
    worker: _Worker, line: bytes, unit: Unit, done: Done
) -> tuple[bytes, list[dict[str, Any]]]:
    try:
        bundle, found = worker.resources(line)
    except Wrong as wrong:
        done.read += 1
        done.rejected.append(Rejected(done.lines, wrong.reason))
        return b"", []
    made = []
    for resource in found:
        done.read += 1
        one = _one(worker, resource, line, unit, done)
        if one is not None:
            made.append(one)
    done.written += len(made)
    if bundle is None:
        return (orjson.dumps(made[0], option=orjson.OPT_APPEND_NEWLINE) if made else b""), made
    out = {"resourceType": "Bundle", "type": "collection"}
    if made:
        out["entry"] = [{"resource": one} for one in made]  # type: ignore[assignment]
    return orjson.dumps(out, option=orjson.OPT_APPEND_NEWLINE), made


def _addresses(bundle: dict[str, Any]) -> dict[str, str]:
    """Return what the addresses of a Bundle's entries mean: `Type/id` by fullUrl."""
    found = {}
    for entry in bundle["entry"] if type(bundle.get("entry")) is list else ():
        if type(entry) is dict and type(entry.get("resource")) is dict:
            full, resource = entry.get("fullUrl"), entry["resource"]
            if type(full) is str and type(resource.get("id")) is str:
                found[full] = f"{resource.get('resourceType')}/{resource['id']}"
    return found


def _one(
    worker: _Worker,
    resource: Any,
    line: bytes,
    unit: Unit,
    done: Done,
) -> dict[str, Any] | None:
    engine = worker.engine
    try:
        kind = resource.get("resourceType") if type(resource) is dict else None
        if type(kind) is not str or not resources.known(kind):
            raise Wrong(resources.NO_RESOURCE)
        if worker.choose is not None:
            choice = worker.choose(resource)
            if choice is Choice.OUT:
                done.outside += 1
                return None
            done.undated += choice is Choice.UNDATED
        made = engine.anonymise(resource, unit.name)
        engine.require_exact(line)
    except Wrong as wrong:
        name = 0
        if type(resource) is dict and type(resource.get("id")) is str:
            name = short(worker.keys.pseudonym(str(kind), resource["id"]))
        done.rejected.append(Rejected(done.lines, wrong.reason, name))
        return None
    if worker.plan.request is not None and worker.plan.request.elements:
        made = dict(narrowed(made, worker.plan.request.elements))
    return made


def _resolve(value: Any, local: dict[str, str], depth: int) -> None:
    """Replace addresses of entries by type and id, wherever a reference stands."""
    if depth > resources.MOST_DEEP:
        raise Wrong(resources.TOO_DEEP)
    for item in value.values() if type(value) is dict else value:
        if type(item) in (dict, list):
            _resolve(item, local, depth + 1)
    if type(value) is dict:
        told = value.get("reference")
        if type(told) is str and told in local:
            value["reference"] = local[told]
