"""Identifiers: one spelling per person at every source, and what is invalid never joins."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.sources.identity import (
    Identified,
    identifier_part,
    identifier_types,
    normalise,
)

SHORT = tuple(t for t in identifier_types() if identifier_part(t).WIDTH)


def _texts(found: Identified) -> list[str]:
    """The canonical forms, empty where invalid."""
    if isinstance(found.blocks, list):
        return [block.decode() for block in found.blocks]
    return [bytes(row).rstrip(b"\0").decode() for row in found.blocks]


def _one(value: Any, identifier: str) -> str:
    return _texts(normalise(pa.array([value]), identifier))[0]


def test_the_known_types() -> None:
    """One file per identifier type; an unknown one is refused with the list."""
    assert set(identifier_types()) == {
        "nhs-number", "uprn", "nino", "postcode", "date-of-birth", "reference",
    }  # fmt: skip
    with pytest.raises(UsageError, match="nhs"):
        normalise(pa.array(["x"]), "nhs")


@pytest.mark.parametrize(
    ("identifier", "variants", "canonical"),
    [
        ("nhs-number", ["9434765919", "943 476 5919", "943-476-5919", " 9434765919 ",
                        "９４３４７６５９１９", "9434765919.0"], "9434765919"),
        ("uprn", ["100023336956", "0100023336956", " 100023336956"], "100023336956"),
        ("uprn", ["5", "005", "000000000005", "5.0"], "000000000005"),
        ("nino", ["AB123456C", "ab 12 34 56 c", "AB123456", "AB-123456-D", "ＡＢ１２３４５６"],
         "AB123456"),
        ("postcode", ["SW1A 1AA", "sw1a1aa", " SW1A  1AA ", "sw1A 1aa"], "SW1A 1AA"),
        ("postcode", ["M1 1AE", "m11ae"], "M1 1AE"),
        ("date-of-birth", ["1980-01-05", "1980/1/5", "1980.01.05", "19800105",
                           "1980-01-05 00:00:00", "1980-01-05T00:00"], "1980-01-05"),
        ("reference", ["Re\u0301f 1", "R\u00e9f 1", "  R\u00e9f 1\t"], "R\u00e9f 1"),
    ],
)  # fmt: skip
def test_variants_of_one_identifier_are_one(
    identifier: str, variants: list[str], canonical: str
) -> None:
    """Spaces, hyphens, letter case, full-width digits and leading zeros tell nobody apart."""
    found = normalise(pa.array(variants), identifier)
    assert _texts(found) == [canonical] * len(variants)
    assert found.valid.all() and found.missing == found.invalid == 0


@pytest.mark.parametrize(
    ("identifier", "values"),
    [
        ("nhs-number", ["9434765918", "0000000000", "9999999999", "1111111111", "0123456789",
                        "9876543210", "1234567890", "943476591", "94347659190", "943476591X",
                        "943476591.9", "unknown", "-", "9434\u00b765919"]),
        ("uprn", ["0", "000", "999999999999", "1234567890123", "12a", "-1", "1.5"]),
        ("nino", ["QQ123456C", "DA123456C", "AO123456C", "GB123456A", "TN123456A", "AB123456E",
                  "AB12345C", "ZZ123456A", "PP999999P"]),
        ("postcode", ["ZZ99 3VZ", "SW1A", "1AA SW1A", "SW1A 1A1", "QQ1 1AA", "SW1A 1AC"]),
        ("date-of-birth", ["1900-01-01", "2023-02-29", "1980-13-01", "05/01/1980", "0000-00-00",
                           "2999-01-01", "1849-12-31", "1980", "1980-01/05"]),
    ],
)  # fmt: skip
def test_placeholders_and_slips_are_invalid(identifier: str, values: list[str]) -> None:
    """A wrong check digit or a stand-in for "unknown" is counted, and joins nobody."""
    found = normalise(pa.array(values), identifier)
    assert not found.valid.any() and found.invalid == len(values)
    assert _texts(found) == [""] * len(values)


@pytest.mark.parametrize("identifier", identifier_types())
def test_missing_is_null_or_blank(identifier: str) -> None:
    """NULL and blank are missing, not invalid."""
    found = normalise(
        pa.array([None, "", "  ", "\t", identifier_part(identifier).example(3)]), identifier
    )
    assert (found.missing, found.invalid) == (4, 0)
    assert found.valid.tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("identifier", SHORT)
@given(text=st.one_of(
    st.text(max_size=14),
    st.text("0123456789 -ABEPQSWZ", max_size=14),
    st.integers(0, 10**13).map(str),
    st.from_regex(r"[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}", fullmatch=True),
    st.dates().map(str),
))  # fmt: skip
def test_the_column_rule_is_the_rule_for_one_value(identifier: str, text: str) -> None:
    """The fast path decides exactly as the plain rule does, alone and among clean rows."""
    part = identifier_part(identifier)
    expected = part.one(text)
    clean = part.example(1)
    for column in ([text], [clean, text, clean], [None, text]):
        found = normalise(pa.array(column, pa.string()), identifier)
        place = column.index(text) if text != clean else 0
        assert bool(found.valid[place]) == bool(expected)
        assert _texts(found)[place] == expected.decode()


@pytest.mark.parametrize("identifier", identifier_types())
@given(number=st.integers(0, 500_000))
def test_normalising_twice_changes_nothing(identifier: str, number: int) -> None:
    """The canonical form is its own canonical form."""
    once = _one(identifier_part(identifier).example(number), identifier)
    assert once and _one(once, identifier) == once


@pytest.mark.parametrize("identifier", SHORT)
def test_blocks_have_one_width_at_every_source(identifier: str) -> None:
    """A token depends on every byte: the width is the type's, never the column's."""
    width = identifier_part(identifier).WIDTH
    assert 0 < width <= 15
    for column in (pa.array([], pa.string()), pa.nulls(3, pa.string()), pa.array(["x"])):
        blocks = normalise(column, identifier).blocks
        assert isinstance(blocks, np.ndarray)
        assert blocks.shape == (len(column), width) and blocks.dtype == np.uint8


_IDS = ["9434765919", None, "943 476 5919", "9990000018", "bad", "", "9990000018"]


def _layouts() -> dict[str, Any]:
    plain = pa.array(_IDS)
    return {
        "string": plain,
        "large": plain.cast(pa.large_string()),
        "view": plain.cast(pa.string_view()),
        "dictionary": plain.dictionary_encode(),
        "slice": pa.array(["x", "9434765919", *_IDS, "y"]).slice(2, len(_IDS)),
        "chunks": pa.chunked_array([plain.slice(0, 3), plain.slice(3, 0), plain.slice(3)]),
        "dictionary slice": pa.array(["q", *_IDS]).dictionary_encode().slice(1),
    }


@pytest.mark.parametrize("layout", sorted(_layouts()))
def test_every_arrow_layout_reads_alike(layout: str) -> None:
    """Offsets, chunks, dictionaries and views change nothing."""
    found = normalise(_layouts()[layout], "nhs-number")
    assert _texts(found) == ["9434765919", "", "9434765919", "9990000018", "", "", "9990000018"]
    assert (found.missing, found.invalid) == (2, 1)


def test_numbers_are_identifiers_too() -> None:
    """Integers and whole floats (a spreadsheet's habit) are the same people as text."""
    ints = [9434765919, None, 9434765918, -5, 0, 10**11]
    expected = ["9434765919", "", "", "", "", ""]
    for kind in (pa.int64(), pa.float64()):
        found = normalise(pa.array(ints, kind), "nhs-number")
        assert _texts(found) == expected
        assert (found.missing, found.invalid) == (1, 4)
    assert _one(1.5, "uprn") == "" and _one(float("nan"), "uprn") == ""
    assert _one(100023336956, "uprn") == "100023336956"
    assert _texts(normalise(pa.array([2**63 + 5], pa.uint64()), "uprn")) == [""]
    assert _one(42, "reference") == "42"


def test_dates_are_dates_of_birth() -> None:
    """A date column needs no spelling."""
    days = [date(1980, 1, 5), None, date(1900, 1, 1), date.today() + timedelta(days=1)]
    found = normalise(pa.array(days), "date-of-birth")
    assert _texts(found) == ["1980-01-05", "", "", ""]
    assert (found.missing, found.invalid) == (1, 2)


def test_the_nhs_check_digit_accepts_one_in_eleven() -> None:
    """Modulus 11 by brute force, written independently of the product's."""
    numbers = [f"943476{i:04d}" for i in range(10_000)]

    def right(text: str) -> bool:
        remainder = sum(int(d) * w for d, w in zip(text, range(10, 1, -1), strict=False)) % 11
        return {11: 0}.get(11 - remainder, 11 - remainder) == int(text[9])

    assert normalise(pa.array(numbers), "nhs-number").valid.tolist() == [right(n) for n in numbers]


@pytest.mark.parametrize("identifier", identifier_types())
def test_examples_are_different_valid_people(identifier: str) -> None:
    """Dummy people are valid by their type's own rule and not one another."""
    part = identifier_part(identifier)
    made = [part.example(i) for i in range(3000)]
    found = normalise(pa.array(made), identifier)
    assert found.valid.all() and len(set(_texts(found))) == 3000
    if identifier == "nhs-number":
        assert all(text.startswith("999") for text in made)
        assert len({part.example(i) for i in range(0, 899_991, 7)}) == 128_571
