"""`linked` against the same SQL over pooled plaintext in one DuckDB on two threads.

Run as `python -m benchmarks.linked SIDE ROWS REPEATS FOLDER [sensitive]`; prints JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.data import WARDS, write
from benchmarks.tree import PeakOfTree
from bridleway.node.workers.runner import Workers

THREADS = 2


def _question(alias: str) -> str:
    return (
        f"SELECT ward, COUNT(DISTINCT person) AS {alias}, SUM(income) AS total "
        "FROM housing JOIN work USING (person) JOIN health USING (person) "
        "WHERE renting = 1 AND score > 499 AND practice IN (0, 2, 4) GROUP BY ward"
    )


def _catalogue(source: str, columns: dict[str, str]) -> str:
    lines = "\n".join(f"      {name}: {facts}" for name, facts in columns.items())
    return (
        f"catalogue: 1\nsource: {source}\ntables:\n  people:\n    meaning: benchmark\n"
        "    one_row_per: [person]\n    entities:\n"
        "      person: {column: nhs_number, identifier: nhs-number}\n    columns:\n"
        f"      nhs_number: {{type: text, class: identifier}}\n{lines}\n"
    )


def catalogues(folder: Path, sensitive: bool) -> dict[str, tuple[str, str]]:
    """Return the three sources. With `sensitive`, two of the filters are on sensitive columns."""
    secret = "sensitive" if sensitive else "plain"
    wards = ", ".join(WARDS)
    return {
        "council.housing": (
            f"duckdb://{folder / 'housing.duckdb'}",
            _catalogue(
                "housing",
                {
                    "ward": f"{{type: text, class: plain, domain: [{wards}]}}",
                    "renting": "{type: integer, class: plain}",
                },
            ),
        ),
        "health.conditions": (
            f"duckdb://{folder / 'health.duckdb'}",
            _catalogue("conditions", {"practice": f"{{type: integer, class: {secret}}}"}),
        ),
        "jobs.work": (
            f"duckdb://{folder / 'work.duckdb'}",
            _catalogue(
                "work",
                {
                    "income": "{type: integer, class: plain, bounds: [0, 100000], scale: 0}",
                    "score": f"{{type: integer, class: {secret}}}",
                },
            ),
        ),
    }


def _fields(*names: str) -> list[dict[str, str]]:
    made = [
        {"name": "nhs_number", "form": "key-only", "why": "join", "category": "uk.id.nhs_number"}
    ]
    return made + [
        {"name": n, "form": "raw", "why": "measured", "category": "plain"} for n in names
    ]


WARM = "SELECT COUNT(DISTINCT person) AS people FROM health"
SETTLE = 2.0  # seconds in which a fork server that was just started prepares its workers


def product(folder: Path, repeats: int, sensitive: bool, bare: bool = False) -> dict[str, Any]:
    """Time whole questions, from the check to the receipt, each the first of its workspace.

    A small local question goes before, so that the fork server is up, and it is given the time
    to prepare: nodes run for days. bare: without worker processes and without the checks across
    questions and data versions.
    """
    from benchmarks.place import PASSWORD, build, passport_body

    body = passport_body(
        {"asked": _question("people"), "warm": WARM},
        {"asked": "linked", "warm": "local"},
        {
            "housing": {"at": ["council.housing.people"]},
            "work": {"at": ["jobs.work.people"]},
            "health": {"at": ["health.conditions.people"]},
        },
        {
            "council.housing": _fields("ward", "renting"),
            "jobs.work": _fields("income", "score"),
            "health.conditions": _fields("practice"),
        },
    )
    if bare:
        body["disclosure"] |= {"together": False, "hold": False}
    seconds, starts = [], []
    total = 0
    with PeakOfTree() as tree:
        for _ in range(repeats):
            place = build(catalogues(folder, sensitive), body, bare=bare)
            place.unlock("city/bench-author", PASSWORD)
            place.ask("warm", "benchmark", "city/bench-author", PASSWORD)
            time.sleep(SETTLE)
            waited = _waits(place.runner)
            start = time.perf_counter()
            answer = place.ask("asked", "benchmark", "city/bench-author", PASSWORD)
            seconds.append(time.perf_counter() - start)
            # The sources' workers start side by side, the meeting place's after them.
            starts.append(max(waited[:-1]) + waited[-1] if waited else 0.0)
            total = sum(r["values"][answer.measures[0]] for r in answer.rows if r["values"])
            place.close()
    return {"seconds": seconds, "starts": starts, "people": total, "peak_mb": tree.peak_mb}


def _waits(runner: Any) -> list[float]:
    """Return a list that fills with the seconds that each worker takes to start."""
    waited: list[float] = []
    if isinstance(runner, Workers):
        begin = runner._worker

        def timed() -> Any:
            start = time.perf_counter()
            try:
                return begin()
            finally:
                waited.append(time.perf_counter() - start)

        runner._worker = timed  # type: ignore[method-assign]
    return waited


def baseline(folder: Path, repeats: int, sensitive: bool) -> dict[str, Any]:
    """Time the same SQL over pooled plaintext, with the same evidence."""
    import duckdb

    engine = duckdb.connect(
        str(folder / "pooled.duckdb"), read_only=True, config={"threads": THREADS}
    )
    if sensitive:
        # The same evidence: the base is everybody who meets only the plain predicates.
        keep = "w.score > 499 AND h.practice IN (0, 2, 4)"
        sql = f"""
            SELECT ward, count(DISTINCT o.nhs_number) FILTER (WHERE {keep}),
                   count(DISTINCT o.nhs_number), sum(income) FILTER (WHERE {keep})
            FROM housing o JOIN work w ON w.nhs_number = o.nhs_number
            JOIN health h ON h.nhs_number = o.nhs_number
            WHERE o.renting = 1 GROUP BY ward ORDER BY ward"""
    else:
        sql = """
            SELECT ward, count(DISTINCT o.nhs_number), count(DISTINCT h.nhs_number), sum(income)
            FROM housing o JOIN work w ON w.nhs_number = o.nhs_number
            JOIN health h ON h.nhs_number = o.nhs_number
            WHERE o.renting = 1 AND w.score > 499 AND h.practice IN (0, 2, 4)
            GROUP BY ward ORDER BY ward"""
    seconds = []
    rows: list[Any] = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        rows = engine.execute(sql).fetchall()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "people": sum(row[1] for row in rows)}


def main() -> None:
    """Run one side and print its figures."""
    side, rows, repeats, folder = sys.argv[1:5]
    where = Path(folder)
    write(where, int(rows))
    if side == "write":
        return
    sensitive = "sensitive" in sys.argv[5:]
    if side == "baseline":
        made = baseline(where, int(repeats), sensitive)
        made["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    else:
        made = product(where, int(repeats), sensitive, bare=side == "bare")
    print(json.dumps(made))


if __name__ == "__main__":
    main()
