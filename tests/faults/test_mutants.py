"""The sample of changes: which are drawn, which tests are asked, what the score says."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from benchmarks.mutants import (
    Mutant,
    Reach,
    _statement_lines,
    interval,
    mutants_of,
    of_package,
    write,
)

CODE = '''"""Words."""

from __future__ import annotations

__all__ = ["first"]
MOST = 3


def first(items: list[int] | None = None) -> str:
    """Return a word."""
    if not items:
        return "SELECT a FROM t"
    return ("long" +
            str(len(items)))
'''


@pytest.fixture
def changes(tmp_path: Path) -> list[Mutant]:
    folder = tmp_path / "src" / "bridleway" / "small"
    folder.mkdir(parents=True)
    (folder / "words.py").write_text(CODE)
    return [make() for make in mutants_of("small", tmp_path)]


def test_each_change_is_one_and_compiles(changes: list[Mutant]) -> None:
    """The file is otherwise what it was; the place is told."""
    assert {change.path for change in changes} == {"src/bridleway/small/words.py"}
    for change in changes:
        ast.parse(change.code)
        old, new = CODE.splitlines(), change.code.splitlines()
        assert change.before == old[change.line - 1] or "\n" in change.before
        assert len(set(old) - set(new)) <= 2
    shown = {(change.before.strip(), change.after.strip()) for change in changes}
    assert ("MOST = 3", "MOST = 4") in shown
    assert ("if not items:", "if items:") in shown


def test_what_cannot_matter_is_not_changed(changes: list[Mutant]) -> None:
    """Names offered to others, annotations, and the case of SQL, which has none."""
    assert not [c for c in changes if "__all__" in c.before or "annotations" in c.before]
    afters = [c.after for c in changes]
    assert any("XXSELECT a FROM tXX" in after for after in afters)
    assert not any("select a from t" in after or "SELECT A FROM T" in after for after in afters)


def test_a_change_touches_its_whole_statement(changes: list[Mutant]) -> None:
    """Coverage knows a statement by any of its lines."""
    touched = {change.line: change.touched for change in changes}
    assert touched[6] == (6,)
    assert touched[11] == (11,)
    assert touched[13] == (13, 14)


def test_the_head_of_a_statement_is_not_its_body() -> None:
    lines = _statement_lines(ast.parse("if a:\n    b\nelse:\n    c\nd = (1,\n     2)\n"))
    assert (lines[1], lines[2], lines[4], lines[5], lines[6]) == ((1,), (2,), (4,), (5, 6), (5, 6))


def _mutant(*touched: int) -> Mutant:
    return Mutant("small", "src/a/b.py", "", touched[0], "", "", touched, False)


def test_the_tests_of_a_change_are_those_that_reach_it_and_then_its_neighbours() -> None:
    """Fastest first. What no test runs has none."""
    reach = Reach(
        ["t/a.py::slow", "t/a.py::fast", "t/b.py::other", "t/c.py::far", "t/a.py::reads"],
        [9.0, 0.1, 1.0, 0.1, 0.2],
        {"src/a/b.py": {"1": [-1], "5": [0], "7": [1]}, "src/a/c.py": {"7": [2]},
         "src/d/e.py": {"1": [3]}},
    )  # fmt: skip
    assert reach.of(_mutant(5)) == [0, 1, 4, 2]
    assert reach.of(_mutant(6)) == []
    assert reach.of(_mutant(1)) == [1, 4, 0, 2]  # runs when the module loads
    reach.add(Reach(["t/d.py::more"], [0.01], {"src/a/b.py": {"5": [0]}}))
    assert reach.of(_mutant(5)) == [5, 0, 1, 4, 2]


def test_tests_in_a_file_called_after_the_changed_one_come_first() -> None:
    reach = Reach(["t/test_a.py::x", "t/test_b.py::y"], [0.1, 0.2], {"src/a/b.py": {"5": [0, 1]}})
    assert reach.of(_mutant(5)) == [1, 0]


def test_tests_beyond_the_time_are_left_out() -> None:
    reach = Reach(["x", "y", "z"], [8.0, 9.0, 10.0], {"src/a/b.py": {"5": [0, 1, 2]}})
    assert reach.of(_mutant(5)) == [0, 1]
    alone = Reach(["a"], [90.0], {"src/a/b.py": {"5": [0]}})
    assert alone.of(_mutant(5)) == [0]


def test_a_score_has_an_interval() -> None:
    """Wilson's for one package (his own figures); packages count by their possible changes."""
    score, low, high = interval([(81, 263, 1000)])
    assert (round(score, 3), round(low, 4), round(high, 4)) == (0.308, 0.2553, 0.3662)
    score, low, high = interval([(90, 100, 3000), (50, 100, 1000)])
    assert round(score, 3) == 0.8
    assert low < 0.8 < high and round(high - low, 3) == round(2 * 1.96 * 0.02577, 3)
    assert interval([(10, 10, 10), (10, 10, 10)]) == (1.0, 1.0, 1.0)


def test_what_hangs_is_noticed_and_survivors_are_listed(tmp_path: Path) -> None:
    found = [(_mutant(n), how) for n, how in enumerate(["killed", "timeout", "survived", "killed"])]
    numbers = of_package(found, 50)
    assert (numbers["killed"], numbers["timeout"], numbers["survived"]) == (2, 1, 1)
    assert (numbers["possible"], numbers["mutants"], numbers["score"]) == (50, 4, 75.0)
    assert [one["at"] for one in numbers["survivors"]] == ["src/a/b.py:2"]


def test_a_record_is_of_one_source_tree(tmp_path: Path) -> None:
    """What is recorded of another tree goes; overall is of what is there."""
    path = tmp_path / "mutants.json"
    whole = of_package([(_mutant(1), "killed")] * 10, 100)
    half = of_package([(_mutant(1), "killed"), (_mutant(1), "survived")] * 5, 300)
    write(path, "ledger", whole | {"src": "a"})
    write(path, "passport", half | {"src": "a"})
    told = json.loads(path.read_text())
    assert list(told["packages"]) == ["passport", "ledger"]
    assert told["overall"]["score"] == 62.5
    write(path, "questions", whole | {"src": "b"})
    told = json.loads(path.read_text())
    assert list(told["packages"]) == ["questions"]
    assert told["overall"]["score"] == 100.0
