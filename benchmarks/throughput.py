"""Workers: the start of their server, what one piece of work costs, questions each second.

Run as `python -m benchmarks.throughput ROWS QUESTIONS FOLDER`; prints JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.data import write
from benchmarks.linked import catalogues, fields
from benchmarks.place import PASSWORD, build, passport_body

ASKERS = 2
ASKER = "city/bench-author"


def start(folder: Path, repeats: int = 3) -> dict[str, float]:
    """Time the first and the later pieces of work of a new server."""
    from bridleway.node.workers.runner import Workers

    path = folder / "one.csv"
    path.write_text("a\n1\n")
    whole = {"source": "a.b", "url": f"csv://{path}"}
    told = {"base": str(folder), "threads": 1, "seconds": 60, "whole": whole}

    def piece(workers: Workers) -> float:
        began = time.perf_counter()
        workers.run("snapshot", told, (), seconds=60, memory_mb=4096)
        return time.perf_counter() - began

    first, later = [], []
    for _ in range(repeats):
        workers = Workers()
        first.append(piece(workers))
        time.sleep(3)  # it goes on preparing while there is nothing to do
        later += [piece(workers) for _ in range(10)]
        workers.close()
    return {
        "worker_start_s": statistics.median(first),
        "worker_piece_ms": statistics.median(later) * 1000,
    }


def throughput(folder: Path, count: int) -> float:
    """Return questions each second: distinct ones on one source, two at a time."""
    questions = {
        f"q{i}": f"SELECT ward, COUNT(DISTINCT person) AS people{i} FROM housing "
        "WHERE renting = 1 GROUP BY ward"
        for i in range(count + 2)
    }
    body = passport_body(
        questions,
        "local",
        {"housing": {"at": ["council.housing.people"]}},
        {"council.housing": fields("ward", "renting")},
    )
    sources = {"council.housing": catalogues(folder, False)["council.housing"]}
    place = build(sources, body)
    place.unlock(ASKER, PASSWORD)

    def ask(question: str) -> None:
        place.ask(question, "benchmark", ASKER, PASSWORD)

    first, second, *rest = questions
    ask(first)
    time.sleep(3)
    ask(second)
    began = time.perf_counter()
    with ThreadPoolExecutor(ASKERS) as pool:
        list(pool.map(ask, rest))
    spent = time.perf_counter() - began
    place.close()
    return len(rest) / spent


def main() -> None:
    """Measure and print."""
    rows, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    write(folder, rows)
    made = {k: round(v, 3) for k, v in start(folder).items()}
    print(json.dumps({**made, "throughput_per_s": round(throughput(folder, count), 2)}))


if __name__ == "__main__":
    main()
