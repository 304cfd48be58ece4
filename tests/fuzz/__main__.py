"""`make fuzz MINUTES=5`: every reader in turn, with atheris where it is installed.

Without atheris inputs are damaged blindly; with it new paths through the code guide them, and
inputs that find one are kept under tests/fuzz/found/ for the next run. What makes a target break
its contract is kept under tests/fuzz/crashes/ and ends the run with 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import CORPUS, TARGETS, corpus, keep

CRASHES = Path(__file__).with_name("crashes")
FOUND = Path(__file__).with_name("found")


def blind(name: str, seconds: float, seed: int) -> tuple[int, int]:
    """Damage kept inputs until the time is over; return executions and crashes."""
    chance, known, target = random.Random(seed), corpus(name) or [b""], TARGETS[name]
    ends, runs, crashes = time.monotonic() + seconds, 0, 0
    while time.monotonic() < ends:
        data = mutated(chance.choice(known), known, chance)
        runs += 1
        try:
            target(data)
        except Exception:
            crashes += 1
            path = keep(name, data, CRASHES)
            print(f"{name}: {path.relative_to(CRASHES.parent)} breaks the contract")
            traceback.print_exc(limit=4)
            if crashes >= 5:
                break
    return runs, crashes


def guided(name: str, seconds: float) -> tuple[int, int]:
    """Let atheris look in a process of its own; return 0 executions and whether it crashed."""
    program = (
        "import sys, atheris\n"
        "with atheris.instrument_imports(include=['bridleway']):\n"
        "    from tests.fuzz.targets import TARGETS\n"
        f"atheris.Setup(sys.argv, TARGETS[{name!r}])\n"
        "atheris.Fuzz()\n"
    )
    (CRASHES / name).mkdir(parents=True, exist_ok=True)
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    (FOUND / name).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", program, f"-max_total_time={max(1, int(seconds))}",
         f"-artifact_prefix={CRASHES / name}/", "-max_len=20000", str(FOUND / name), str(CORPUS / name)],
    )  # fmt: skip
    return 0, int(done.returncode != 0)


def main() -> None:
    """Fuzz every target for its share of the time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--target", choices=sorted(TARGETS))
    told = parser.parse_args()
    names = [told.target] if told.target else list(TARGETS)
    share = told.minutes * 60 / len(names)
    atheris = importlib.util.find_spec("atheris") is not None
    print(f"seed {told.seed}; {'guided by atheris' if atheris else 'blind: atheris is not here'}")
    found = 0
    for name in names:
        runs, crashes = guided(name, share) if atheris else blind(name, share, told.seed)
        found += crashes
        print(f"{name:10} {runs or 'see above':>9} inputs, {crashes} crashes", flush=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
