"""Seeded benchmark data: people with valid NHS numbers, split over organisations."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

WARDS = [f"E05{number * 37 + 1000:06d}" for number in range(300)]


def nhs_numbers(count: int, start: int = 400_000_000) -> pa.Array:
    """Return distinct valid 10-digit NHS numbers (modulus 11), in shuffled order."""
    base = np.arange(start, start + count + count // 9 + 50, dtype=np.int64)
    digits = (base[:, None] // 10 ** np.arange(8, -1, -1)) % 10
    check = (11 - (digits * np.arange(10, 1, -1)).sum(axis=1) % 11) % 11
    good = check < 10
    characters = np.empty((int(good.sum()), 10), dtype=np.uint8)
    characters[:, :9] = digits[good] + 48
    characters[:, 9] = check[good] + 48
    characters = characters[:count]
    offsets = pa.py_buffer(np.arange(0, 10 * (count + 1), 10, dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), count, [None, offsets, pa.py_buffer(characters)])


def tables(rows: int, seed: int) -> dict[str, pa.Table]:
    """Return three tables of `rows` people each, nine in ten of them shared."""
    rng = np.random.default_rng(seed)
    everyone = nhs_numbers(rows + rows // 9)
    made = {}
    columns = {
        "housing": lambda n: {
            "ward": pa.DictionaryArray.from_arrays(
                pa.array(rng.integers(0, len(WARDS), n, dtype=np.int16)), pa.array(WARDS)
            ).cast(pa.string()),
            "tenure": pa.array(rng.integers(0, 2, n, dtype=np.int32)),
            "renting": pa.array(rng.integers(0, 2, n, dtype=np.int32)),
        },
        "work": lambda n: {
            "income": pa.array(rng.integers(0, 60_000, n, dtype=np.int32)),
            "score": pa.array(rng.integers(0, 1000, n, dtype=np.int32)),
        },
        "health": lambda n: {
            "practice": pa.array(rng.integers(0, 6, n, dtype=np.int32)),
            "disabled": pa.array(rng.integers(0, 2, n, dtype=np.int32)),
        },
    }
    for name, make in columns.items():
        chosen = rng.permutation(len(everyone))[:rows]
        made[name] = pa.table({"nhs_number": everyone.take(pa.array(chosen)), **make(rows)})
    return made


def write(folder: Path, rows: int, seed: int = 7) -> None:
    """Write housing.duckdb, work.duckdb, health.duckdb, and pooled.duckdb with all three."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "done").exists():
        return
    made = tables(rows, seed)
    for name, rows_made in made.items():
        with duckdb.connect(str(folder / f"{name}.duckdb")) as engine:
            engine.execute("create table people as select * from rows_made")
        with duckdb.connect(str(folder / "pooled.duckdb")) as engine:
            engine.execute(f"create table {name} as select * from rows_made")
        del rows_made
    (folder / "done").touch()
