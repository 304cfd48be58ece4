"""Can a named column still be predicted from what leaves?"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridleway.errors import UsageError
from bridleway.extract.classify import FOLDS, MOST_ROWS, _accuracy, _Task
from bridleway.extract.recipe import read_recipe
from tests.extract.test_make import ADULT, adult, extract, people

GROUPS = {"tree": {"all": {"low": ["0", "1", "2"], "high": ["3", "4", "5"]}}}


def check(tmp_path: Path, rows: list[Any], level: int, **more: Any) -> dict[str, Any]:
    """Return what the report says of a table of n and what follows from it."""
    source = people(tmp_path, rows, ("n", "target"))
    column = {"class": "quasi-identifier", "level": level, "hierarchy": GROUPS}
    body = {"columns": {"n": column, "target": "plain"}, "classify": "target", **more}
    found: dict[str, Any] = extract(source, body, tmp_path / f"out{level}").report["classification"]
    return found


def test_what_is_lost_for_a_prediction_is_told(tmp_path: Path) -> None:
    """The target is known from the value, half from its group, not at all from the top."""
    rows = [(str(n), f"t{n}") for n in range(6) for _ in range(100)]
    rows += [("0", "t0")] * 20
    by_level = [check(tmp_path, rows, level) for level in range(3)]
    assert [one["before"] for one in by_level] == [1.0] * 3
    assert by_level[0]["after"] == 1
    assert 0.3 < by_level[1]["after"] < 0.4
    assert by_level[2]["after"] == by_level[2]["most_frequent"] == round(120 / 620, 3)
    assert {(one["rows"], one["folds"], one["values"]) for one in by_level} == {(620, 5, 6)}


def plainly(rows: list[tuple[tuple[int, ...], int]], test: list[int], classes: int) -> float:
    """Train a naive Bayes classifier on rows outside their fold, and test it inside, row by row."""
    right = 0
    for fold in range(FOLDS):
        train = [row for row, f in zip(rows, test, strict=True) if f != fold]
        prior = Counter(target for _, target in train)
        values = [max(x[n] for x, _ in rows) + 1 for n in range(len(rows[0][0]))]
        seen = Counter((n, v, y) for x, y in train for n, v in enumerate(x))
        for (x, target), f in zip(rows, test, strict=True):
            if f == fold:
                scores = []
                for y in range(classes):
                    score = np.log(prior[y] + 1)
                    for n, v in enumerate(x):
                        score += np.log((seen[n, v, y] + 1) / (prior[y] + values[n]))
                    scores.append(score)
                right += int(np.argmax(scores)) == target
    return round(right / len(rows), 3)


def test_the_classifier_is_naive_bayes() -> None:
    """The same accuracy as an implementation that goes row by row, with the same folds."""
    draw = random.Random(5)
    rows = [
        ((draw.randrange(3), draw.randrange(4), target % 2 + draw.randrange(2)), target)
        for target in (draw.randrange(3) for _ in range(300))
    ]
    test = [draw.randrange(FOLDS) for _ in rows]
    folds = np.zeros((300, FOLDS), dtype=np.int64)
    folds[np.arange(300), test] = 1
    features = [np.array([x[n] for x, _ in rows]) for n in range(3)]
    target, every = np.array([y for _, y in rows]), np.ones(300, dtype=bool)
    task = _Task(features, features, target, np.ones(300, dtype=np.int64), every)
    assert _accuracy(features, task, folds, every) == plainly(rows, test, 3)


def test_a_plain_column_is_counted_where_the_table_lives(tmp_path: Path) -> None:
    """Whether it is searched with the others or counted for the check alone, the same is found."""
    plain = extract(ADULT, adult(classify="salary_class"), tmp_path / "a").report["classification"]
    body = adult(classify="salary_class")
    body["columns"]["salary_class"] = {"class": "sensitive", "t": 1}
    other = extract(ADULT, body, tmp_path / "b").report["classification"]
    for key in ("most_frequent", "before"):
        assert plain[key] == pytest.approx(other[key], abs=0.01)
    assert plain["most_frequent"] < plain["after"] <= plain["before"] + 0.01
    again = extract(ADULT, adult(classify="salary_class"), tmp_path / "c").report["classification"]
    assert again == plain


def test_a_quasi_identifier_is_predicted_from_the_others(tmp_path: Path) -> None:
    """At the level at which it leaves."""
    body = adult(classify="sex")
    found = extract(ADULT, body, tmp_path / "out").report["classification"]
    assert found["values"] == 2
    assert found["most_frequent"] < found["after"]


def test_of_a_large_table_a_part_is_drawn(tmp_path: Path) -> None:
    """About so many rows; the accuracy stays."""
    rows = [(str(n % 6), f"t{n % 6}") for n in range(120_000)]
    found = check(tmp_path, rows, 1)
    assert abs(found["rows"] - MOST_ROWS) < 1000
    assert found["before"] == 1
    assert found["after"] == pytest.approx(1 / 3, abs=0.02)


def test_a_column_that_does_not_leave_is_refused(tmp_path: Path) -> None:
    """As is one with too many values, in one sentence."""
    for name in ("nowhere", "salary_clas", 5):
        with pytest.raises(UsageError, match="leaves") as caught:
            read_recipe(adult(classify=name))
        assert "classify" in caught.value.where
    body = adult(classify="salary_class")
    body["columns"]["salary_class"] = "identifier"
    with pytest.raises(UsageError, match="leaves"):
        read_recipe(body)
    rows = [(str(n % 6), f"t{n}") for n in range(600)]
    with pytest.raises(UsageError, match="more than 100 values"):
        check(tmp_path, rows, 0)
    assert not (tmp_path / "out0").exists()
