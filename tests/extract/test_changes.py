"""Changes of sensitive and plain columns: each by its law, and in the file that leaves."""

from __future__ import annotations

import json
import random
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway import parts
from bridleway.errors import Fault, Refused, UsageError
from bridleway.extract.afterwards import Own
from bridleway.extract.chance import Chance, derived
from bridleway.extract.changes import microaggregate, pram, round, top_bottom
from bridleway.extract.locally import CHANGES
from bridleway.extract.make import Made, make
from bridleway.extract.pseudonyms import Names
from bridleway.extract.recipe import read_recipe
from bridleway.extract.report import report_on
from bridleway.sources.compile import query_of
from bridleway.sources.connect import connect

OWN = Own(b"c" * 32, Names(b"n" * 32))


def extract(
    folder: Path, table: pa.Table, body: dict[str, Any], own: Own | None = OWN, name: str = "out"
) -> Made:
    """Make an extract of a table."""
    path = folder / "rows.parquet"
    pq.write_table(table, path)
    source = connect(str(path), base=Path())

    def run(work: Any) -> Any:
        query = query_of(work.expression, source.dialect, work.lent)
        return query.schema, source.read(query)

    try:
        listed = ibis.table(source.columns("rows"), name="rows")
        return make(listed, read_recipe(body), run, folder / name, own=own)
    finally:
        source.close()


def people(number: int = 400, seed: int = 1) -> pa.Table:
    """Return people of two areas with an income, a rent and an illness."""
    rng = random.Random(seed)
    return pa.table(
        {
            "area": [rng.choice("ns") for _ in range(number)],
            "income": pa.array(
                [rng.choice([None, rng.randrange(0, 90_000)]) for _ in range(number)], pa.int64()
            ),
            "rent": pa.array(
                [Decimal(rng.randrange(20_000, 90_000)) / 100 for _ in range(number)],
                pa.decimal128(9, 2),
            ),
            "illness": [rng.choice(["flu", "flu", "gout", "none", None]) for _ in range(number)],
        }
    )


def recipe(**columns: Any) -> dict[str, Any]:
    """Return a recipe for `people`."""
    told = {"area": "quasi-identifier", "income": "plain", "rent": "plain", "illness": "plain"}
    return {"columns": {**told, **columns}, "suppression": 0}


def plain(change: Any) -> dict[str, Any]:
    return {"class": "plain", "change": change}


@given(st.decimals(-(10**6), 10**6, places=3), st.sampled_from(["1000", "0.5", "7", "0.02"]))
def test_rounding_law(value: Decimal, to: str) -> None:
    """A multiple, never farther than half a step, the same a second time."""
    one = round.read({"to": to}, "")
    ((made,),) = one.recoded(["x"], [[str(value)]], [1])
    found, step = Fraction(str(made)), Fraction(to)
    assert found % step == 0
    assert abs(found - Fraction(value)) <= step / 2
    assert one.recoded(["x"], [[made]], [1]) == [[made]]
    assert found != 0 or not str(made).startswith("-")


def test_halves_go_to_the_even_multiple() -> None:
    """So that sums are not pushed one way."""
    one = round.read({"to": 10}, "")
    assert one.recoded(["x"], [["5", "15", "25", "-5", None]], [1] * 5) == [
        ["0", "20", "20", "0", None]
    ]


def test_top_and_bottom_coding() -> None:
    """The bound itself stands; what lies between is untouched."""
    one = top_bottom.read({"low": 0, "high": "10.5"}, "")
    assert one.recoded(["x"], [["-3", "0", "7.25", "10.5", "99", None]], [1] * 6) == [
        ["0", "0", "7.25", "10.5", "10.5", None]
    ]


@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 30), st.none() | st.integers(0, 30)),
        min_size=1, max_size=60,
    ),
    st.integers(2, 6),
)  # fmt: skip
def test_microaggregated_values_stand_in_enough_rows(
    rows: list[tuple[int | None, int | None]], size: int
) -> None:
    """Two columns: every released combination has `size` rows; what was missing stays missing."""
    counted = Counter(rows)
    points = list(counted)
    one = microaggregate.read({"size": size, "with": ["y"]}, "")
    columns = [
        [None if v is None else str(v) for v in column] for column in zip(*points, strict=True)
    ]
    weights = [counted[p] for p in points]
    made = one.recoded(["x", "y"], columns, weights)
    seen: Counter[Any] = Counter()
    for point, weight in zip(zip(*made, strict=True), weights, strict=True):
        seen[point] += weight
    assert all(n >= size for point, n in seen.items() if point != (None, None))
    for before, after in zip(points, zip(*made, strict=True), strict=True):
        assert all(a is None for b, a in zip(before, after, strict=True) if b is None)
    # In whatever order an engine counted them.
    mixed = list(range(len(points)))
    random.Random(0).shuffle(mixed)
    again = one.recoded(["x", "y"], [[c[n] for n in mixed] for c in columns],
                        [weights[n] for n in mixed])  # fmt: skip
    assert [[c[mixed.index(n)] for n in range(len(points))] for c in again] == made


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.floats(0, 0.99))
def test_pram_keeps_expected_frequencies(rows: list[int], keep: float) -> None:
    """t' R = t', and each value stays with `keep` at least."""
    shares = np.array(rows) / sum(rows)
    matrix = pram.transition(keep, shares)
    assert np.allclose(matrix.sum(axis=1), 1)
    assert np.allclose(shares @ matrix, shares)
    assert (np.diag(matrix) >= keep - 1e-12).all()


class Told(Chance):
    """Chance that is told what to draw."""

    def __init__(self, words: list[int]) -> None:
        self.told = np.array(words, dtype=np.uint64)

    def words(self, number: int) -> Any:
        made, self.told = self.told[:number], self.told[number:]
        return made


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_pram_draws_every_row_that_leaves_equally_often(rows: list[int]) -> None:
    """Over all draws there are, expected frequencies are exactly those of the rows."""
    known = pa.array([f"v{n}" for n in range(len(rows))])
    column = pa.array([f"v{n}" for n, times in enumerate(rows) for _ in range(times)])
    total = sum(rows)
    one = pram.read({"keep": "0.25"}, "")
    seen: Counter[str] = Counter()
    for draw in range(total):
        for first in (0, 2**63, 2**63 - 1 + 2**62, 2**64 - 1):  # 1 of 4 keeps
            words = [w for _ in range(total) for w in (first, draw)]
            seen.update(one.drawn(column, known, rows, Told(words)).to_pylist())
    assert seen == Counter({f"v{n}": 4 * total * times for n, times in enumerate(rows)})


def test_pram_by_its_own_matrix() -> None:
    """What is drawn agrees with the transition matrix, and missing values stay."""
    rows = [6000, 3000, 1000]
    column = pa.array([v for v, n in zip("abc", rows, strict=True) for _ in range(n)] + [None] * 50)
    made = pram.read({"keep": "0.7"}, "").drawn(
        column, pa.array(list("abc")), rows, Chance(derived(b"k" * 32, "x"))
    )
    assert made.slice(10_000).to_pylist() == [None] * 50
    matrix = pram.transition(0.7, np.array(rows) / 10_000)
    at = 0
    for place, number in enumerate(rows):
        found = Counter(made.slice(at, number).to_pylist())
        at += number
        for other, value in enumerate("abc"):
            wanted = matrix[place, other]
            assert abs(found[value] / number - wanted) < 5 * (wanted / number) ** 0.5
    assert None not in Counter(made.slice(0, 10_000).to_pylist())


def test_changes_leave_in_their_columns_types(tmp_path: Path) -> None:
    """Rounded, coded, averaged and drawn in one file; means and missing values are kept."""
    table = people()
    made = extract(
        tmp_path, table,
        recipe(
            income=plain({"microaggregate": {"size": 5}}),
            rent=plain({"round": {"to": 50}}),
            illness=plain({"pram": {"keep": "0.5"}}),
        ),
    )  # fmt: skip
    out = pq.read_table(made.data)
    assert out.schema.types == table.schema.types
    incomes = Counter(out["income"].to_pylist())
    assert incomes.pop(None) == table["income"].null_count
    assert min(incomes.values()) >= 5
    before = [n for n in table["income"].to_pylist() if n is not None]
    after = [n for n in out["income"].to_pylist() if n is not None]
    assert abs(sum(after) - sum(before)) <= len(before) / 2
    assert {n % 50 for n in out["rent"].to_pylist()} == {0}
    assert out["illness"].null_count == table["illness"].null_count
    contract = json.loads((made.folder / "contract.json").read_text())
    told = {one["name"]: one.get("change") for one in contract["columns"]}
    assert told == {
        "area": None, "income": {"microaggregate": {"size": 5}},
        "rent": {"round": {"to": "50"}}, "illness": {"pram": {"keep": "0.5"}},
    }  # fmt: skip
    assert made.report["changes"]["rent"] == {"method": "round", "to": "50"}
    assert report_on(made.folder)["differs"] == []
    page = (made.folder / "report.html").read_text()
    assert "rounded to multiples of 50" in page and "changed by chance" in page


def test_several_columns_are_averaged_together(tmp_path: Path) -> None:
    """Every pair of released values stands in five rows."""
    change = {"microaggregate": {"size": 5, "with": ["rent"]}}
    made = extract(tmp_path, people(), recipe(income=plain(change)))
    out = pq.read_table(made.data)
    pairs = Counter(zip(out["income"].to_pylist(), out["rent"].to_pylist(), strict=True))
    assert min(pairs.values()) >= 5 and len(pairs) > 20


def test_models_are_asked_of_released_values(tmp_path: Path) -> None:
    """Two incomes that become one are one: l = 2 fails after rounding, and held before."""
    table = pa.table({"area": ["a"] * 6, "income": [1010, 1020, 1030] * 2})
    told = {"class": "sensitive", "l": 2}
    body = {"columns": {"area": "quasi-identifier", "income": told}, "suppression": 0}
    extract(tmp_path, table, body, name="held")
    told["change"] = {"round": {"to": 1000}}  # type: ignore[assignment]
    with pytest.raises(Refused):
        extract(tmp_path, table, body)
    assert not (tmp_path / "out").exists()


def test_a_sensitive_column_that_is_drawn_says_what_its_model_holds_of(tmp_path: Path) -> None:
    """The search saw the values before; chance may leave a class with fewer."""
    told = {"class": "sensitive", "l": 2, "change": {"pram": {"keep": 0}}}
    table = pa.table({"area": ["a"] * 8, "s": ["x", "y"] * 4})
    body = {"columns": {"area": "quasi-identifier", "s": told}, "suppression": 0}
    made = extract(tmp_path, table, body)
    contract = json.loads((made.folder / "contract.json").read_text())
    assert "before pram" in contract["columns"][1]["models_hold_of"]
    assert report_on(made.folder)["differs"] == []
    table = pa.table({"area": ["a"] * 8, "s": ["x"] * 8})
    with pytest.raises(Refused):
        extract(tmp_path, table, body, name="same")


def test_the_same_key_draws_the_same_rows(tmp_path: Path) -> None:
    """Not a byte differs; another key draws others; without one nothing is written."""
    body = recipe(illness=plain({"pram": {"keep": 0}}))
    first = extract(tmp_path, people(), body, name="a")
    again = extract(tmp_path, people().take(list(range(399, -1, -1))), body, name="b")
    other = extract(tmp_path, people(), body, Own(b"d" * 32, Names(b"n" * 32)), name="c")
    assert first.data.read_bytes() == again.data.read_bytes()
    assert first.data.read_bytes() != other.data.read_bytes()
    with pytest.raises(Fault):
        extract(tmp_path, people(), body, None, name="d")


def test_the_order_of_rows_does_not_tell_what_stood_there(tmp_path: Path) -> None:
    """Rows alike in all else are sorted by what they say now."""
    table = pa.table({"area": ["a"] * 300 + ["b"] * 300, "s": [f"v{n:03}" for n in range(600)]})
    body = {
        "columns": {"area": "quasi-identifier", "s": plain({"pram": {"keep": "0.5"}})},
        "suppression": 0,
    }
    out = pq.read_table(extract(tmp_path, table, body).data).to_pylist()
    assert [r["area"] for r in out] == ["a"] * 300 + ["b"] * 300
    for half in (out[:300], out[300:]):
        values = [r["s"] for r in half]
        assert values == sorted(values)
        assert len(set(values)) < 300  # some were drawn anew


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"round": {}}, "change"),
        ({"round": {"to": 0}}, "change"),
        ({"round": {"to": True}}, "change"),
        ({"round": {"to": "much"}}, "change"),
        ({"round": {"too": 5}}, "change"),
        ({"round": 5}, "change"),
        ({"top-bottom": {}}, "change"),
        ({"top-bottom": {"low": 5, "high": 5}}, "change"),
        ({"pram": {"keep": 1}}, "change"),
        ({"pram": None}, "change"),
        ({"microaggregate": {"size": 1}}, "change"),
        ({"microaggregate": {}}, "change"),
        ({"microaggregate": {"size": 5, "with": ["area"]}}, "change"),
        ({"microaggregate": {"size": 5, "with": ["income"]}}, "change"),
        ({"microaggregate": {"size": 5, "with": "rent"}}, "change"),
        ({"shuffle": {}}, "change"),
        ({"round": {"to": 5}, "pram": {"keep": 0}}, "change"),
        ([], "change"),
    ],
)
def test_a_change_that_cannot_be_read_is_said_once(change: Any, where: str) -> None:
    """One sentence, its place, a remedy."""
    with pytest.raises(UsageError) as caught:
        read_recipe(recipe(income=plain(change)))
    assert caught.value.remedy and where in caught.value.where


def test_only_columns_that_leave_as_they_are_can_be_changed() -> None:
    """A quasi-identifier is generalised, an identifier gone."""
    for cls in ("quasi-identifier", "identifier", "free-text", "entity"):
        with pytest.raises(UsageError, match="no 'change' here"):
            read_recipe(recipe(income={"class": cls, "change": {"round": {"to": 5}}}))


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("illness", {"round": {"to": 5}}),
        ("income", {"round": {"to": "0.4"}}),
        ("rent", {"top-bottom": {"high": "500.005"}}),
        ("illness", {"microaggregate": {"size": 5}}),
    ],
)
def test_a_change_that_does_not_fit_its_column(
    tmp_path: Path, column: str, change: dict[str, Any]
) -> None:
    """Text is no number; a whole number has no decimals. No value is told."""
    with pytest.raises(UsageError) as caught:
        extract(tmp_path, people(), recipe(**{column: plain(change)}))
    assert caught.value.where == column
    assert not (tmp_path / "out").exists()
    for value in set(people()[column].to_pylist()) - {None}:
        assert str(value) not in str(caught.value).replace(column, "")


def test_more_distinct_values_than_a_change_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before anything is computed."""
    monkeypatch.setattr(microaggregate, "MOST_SORTED", 50)
    with pytest.raises(UsageError, match="More than 50 distinct values"):
        extract(tmp_path, people(), recipe(income=plain({"microaggregate": {"size": 5}})))


def test_every_change_is_tested_here() -> None:
    """A new file in the folder comes with its law."""
    assert set(parts.names(CHANGES)) == {"microaggregate", "pram", "round", "top_bottom"}
