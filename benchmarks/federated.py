"""`federated` over 33 organisations against one pooled DuckDB on two threads.

Run as `python -m benchmarks.federated SIDE ROWS REPEATS FOLDER`; ROWS is per organisation.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.data import WARDS, nhs_numbers

ORGANISATIONS = 33
THREADS = 2


def write(folder: Path, rows: int) -> None:
    """Write one DuckDB file per organisation and a pooled one; people are at one of them only."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "done").exists():
        return
    rng = np.random.default_rng(3)
    with duckdb.connect(str(folder / "pooled.duckdb")) as pooled:
        pooled.execute(
            "create table people (nhs_number varchar, ward varchar, renting int, age int)"
        )
        for number in range(ORGANISATIONS):
            made = pa.table(
                {
                    "nhs_number": nhs_numbers(rows, 400_000_000 + number * (rows + rows // 8 + 60)),
                    "ward": pa.DictionaryArray.from_arrays(
                        pa.array(rng.integers(0, len(WARDS), rows, dtype=np.int16)), pa.array(WARDS)
                    ).cast(pa.string()),
                    "renting": pa.array(rng.integers(0, 2, rows, dtype=np.int32)),
                    "age": pa.array(rng.integers(0, 100, rows, dtype=np.int32)),
                }
            )
            with duckdb.connect(str(folder / f"o{number}.duckdb")) as engine:
                engine.register("made", made)
                engine.execute("create table people as select * from made")
            pooled.register("made", made)
            pooled.execute("insert into people select * from made")
            pooled.unregister("made")
    (folder / "done").touch()


def _question(alias: str) -> str:
    return (
        f"SELECT ward, COUNT(DISTINCT person) AS {alias} FROM people "
        "WHERE renting = 1 AND age >= 18 GROUP BY ward"
    )


def product(folder: Path, repeats: int) -> dict[str, Any]:
    """Time whole questions over 33 nodes."""
    from benchmarks.place import PASSWORD, build, passport_body

    wards = ", ".join(WARDS)
    catalogue = (
        "catalogue: 1\nsource: register\ntables:\n  people:\n    meaning: benchmark\n"
        "    one_row_per: [person]\n    entities:\n"
        "      person: {column: nhs_number, identifier: nhs-number}\n    columns:\n"
        "      nhs_number: {type: text, class: identifier}\n"
        f"      ward: {{type: text, class: plain, domain: [{wards}]}}\n"
        "      renting: {type: integer, class: plain}\n      age: {type: integer, class: plain}\n"
    )
    sources = {
        f"borough{n}.register": (f"duckdb://{folder / f'o{n}.duckdb'}", catalogue)
        for n in range(ORGANISATIONS)
    }
    fields = [
        {
            "name": "nhs_number",
            "form": "key-only",
            "why": "count people",
            "category": "uk.id.nhs_number",
        },
        *(
            {"name": n, "form": "raw", "why": "measured", "category": "plain"}
            for n in ("ward", "renting", "age")
        ),
    ]
    body = passport_body(
        {f"q{i}": _question(f"people{i}") for i in range(repeats + 1)},
        "federated",
        {
            "people": {
                "at": [f"{source}.people" for source in sources],
                "disjoint": True,
                "why": "a person lives in one borough",
            }
        },
        {source: fields for source in sources},
    )
    place = build(sources, body)
    place.unlock("city/bench-author", PASSWORD)
    seconds, total = [], 0
    for i in range(repeats + 1):
        start = time.perf_counter()
        answer = place.ask(f"q{i}", "benchmark", "city/bench-author", PASSWORD)
        seconds.append(time.perf_counter() - start)
        total = sum(r["values"][answer.measures[0]] for r in answer.rows if r["values"])
    place.close()
    return {"seconds": seconds[1:], "people": total}


def baseline(folder: Path, repeats: int) -> dict[str, Any]:
    """Time the same SQL over pooled plaintext."""
    engine = duckdb.connect(
        str(folder / "pooled.duckdb"), read_only=True, config={"threads": THREADS}
    )
    seconds, rows = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        rows = engine.execute(
            "SELECT ward, count(DISTINCT nhs_number) FROM people "
            "WHERE renting = 1 AND age >= 18 GROUP BY ward ORDER BY ward"
        ).fetchall()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "people": sum(row[1] for row in rows)}


def main() -> None:
    """Run one side and print its figures."""
    side, rows, repeats, folder = sys.argv[1:5]
    where = Path(folder)
    write(where, int(rows))
    if side == "write":
        return
    made = {"product": product, "baseline": baseline}[side](where, int(repeats))
    if side == "baseline":
        made["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(made))


if __name__ == "__main__":
    main()
