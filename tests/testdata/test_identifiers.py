"""Made-up identifiers are valid and distinct; mistyped ones never name somebody else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.sources.identifiers import nhs_number, nino
from bridleway.testdata import identifiers


def _numbers(count: int, seed: int = 1) -> np.ndarray:
    return identifiers.nhs_numbers(count, np.random.default_rng(seed))


def test_nhs_numbers_are_valid_distinct_and_of_the_test_range() -> None:
    """Whatever the town draws up to 909,090 people, no number can be a real person's."""
    made = identifiers.as_text(_numbers(909_090))
    _, good = nhs_number.many(made)
    assert good.all()
    assert len(made.unique()) == 909_090
    assert all(number.startswith("999") for number in made.to_pylist())


def test_a_larger_town_goes_on_below_the_test_range() -> None:
    """A million people and more have valid, distinct numbers too."""
    made = identifiers.as_text(_numbers(1_200_000))
    _, good = nhs_number.many(made)
    assert good.all() and len(made.unique()) == 1_200_000


def test_placeholders_are_nobodys_number() -> None:
    """9999999999 has a right check digit and stands for 'unknown': it is never given out."""
    assert identifiers.is_valid("9999999999") and not nhs_number.one("9999999999")
    every = identifiers.as_text(_numbers(909_090)).to_pylist()
    assert "9999999999" not in every


def test_too_many_people_are_a_usage_error() -> None:
    """Running out of identifiers is said in a sentence, not by a number given twice."""
    with pytest.raises(UsageError):
        identifiers.ninos(20_000_001, np.random.default_rng(1))


@pytest.mark.parametrize("count", [1, 50_000, 1_000_000, 1_300_000])
def test_ninos_are_valid_and_distinct(count: int) -> None:
    """Two people differ in more than the suffix, which linking drops."""
    made = identifiers.ninos(count, np.random.default_rng(2))
    rows, good = nino.many(made)
    assert good.all()
    assert len(np.unique(rows.view("S8"))) == count


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 999_999_999), st.data())
def test_a_digit_wrong_or_two_swapped_always_breaks_the_check(
    first: int, data: st.DataObject
) -> None:
    """The law that the generator rests on, for any number."""
    weighted = sum(int(d) * w for d, w in zip(f"{first:09d}", range(10, 1, -1), strict=True))
    if weighted % 11 == 1:
        return  # no check digit: nobody's number
    number = f"{first:09d}{-weighted % 11}"
    assert identifiers.is_valid(number)
    place = data.draw(st.integers(0, 9))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != number[place]]))
    assert not identifiers.is_valid(number[:place] + digit + number[place + 1 :])
    at = data.draw(st.integers(0, 8))
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    assert identifiers.is_valid(swapped) == (swapped == number)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_mistyped_numbers_are_the_same_person_or_nobody(seed: int) -> None:
    """Row by row: missing, invalid, or the right number in another writing."""
    digits = _numbers(3_000, seed)
    held, kinds = identifiers.mistyped(digits, np.random.default_rng(seed))
    right = identifiers.as_text(digits).to_pylist()
    unlike = [
        (one, number) for one, number in zip(held.to_pylist(), right, strict=True) if one != number
    ]
    readable = [(one, number) for one, number in unlike if one and nhs_number.one(one)]
    assert all(nhs_number.one(one) == number.encode() for one, number in readable)
    assert len(readable) == kinds["spaced"] + kinds["hyphened"]
    assert len(unlike) == sum(kinds.values())
    assert held.null_count == kinds["missing"]


def test_every_kind_of_mistake_is_there() -> None:
    """An office of 60,000 people makes all of them, at about the shares that are stated."""
    _, kinds = identifiers.mistyped(_numbers(60_000), np.random.default_rng(3))
    shares = {kind: rows / 60_000 for kind, rows in kinds.items()}
    assert shares == {
        "spaced": pytest.approx(0.03, rel=0.2),
        "hyphened": pytest.approx(0.01, rel=0.2),
        "missing": pytest.approx(0.015, rel=0.2),
        "wrong": pytest.approx(0.005, rel=0.3),
        "swapped": pytest.approx(0.005, rel=0.3),
        "short": pytest.approx(0.005, rel=0.3),
    }
