"""Small counts of people in papers that leave are never told, nor to be found by subtraction."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bridleway.extract.few import (
    blurred,
    decimals,
    fewer,
    join_small,
    joined_until_open,
    share,
    told,
    totals,
)

KS = st.integers(2, 30)


@given(KS, st.data())
def test_a_small_count_looks_like_every_other_small_count(k: int, data: st.DataObject) -> None:
    """1 to k - 1 are one text; 0 too where it would tell; else multiples of k, at most half off."""
    assert {told(count, k) for count in range(1, k)} == {f"fewer than {k}"}
    assert told(0, k) == 0
    assert told(0, k, zero=False) == fewer(k)
    count = data.draw(st.integers(k, 10**7))
    found = told(count, k)
    assert isinstance(found, int)
    assert found % k == 0 and found >= k and abs(found - count) <= k / 2


@given(KS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_share_of_few_is_not_told(k: int, part: int, more: int) -> None:
    """Neither of few nor among few; what is told is of the rounded counts alone."""
    found = share(part, part + more, k)
    if 0 < part < k or 0 < part + more < k:
        assert found == fewer(k)
    elif part:
        above, below = told(part, k), told(part + more, k)
        assert isinstance(above, int) and isinstance(below, int)
        assert found == round(min(above / below, 1), 4)
    else:
        assert found == 0


@given(st.integers(2, 6), st.lists(st.integers(0, 12), min_size=1, max_size=5))
def test_a_total_does_not_give_a_small_count_away(k: int, counts: list[int]) -> None:
    """Whoever knows the total and every count that is told finds no count of 1 to k - 1."""
    joined = joined_until_open(counts, k)
    if joined is None:
        return
    shown = [count for at, count in enumerate(counts) if at not in joined]
    shown += [sum(counts[at] for at in joined)] if joined else []
    small = [count for count in shown if count < k]
    if not small:
        return
    left = sum(small)
    possible = [c for c in itertools.product(range(k), repeat=len(small)) if sum(c) == left]
    for at, count in enumerate(small):
        assert len({found[at] for found in possible}) > 1 or count == 0


@given(st.integers(2, 9), st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_bins_are_joined_until_none_is_small(k: int, counts: list[int]) -> None:
    """Runs follow one another, and keep apart what may be told apart."""
    runs = join_small(counts, k)
    assert [at for start, end in runs for at in range(start, end)] == list(range(len(counts)))
    sums = [sum(counts[start:end]) for start, end in runs]
    assert all(n == 0 or n >= k for n in sums) or len([n for n in sums if n]) == 1
    if all(n == 0 or n >= k for n in counts):
        assert len(runs) == len(counts)


def test_rows_before_are_not_told_where_few_were_left_out() -> None:
    """Whoever has the file counts its rows, and would subtract."""
    assert totals(100, 97, 3, 5) == {
        "before": "more than 97", "after": 97, "left_out": "fewer than 5",
    }  # fmt: skip
    assert totals(100, 90, 10, 5) == {"before": 100, "after": 90, "left_out": 10}
    assert totals(100, 100, 0, 5) == {"before": 100, "after": 100, "left_out": 0}
    # Twenty rows of one person are one person.
    assert totals(100, 80, 1, 5)["left_out"] == "fewer than 5"


@given(st.integers(2, 20), st.integers(20, 10**7), st.data())
def test_a_mean_tells_no_more_than_its_rounding(k: int, rows: int, data: st.DataObject) -> None:
    """One step of the last decimal is as much as k - 1 rows can move a mean of shares."""
    people = data.draw(st.integers(1, k - 1))
    digits = decimals(rows, people, k)
    assert digits is not None
    assert 10.0**-digits > (k - 1) / rows
    assert decimals(rows, 0, k) is None and decimals(rows, k, k) is None


def test_every_fraction_of_a_report_is_blurred() -> None:
    """At any depth; whole numbers and texts stay."""
    told_of = {"a": 0.123456, "b": [0.99999, {"c": 0.5555}], "d": 7, "e": "x", "f": None}
    assert blurred(told_of, 2) == {"a": 0.12, "b": [1.0, {"c": 0.56}], "d": 7, "e": "x", "f": None}
    assert blurred(told_of, None) == told_of
