"""Sustained questions per second over one source of a million rows, each in its own process.

Different pinned questions, one per ward and tenure, asked by two threads; also what it takes to
start the fork server. Run as `python -m benchmarks.throughput FOLDER`; prints JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.data import WARDS, write
from benchmarks.linked import SETTLE, _fields, catalogues
from benchmarks.place import PASSWORD, build, passport_body

ASKERS = 2
ASKER = "city/bench-author"


def throughput(folder: Path) -> dict[str, Any]:
    """Return questions per second, the 95th percentile of their seconds, and the start."""
    questions = {
        f"q{ward}x{tenure}": "SELECT COUNT(DISTINCT person) AS people FROM housing "
        f"WHERE ward = '{name}' AND renting = {tenure}"
        for ward, name in enumerate(WARDS[:30])
        for tenure in (0, 1)
    }
    body = passport_body(
        questions,
        "local",
        {"housing": {"at": ["council.housing.people"]}},
        {"council.housing": _fields("ward", "renting")},
    )
    place = build({"council.housing": catalogues(folder, False)["council.housing"]}, body)
    place.unlock(ASKER, PASSWORD)
    waiting = list(questions)
    started = time.perf_counter()
    place.ask(waiting.pop(), "benchmark", ASKER, PASSWORD)
    first = time.perf_counter() - started
    time.sleep(SETTLE)
    took: list[float] = []
    guard = threading.Lock()

    def ask() -> None:
        while True:
            with guard:
                if not waiting:
                    return
                question = waiting.pop()
            begun = time.perf_counter()
            place.ask(question, "benchmark", ASKER, PASSWORD)
            took.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=ask) for _ in range(ASKERS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    place.close()
    p95 = statistics.quantiles(took, n=20)[-1]
    return {
        "questions_per_s": len(took) / seconds,
        "question_p95_s": p95,
        "worker_start_s": max(0.0, first - statistics.median(took)),
    }


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1])
    write(folder, 1_000_000)
    print(json.dumps(throughput(folder)))


if __name__ == "__main__":
    main()
