"""Random `kill -9` of any process while questions are asked, again and again on one workspace.

    python -m tests.faults.kills --count 10000 --seed 7

Three askers (processes of their own, forked from this one) ask pinned questions, repeat old request
ids and now and then declare a new data version. Everything that one receives it writes down. One
process is killed: by the clock, at a moment uniform over what an asker does from its start; or at
a step, where it kills itself at a function call drawn from the seed, which replays exactly. Its
successor first repeats the request that was cut off. After each kill: answers are within charges
are within the log, budgets are the sum of charges, no half-written file can be seen.

Shown by this: what a process crash can break. A power cut is another thing (the kernel keeps
what a killed process wrote): see the power-loss replay.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bridleway.errors import BridlewayError, Gap
from bridleway.keys.dsse import Signer
from bridleway.node.workers.runner import START_SECONDS, Workers
from bridleway.node.workers.server import load, serve
from bridleway.node.workspace import Workspace
from tests.attacks.weak_f import log_later
from tests.faults.audit import Audit, answer_digest
from tests.faults.place import (
    ASKER,
    LINKED,
    LOCAL,
    PASSPORT,
    TOUCHED,
    copy_of,
    council_catalogue,
    make_many,
)  # fmt: skip
from tests.support.place import PASSWORD

PINNED = 4  # of each kind: every child reads them anew
ASKED = (*LOCAL[:PINNED], *LOCAL[:PINNED], *LINKED[:PINNED])
KILLS_PER_PLACE = 250  # then a fresh copy: a look at the stored answers grows with their number
ASKERS = 3
WHOLE_EVERY = 100
LAST_WORDS = 3  # seconds that helpers of a dead asker may take to notice
STUCK = 60  # seconds after which an asker that does nothing is a fault
# A new data version or a killed neighbour may come in between; each says so, and costs nothing new.
EXPECTED = {"changed", "data-changed", "gap", "request", "request-taken"}

Naive = Callable[[Workspace], Callable[[], None]]


@dataclass
class Report:
    """What happened. Every list of faults is empty when the promise holds."""

    seed: int
    kills: int = 0
    answers: int = 0
    repeated: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    charged: int = 0
    unanswered: int = 0
    free: int = 0
    faults: list[str] = field(default_factory=list)
    restart_median: float = 0.0
    restart_worst: float = 0.0
    seconds: float = 0.0


# -- one asker, in a process of its own


class ForkedServer(Workers):
    """Workers whose first fork server is forked from this process, which has everything imported.

    That is quicker than a fresh interpreter. One that was killed is replaced by a fresh one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            try:
                self._control.close()
                serve(theirs, later=())
            finally:
                os._exit(0)
        theirs.close()
        self._control.settimeout(START_SECONDS)
        self._server = _Child(pid)  # type: ignore[assignment]


class _Child:
    """What `Workers` asks of its server, for one that was forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended = False

    def poll(self) -> int | None:
        if not self.ended:
            with suppress(ChildProcessError):
                self.ended = os.waitpid(self.pid, os.WNOHANG) != (0, 0)
        return 0 if self.ended else None

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        if self.poll() is None:
            os.waitpid(self.pid, 0)
            self.ended = True


def _at_step(step: int) -> None:
    """Kill this process at the so-manyeth function call from now, in whichever thread."""
    left = [step]

    def count(frame: Any, event: str, arg: Any) -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)


def _asker(
    root: Path, told: Path, signer: Signer, seed: int, redo: list[tuple[str, str]], step: int,
    naive: Naive | None,
) -> None:  # fmt: skip
    """Ask until killed; write every answer down before the next question."""
    os.setsid()  # whatever it starts is of its session, and can be found when it is dead
    rng = random.Random(seed)
    begun = time.perf_counter()
    out = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def say(*words: object) -> None:
        os.write(out, (" ".join(map(str, words)) + "\n").encode())

    runner = ForkedServer()  # while there is no other thread
    if step:
        _at_step(step)
    try:
        place = Workspace.open(root, runner=runner)
        settle = naive(place) if naive else lambda: None
        place._signers[ASKER] = signer  # opening the key file takes a third of a second by design
        done = [line.split() for line in told.read_text().splitlines()]
        old = [(words[1], words[2]) for words in done if words[0] == "A"]
        first = True
        while True:
            draw = rng.random()
            if redo:
                request, question = redo.pop()
            elif old and draw < 0.1:
                request, question = rng.choice(old)
            elif draw < 0.16 and not naive:
                _new_version(place, rng)
                continue
            else:
                request = f"r{rng.getrandbits(64):016x}"
                question = rng.choice(ASKED)
            say("T", request, question)
            try:
                answer = place.ask(question, PASSPORT, ASKER, request=request)
            except BridlewayError as error:
                say("E", request, question, error.code)
                if error.code == "gap":  # another asker was killed while it declared a version
                    _new_version(place, rng)
                continue
            say("A", request, question, answer_digest(answer.receipt))
            if first:
                say("S", round(time.perf_counter() - begun, 4))
                first = False
            old.append((request, question))
            if len(old) % 3 == 0:  # only a naive ledger has anything left to log
                settle()
    except BaseException as error:  # the parent judges it
        say("X", type(error).__name__, repr(str(error))[:200])
    finally:
        os._exit(1)


def _new_version(place: Workspace, rng: random.Random) -> None:
    """Declare a new data version of the register, as its controller does."""
    path = place.node("council").holdings.catalogue_path("housing")
    temporary = path.with_name(f".{path.name}.{rng.getrandbits(32):08x}")
    temporary.write_text(council_catalogue(rng.randrange(1, 1_000_000)))
    temporary.replace(path)
    with suppress(Gap):  # the other asker was quicker
        place.release_source("council", "housing")


# -- whoever kills


@dataclass
class _Running:
    pid: int
    told: Path
    step: int
    started: float


class Kills:
    """Kills processes of one workspace and looks at what is left."""

    def __init__(
        self, seed: int, made: Path, folder: Path, signer: Signer, naive: Naive | None = None
    ) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.root = copy_of(made, folder)
        self.signer = signer
        self.naive = naive
        self.audit = Audit(self.root)
        self.report = Report(seed)
        self.restarts: list[float] = []
        self.running: list[_Running] = []
        self.length = 0.3  # seconds from start to first answer: kills are spread over as much
        # An only asker has to live long enough to answer; of several, most outlive a round.
        self.lives = 3 if naive else 1
        self.steps = 150_000 * self.lives  # function calls from start to the third answer, about
        self._read: dict[Path, int] = {}
        self._last: dict[Path, tuple[str, str] | None] = {}
        self._answers: dict[str, str] = {}
        self._pardoned = 0  # errors that askers may report because their helpers were killed
        self._dead: set[int] = set()

    def start(self, slot: int, redo: list[tuple[str, str]]) -> None:
        """Start an asker in a slot: half of them die at a step, half by the clock."""
        told = self.folder / f"told-{slot}"
        step = self.rng.randrange(1, self.steps) if self.rng.random() < 0.5 else 0
        seed = self.rng.getrandbits(48)
        pid = os.fork()
        if pid == 0:
            _asker(self.root, told, self.signer, seed, redo, step, self.naive)
        self.running.append(_Running(pid, told, step, time.perf_counter()))

    def victims(self) -> list[int]:
        """Return every process that may be killed: the askers and whatever they started."""
        found, new = [], [asker.pid for asker in self.running]
        while new:
            pid = new.pop()
            found.append(pid)
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    new += map(int, (task / "children").read_text().split())
        return found

    def _outlived(self) -> list[str]:
        """Return a fault when what an asker started is still there seconds after its death."""
        until = time.perf_counter() + LAST_WORDS
        while left := _of_sessions(self._dead):
            if time.perf_counter() > until:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                return [f"{len(left)} processes outlived the asker that started them"]
            time.sleep(0.1)
        return []

    def run(self, kills: int) -> Report:
        """Kill so many processes; look after each; return what was found."""
        begun = time.perf_counter()
        for slot in range(1 if self.naive else ASKERS):
            self.start(slot, [])
        try:
            while self.report.kills < kills and not self.report.faults:
                self._one()
                if self.report.kills % WHOLE_EVERY == 0:
                    self.report.faults += self.audit.whole()
        finally:
            for asker in self.running:
                os.kill(asker.pid, signal.SIGKILL)
                os.waitpid(asker.pid, 0)
                self._dead.add(asker.pid)
            self.report.faults += self._outlived()
        for asker in self.running:
            self._look(asker)
        self.report.faults += self.audit.whole()
        self.report.seconds = round(time.perf_counter() - begun, 1)
        logs = self.audit.logs.values()
        self.report.charged = len(set().union(*(log.charges for log in logs)))
        self.report.unanswered = self.report.charged - len(self._answers)
        if self.restarts:
            self.report.restart_median = round(statistics.median(self.restarts), 3)
            self.report.restart_worst = round(max(self.restarts), 3)
        return self.report

    def _one(self) -> None:
        asker = self.rng.choice(self.running)
        if asker.step:
            self._wait(asker)
        else:
            time.sleep(self.rng.random() * self.length * self.lives)
            below = [pid for pid in self.victims() if pid not in {a.pid for a in self.running}]
            if below and self.rng.random() < 0.5:
                with suppress(OSError):  # it may have ended by itself
                    os.kill(self.rng.choice(below), signal.SIGKILL)
                    self._pardoned += 1
                self.report.kills += 1
                self._look(asker)
                return
            os.kill(asker.pid, signal.SIGKILL)
            os.waitpid(asker.pid, 0)
        self.report.kills += 1
        self._dead.add(asker.pid)
        self.running.remove(asker)
        cut_off = self._look(asker)
        self.start(int(asker.told.name.partition("-")[2]), [cut_off] if cut_off else [])

    def _wait(self, asker: _Running) -> None:
        until = time.perf_counter() + STUCK
        while os.waitpid(asker.pid, os.WNOHANG) == (0, 0):
            if time.perf_counter() > until:
                self.report.faults.append("an asker is stuck")
                os.kill(asker.pid, signal.SIGKILL)
            time.sleep(0.002)

    def _look(self, asker: _Running) -> tuple[str, str] | None:
        """Look at what an asker wrote and at the ledgers; return the request that was cut off."""
        text = b""
        if asker.told.exists():
            with asker.told.open("rb") as file:
                file.seek(self._read.get(asker.told, 0))
                text = file.read()
        self._read[asker.told] = self._read.get(asker.told, 0) + len(text)
        wrong = self.audit.look()
        last = self._last.get(asker.told)
        for line in text.decode().splitlines():
            kind, *words = line.split(" ", 3)
            if kind == "T":
                last = (words[0], words[1])
            elif kind == "S":
                self.restarts.append(float(words[0]))
                self.length = statistics.median(self.restarts)
            elif kind == "A":
                last = None
                request, question, digest = words
                free = self.audit.handed(request, digest, TOUCHED[question])
                self.report.free += bool(free)
                if not self.naive:
                    wrong += free
                before = self._answers.setdefault(request, digest)
                if before != digest:
                    wrong.append("the same request id got two answers")
                self.report.repeated += before is not digest
                self.report.answers += 1
            elif kind == "E":
                last = None
                code = words[2]
                self.report.refused[code] = self.report.refused.get(code, 0) + 1
                if code not in EXPECTED and self._pardoned:
                    self._pardoned -= 1
                elif code not in EXPECTED:
                    wrong.append(f"an asker was told '{code}'")
            else:
                wrong.append(f"an asker failed: {line}")
        self._last[asker.told] = last
        if not self.naive:
            self.report.faults += wrong
        return last


def _of_sessions(sessions: set[int]) -> list[int]:
    """Return the processes of these sessions (Linux; elsewhere none is found)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            if int(words[3]) in sessions and words[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def prepare(folder: Path, pinned: int = PINNED) -> tuple[Path, Signer]:
    """Make the workspace and read every module, in a process of its own; then read them here.

    Whoever forks must not have started an engine: its threads would be missing in the child.
    """
    inside, outside = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            root = make_many(folder, pinned)
            with Workspace.open(root) as place:
                place.unlock(ASKER, PASSWORD)
                for question in (LOCAL[:pinned][-1], LINKED[:pinned][-1]):
                    place.ask(question, PASSPORT, ASKER)
            with os.fdopen(outside, "w") as pipe:
                json.dump(sorted(sys.modules), pipe)
        finally:
            os._exit(0)
    os.close(outside)
    with os.fdopen(inside) as pipe:
        names = json.load(pipe)
    os.waitpid(pid, 0)
    for name in names:
        with suppress(Exception):  # names that only exist once something ran
            importlib.import_module(name)
    load()
    importlib.import_module("scipy.optimize")
    with Workspace.open(folder / "place") as place:
        signer = place.unlock(ASKER, PASSWORD)
        place.standing(PASSPORT)  # reads the reference lists, which every child then has
    gc.collect()
    gc.freeze()
    return folder / "place", signer


def rounds(kills: int, seed: int) -> Iterator[tuple[int, int]]:
    """Return (seed, kills) of each workspace that a run of so many kills uses."""
    for number, start in enumerate(range(0, kills, KILLS_PER_PLACE)):
        yield seed + number, min(KILLS_PER_PLACE, kills - start)


def kill_many(kills: int, seed: int, folder: Path, naive: Naive | None = None) -> Report:
    """Kill so many processes over as many workspaces as it takes. A failing one is kept."""
    whole = Report(seed)
    begun = time.perf_counter()
    made, signer = prepare(folder / "made")
    restarts: list[float] = []
    for one, count in rounds(kills, seed):
        place = folder / f"seed-{one}"
        run = Kills(one, made, place, signer, naive)
        report = run.run(count)
        restarts += run.restarts
        for name in ("kills", "answers", "repeated", "charged", "unanswered", "free"):
            setattr(whole, name, getattr(whole, name) + getattr(report, name))
        for code, times in report.refused.items():
            whole.refused[code] = whole.refused.get(code, 0) + times
        whole.faults += [f"seed {one}: {what}" for what in report.faults]
        if report.faults:
            break
        shutil.rmtree(place)
    whole.seconds = round(time.perf_counter() - begun, 1)
    if restarts:
        whole.restart_median = round(statistics.median(restarts), 3)
        whole.restart_worst = round(max(restarts), 3)
    return whole


def main() -> int:
    """Kill as often as the command line says; print the report; 1 if anything broke."""
    parser = argparse.ArgumentParser(description="Random kill -9 while questions are asked.")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--naive", action="store_true", help="ledgers that log after the answer")
    parser.add_argument("--keep", type=Path, help="folder for a failing workspace")
    told = parser.parse_args()
    folder = told.keep or Path(tempfile.mkdtemp(prefix="kills-"))
    report = kill_many(told.count, told.seed, folder, log_later if told.naive else None)
    failures = len(report.faults)
    print(json.dumps({"count": report.kills, "failures": failures, **asdict(report)}))
    if not report.faults and told.keep is None:
        shutil.rmtree(folder)
    elif report.faults:
        print(f"The workspace that failed is kept in {folder}", file=sys.stderr)
    return 1 if report.faults or report.kills < told.count else 0


if __name__ == "__main__":
    sys.exit(main())
