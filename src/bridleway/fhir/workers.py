"""What the processes of a run do: read units, write parts, and say in numbers what they did."""

from __future__ import annotations

import gc
import gzip
import multiprocessing
import os
import resource as usage
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridleway.errors import Fault
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

_NOTED_AT_ONCE = 50_000
_BUNDLE = b'{"resourceType":"Bundle","type":"collection"%b}\n'


@dataclass(frozen=True)
class Plan:
    """What all processes of a pass know.

    by_type: one file per type of resource, instead of one per file that is read; request: what of
    the source an export holds, None for all; people: the patients whom the request's level lets
    in, None for all.
    """

    policy: Policy
    secret: bytes
    source: str
    tools: dict[str, Any]
    folder: Path
    packed: bool = False
    by_type: bool = False
    held: Held = field(default_factory=Held)
    codes: dict[str, dict[Code, Code | None]] = field(default_factory=dict)
    request: ExportRequest | None = None
    people: frozenset[str] | None = None


@dataclass
class Done:
    """What one unit came to.

    written: resources by the name of their file, files: where its part of each stands; outside:
    what the request did not ask for; peak_mb: the most memory that the process ever had;
    rejections: where the rejected lines stand, by number in the unit and reason; named: the
    rejected resources to which references were told that they leave.
    """

    number: int
    lines: int = 0
    read: int = 0
    written: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    undated: int = 0
    peak_mb: float = 0.0
    files: dict[str, Path] = field(default_factory=dict)
    rejections: Path | None = None
    reasons: Counter[str] = field(default_factory=Counter)
    named: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
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
        return Collector(self.keys, self.counted, self.engine.looks, self.plan.held.names)

    def resources(self, line: bytes) -> tuple[dict[str, Any] | None, list[Any]]:
        """Return a Bundle and its entries' resources, or None and the one resource of a line."""
        found = self.engine.parse(line)
        if found["resourceType"] != "Bundle":
            return None, [found]
        return found, resolved(found)


def resolved(bundle: dict[str, Any]) -> list[Any]:
    """Return the resources of a Bundle, references to its entries replaced by type and id.

    Raises Wrong.
    """
    entries = bundle.get("entry", [])
    if type(entries) is not list:
        raise Wrong(resources.SHAPE)
    inside = [one.get("resource") if type(one) is dict else None for one in entries]
    local = _addresses(bundle)
    for one in inside if local else ():
        if type(one) is dict:
            _resolve(one, local, 0)
    return inside


_worker: _Worker | None = None


def begin(plan: Plan, with_index: bool) -> None:
    """Get ready for units. Nothing that follows makes rings of objects, so none are looked for."""
    global _worker
    gc.disable()
    _worker = _Worker(plan, index=Index(plan.folder) if with_index else None)


def begin_apart(plan: Plan, with_index: bool) -> None:
    """Get ready in a process of its own, which ends with the run that it belongs to."""
    run = multiprocessing.parent_process()
    if run is not None:
        threading.Thread(target=_end_with, args=(run,), daemon=True).start()
    begin(plan, with_index)


def _end_with(run: Any) -> None:
    run.join()
    os._exit(1)  # a killed run gives its processes no other sign


def _ready() -> _Worker:
    if _worker is None:
        raise Fault("A process of the run was not made ready.", "Run it again.")
    return _worker


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
    worker, done = _ready(), Done(unit.number)
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
            kind = resource.get("resourceType") if type(resource) is dict else None
            if type(kind) is not str or not resources.known(kind):
                continue
            if worker.engine.walks.released(kind):
                collector.note(resource)
                noted += 1
            else:
                collector.note_unreleased(resource)
        if noted >= _NOTED_AT_ONCE:
            done.parts.append(_put(collector, worker.plan.folder, unit, len(done.parts)))
            collector, noted = worker.collector(), 0
    done.parts.append(_put(collector, worker.plan.folder, unit, len(done.parts)))
    return done


def _put(collector: Collector, folder: Path, unit: Unit, number: int) -> Seen:
    return collector.write(folder, f"note-{unit.number}-{number}")


def peak_mb() -> float:
    """Return the most memory that this process ever had, not counting who started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return usage.getrusage(usage.RUSAGE_SELF).ru_maxrss / 1024


def write(unit: Unit) -> Done:
    """Second pass: write what leaves of a unit."""
    worker, done = _ready(), Done(unit.number)
    engine = worker.engine
    engine.counts.clear()
    collector, noted = worker.collector(), 0
    with ExitStack() as stack:
        out = _Out(worker.plan, unit, done, stack)
        for line in lines(unit):
            done.lines += 1
            if not line:
                continue
            for name, told, made in _leaving(worker, line, unit, done, out):
                out.put(name, told)
                done.written[name] += len(made)
                for one, source in made:
                    collector.note_released(one, source)
                noted += len(made)
            if noted >= _NOTED_AT_ONCE:
                done.parts.append(_put_released(collector, worker, unit, len(done.parts)))
                collector, noted = worker.collector(), 0
        out.end()
    done.parts.append(_put_released(collector, worker, unit, len(done.parts)))
    done.counts = Counter(engine.counts)
    done.peak_mb = peak_mb()
    return done


class _Out:
    """The files that a unit is written to."""

    def __init__(self, plan: Plan, unit: Unit, done: Done, stack: ExitStack) -> None:
        self._plan, self._unit, self._done, self._stack = plan, unit, done, stack
        self._open: dict[str, Any] = {}
        self._rejected: list[bytes] = []
        if not plan.by_type:
            self._file(unit.name)  # a file of which nothing leaves is written too, empty

    def reject(self, reason: str, name: int = 0) -> None:
        """Note that the current line does not leave.

        name: which resource it was, where references to it were told that it leaves, else 0.
        """
        done = self._done
        done.reasons[reason] += 1
        if name:
            done.named.append(name)
        self._rejected.append(b"%d %b\n" % (done.lines, reason.encode()))
        if len(self._rejected) >= _NOTED_AT_ONCE:
            self.end()

    def end(self) -> None:
        """Write down the lines that do not leave."""
        if self._rejected:
            self._done.rejections = self._plan.folder / f"rejected-{self._unit.number}"
            with self._done.rejections.open("ab") as file:
                file.writelines(self._rejected)
            self._rejected.clear()

    def put(self, name: str, told: bytes) -> None:
        """Append to the file of a name."""
        self._file(name).write(told)

    def _file(self, name: str) -> Any:
        found = self._open.get(name)
        if found is None:
            path = self._plan.folder / f"part-{self._unit.number}-{len(self._open)}"
            self._done.written[name] += 0
            self._done.files[name] = path
            file: Any = self._stack.enter_context(path.open("wb", 1 << 20))
            if self._plan.packed:
                file = self._stack.enter_context(gzip.GzipFile("", "wb", 1, file))
            found = self._open[name] = file
        return found


def _put_released(collector: Collector, worker: _Worker, unit: Unit, number: int) -> Seen:
    return collector.write(worker.plan.folder, f"left-{unit.number}-{number}")


def _leaving(
    worker: _Worker, line: bytes, unit: Unit, done: Done, out: _Out
) -> Iterator[tuple[str, bytes, list[tuple[dict[str, Any], dict[str, Any] | None]]]]:
    """Yield what leaves of a line: the name of its file, its text, the resources in it, each with
    what it was where its pseudonyms are not our own."""
    try:
        bundle, found = worker.resources(line)
    except Wrong as wrong:
        done.read += 1
        out.reject(wrong.reason)
        return
    made: list[tuple[dict[str, Any], bytes, dict[str, Any] | None]] = []
    for resource in found:
        done.read += 1
        one = _one(worker, resource, line, unit, done, out)
        if one is not None:
            made.append((*one, None if worker.plan.policy.is_own else resource))
    if worker.plan.by_type or bundle is None:
        for left, told, source in made:
            name = f"{left['resourceType']}.ndjson" if worker.plan.by_type else unit.name
            yield name, told + b"\n", [(left, source)]
        return
    entries = b",".join(b'{"resource":%b}' % told for _, told, _ in made)
    told = _BUNDLE % (b',"entry":[%b]' % entries if made else b"")
    yield unit.name, told, [(left, source) for left, _, source in made]


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
    out: _Out,
) -> tuple[dict[str, Any], bytes] | None:
    engine = worker.engine
    kind = resource.get("resourceType") if type(resource) is dict else None
    try:
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
        if worker.plan.request is not None and worker.plan.request.elements:
            made = dict(narrowed(made, worker.plan.request.elements))
        return made, engine.written(made)
    except Wrong as wrong:
        name = 0
        if type(kind) is str and resources.known(kind) and type(resource.get("id")) is str:
            told = worker.keys.pseudonym(kind, resource["id"])
            name = short(told) if engine.leaves(told) else 0
        out.reject(wrong.reason, name)
        return None


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
