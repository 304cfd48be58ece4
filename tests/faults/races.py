"""Many questions at once on a small budget: threads in several processes on one workspace.

    python -m tests.faults.races --count 4 --seed 7

Each round copies a workspace with 64 pinned questions, lets four processes ask them all at the
same time, and counts who was answered, who was refused and what the ledgers say.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridleway.errors import BridlewayError
from bridleway.keys.dsse import Signer
from bridleway.node.workspace import Workspace
from tests.attacks.weak_f import ReadsChecksWrites, put_ledger
from tests.faults.audit import Audit
from tests.faults.kills import prepare
from tests.faults.place import ASKER, LINKED, LOCAL, MANY, PASSPORT, TOUCHED, copy_of, set_budget

PROCESSES = 4
BUDGET = 10


def _ask_all(
    root: Path, signer: Signer, questions: Sequence[str], gate: int, out: int, weak: bool
) -> None:
    """Ask these questions at the same time, one thread each; say how each ended."""
    try:
        with Workspace.open(root) as place:
            place._signers[ASKER] = signer
            if weak:
                for node in place.nodes.values():
                    put_ledger(node, ReadsChecksWrites)
            place.standing(PASSPORT)

            def one(question: str) -> str:
                try:
                    place.ask(question, PASSPORT, ASKER)
                except BridlewayError as error:
                    return error.code
                return "answered"

            os.write(out, b"ready\n")
            os.read(gate, 1)
            with ThreadPoolExecutor(max_workers=len(questions)) as pool:
                ended = list(pool.map(one, questions))
        os.write(out, (" ".join(ended) + "\n").encode())
    finally:
        os._exit(0)


def race(root: Path, signer: Signer, questions: Sequence[str], weak: bool = False) -> Counter[str]:
    """Ask all questions at once from several processes; return how many ended how."""
    gate, open_gate = os.pipe()
    told: list[int] = []
    children = []
    for place in range(PROCESSES):
        inside, outside = os.pipe()
        pid = os.fork()
        if pid == 0:
            _ask_all(root, signer, questions[place::PROCESSES], gate, outside, weak)
        os.close(outside)
        told.append(inside)
        children.append(pid)
    files = [os.fdopen(inside) for inside in told]
    for file in files:
        file.readline()
    os.write(open_gate, b"." * PROCESSES)
    ended: Counter[str] = Counter()
    for file in files:
        ended.update(file.readline().split())
        file.close()
    for pid in children:
        os.waitpid(pid, 0)
    os.close(gate)
    os.close(open_gate)
    return ended


def rounds(times: int, seed: int, folder: Path, weak: bool = False) -> list[dict[str, object]]:
    """Race so many times with local questions and with linked ones; return how each ended."""
    made, signer = prepare(folder / "made", MANY)
    rng = random.Random(seed)
    found: list[dict[str, object]] = []
    for number in range(times):
        for kind, all_, budget in (("local", LOCAL, BUDGET), ("linked", LINKED, 4)):
            # All but the last, which was asked when the workspace was made.
            questions = rng.sample(all_[:-1], len(all_) - 1)
            root = copy_of(made, folder / f"{kind}-{number}")
            audit = Audit(root)
            audit.look()
            before = {node: log.spent for node, log in audit.logs.items()}
            for node in ("council", "health"):
                set_budget(root, node, budget + before[node])
            ended = race(root, signer, questions, weak)
            wrong = audit.look() + audit.whole(receipts=0)
            spent = {n: audit.logs[n].spent - before[n] for n in TOUCHED[questions[0]]}
            found.append(
                {"seed": seed, "round": number, "kind": kind, "budget": budget,
                 "asked": len(questions), "ended": dict(ended), "spent": spent, "wrong": wrong}
            )  # fmt: skip
            shutil.rmtree(root.parent)
    return found


def granted_exactly(one: dict[str, object]) -> bool:
    """Tell whether a round granted its budget and refused the rest, everywhere the same."""
    ended, spent = one["ended"], one["spent"]
    assert isinstance(ended, dict) and isinstance(spent, dict)
    return (
        ended.get("answered") == one["budget"]
        and ended.get("budget") == one["asked"] - one["budget"]  # type: ignore[operator]
        and set(spent.values()) == {one["budget"]}
        and not one["wrong"]
    )


def main() -> int:
    """Race as the command line says; print each round; 1 if a budget was not kept exactly."""
    parser = argparse.ArgumentParser(description="Questions that race for a budget.")
    parser.add_argument("--count", type=int, default=4, help="rounds")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--weak", action="store_true", help="ledgers that read, check, write")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="races-") as folder:
        found = rounds((told.count + 1) // 2, told.seed, Path(folder), told.weak)
    wrong = [one for one in found if not granted_exactly(one)]
    print(json.dumps({"count": len(found), "failures": len(wrong), "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
