"""Extracts: search, whole process, the whole curve, a million rows and more, and what is kept.

*Process* is load, search, write, check again and report as JSON, in a process that did it once
before; at a million rows and more, once in a process of its own, whose peak memory is told. All
is also given in group-bys: one NumPy sort of the table's packed codes with a count of what is
alike, in the same run. Run as `python -m benchmarks.extracts FOLDER`; prints JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

DATA = Path(__file__).parents[2] / "shared" / "data" / "anonymisation"
ADULT = DATA / "adult" / "adult.csv"
QUASI = (
    "sex", "age", "race", "marital-status", "education", "native-country", "workclass",
    "occupation", "salary-class",
)  # fmt: skip
# ARX refuses its optimal search here by default: 2,949,120 nodes.
CARD = (
    "LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE", "PAY_0", "PAY_2", "PAY_3", "PAY_4",
    "PAY_5", "PAY_6", "default-payment-next-month",
)  # fmt: skip
ROWS = (1_000_000, 2_000_000, 5_000_000, 10_000_000)
REPEATS = 9
SEED = 7
MUTATED = 0.1  # of the cells of an enlarged table come from another row


def recipe(**changes: Any) -> dict[str, Any]:
    """Return the recipe of Adult, all nine columns quasi-identifiers."""
    columns = {
        name.replace("-", "_"): {
            "class": "quasi-identifier",
            "hierarchy": {"file": {"path": str(ADULT.with_name(f"adult_hierarchy_{name}.csv"))}},
        }
        for name in QUASI
    }
    columns |= changes.pop("columns", {})
    return {"k": 5, "suppression": 0.05, "columns": columns, **changes}


def process(source: Path, target: Path, body: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Make an extract; return seconds and the report."""
    import ibis

    from bridleway.extract.engine import Work
    from bridleway.extract.make import make
    from bridleway.extract.recipe import read_recipe
    from bridleway.sources.compile import query_of
    from bridleway.sources.connect import connect

    shutil.rmtree(target, ignore_errors=True)
    start = time.perf_counter()
    opened = connect(str(source), base=Path())
    name = opened.tables()[0]

    def run(work: Work) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        query = query_of(work.expression, opened.dialect, work.lent)
        return query.schema, opened.read(query)

    try:
        table = ibis.table(opened.columns(name), name=name)
        made = make(table, read_recipe(body), run, target)
    finally:
        opened.close()
    return time.perf_counter() - start, made.report


def alone(source: Path, target: Path) -> dict[str, float]:
    """Make an extract in a process of its own; return seconds, peak memory in GB, rows left out."""
    command = [sys.executable, "-m", "benchmarks.extracts", "--one", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def encoded(
    dataset: Path, names: tuple[str, ...], hierarchy: str, sensitive: tuple[str, ...] = ()
) -> Any:
    """Return an encoded table."""
    from bridleway.extract.hierarchy_files import read_hierarchy
    from bridleway.extract.table import ROWS as COUNT
    from bridleway.extract.table import encode

    with duckdb.connect() as engine:
        listed = ", ".join(f'"{name}"' for name in (*names, *sensitive))
        read = f"read_csv('{dataset}', delim=';', header=true, all_varchar=true)"
        counted = engine.sql(
            f"SELECT {listed}, count(*) AS {COUNT} FROM {read} GROUP BY ALL"
        ).to_arrow_table()
    trees = [
        read_hierarchy(dataset.with_name(hierarchy.format(name.replace(" ", "-"))), name)
        for name in names
    ]
    return encode(counted, trees, sensitive)


def read_text(source: Path, kind: pa.DataType) -> pa.Table:
    """Return Adult, or an enlargement of it."""
    return pa_csv.read_csv(
        source,
        parse_options=pa_csv.ParseOptions(delimiter=";"),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(QUASI, kind)),
    )


def group_by(source: Path) -> Spent:
    """Measure one NumPy group-by over the packed codes of all rows."""
    table = read_text(source, pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
    key = np.zeros(table.num_rows, dtype=np.uint64)
    for column in table.columns:
        coded = column.combine_chunks()
        codes = coded.indices.to_numpy().astype(np.uint64)
        key = key * np.uint64(len(coded.dictionary)) + codes

    def call() -> None:
        ordered = np.sort(key)
        starts = np.flatnonzero(ordered[1:] != ordered[:-1])
        np.diff(starts, prepend=-1)

    return spent(call)


@dataclass(frozen=True)
class Spent:
    """Medians over runs: seconds by the clock, and by the processors, of all threads."""

    wall: float
    cpu: float

    def told(self, name: str) -> dict[str, float]:
        """Return both as figures."""
        return {f"{name}_s": self.wall, f"{name}_cpu_s": self.cpu}


def spent(call: Callable[[], object], repeats: int = REPEATS) -> Spent:
    """Measure a call, after one that does not count."""
    call()
    walls, cpus = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - used)
    return Spent(statistics.median(walls), statistics.median(cpus))


def searches() -> dict[str, float]:
    """Time the search alone, warm."""
    from bridleway.extract.search import Search

    adult = encoded(ADULT, QUASI, "adult_hierarchy_{}.csv")
    rows = int(adult.groups.counts.sum())

    def search(share: float) -> object:
        return Search(adult.groups, ks=(5,), limits=(int(rows * share),), unit=adult.unit).run()

    def curve() -> object:
        return Search(adult.groups, ks=tuple(range(2, 21)), unit=adult.unit).run()

    return {
        **spent(lambda: search(0.05)).told("extract_search"),
        **spent(lambda: search(0)).told("extract_search_none_left_out"),
        **spent(lambda: search(0.02)).told("extract_search_2_percent"),
        **spent(lambda: search(1)).told("extract_search_100_percent"),
        **spent(curve, 5).told("extract_curve"),
    }


def bounded() -> dict[str, float]:
    """Search a lattice of millions of nodes within its time; state the gap."""
    from bridleway.extract.search import Search

    source = DATA / "creditcard" / "creditcard_int.csv.gz"
    table = encoded(source, CARD, "creditcard_int_hierarchy_{}.csv")
    limit = int(table.groups.counts.sum() * 0.05)
    start = time.perf_counter()
    found = Search(table.groups, ks=(5,), limits=(limit,), unit=table.unit).run()
    best = found.best(5, limit)
    assert best is not None
    return {
        "extract_creditcard_12_nodes": found.nodes,
        "extract_creditcard_12_looked_at": found.looked_at,
        "extract_creditcard_12_s": time.perf_counter() - start,
        "extract_creditcard_12_score": best.score,
        "extract_creditcard_12_gap": found.gap,
    }


def kept(folder: Path) -> dict[str, float]:
    """Tell how much detail local recoding keeps with nothing left out."""
    _, plain = process(ADULT, folder / "out", recipe(recoding="local", downcoding=0.05))
    columns = {"occupation": {"class": "sensitive", "l": 2}}
    _, diverse = process(
        ADULT, folder / "out", recipe(recoding="local", downcoding=0.05, columns=columns)
    )
    assert not plain["rows"]["left_out"] and not diverse["rows"]["left_out"]
    return {
        "extract_granularity": plain["utility"]["granularity"],
        "extract_granularity_l2": diverse["utility"]["granularity"],
    }


def command_line(folder: Path) -> float:
    """Return the seconds of `bridleway anonymise` on Adult as a user meets it, start included."""
    program = str(Path(sys.executable).with_name("bridleway"))
    body = folder / "recipe.yaml"
    body.write_text(json.dumps(recipe()))  # JSON is YAML

    def call() -> None:
        shutil.rmtree(folder / "out", ignore_errors=True)
        command = [program, "anonymise", str(ADULT), "--recipe", str(body), "--to"]
        subprocess.run([*command, str(folder / "out")], check=True, capture_output=True)

    return spent(call, 3).wall


def enlarged(folder: Path, rows: int) -> Path:
    """Write Adult enlarged: rows drawn again, some cells from other rows; a fixed seed."""
    told = read_text(ADULT, pa.string())
    rng = np.random.default_rng(SEED)
    path = folder / f"adult_{rows}.csv"
    with pa_csv.CSVWriter(
        path, told.schema, write_options=pa_csv.WriteOptions(delimiter=";")
    ) as to:
        for start in range(0, rows, 1_000_000):
            size = min(1_000_000, rows - start)
            drawn = rng.integers(0, told.num_rows, size)
            columns = []
            for column in told.columns:
                other = rng.integers(0, told.num_rows, size)
                taken = np.where(rng.random(size) < MUTATED, other, drawn)
                columns.append(column.take(pa.array(taken)))
            to.write_table(pa.table(columns, names=told.column_names))
    return path


def linear(folder: Path, most: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Tell seconds per million rows, and memory, of ever larger tables."""
    told, rows = {}, []
    for number in (number for number in ROWS if number <= most):
        source = enlarged(folder, number)
        one = alone(source, folder / "out")
        source.unlink()
        millions = number // 1_000_000
        told[f"extract_{millions}m_cpu_s_per_million"] = one["cpu"] / millions
        rows.append({"rows": number, **one})
    return told, rows


def measure(folder: Path, most: int) -> dict[str, Any]:
    """Measure all. most: rows of the largest table."""
    folder.mkdir(parents=True, exist_ok=True)
    results = searches()
    results |= spent(lambda: process(ADULT, folder / "out", recipe())).told("extract_process")
    one = group_by(ADULT)
    results["extract_group_by_ms"] = one.wall * 1000
    results["extract_search_group_bys"] = results["extract_search_cpu_s"] / one.cpu
    results["extract_process_group_bys"] = results["extract_process_cpu_s"] / one.cpu
    results["extract_cli_s"] = command_line(folder)
    results |= kept(folder)
    large = folder / "adult_x40.csv"
    with gzip.open(DATA / "adult" / "adult_x40.csv.gz") as packed, large.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    runs = [alone(large, folder / "out") for _ in range(3)]
    results["extract_x40_process_s"] = statistics.median(run["seconds"] for run in runs)
    results["extract_x40_memory_gb"] = max(run["peak_gb"] for run in runs)
    results["extract_x40_process_cpu_s"] = statistics.median(run["cpu"] for run in runs)
    more = group_by(large).cpu
    results["extract_x40_process_group_bys"] = results["extract_x40_process_cpu_s"] / more
    large.unlink()
    results |= bounded()
    told, rows = linear(folder, most)
    return {
        "results": {name: round(value, 4) for name, value in (results | told).items()},
        "rows": rows,
        "at": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[1], 1),
    }


def lines(made: dict[str, Any]) -> list[str]:
    """Return what people read of the tables that grow."""
    told = [
        "",
        f"Extracts were measured on {made['at']} by `python -m benchmarks.extracts` on two cores",
        f"under a load of {made['load']} (five-minute average). `_cpu_s` are seconds of all",
        "processors: what a quiet machine needs at most, but for waiting on its disk. Group-bys",
        "compare these. Adult enlarged, nine quasi-identifiers, 5 % may be left out, CSV in,",
        "Parquet out, a process for each:",
        "",
        "| rows | seconds | processor seconds | per million rows | peak memory, GB |",
        "|--:|--:|--:|--:|--:|",
    ]
    return told + [
        f"| {one['rows']:,} | {one['seconds']:.2f} | {one['cpu']:.2f} | "
        f"{one['cpu'] / one['rows'] * 1e6:.2f} | {one['peak_gb']:.2f} |"
        for one in made["rows"]
    ]


def peak_gb() -> float:
    """Return the most memory that this process ever had, not counting who started it."""
    told = Path("/proc/self/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024**2


def main() -> None:
    """Measure all, or one extract of a large table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--most", type=int, default=ROWS[-1])
    parser.add_argument("--one", type=Path, nargs=2)
    told = parser.parse_args()
    if told.one:
        source, target = told.one
        process(ADULT, target, recipe())  # the warm-up, on a small table
        used = time.process_time()
        seconds, report = process(source, target, recipe())
        cpu = time.process_time() - used
        left = report["rows"]["left_out"]
        print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_gb": peak_gb(), "left_out": left}))
    else:
        print(json.dumps(measure(told.folder, told.most)))


if __name__ == "__main__":
    main()
