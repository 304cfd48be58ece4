"""Small counts of people in papers that leave: "fewer than k", and no way to find them out.

A count between 1 and k - 1 is told as a text, every other count of people who may not be in the
file is rounded to a multiple of k, and figures that depend on rows that were left out are told no
finer than those rows could move them. Rounding alone does not keep a total from giving a small
count away, so where counts add up to something that is known, what is small is joined with others
until it is not, or until it stands for several (`join_small`, `joined_until_open`). That is
primary and secondary suppression (Hundepool et al. 2012, Statistical Disclosure Control, ch. 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

Told: TypeAlias = int | str  # a count, or that it is small
Share: TypeAlias = float | str

_DIGITS = 4  # of a share


def fewer(k: int) -> str:
    """Return what stands for every count that is too small to be told."""
    return f"fewer than {k}"


def told(count: int, k: int, *, zero: bool = True) -> Told:
    """Return a count as it may leave.

    zero: whether 0 is told; where it is not, it looks like every other small count.
    """
    if count < k and (count or not zero):
        return fewer(k)
    return (count + k // 2) // k * k


def share(part: int, whole: int, k: int, *, zero: bool = True) -> Share:
    """Return a share of people as it may leave: of the counts as they are told."""
    above, below = told(part, k, zero=zero), told(whole, k)
    if isinstance(above, str) or isinstance(below, str):
        return fewer(k)
    return round(min(above / below, 1.0), _DIGITS) if below else 0.0


def totals(before: int, after: int, people: int, k: int) -> dict[str, Told]:
    """Return rows before, after and left out; people: how many have rows that were left out.

    Who has the file can count the rows after. Where too few people were left out, rows before
    are told as more than those.
    """
    if 0 < people < k:
        return {"before": f"more than {after}", "after": after, "left_out": fewer(k)}
    return {"before": before, "after": after, "left_out": before - after}


def join_small(counts: Sequence[int], k: int) -> list[tuple[int, int]]:
    """Join neighbours until each has 0 or at least k; return where each run begins and ends.

    With fewer than k in all, one run is left.
    """
    runs: list[tuple[int, int]] = []
    start = held = 0
    for at, count in enumerate(counts):
        held += count
        if held >= k or (held == 0 and at == start):
            runs.append((start, at + 1))
            start, held = at + 1, 0
    if start < len(counts):  # what is left at the end goes to the last run that has somebody
        runs = [run for run in runs if sum(counts[slice(*run)])]
        begin = runs.pop()[0] if runs else 0
        earlier = [(at, at + 1) for at in range(begin) if not any(a <= at < b for a, b in runs)]
        runs = sorted([*runs, *earlier, (begin, len(counts))])
    return runs


def joined_until_open(counts: Sequence[int], k: int) -> set[int] | None:
    """Return which counts have to be told as one, so that no small one follows from the total.

    Counts below k, 0 among them, look alike. They can be found out where one of them stands
    alone and is not 0, or where all are as large as they can be. Then they are joined with the
    smallest of the others. None where even that does not help: nothing may be told.
    """
    small = {at for at, count in enumerate(counts) if count < k}
    held = sum(counts[at] for at in small)
    if not held or (len(small) > 1 and held < len(small) * (k - 1)):
        return set()
    others = [at for at in range(len(counts)) if at not in small]
    if not others:
        return None
    return {*small, min(others, key=lambda at: counts[at])}


def decimals(rows: int, people: int, k: int) -> int | None:
    """Return to how many decimals a mean over rows may be told; None where it may be exact.

    One step of the last decimal is at least what k - 1 rows could move it.
    """
    if not 0 < people < k:
        return None
    return max(0, math.floor(math.log10(rows / k)))


def blurred(figures: Any, digits: int | None) -> Any:
    """Return plain data with every number that has a fraction rounded."""
    if digits is None:
        return figures
    if isinstance(figures, float):
        return round(figures, digits)
    if isinstance(figures, dict):
        return {key: blurred(value, digits) for key, value in figures.items()}
    if isinstance(figures, list | tuple):
        return [blurred(value, digits) for value in figures]
    return figures
