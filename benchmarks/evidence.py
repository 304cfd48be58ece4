"""`make evidence`: the full counts that the attack suite's promises rest on, part by part.

Each part is a command that prints one JSON object on its last line with `count` and `failures`.
Each finished part is written to evidence.json at once, with commit, digest of the source tree,
seed, count, failures and seconds, so that a long run can be cut into pieces:

    python -m benchmarks.evidence --part kills,power     only these
    python -m benchmarks.evidence --resume               only what this source tree lacks

Ends with 1 if a part failed, ran short of its count, or is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_name("evidence.json")
SEED = 20261123


@dataclass(frozen=True)
class Part:
    """One part: so many of what it shows, by `python -m MODULE --count --seed` or by pytest."""

    name: str
    count: int
    module: str
    shows: str
    options: tuple[str, ...] = ()


# fmt: off
PARTS = (
    Part("attacks", 100, "pytest tests/attacks", "attacks win on weak nodes only"),
    Part("kills", 10_000, "tests.faults.kills", "kill -9 of any process while asking"),
    Part("races", 100, "tests.faults.races", "rounds of 64 questions at once on a budget of 10"),
    Part("limits", 220, "tests.faults.limits", "disk, sync, memory, files or processes fail"),
    Part("restart", 1_000_000, "tests.faults.restart", "entries of a node that restarts in 5 s"),
    Part("power", 10_000, "tests.faults.power", "states of the ledger after a power cut"),
    Part("tampers", 1_000, "tests.ledger.tamper", "changed ledgers that a witness notices"),
    Part("honest", 100_000, "tests.ledger.tamper", "honest checks that pass", ("--honest",)),
    Part("questions", 1_000_000, "tests.fuzz.questions_at_engines", "no engine error is seen"),
)
# fmt: on


def _git(*words: str) -> str:
    command = ["git", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def source_tree() -> str:
    """Return the digest of the source tree; 'changed' where it is not what was committed."""
    return (
        "changed" if _git("status", "--porcelain", "--", "src") else _git("rev-parse", "HEAD:src")
    )


def _environment(seed: int) -> dict[str, str]:
    told = {"BRIDLEWAY_EVIDENCE": "1", "BRIDLEWAY_SEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | told


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even its folder
        return False


def _harness(part: Part, count: int, seed: int) -> dict[str, Any]:
    if not _there(part.module):
        return {"count": 0, "failures": 1, "why": f"there is no {part.module}"}
    words = [sys.executable, "-m", part.module, *part.options]
    words += ["--count", str(count), "--seed", str(seed)]
    done = subprocess.run(
        words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=_environment(seed)
    )
    try:
        told = json.loads(done.stdout.strip().splitlines()[-1])
        made = {**told, "count": int(told["count"]), "failures": int(told["failures"])}
    except (ValueError, KeyError, IndexError, TypeError):
        return {"count": 0, "failures": 1, "why": f"it ended with {done.returncode}, and no report"}
    if done.returncode and not made["failures"]:
        made |= {"failures": 1, "why": f"it ended with {done.returncode}"}
    return made


def _pytest(part: Part, count: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}"]
        words += ["-n", str(os.cpu_count() or 1), *part.module.split()[1:]]
        subprocess.run(words, cwd=ROOT, env=_environment(seed), stdout=sys.stderr)
        if not report.exists():
            return {"count": 0, "failures": 1, "why": "the tests did not run"}
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own
    names = ("tests", "skipped", "failures", "errors")
    counted = {name: sum(int(suite.get(name, 0)) for suite in suites) for name in names}
    return {
        "count": counted["tests"] - counted["skipped"],
        "failures": counted["failures"] + counted["errors"],
        "skipped": counted["skipped"],
    }


def run(part: Part, seed: int, count: int | None = None) -> dict[str, Any]:
    """Run one part; return what is recorded of it."""
    wanted = count or part.count
    runner: Callable[..., dict[str, Any]] = (
        _pytest if part.module.startswith("pytest ") else _harness
    )
    before, begun = source_tree(), time.perf_counter()
    found = runner(part, wanted, seed)
    if found["count"] < wanted and not found["failures"]:
        found |= {"failures": 1, "why": f"only {found['count']} of {wanted}"}
    if source_tree() != before:
        found |= {"failures": found["failures"] + 1, "why": "the source changed while it ran"}
    return {
        "shows": part.shows,
        "command": f"make evidence PART={part.name}",
        "seed": seed,
        "wanted": wanted,
        **found,
        "seconds": round(time.perf_counter() - begun, 1),
        "commit": _git("rev-parse", "HEAD"),
        "src": before,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def holds(recorded: dict[str, Any] | None, part: Part, src: str) -> bool:
    """Tell whether a part is recorded as held, in full, for a source tree."""
    return (
        recorded is not None
        and src not in ("", "changed")
        and recorded["src"] == src
        and recorded["failures"] == 0
        and recorded["count"] >= part.count
    )


def read(path: Path = RECORD) -> dict[str, Any]:
    """Return what is recorded, by part."""
    return dict(json.loads(path.read_text())["parts"]) if path.exists() else {}


def write(parts: dict[str, Any], path: Path = RECORD) -> None:
    """Write the record whole, in the order of the table."""
    names = [p.name for p in PARTS if p.name in parts]
    text = json.dumps({"parts": {name: parts[name] for name in names}}, indent=1)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text + "\n")
    temporary.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Run the parts; 1 if any failed or is missing."""
    parser = argparse.ArgumentParser(description="The full counts, part by part.")
    parser.add_argument("--part", default="", help=f"of: {', '.join(p.name for p in PARTS)}")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, help="a trial run: smaller, and not recorded")
    parser.add_argument("--resume", action="store_true", help="skip what this source tree has")
    told = parser.parse_args(arguments)
    names = [name for name in told.part.split(",") if name]
    unknown = set(names) - {p.name for p in PARTS}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    failed = False
    for part in (p for p in PARTS if not names or p.name in names):
        known = read()
        if told.resume and holds(known.get(part.name), part, source_tree()):
            print(f"{part.name:10} recorded for this source tree", flush=True)
            continue
        found = run(part, told.seed, told.count)
        failed |= bool(found["failures"])
        if told.count is None:
            write(read() | {part.name: found})
        why = f"  {found['why']}" if "why" in found else ""
        print(
            f"{part.name:10} {found['count']:>9} {part.shows}: "
            f"{found['failures']} failures, {found['seconds']} s{why}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
