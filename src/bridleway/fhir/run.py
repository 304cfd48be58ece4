"""Anonymises a whole source in two passes over all processors, and measures what came out.

The first pass writes an index, the second what leaves. Where the second rejects a resource, what
refers to it has to know, so it runs once more. Everything is written beside the target and only
then renamed, so that an interrupted run leaves nothing that looks whole.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from bridleway.errors import Fault, UsageError
from bridleway.fhir import index, report, weigh, workers
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.codes.hierarchy import Hierarchy
from bridleway.fhir.engine import Held
from bridleway.fhir.policy import Policy
from bridleway.fhir.units import Unit, units
from bridleway.fhir.walks import Code
from bridleway.fhir.workers import Done, Plan

_PARTIAL = ".partial"
_STARTING = threading.Lock()
Progress = Callable[[float, str], None]
Stopped = Callable[[], bool]


# A hierarchy, or what finds one for the codes that are recorded (a terminology server).
Given = Hierarchy | Callable[[Sequence[str]], Hierarchy]


@dataclass(frozen=True)
class Order:
    """What is to be done.

    secret: of the project, 32 bytes; source: the name of where ids are unique; as_of: the day for
    ages; hierarchies: by code system; by_type: one file per type of resource; request and people:
    what of the source an export holds; settled: what an earlier job on the same data settled.
    """

    source: Path
    target: Path
    policy: Policy
    secret: bytes
    name: str = ""
    as_of: date = field(default_factory=lambda: datetime.now(UTC).date())
    hierarchies: Mapping[str, Given] = field(default_factory=dict)
    processes: int = 0
    packed: bool = False
    by_type: bool = False
    request: ExportRequest | None = None
    people: frozenset[str] | None = None
    settled: Settled | None = None


@dataclass(frozen=True)
class Settled:
    """What was decided over a whole source, to be the same for every job on it."""

    held: Held
    codes: dict[str, dict[Code, Code | None]]


@dataclass(frozen=True)
class Outcome:
    """What came of an order: its report, and what was settled for later jobs."""

    report: dict[str, Any]
    settled: Settled
    peak_mb: float = 0.0  # the most memory that any of its processes had


class Stop(Exception):
    """Whoever asked wants it no more."""


def anonymise(
    order: Order, progress: Progress = lambda share, phrase: None, stopped: Stopped = lambda: False
) -> Outcome:
    """Write what leaves of a source into a new folder, with its report.

    Raises UsageError for a target that is there or lies in the source, Fault where a process or
    the disk gives up.
    """
    _require_sound(order)
    told = units(order.source)
    with _folder(order.target) as folder:
        return _Run(order, told, folder, progress, stopped).run()


def _require_sound(order: Order) -> None:
    if order.processes < 0:
        raise UsageError("There cannot be fewer than no processes.", "Give 0 for all processors.")
    if order.source.is_dir() and order.target.resolve().is_relative_to(order.source.resolve()):
        raise UsageError(
            "The target lies in the source.",
            "Name a folder beside it, or the next run reads what this one writes.",
            where=str(order.target),
        )


@contextmanager
def _without_main() -> Iterator[None]:
    """Let processes start without the script of the caller: they would run it again."""
    with _STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def _folder(target: Path) -> Iterator[Path]:
    """Yield a folder that becomes the target when all went well."""
    if target.exists():
        raise UsageError(
            "The target is there already.", "Name a folder that is not.", where=target.name
        )
    partial = target.with_name(f".{target.name}{_PARTIAL}-{os.getpid()}")
    for left in target.parent.glob(f".{target.name}{_PARTIAL}-*"):
        if not _alive(left.name.rpartition("-")[2]):
            shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    try:
        (partial / "work").mkdir()
        (partial / "out").mkdir()
        yield partial
        (partial / "out").rename(target)
    except OSError as error:
        raise Fault(
            f"The files cannot be written ({error.strerror}).",
            "Check the disk's space and permissions.",
            where=target.name,
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


class _Run:
    """One order at work in one folder."""

    def __init__(
        self, order: Order, told: Sequence[Unit], folder: Path, progress: Progress, stopped: Stopped
    ) -> None:
        self.order, self.units = order, told
        self.work, self.out = folder / "work", folder / "out"
        self.progress, self.stopped = progress, stopped
        self.codes: dict[int, Code] = {}
        self.total = sum(unit.size for unit in told) or 1
        policy = order.policy
        self.plan = Plan(
            policy, order.secret, order.name,
            {
                "as_of": order.as_of, "parameters": policy.parameters,
                "shift_days": policy.shift_days, "is_own": policy.is_own,
            },
            self.work, order.packed, order.by_type, request=order.request, people=order.people,
        )  # fmt: skip

    def run(self) -> Outcome:
        """Take both passes and measure."""
        rejected = self.order.settled.held.names if self.order.settled else frozenset()
        noted, codes = self._note(rejected)
        if self.order.policy.is_own and (doubtful := weigh.doubtful(self.work) - rejected):
            rejected |= doubtful
            noted, codes = self._note(rejected)
        begins = 0.35
        while True:
            settled = self.order.settled or self._settle(codes, rejected)
            held = replace_names(settled.held, settled.held.names | rejected)
            settled = replace(settled, held=held)
            width = held.width
            plan = replace(
                self.plan, held=held, codes=settled.codes,
                tools={**self.plan.tools, "birth_width": width},
            )  # fmt: skip
            done = self._pass(workers.write, plan, with_index=True, begins=begins, share=0.55)
            new = self._newly_rejected(done, held)
            if not new:
                break
            rejected |= new
            for one in done:
                _forget(one)
            noted, codes = self._note(rejected)
            begins = 0.4
        self.progress(0.95, "measuring")
        files = self._join(done)
        made = report.made(
            report.Measured(
                policy=self.order.policy, as_of=self.order.as_of, folder=self.work,
                noted=noted, done=done, files=files, codes=codes,
                looks=weigh.looks(self.work), left=weigh.looks(self.work, settled.held.names),
                settled_codes=settled.codes, held=settled.held,
                without=weigh.held_people(self.work, settled.held),
            )
        )  # fmt: skip
        report.write(made, self.out, self._rejections(done))
        self.progress(1.0, "done")
        peak = max((one.peak_mb for one in done), default=0.0)
        return Outcome(made, settled, peak)

    def _note(self, rejected: frozenset[int]) -> tuple[list[Done], dict[int, Code]]:
        """Take the first pass: write the index; codes of rejected resources do not count."""
        plan = replace(self.plan, held=Held(names=rejected))
        self.codes = {}
        noted = self._pass(workers.note, plan, with_index=False, begins=0.0, share=0.35)
        index.gather(self.work, [part for done in noted for part in done.parts])
        return noted, self.codes

    def _settle(self, codes: Mapping[int, Code], rejected: frozenset[int]) -> Settled:
        policy = self.order.policy
        looks = weigh.looks(self.work, rejected)
        bands = policy.bands_births
        held = weigh.held_back(policy, looks, bands=bands, names=rejected)
        least = max(weigh.least_of(policy), 1)
        without = weigh.held_people(self.work, held)
        # Of patients whom the source does not hold, nothing leaves under an own policy.
        people = self.work / "people" if policy.is_own else None
        patients = weigh.patients_by_code(self.work / "events", least, without, people)
        recorded: dict[str, list[str]] = {}
        for system, code in codes.values():
            recorded.setdefault(system, []).append(code)
        hierarchies = {
            system: given if isinstance(given, Hierarchy) else given(recorded.get(system, []))
            for system, given in self.order.hierarchies.items()
        }
        made = weigh.released_codes(policy, codes, patients, hierarchies)
        return Settled(held, made)

    def _newly_rejected(self, done: Iterable[Done], held: Held) -> frozenset[int]:
        """Return resources that were rejected though what refers to them was told they leave."""
        found = {name for part in done for name in part.named}
        return frozenset(found - held.names) if self.order.policy.is_own else frozenset()

    def _pass(
        self,
        work: Callable[[Unit], Done],
        plan: Plan,
        *,
        with_index: bool,
        begins: float,
        share: float,
    ) -> list[Done]:
        """Give every unit to a process; return what they came to, in the source's order."""
        phrase = "reading" if work is workers.note else "writing"
        count = min(self.order.processes or os.cpu_count() or 1, len(self.units))
        found: list[Done] = []
        if count == 1:
            workers.begin(plan, with_index)
            try:
                for unit in self.units:
                    found.append(self._came(work(unit), work))
                    self._tell(found, begins, share, phrase)
            finally:
                workers.end()
            return found
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["bridleway.fhir.workers"])
        pool = ProcessPoolExecutor(count, context, workers.begin_apart, (plan, with_index))
        try:
            with _without_main():
                results = pool.map(work, self.units)
            for done in results:
                found.append(self._came(done, work))
                self._tell(found, begins, share, phrase)
        except BrokenExecutor:
            raise Fault(
                "A process of the run ended, probably for want of memory.",
                "Run it with fewer processes.",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)
        return found

    def _came(self, done: Done, work: Callable[[Unit], Done]) -> Done:
        """Take the codes out of what a unit came to: nearly all units hold the same."""
        for part in done.parts:
            if work is workers.note:
                self.codes.update(part.codes)
            part.codes = {}
        return done

    def _tell(self, found: Sequence[Done], begins: float, share: float, phrase: str) -> None:
        if self.stopped():
            raise Stop
        read = sum(self.units[done.number].size for done in found)
        self.progress(begins + share * read / self.total, phrase)

    def _join(self, done: Sequence[Done]) -> list[dict[str, Any]]:
        """Put the parts of each file together, in the source's order; return what they are."""
        names = dict.fromkeys(name for one in done for name in one.files)
        return [self._joined(name, [one for one in done if name in one.files]) for name in names]

    def _joined(self, name: str, parts: Sequence[Done]) -> dict[str, Any]:
        target = self.out / (f"{name}.gz" if self.plan.packed else name)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for part in parts:
                with part.files[name].open("rb") as piece:
                    while block := piece.read(1 << 20):
                        digest.update(block)
                        file.write(block)
                part.files[name].unlink()
            file.flush()
            os.fsync(file.fileno())
        return {
            "name": target.relative_to(self.out).as_posix(),
            "resources": sum(part.written[name] for part in parts),
            "bytes": target.stat().st_size,
            "sha256": digest.hexdigest(),
        }

    def _rejections(self, done: Sequence[Done]) -> Iterator[dict[str, Any]]:
        """Yield file, line and reason of every line that does not leave."""
        before: Counter[str] = Counter()
        for one in done:
            name = self.units[one.number].name
            if one.rejections is not None:
                with one.rejections.open() as file:
                    for told in file:
                        line, reason = told.split()
                        yield {"file": name, "line": before[name] + int(line), "reason": reason}
            before[name] += one.lines


def replace_names(held: Held, names: frozenset[int]) -> Held:
    """Return who is held back with other rejected resources."""
    return Held(held.classes, names, held.width)


def _forget(done: Done) -> None:
    noted = (path for part in done.parts for path in part.files)
    for path in [*done.files.values(), *noted, *filter(None, [done.rejections])]:
        path.unlink(missing_ok=True)
