"""The same optimum as ARX, on every full-domain row of its reference results."""

from __future__ import annotations

import pytest

from bridleway.extract.search import Search
from tests.extract.arx import Result, models_of, results, table_of

FULL = [one for one in results() if not one.local]


@pytest.mark.parametrize("result", FULL, ids=lambda r: f"{r.dataset} {r.task}")
def test_the_same_optimum(result: Result) -> None:
    """Score to 1e-8, suppressed rows, and the levels."""
    encoded = table_of(result)
    total = int(encoded.groups.counts.sum())
    limit = int(total * result.limit)
    found = Search(
        encoded.groups, models_of(result), ks=(5,), limits=(limit,), unit=encoded.unit
    ).run()
    best = found.best(5, limit)
    assert best is not None
    assert best.score == pytest.approx(result.score, abs=1e-8)
    assert best.suppressed == result.suppressed
    assert dict(zip(encoded.quasi, best.node, strict=True)) == result.levels
    assert found.gap == 0


def test_one_search_answers_every_limit_and_every_k() -> None:
    """The whole curve holds the optimum of every limit."""
    rows = [one for one in FULL if one.dataset == "adult" and one.sensitive is None]
    encoded = table_of(rows[0])
    found = Search(encoded.groups, ks=tuple(range(2, 21)), unit=encoded.unit).run()
    for result in rows:
        best = found.best(5, int(30162 * result.limit))
        assert best is not None
        assert (best.suppressed, best.score) == (
            result.suppressed,
            pytest.approx(result.score, abs=1e-8),
        )
    for points in found.points.values():
        assert [p.suppressed for p in points] == sorted({p.suppressed for p in points})
        assert [p.score for p in points] == sorted({p.score for p in points}, reverse=True)
