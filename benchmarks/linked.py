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


def fields(*names: str) -> list[dict[str, str]]:
    """Return a passport's fields of one source: the key, and these columns."""
    made = [
        {"name": "nhs_number", "form": "key-only", "why": "join", "category": "uk.id.nhs_number"}
    ]
    return made + [
        {"name": n, "form": "raw", "why": "measured", "category": "plain"} for n in names
    ]


def product(folder: Path, repeats: int, sensitive: bool) -> dict[str, Any]:
    """Time whole questions, from the check to the receipt."""
    from benchmarks.memory import sampled
    from benchmarks.place import PASSWORD, build, passport_body

    questions = {f"q{i}": _question(f"people{i}") for i in range(repeats + 2)}
    body = passport_body(
        questions,
        "linked",
        {
            "housing": {"at": ["council.housing.people"]},
            "work": {"at": ["jobs.work.people"]},
            "health": {"at": ["health.conditions.people"]},
        },
        {
            "council.housing": fields("ward", "renting"),
            "jobs.work": fields("income", "score"),
            "health.conditions": fields("practice"),
        },
    )
    place = build(catalogues(folder, sensitive), body)
    place.unlock("city/bench-author", PASSWORD)
    seconds = []
    total = 0
    *timed, weighed = questions
    for question in timed:
        start = time.perf_counter()
        answer = place.ask(question, "benchmark", "city/bench-author", PASSWORD)
        seconds.append(time.perf_counter() - start)
        total = sum(r["values"][answer.measures[0]] for r in answer.rows if r["values"])
    with sampled() as peak:
        place.ask(weighed, "benchmark", "city/bench-author", PASSWORD)
    place.close()
    return {"seconds": seconds[1:], "people": total, "peak_mb": peak.mb}


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
    made = {"product": product, "baseline": baseline}[side](
        where, int(repeats), "sensitive" in sys.argv[5:]
    )
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    made["peak_mb"] = max(own, made.get("peak_mb", 0))
    print(json.dumps(made))


if __name__ == "__main__":
    main()
