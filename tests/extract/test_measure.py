"""Quality figures against ARX's own, on its reference results."""

from __future__ import annotations

import numpy as np
import pytest

from bridleway.extract.classes import classes_of
from bridleway.extract.keys import lookup
from bridleway.extract.measure import class_of, risk, utility
from tests.extract.arx import Result, models_of, results, table_of


@pytest.mark.parametrize(
    "result", [r for r in results() if not r.local], ids=lambda r: f"{r.dataset} {r.task}"
)
def test_the_quality_figures_are_those_of_arx(result: Result) -> None:
    """To the five digits that the reference has."""
    encoded = table_of(result)
    groups, node = encoded.groups, tuple(result.levels[name] for name in encoded.quasi)
    classes = classes_of(groups.at(node), encoded.unit)
    bad = classes.size < 5
    for model in models_of(result):
        bad |= model.fails(classes, node)
    words = [
        word & mask & own
        for word, mask, own in zip(
            groups.words, groups.layout.masks(node), groups.layout.class_masks, strict=True
        )
    ]
    kept = ~bad[lookup(classes.words, words)]
    levels = np.tile(np.array(node), (len(groups), 1))
    hierarchies = groups.layout.hierarchies
    largest = int(classes.rows[~bad].max())
    found = utility(groups, hierarchies, levels, kept)
    assert found.score == pytest.approx(result.score, abs=1e-8)
    assert found.granularity == pytest.approx(result.granularity, abs=1e-5)
    assert found.intensity == pytest.approx(result.intensity, abs=1e-5)
    assert found.entropy == pytest.approx(result.entropy, abs=1.5e-3 if result.suppressed else 1e-5)
    if largest**2 < 2**31:  # beyond, the reference overflowed: it says 0.998 of a loss of 0.05
        assert found.discernibility == pytest.approx(result.discernibility, abs=1e-5)
    assert found.aecs == pytest.approx(result.aecs, abs=1e-5)
    leaves = [groups.layout.leaves(groups.words, c) for c in range(len(hierarchies))]
    sizes = np.bincount(class_of(hierarchies, leaves, levels)[kept], groups.counts[kept])
    told = risk(sizes[sizes > 0].astype(np.int64))
    assert told.classes == result.classes
    assert told.records == groups.counts.sum() - result.suppressed
    assert told.smallest >= 5
    assert told.highest == 1 / told.smallest


def test_risk_by_its_definition() -> None:
    """Classes of 1, 1, 2 and 6 people."""
    told = risk(np.array([1, 6, 2, 1]))
    assert (told.records, told.classes, told.unique, told.smallest) == (10, 4, 2, 1)
    assert told.highest == 1
    assert told.average == 0.4
    assert told.at_risk == 0.4
    assert told.sizes == ((1, 2), (2, 1), (6, 1))
    assert risk(np.array([], dtype=np.int64)).records == 0
