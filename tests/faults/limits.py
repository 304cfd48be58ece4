"""Ask while the machine fails: a full disk, a failing sync, no memory, no files, no processes.

    python -m tests.faults.limits --seed 7

Each case is a process of its own that asks one question under one failure. Then the failure is
over and the same request id is asked again. A case is sound when the first either answered, with
everything in the log, or ended with one clear error; when nothing half-made is left; and when the
second answers and the request was charged once.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

from bridleway.errors import BridlewayError
from bridleway.keys.dsse import Signer
from bridleway.ledger.store import Ledger
from bridleway.node.workspace import Workspace
from tests.attacks.weak_f import GoesOnWithout, put_ledger
from tests.faults.audit import Audit, answer_digest
from tests.faults.failing import fails, few_files, little_memory
from tests.faults.kills import prepare
from tests.faults.place import ASKER, LINKED, LOCAL, PASSPORT, TOUCHED

MB = 1 << 20
LONGEST = 20  # seconds
# What a process may say: a node's own sentence, or plainly that there is no memory.
CLEAR = ("error", "memory")
CASES: dict[str, Callable[[], None]] = {
    "log full": lambda: fails("pwrite64", with_=errno.ENOSPC),
    "log fails": lambda: fails("pwrite64", with_=errno.EIO),
    "log read-only": lambda: fails("pwrite64", with_=errno.EROFS),
    "sync fails": lambda: fails("fsync", "fdatasync", with_=errno.EIO),
    "files full": lambda: fails("write", with_=errno.ENOSPC),
    "no processes": lambda: fails("clone", "clone3", "fork", "vfork", with_=errno.EAGAIN),
    **{
        f"memory {m} MB": lambda m=m: little_memory(m * MB)
        for m in (0, 2, 8, 32, 128, 512, 1024, 2048)
    },
    **{f"files {n}": lambda n=n: few_files(n) for n in (0, 1, 2, 3, 5, 8, 13, 21)},
}


@dataclass
class Case:
    """How one case ended. wrong: nothing, when it is sound."""

    name: str
    question: str
    ended: str
    again: str
    wrong: list[str]


def ask_once(
    root: Path, signer: Signer, question: str, request: str, failure: Callable[[], None] | None,
    ledger: type[Ledger] | None = None,
) -> str:  # fmt: skip
    """Ask in a process of its own; return how that ended, e.g. 'answered DIGEST', 'error fault'."""
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        said = "failed"
        try:
            place = Workspace.open(root)
            place._signers[ASKER] = signer
            for node in place.nodes.values() if ledger else ():
                put_ledger(node, ledger)  # type: ignore[arg-type]
            for node in place.nodes.values():  # the failure comes while everything is open
                node.ledger.last_document()
            if failure is not None:
                failure()
            try:
                answer = place.ask(question, PASSPORT, ASKER, request=request)
                said = f"answered {answer_digest(answer.receipt)}"
            except BridlewayError as error:
                said = f"error {error.code}"
            except MemoryError:
                said = "memory"
        except BaseException as error:
            said = f"failed {type(error).__name__}"
        finally:
            there.send(said.encode())
            os._exit(0)
    there.close()
    here.settimeout(LONGEST)
    try:
        said = here.recv(200).decode()
    except TimeoutError:
        said = ""
        os.kill(pid, signal.SIGKILL)
    here.close()
    _, status = os.waitpid(pid, 0)
    return said or f"died {os.waitstatus_to_exitcode(status)}"


def judge(audit: Audit, name: str, question: str, request: str, ended: str, again: str) -> Case:
    """Say what is wrong with how a case ended."""
    wrong = audit.look() + audit.whole(receipts=2)
    digests = {said.split()[1] for said in (ended, again) if said.startswith("answered")}
    if len(digests) > 1:
        wrong.append("two answers to one request")
    for digest in digests:
        wrong += audit.handed(request, digest, TOUCHED[question])
    if not again.startswith("answered"):
        wrong.append("it does not recover")
    if ended.split()[0] not in (*CLEAR, "answered", "died"):
        wrong.append("no clear error")
    return Case(name, question, ended, again, wrong)


def run(folder: Path, seed: int, names: list[str], weak: bool = False) -> list[Case]:
    """Run cases on one workspace, one after the other."""
    root, signer = prepare(folder, 1 + (len(CASES) + 1) // 2)
    audit = Audit(root)
    audit.look()
    rng = random.Random(seed)
    found = []
    most = (len(CASES) + 1) // 2
    fresh = [q for pair in zip(LOCAL[:most], LINKED[:most], strict=True) for q in pair]
    rng.shuffle(fresh)
    for number, name in enumerate(names):
        question = fresh[number % len(fresh)]
        request = f"case-{number}"
        kind = GoesOnWithout if weak else None
        ended = ask_once(root, signer, question, request, CASES[name], kind)
        if weak and ended.startswith("answered"):
            wrong = audit.look() + audit.handed(request, ended.split()[1], TOUCHED[question])
            found.append(Case(name, question, ended, "", wrong))
            continue
        again = ask_once(root, signer, question, request, None)
        if ended == again == "error died":
            # A worker's end is a refusal, and stays one: another request has to be answered.
            request += "-again"
            ended, again = "died", ask_once(root, signer, question, request, None)
        found.append(judge(audit, name, question, request, ended, again))
    return found


def main() -> int:
    """Run every case, or those named; print them; 1 if one is not sound."""
    parser = argparse.ArgumentParser(description="Ask while the machine fails.")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--count", type=int, help="cases: all of them, over and over")
    parser.add_argument("--weak", action="store_true", help="ledgers that go on without a disk")
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(CASES)}")
    told = parser.parse_args()
    names = told.names or list(CASES)
    if told.count:
        names = list(islice(cycle(names), told.count))
    found: list[Case] = []
    for number, start in enumerate(range(0, len(names), len(CASES))):
        with tempfile.TemporaryDirectory(prefix="limits-") as folder:
            some = names[start : start + len(CASES)]
            found += run(Path(folder), told.seed + number, some, told.weak)
    wrong = [asdict(case) for case in found if case.wrong]
    ended = Counter(case.ended.split()[0] for case in found)
    told_all = {"count": len(found), "failures": len(wrong), "wrong": wrong, "ended": ended}
    print(json.dumps(told_all))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
