"""The attacks on the written file: they win where they can, and then nothing leaves."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.errors import Fault, Refused
from bridleway.extract import challenge as module
from bridleway.extract import make as make_module
from bridleway.extract.challenge import CHANCE, beats
from bridleway.extract.minimality import _hypergeometric
from tests.extract.support import solved_of
from tests.extract.test_make import ADULT, adult, extract, people


def clusters(folder: Path, number: int = 60) -> tuple[Path, dict[str, Any]]:
    """Cohen's clusters: of some both kinds are shown; those that are not are nearly all `inner`.

    Each cluster is a place. Half of them hold 6 `inner` and 30 `outer`, which k = 5 lets be told
    apart; the others 10 `inner` and one `outer`, which it does not. Most of the table is `outer`.
    """
    rows = []
    for place in range(number):
        inner, outer = (6, 30) if place % 2 else (10, 1)
        rows += [(f"p{place:02}", "inner")] * inner + [(f"p{place:02}", "outer")] * outer
    random.Random(1).shuffle(rows)
    told = {
        "columns": {"place": "quasi-identifier", "kind": "quasi-identifier"},
        "k": 5,
        "recoding": "local",
    }
    return people(folder, rows, ("place", "kind")), told


def wong(folder: Path, groups: int = 1) -> tuple[Path, dict[str, Any]]:
    """Wong's table, larger: in one street all have HIV, in the other nobody has.

    Had the streets stood apart, the first would be too far from the whole table; any other spread
    would have been near enough. So the one class that is released tells who has HIV.
    """
    rows = [("q1", "HIV")] * 10 * groups + [("q2", "flu")] * 25 * groups
    told = {
        "columns": {"street": "quasi-identifier", "illness": {"class": "sensitive", "t": 0.3}},
        "k": 5,
        "suppression": 0,
    }
    return people(folder, rows, ("street", "illness")), told


def off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files leave whatever the attacks reach."""
    monkeypatch.setattr(module.Challenge, "require_lost", lambda self: None)


def test_cohens_clusters_are_downcoded_and_do_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without minimality every guess in the clusters is `outer`; with it nearly every one is right."""
    source, told = clusters(tmp_path)
    with pytest.raises(Refused) as caught:
        extract(source, told, tmp_path / "out")
    assert caught.value.code == "challenged"
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    off(monkeypatch)
    found = extract(source, told, tmp_path / "weak").report["challenge"]["downcoding"]
    assert found["won"]
    assert found["cells"] == 330
    assert found["baseline"] == 0.1 and found["success"] == 0.9  # 30 and 300, told to 0.05
    assert found["columns"] == {}
    (exact,) = module.downcode(
        module.released_of(solved_of(source, told)), np.random.default_rng(0)
    )
    assert (exact.column, exact.cells, exact.before, exact.after) == ("kind", 330, 30, 300)
    # One level per column for all rows tells nothing about any of them.
    full = extract(source, {**told, "recoding": "full-domain"}, tmp_path / "full").report
    told_of = full["challenge"]["downcoding"]
    assert told_of["success"] == told_of["baseline"] and not told_of["won"]


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_wongs_table_is_inferred_and_does_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recoding: str
) -> None:
    """Minimality names all who have HIV; the most frequent value of the class names none."""
    source, told = wong(tmp_path)
    with pytest.raises(Refused) as caught:
        extract(source, {**told, "recoding": recoding}, tmp_path / "out")
    assert caught.value.code == "challenged"
    assert "HIV" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    off(monkeypatch)
    made = extract(source, {**told, "recoding": recoding}, tmp_path / "weak")
    found = made.report["challenge"]["minimality"]["illness"]
    assert found == {
        "records": 35,
        "baseline": 0.7,
        "success": 1.0,
        "won": True,
    }


def test_where_k_tells_why_nothing_is_inferred(tmp_path: Path) -> None:
    """The same table, but the first street is too small for k in any case."""
    rows = [("q1", "HIV")] * 4 + [("q2", "flu")] * 10
    _, told = wong(tmp_path)
    source = people(tmp_path, rows, ("street", "illness"))
    (found,) = module.challenge(
        solved_of(source, told), extract(source, told, tmp_path / "out").data, "parquet"
    ).minimality
    assert (found.gained, found.lost) == (0, 0)


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("occupation", [{"class": "sensitive", "l": 2}, "sensitive"])
def test_adult_leaves_and_says_how_far_the_attacks_came(
    tmp_path: Path, recoding: str, occupation: Any
) -> None:
    """One level per column tells nothing; local recoding stays below what is harmless."""
    told = adult(recoding=recoding)
    told["columns"]["occupation"] = occupation
    made = extract(ADULT, told, tmp_path / "out")
    found = json.loads((made.folder / "report.json").read_text())["challenge"]
    down = found["downcoding"]
    assert not down["won"] and not found["minimality"]["occupation"]["won"]
    assert down["label_alone"] <= down["baseline"] <= down["success"]
    assert set(down["columns"]) <= set(made.report["columns"])
    if recoding == "full-domain":
        assert down["success"] == down["baseline"] == down["label_alone"]
        cells = made.report["rows"]["after"] * sum(
            one["levels"] != [0] for one in made.report["columns"].values()
        )
        assert down["cells"] == cells


def test_a_file_that_is_not_what_was_found_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack is on the file: one whose classes are others does not leave."""
    rows = [("a",)] * 10 + [("b",)] * 10
    source = people(tmp_path, rows, ("area",))
    real = make_module.write_rows

    def spoil(sink: Any, schema: Any, batches: Any, form: str) -> int:
        import pyarrow as pa

        table = pa.Table.from_batches(batches, schema)
        changed = table.set_column(0, "area", pa.array(["a"] * 8 + ["b"] * 12))
        return real(sink, schema, changed.to_batches(), form)

    monkeypatch.setattr(make_module, "write_rows", spoil)
    with pytest.raises(Fault) as caught:
        extract(source, {"columns": {"area": "quasi-identifier"}}, tmp_path / "out")
    assert caught.value.code == "extract-check"
    assert not (tmp_path / "out").exists()


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    """What is drawn is drawn from a fixed seed."""
    first = extract(ADULT, adult(recoding="local"), tmp_path / "a").report["challenge"]
    assert first == extract(ADULT, adult(recoding="local"), tmp_path / "b").report["challenge"]


@given(st.integers(1, 400), st.integers(0, 400), st.floats(0.01, 0.99))
def test_more_than_chance_is_less_likely_than_it_says(tries: int, right: int, base: float) -> None:
    """Chernoff's bound against the exact binomial tail."""
    right = min(right, tries)
    if beats(right, tries, base):
        tail = math.fsum(
            math.comb(tries, i) * base**i * (1 - base) ** (tries - i)
            for i in range(right, tries + 1)
        )
        assert tail <= CHANCE * (1 + 1e-9)
        assert right / tries > base
    assert not beats(int(base * tries), tries, base)


@given(st.integers(1, 60), st.data())
def test_the_hypergeometric_is_that_of_counting(n: int, data: st.DataObject) -> None:
    """Against binomial coefficients as whole numbers."""
    m, g = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    x = data.draw(st.integers(-1, n + 1))
    found = float(np.exp(_hypergeometric(*(np.array([v]) for v in (x, n, m, g))))[0])
    ways = math.comb(m, x) * math.comb(n - m, g - x) if 0 <= x <= g else 0
    assert found == pytest.approx(ways / math.comb(n, g), rel=1e-6, abs=1e-300)


def test_guesses_are_those_of_trying_every_value(tmp_path: Path) -> None:
    """Downcoding once more, plainly: over label tuples, dictionaries and a hierarchy of two levels."""
    from bridleway.extract.downcoding import downcode

    rng = random.Random(5)
    rows = [(rng.choice("aaab"), rng.choice("xxyz")) for _ in range(60)]
    source = people(tmp_path, rows, ("left", "right"))
    told = {
        "columns": {"left": "quasi-identifier", "right": "quasi-identifier"},
        "k": 4,
        "recoding": "local",
    }
    released = module.released_of(solved_of(source, told))
    names = ("left", "right")
    labels = [
        tuple(
            h.labels[level][h.codes[level, leaf]]
            for h, level, leaf in zip(released.hierarchies, levels, leaves, strict=True)
        )
        for levels, leaves in zip(released.levels, released.leaves, strict=True)
    ]
    shown = set(labels)
    for column, found in zip(range(2), downcode(released, np.random.default_rng(0)), strict=False):
        one = released.hierarchies[column]
        assert found.column == names[column]
        counts = dict(zip(one.leaves, released.everybody[column], strict=True))
        hidden = dict(counts)
        for label, number in zip(labels, released.counts, strict=True):
            if label[column] != "*":
                hidden[label[column]] -= number
        right = [0, 0, 0]
        cells = 0
        for label, leaves, number in zip(labels, released.leaves, released.counts, strict=True):
            if label[column] != "*":
                continue
            cells += number
            beside = {v for v in counts if (*label[:column], v, *label[column + 1 :]) in shown}
            free = [v for v in counts if v not in beside] or list(counts)
            truth = one.leaves[leaves[column]]
            for at, (weight, among) in enumerate(
                ((counts, list(counts)), (counts, free), (hidden, free))
            ):
                right[at] += number * (truth == max(among, key=lambda v: weight[v]))
        assert (found.cells, found.alone, found.before, found.after) == (cells, *right)
    assert list(itertools.islice(shown, 1))
