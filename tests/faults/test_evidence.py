"""The record of the evidence: what is missing, short or of another source tree does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import evidence
from benchmarks.evidence import Part, holds, read, run, write


def test_a_part_whose_module_is_missing_is_a_failure() -> None:
    """A missing part is never a skipped part."""
    found = run(Part("none", 10, "tests.faults.no_such_module", ""), seed=1)
    assert found["failures"] == 1 and "no_such_module" in found["why"]


@pytest.mark.parametrize(
    ("says", "failures"),
    [
        ('print(\'{"count": 5, "failures": 0}\')', 0),
        ('print(\'{"count": 4, "failures": 0}\')', 1),  # short of its count
        ('print(\'{"count": 5, "failures": 2}\')', 2),
        ('print(\'{"count": 5, "failures": 0}\'); raise SystemExit(1)', 1),
        ("print('all well')", 1),
    ],
)
def test_only_a_whole_report_without_failures_holds(
    says: str, failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count is reached, the exit code agrees, and the report can be read."""
    (tmp_path / "a_part.py").write_text(says)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    part = Part("a", 5, "a_part", "")
    found = run(part, seed=1)
    assert found["failures"] == failures
    assert holds(found | {"src": "abc"}, part, "abc") == (failures == 0)


def test_a_record_counts_for_its_own_source_tree_only(tmp_path: Path) -> None:
    """Another tree, or one with changes, has to run again."""
    part = evidence.PARTS[0]
    told = {"src": "abc", "failures": 0, "count": part.count}
    write({part.name: told}, tmp_path / "evidence.json")
    known = read(tmp_path / "evidence.json")[part.name]
    assert holds(known, part, "abc")
    assert not holds(known, part, "def")
    assert not holds(known | {"src": "changed"}, part, "changed")
    assert not holds(None, part, "abc")
