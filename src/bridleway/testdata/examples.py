"""Two small CSV files about made-up people, for a first question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from bridleway.errors import UsageError
from bridleway.testdata.town import make_town


def write_examples(folder: Path, people: int = 5_000, seed: int = 11) -> tuple[Path, Path]:
    """Write housing.csv (nhs_number, tenure) and support.csv (nhs_number, gets_visits).

    Most people stand in both. Raises UsageError where a file of that name is already there.
    """
    truth = make_town(people, seed).truth
    generator = np.random.default_rng(seed)
    known = pa.array(generator.random(people) < 0.9)
    housing, support = folder / "housing.csv", folder / "support.csv"
    for path in (housing, support):
        if path.exists():
            raise UsageError("The file is already there.", "Name another folder.", where=str(path))
    folder.mkdir(parents=True, exist_ok=True)
    pa.csv.write_csv(truth.select(["nhs_number", "tenure"]), housing)
    visited = truth.select(["nhs_number", "disabled"]).rename_columns(["nhs_number", "gets_visits"])
    pa.csv.write_csv(visited.filter(known), support)
    return housing, support
