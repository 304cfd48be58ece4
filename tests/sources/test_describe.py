"""A described catalogue holds shapes and suggestions, never a value of the data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from bridleway.documents import read_yaml
from bridleway.errors import Gap
from bridleway.sources.connect import connect
from bridleway.sources.describe import describe, read_catalogue, with_release_checks
from bridleway.sources.identity import identifier_part

from .conftest import KINDS, write_csv, write_duckdb

MakeUrl = Callable[[str, pa.Table], str]


def _people(count: int = 300) -> pa.Table:
    nhs, nino = identifier_part("nhs-number"), identifier_part("nino")
    return pa.table(
        {
            "nhs_number": [nhs.example(i) for i in range(count)],
            "ref2": [nino.example(i) if i % 50 else "slip" for i in range(count)],
            "household_id": [f"H{i // 3}" for i in range(count)],
            "uprn": [str(10**10 + i) for i in range(count)],
            "postcode": ["SW1A 1AA" if i % 2 else "M1 1AE" for i in range(count)],
            "date_of_birth": [date(1950 + i % 60, 1, 5) for i in range(count)],
            "tenure": ["zebra-rent" if i % 3 else "zebra-own" for i in range(count)],
            "disabled": [bool(i % 2) if i % 10 else None for i in range(count)],
            "income": pa.array([i * 7919 % 40_000 + 0.25 for i in range(count)]),
            "rooms": pa.array([i % 7 for i in range(count)], pa.int64()),
            "no": ["q" for _ in range(count)],
            "Age (years)": pa.array([i % 90 for i in range(count)], pa.int64()),
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_described_reads_back_strictly(
    kind: str, made_url: MakeUrl, tmp_path: Path
) -> None:
    """Types, classes and entities are suggested at every kind of source; the text is valid."""
    source = connect(made_url(kind, _people()), base=tmp_path)
    text = describe(source, "council", "housing")
    catalogue = read_catalogue(read_yaml(text, "catalogue.yaml"), "council")
    facts = catalogue.tables["register"]
    assert {n: (c.type, c.cls) for n, c in facts.columns.items() if "years" not in n} == {
        "nhs_number": ("text", "identifier"),
        "ref2": ("text", "identifier"),
        "household_id": ("text", "identifier"),
        "uprn": ("text", "identifier"),
        "postcode": ("text", "quasi-identifier"),
        "date_of_birth": ("date", "quasi-identifier"),
        "tenure": ("text", "plain"),
        "disabled": ("boolean", "sensitive"),
        "income": ("decimal", "sensitive"),
        "rooms": ("integer", "quasi-identifier"),
        "no": ("text", "quasi-identifier"),
    } or kind == "csv"
    assert {e.entity: (e.column, e.identifier) for e in facts.entities.values()} == {
        "person": ("nhs_number", "nhs-number"),
        "household": ("household_id", "reference"),
        "address": ("uprn", "uprn"),
    }
    assert facts.columns["disabled"].domain == (True, False)
    assert facts.one_row_per == () and "# one_row_per: [person]" in text
    assert facts.columns["income"].bounds is None and "# bounds:" in text
    if kind == "csv":
        assert facts.columns["income"].type == "decimal"
        assert facts.columns["Age_years"].type == "integer"
    else:
        assert "left out: Age (years)" in text
    with_release_checks(source, catalogue)


def test_no_value_of_the_data_is_written(made_url: MakeUrl, tmp_path: Path) -> None:
    """Not a text, not a number, not even an exact count."""
    table = _people(317)
    text = describe(connect(made_url("duckdb", table), base=tmp_path), "council", "housing")
    for name in table.column_names:
        for value in set(map(str, table[name].to_pylist())):
            if len(value) > 3 and value not in ("True", "None", "False"):
                assert value not in text
    assert "317" not in text and "11 to 100 different" in text and "5 to 20 % missing" in text


def test_what_fits_no_type_is_left_out_and_said(tmp_path: Path) -> None:
    """A list column is no question's business, and the catalogue says why."""
    path = write_duckdb(tmp_path / "a.duckdb", pa.table({"id": [1], "tags": [["a"]]}))
    text = describe(connect(str(path), base=tmp_path), "council", "housing")
    assert "left out: tags" in text
    assert list(read_catalogue(read_yaml(text), "council").tables["register"].columns) == ["id"]


def test_an_empty_table_is_described(made_url: MakeUrl, tmp_path: Path) -> None:
    """No row is no reason to fail."""
    for kind in ("duckdb", "csv"):
        source = connect(made_url(kind, _people().slice(0, 0)), base=tmp_path)
        read_catalogue(read_yaml(describe(source, "council", "housing")), "council")


# -- release checks

_NEEDED = """
catalogue: 1
source: housing
tables:
  register:
    one_row_per: [person]
    entities: {person: {column: nhs_number, identifier: nhs-number}}
    columns:
      nhs_number: {type: text, class: identifier}
      rooms: {type: integer, class: plain}
"""


def _release(url: str, folder: Path, text: str = _NEEDED) -> None:
    catalogue = read_catalogue(read_yaml(text, "catalogue.yaml"), "council")
    with_release_checks(connect(url, base=folder), catalogue)


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_per_is_checked_after_normalisation(
    kind: str, made_url: MakeUrl, tmp_path: Path
) -> None:
    """Two spellings of one number are two rows of one person; invalid ones are nobody's."""
    ids = ["999 000 0018", "9990000026", "9990000018", "bad", "bad", None, None]
    table = pa.table({"nhs_number": ids, "rooms": pa.array(range(7), pa.int64())})
    with pytest.raises(Gap, match="one row per person, but 1 more") as caught:
        _release(made_url(kind, table), tmp_path)
    assert "9990000018" not in str(caught.value)
    assert caught.value.where == "council.housing.register"


@pytest.mark.parametrize("kind", KINDS)
def test_a_true_declaration_passes(kind: str, made_url: MakeUrl, tmp_path: Path) -> None:
    """Different people, whatever their spelling, are one row each."""
    ids = ["999 000 0018", "9990000026", "bad", "bad", None]
    table = pa.table({"nhs_number": ids, "rooms": pa.array(range(5), pa.int64())})
    _release(made_url(kind, table), tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("register:", "registre:"), "no table 'registre'. Did you mean 'register'"),
        (("rooms:", "roms:"), "no column 'roms'. Did you mean 'rooms'"),
        (("type: integer", "type: date"), "stored as integer, which cannot be read as date"),
    ],
)
def test_a_catalogue_that_does_not_match_is_a_gap(
    change: tuple[str, str], sentence: str, made_url: MakeUrl, tmp_path: Path
) -> None:
    """No data version is declared over a wrong description."""
    table = pa.table({"nhs_number": ["9990000018"], "rooms": pa.array([1], pa.int64())})
    with pytest.raises(Gap) as caught:
        _release(made_url("duckdb", table), tmp_path, _NEEDED.replace(*change))
    assert sentence in caught.value.sentence and caught.value.remedy


def test_a_ragged_csv_is_found_at_the_release(tmp_path: Path) -> None:
    """Damage shows before a data version is declared, not during a question."""
    path = write_csv(tmp_path / "register.csv", pa.table({"nhs_number": ["x"], "rooms": [1]}))
    path.write_text(path.read_text() + "a,b,c,d\n")
    from bridleway.errors import Fault

    with pytest.raises(Fault):
        _release(str(path), tmp_path)
