"""The risk-utility curve: every point is what an extract at that point really comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
import yaml

import bridleway as bw
import bridleway.extract
from bridleway.errors import UsageError
from bridleway.extract.curves import Curve
from tests.extract.test_make import ADULT, adult, extract, people

ROWS = [(20 + n % 7, "FM"[n % 2], "abcd"[n % 4]) for n in range(200)]
RECIPE: dict[str, Any] = {
    "k": 4,
    "suppression": 0.02,
    "columns": {
        "age": {"class": "quasi-identifier", "hierarchy": {"numbers": {"widths": [2, 4]}}},
        "sex": "quasi-identifier",
        "illness": {"class": "sensitive", "l": 2},
    },
}
NAMES = ("age", "sex", "illness")


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_the_proposed_point_is_what_an_extract_comes_to(tmp_path: Path, recoding: str) -> None:
    """Score, rows left out and levels are those of the extract that is then made."""
    body = adult(recoding=recoding)
    proposed = bw.extract.curve(ADULT, body).proposed
    assert proposed is not None
    made = extract(ADULT, body, tmp_path / "out").report
    assert made["rows"]["left_out"] == proposed.left_out
    assert made["utility"]["score"] == pytest.approx(proposed.score, abs=1e-12)
    if recoding == "full-domain":
        levels = {name: one["levels"] for name, one in made["columns"].items()}
        assert levels == {name: [level] for name, level in dict(proposed.levels or {}).items()}


def test_more_left_out_never_loses_more_and_a_larger_k_never_less() -> None:
    """What the curve is for: it falls along one axis and rises along the other."""
    table = bw.extract.curve(ADULT, adult()).table()
    assert [k for k, _ in table] == list(range(2, 21))
    scores = [[2.0 if s is None else s for s in line] for _, line in table]
    assert all(line == sorted(line, reverse=True) for line in scores)
    assert all(list(column) == sorted(column) for column in zip(*scores, strict=True))
    assert scores[0][0] > scores[0][-1] and scores[-1][-1] > scores[0][-1]


@pytest.mark.parametrize("how", ["arrow", "pandas", "parquet"])
def test_a_table_in_memory_is_as_good_as_a_file(tmp_path: Path, how: str) -> None:
    """Notebooks hold tables; the curve and the extract are the same."""
    path = people(tmp_path, ROWS, NAMES)
    table = pa.table({n: list(c) for n, c in zip(NAMES, zip(*ROWS, strict=True), strict=True)})
    given = {"arrow": table, "pandas": table.to_pandas(), "parquet": path}[how]
    assert bw.extract.curve(given, RECIPE).to_json() == bw.extract.curve(path, RECIPE).to_json()
    made = bw.extract.anonymise(given, RECIPE, tmp_path / "out", form="csv")
    assert pa_csv.read_csv(made.data).num_rows == made.report["rows"]["after"]


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    """One sentence, whatever was given."""
    with pytest.raises(UsageError, match="int is no table"):
        bw.extract.curve(3, RECIPE)
    with pytest.raises(UsageError, match="no table 'peple'"):
        bw.extract.curve(people(tmp_path, ROWS, NAMES), RECIPE, name="peple")


def test_the_recipe_that_is_pasted_leads_to_the_proposed_point(tmp_path: Path) -> None:
    """Levels are written out, fractions quoted; read again it gives the same extract."""
    found = bw.extract.curve(people(tmp_path, ROWS, NAMES), RECIPE)
    told = yaml.safe_load(found.pasted("patients"))["extracts"]["patients"]
    assert isinstance(told["suppression"], str)
    proposed = found.proposed
    assert proposed is not None and proposed.levels is not None
    assert {n: told["columns"][n]["level"] for n in ("age", "sex")} == dict(proposed.levels)
    again = bw.extract.curve(people(tmp_path, ROWS, NAMES), told).proposed
    assert again == proposed


def test_where_nothing_may_leave_nothing_is_proposed(tmp_path: Path) -> None:
    """Two rows cannot hide one another at k = 5."""
    found = bw.extract.curve(people(tmp_path, ROWS[:2], NAMES), {**RECIPE, "k": 5})
    assert found.proposed is None
    with pytest.raises(UsageError, match="Nothing may leave at k = 5"):
        found.pasted("patients")
    assert "none" in found._repr_html_()


def test_a_curve_travels_as_json(tmp_path: Path) -> None:
    """What the holder sends is what the controller sees."""
    for recoding in ("full-domain", "local"):
        made = bw.extract.curve(people(tmp_path, ROWS, NAMES), {**RECIPE, "recoding": recoding})
        again = Curve.from_json(made.to_json(), made.body)
        assert again.to_json() == made.to_json() and again.table() == made.table()


def test_the_plot_shows_a_line_for_each_share_and_the_proposed_point(tmp_path: Path) -> None:
    """As many lines as shares, and a ring."""
    axes = bw.extract.curve(people(tmp_path, ROWS, NAMES), RECIPE).plot()
    legend = axes.get_legend()
    assert legend is not None
    told = [text.get_text() for text in legend.get_texts()]
    assert told[0] == "nothing left out" and told[-1] == "proposed" and len(told) == 6
