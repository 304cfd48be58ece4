"""Made-up tables at the edges of disclosure rules; the same for the same seed, anywhere.

Standard library only: the oracle's own environment imports this file as well.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable

Record = tuple[int, int, int | None]  # row, column, value of one person; None: no value
SIZES = (0, 0, 1, 2, 5, 8, 9, 9, 10, 10, 11, 12, 15, 20, 30)
CALM = (10, 11, 12, 20, 30)


def _even(r: random.Random, n: int) -> list[int | None]:
    return [r.randint(50, 150) for _ in range(n)]


def _skewed(r: random.Random, n: int) -> list[int | None]:
    return [int(10 * r.paretovariate(r.choice((0.4, 0.7, 1.2)))) for _ in range(n)]


def _spread(r: random.Random, total: int, parts: int) -> list[int]:
    """Return whole numbers that add up to the total, as equal as they can be."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def _nk_edge(r: random.Random, n: int) -> list[int | None]:
    """The two largest hold 90 % exactly, or a little more or less."""
    if n < 3:
        return _even(r, n)
    few, scale = 90 * 100 + r.choice((-1, 0, 0, 1)), r.choice((1, 7))
    first = few * r.randint(50, 80) // 100
    return [scale * v for v in (first, few - first, *_spread(r, 10_000 - few, n - 2))]


def _p_edge(r: random.Random, n: int) -> list[int | None]:
    """All but the two largest hold 10 % of the largest exactly, or a little more or less."""
    if n < 3:
        return _even(r, n)
    largest = 10 * r.randint(300, 900)
    rest = largest // 10 + r.choice((-1, 0, 0, 1))
    second = max(largest * r.randint(20, 100) // 100, rest)
    return [largest, second, *_spread(r, rest, n - 2)]


def _same(r: random.Random, n: int) -> list[int | None]:
    return [r.randint(1, 50)] * n


def _zeros(r: random.Random, n: int) -> list[int | None]:
    return [0] * n


def _some_zeros(r: random.Random, n: int) -> list[int | None]:
    return [r.choice((0, r.randint(1, 99))) for _ in range(n)]


def _negative(r: random.Random, n: int) -> list[int | None]:
    return [r.randint(-60, 100) for _ in range(n)]


def _missing(r: random.Random, n: int) -> list[int | None]:
    return [r.choice((None, 40, 50, 60)) for _ in range(n)]


PLAIN: tuple[Callable[[random.Random, int], list[int | None]], ...] = (
    _even, _skewed, _nk_edge, _p_edge, _same, _zeros, _some_zeros,
)  # fmt: skip
KINDS = ("count", "sum", "mean", "sum", "negative", "missing")


def table(seed: int) -> tuple[str, list[Record]]:
    """Return the kind of a table and its people, one record each.

    Every row and every column holds somebody, so that all programs draw the same grid.
    """
    r = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    rows, columns = r.randint(2, 4), r.randint(2, 4)
    records: list[Record] = []
    calm = r.random() < 0.3  # tables that may well pass
    for row in range(rows):
        for column in range(columns):
            size = r.choice(CALM if calm else SIZES)
            size = size or int(row % columns == column or column % rows == row)
            making = (_some_zeros if r.random() < 0.1 else _even) if calm else r.choice(PLAIN)
            if kind in ("negative", "missing") and r.random() < 0.4:
                making = _negative if kind == "negative" else _missing
            records += [(row, column, value) for value in making(r, size)]
    return kind, records


def digest(seeds: range) -> str:
    """Return a digest of the tables, to notice when a record of verdicts is about others."""
    text = json.dumps([table(seed) for seed in seeds])
    return hashlib.sha256(text.encode()).hexdigest()
