"""Built-in hierarchies, and hierarchies from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway import parts
from bridleway.errors import UsageError
from bridleway.extract.hierarchy import Hierarchy, hierarchy
from bridleway.extract.hierarchy_files import parse_hierarchy, read_hierarchy
from tests.extract.arx import hierarchy_of

BUILDERS = "bridleway.extract.builders"


def build(builder: str, values: list[str | None], **options: Any) -> Hierarchy:
    """Build by name, as a recipe does."""
    made: Hierarchy = parts.load(BUILDERS, builder).build("col", values, options)
    return made


def names(one: Hierarchy, value: str | None) -> list[str | None]:
    """Return what a value is called at each level."""
    return [one.label(level, one.places[value]) for level in range(one.levels)]


@pytest.mark.parametrize(
    ("builder", "options", "value", "wanted"),
    [
        ("numbers", {"widths": [5, 10]}, "37", ["37", "35-39", "30-39", "*"]),
        ("numbers", {"widths": [5, 10]}, "-3", ["-3", "-5--1", "-10--1", "*"]),
        ("numbers", {"widths": [10], "low": 20, "high": 90}, "97", ["97", "90 and over", "*"]),
        ("numbers", {"widths": [10], "low": 20, "high": 90}, "3", ["3", "under 20", "*"]),
        ("numbers", {"widths": [10], "from": 18}, "37", ["37", "28-37", "*"]),
        ("numbers", {"widths": [5]}, "2.50", ["2.50", "0 to under 5", "*"]),
        ("dates", {}, "2026-11-23", ["2026-11-23", "2026-11", "2026-Q4", "2026", "2025-2029", "2020s", "*"]),
        ("dates", {"levels": ["day", "year"]}, "1999-12-31T23:59:59Z", ["1999-12-31T23:59:59Z", "1999-12-31", "1999", "*"]),
        ("postcodes", {}, "ls1 4ap", ["ls1 4ap", "LS1 4", "LS1", "LS", "*"]),
        ("postcodes", {}, "EC1A1BB", ["EC1A1BB", "EC1A 1", "EC1A", "EC", "*"]),
        ("postcodes", {}, "nowhere", ["nowhere", "other", "other", "other", "*"]),
        ("prefix", {"keep": [2, 1]}, "4711", ["4711", "47", "4", "*"]),
        ("occupation", {}, "2211", ["2211", "221", "22", "2", "*"]),
        ("icd10", {}, "E11.9", ["E11.9", "E11", "E10-E14", "IV", "*"]),
        ("icd10", {}, "E119", ["E119", "E11", "E10-E14", "IV", "*"]),
        ("icd10", {}, "E11.90", ["E11.90", "E11", "E10-E14", "IV", "*"]),
        ("icd10", {}, "??", ["??", "other", "other", "other", "*"]),
        ("tree", {"any": {"low": ["1", "2"], "high": ["3"]}}, "2", ["2", "low", "any"]),
        ("tree", {"any": {"low": ["1", "2"], "high": ["3"]}}, "3", ["3", "high", "any"]),
        ("values", {}, "x", ["x", "*"]),
    ],
)  # fmt: skip
def test_what_a_value_is_called(
    builder: str, options: dict[str, Any], value: str, wanted: list[str]
) -> None:
    """Level by level."""
    assert names(build(builder, [value] if builder != "tree" else [], **options), value) == wanted


@pytest.mark.parametrize(
    "builder", ["numbers", "dates", "postcodes", "icd10", "occupation", "values"]
)
def test_a_missing_value_is_a_category_of_its_own_up_to_the_top(builder: str) -> None:
    """It is never taken for one of the others."""
    one = build(builder, [None])
    assert names(one, None) == [None] * (one.levels - 1) + ["*"]


def test_values_by_a_table_of_their_own(tmp_path: Path) -> None:
    """UPRN to ward to district."""
    table = tmp_path / "wards.csv"
    table.write_text(
        "uprn,ward,district\n100,Abbey,Thornby\n101,Abbey,Thornby\n102,Castle,Thornby\n"
    )
    one = build("mapping", ["102", "100", "999", None], file=str(table))
    assert names(one, "100") == ["100", "Abbey", "Thornby", "*"]
    assert names(one, "999") == ["999", "other", "other", "*"]
    assert "101" not in one.places


@given(st.sets(st.decimals(-1000, 1000, places=2), min_size=1, max_size=40))
def test_numbers_without_options_are_read_as_ever_wider_intervals(numbers: set[Any]) -> None:
    """Any column of numbers gets a hierarchy whose levels join whole intervals."""
    one = build("numbers", [f"{n}" for n in numbers])
    assert 2 <= one.levels <= 6
    assert one.labels[-1] == ("*",)


@pytest.mark.parametrize(
    ("builder", "options", "values"),
    [
        ("numbers", {"widths": [5, 7]}, ["1"]),
        ("numbers", {"widths": []}, ["1"]),
        ("numbers", {"widths": [0]}, ["1"]),
        ("numbers", {"widths": "5"}, ["1"]),
        ("numbers", {"wide": [5]}, ["1"]),
        ("numbers", {}, ["secret"]),
        ("numbers", {}, ["nan"]),
        ("dates", {}, ["secret"]),
        ("dates", {"levels": ["year", "month"]}, []),
        ("dates", {"levels": ["century"]}, []),
        ("postcodes", {"x": 1}, []),
        ("prefix", {"keep": [1, 2]}, []),
        ("prefix", {}, []),
        ("occupation", {}, ["secret"]),
        ("tree", {}, []),
        ("tree", {"any": "secret"}, []),
        ("tree", {"any": [["secret"]]}, []),
        ("tree", {"any": {"a": ["1"], "b": ["1"]}}, []),
        ("mapping", {"file": "nowhere.csv"}, []),
        ("mapping", {}, []),
        ("file", {"path": "nowhere.csv"}, []),
        ("file", {}, []),
    ],
)
def test_what_cannot_be_read_is_said_once_and_no_value_told(
    builder: str, options: dict[str, Any], values: list[str | None]
) -> None:
    """One sentence with its place."""
    with pytest.raises(UsageError) as caught:
        build(builder, values, **options)
    assert caught.value.where and caught.value.remedy
    assert "secret" not in str(caught.value)


def test_files_of_arx_and_of_sdchierarchies_are_read(tmp_path: Path) -> None:
    """The same tree from both."""
    arx = parse_hierarchy("a;x;*\nb;x;*\nc;y;*\n", "col")
    levels = parse_hierarchy("@,*\n@@,x\n@@@,a\n@@@,b\n@@,y\n@@@,c\n", "col")
    assert (arx.leaves, arx.labels) == (levels.leaves, levels.labels)
    assert parse_hierarchy("@,*\n@@,x\n@@@,a\n@@,b\n", "col").leaves == ("a", "b")
    assert hierarchy_of("adult", "age").levels == 5
    path = tmp_path / "col.csv"
    path.write_bytes("é;*\n".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        read_hierarchy(path, "col")


@pytest.mark.parametrize(
    "text",
    ["", "a;x\nb\n", "a;x\na;y\n", "a;x;1\nb;x;2\n", "@,*\n@@@,a\n", "@@,a\n@,b\n", "@,*\nx,a\n"],
)
def test_a_file_that_is_no_hierarchy_is_refused(text: str) -> None:
    """Levels must join whole values of the level below."""
    with pytest.raises(UsageError):
        parse_hierarchy(text, "col", "col.csv")


def test_shares_are_of_the_leaves_of_the_file() -> None:
    """Not of the values that the data holds."""
    one = hierarchy("col", [["a", "x", "*"], ["b", "x", "*"], ["c", "y", "*"], ["d", "y", "*"]])
    assert one.shares[0].tolist() == [0.25] * 4
    assert one.shares[1].tolist() == [0.5] * 4
    assert one.shares[2].tolist() == [1.0] * 4
