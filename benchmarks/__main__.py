"""`make bench`: run everything, write results.json and a table in RESULTS.md.

Ratios are medians over runs that take turns with their baseline on the same machine. Sizes can be
lowered for a trial: `python -m benchmarks --rows 100000 --large 0 --federated 100000`.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.extracts import lines as lines_of_extracts
from benchmarks.fhir import lines as lines_of_fhir
from benchmarks.small import cli_start, passport_and_receipt

HERE = Path(__file__).parent
TARGETS = {
    "linked_1m_ratio": (2.5, 2.0),
    "linked_10m_ratio": (2.0, 1.7),
    "linked_sensitive_1m_ratio": (4.0, None),
    "federated_33_ratio": (1.3, None),
    "linked_10m_memory_ratio": (2.0, None),
    "passport_check_ms": (5.0, None),
    "receipt_verify_ms": (20.0, None),
    "cli_start_ms": (300.0, None),
    "protections_ratio": (1.15, None),
    "questions_per_s": (8.0, None),
    "extract_search_s": (0.2, None),
    "extract_search_none_left_out_s": (0.04, None),
    "extract_process_s": (1.0, None),
    "extract_curve_s": (1.0, None),
    "extract_x40_process_s": (4.0, None),
    "extract_x40_memory_gb": (0.6, None),
    "fhir_line_ratio": (5.5, None),
    "fhir_line_ratio_compiled": (3.0, None),
    "fhir_1m_s": (40.0, 30.0),
    "fhir_1m_peak_mb": (200.0, None),
    "extract_granularity": (0.855, None),
    "extract_granularity_l2": (0.874, None),
}
AT_LEAST = ("questions_per_s", "extract_granularity", "extract_granularity_l2")


def side(
    module: str, which: str, rows: int, repeats: int, folder: Path, *extra: str
) -> dict[str, Any]:
    """Run one side in a process of its own and return its figures."""
    command = [sys.executable, "-m", f"benchmarks.{module}", which, str(rows), str(repeats)]
    done = subprocess.run(
        [*command, str(folder), *extra], capture_output=True, text=True, cwd=HERE.parent
    )
    if done.returncode:
        sys.exit(f"{module} {which} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout)) if done.stdout else {}


def compare(
    module: str, rows: int, rounds: int, repeats: int, folder: Path, *extra: str, bare: bool = False
) -> dict[str, Any]:
    """Let product, baseline and, if asked for, the product without protections take turns.

    Return medians, ratios and peak memory.
    """
    side(module, "write", rows, 1, folder)
    sides = ("baseline", "product", *(("bare",) if bare else ()))
    seconds: dict[str, list[float]] = {which: [] for which in sides}
    starts: list[float] = []
    peak: dict[str, list[float]] = {which: [] for which in sides}
    for _ in range(rounds):
        for which in sides:
            figures = side(module, which, rows, repeats, folder, *extra)
            seconds[which] += figures["seconds"]
            peak[which].append(figures["peak_mb"])
            starts += figures.get("starts", []) if which == "product" else []
    made = {which: statistics.median(values) for which, values in seconds.items()}
    start = statistics.median(starts) if starts else 0.0
    protections = {
        "bare_s": round(made["bare"], 3),
        "protections_ratio": round((made["product"] - start) / made["bare"], 2),
    } if bare else {}  # fmt: skip
    return {
        **protections,
        "worker_starts_s": round(start, 3),
        "baseline_s": round(made["baseline"], 3),
        "product_s": round(made["product"], 3),
        "ratio": round(made["product"] / made["baseline"], 2),
        "memory_ratio": round(
            statistics.median(peak["product"]) / statistics.median(peak["baseline"]), 2
        ),
        "runs": len(seconds["product"]),
    }


def alone(module: str, folder: Path, *extra: str) -> dict[str, Any]:
    """Run a benchmark that has no other side; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", str(folder), *extra],
        capture_output=True, text=True, cwd=HERE.parent,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{module} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout))


def machine() -> str:
    """Return what the figures were measured on."""
    import os

    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--federated", type=int, default=1_000_000)
    parser.add_argument("--extracts", type=int, default=10_000_000, help="most rows; 0: none")
    parser.add_argument("--fhir", type=int, default=1_000_000, help="resources; 0: none")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bridleway-bench-data-") as place:
        folder = Path(place)
        runs = {
            "linked_1m": ("linked", arguments.rows, 3, 5, ()),
            "linked_sensitive_1m": ("linked", arguments.rows, 3, 5, ("sensitive",)),
            "linked_10m": ("linked", arguments.large, 2, 3, ()),
            "federated_33": ("federated", arguments.federated, 2, 2, ()),
        }
        for name, (module, rows, rounds, repeats, extra) in runs.items():
            if rows:
                data = folder / f"{module}-{rows}"
                bare = name == "linked_1m"
                details[name] = compare(module, rows, rounds, repeats, data, *extra, bare=bare)
                results[f"{name}_ratio"] = details[name]["ratio"]
                print(name, details[name], flush=True)
        if "linked_1m" in details:
            results["protections_ratio"] = details["linked_1m"]["protections_ratio"]
            told = alone("throughput", folder / f"linked-{arguments.rows}")
            results |= {name: round(value, 2) for name, value in told.items()}
        if "linked_10m" in details:
            results["linked_10m_memory_ratio"] = details["linked_10m"]["memory_ratio"]
        extracts = None
        if arguments.extracts:
            extracts = alone("extracts", folder / "extracts", "--most", str(arguments.extracts))
            results |= extracts.pop("results")
        fhir = None
        if arguments.fhir:
            fhir = alone("fhir", folder / "fhir", "--resources", str(arguments.fhir))
            results |= {name: round(value, 2) for name, value in fhir.pop("results").items()}
    results |= {
        name: round(value, 2) for name, value in {**passport_and_receipt(), **cli_start()}.items()
    }
    at = datetime.now(UTC).strftime("%Y-%m-%d")
    made = {
        "at": at,
        "machine": machine(),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "results": results,
        "details": details,
        "extracts": extracts,
        "fhir": fhir,
    }
    (HERE / "results.json").write_text(json.dumps(made, indent=1) + "\n")
    write_table(made)
    print((HERE / "RESULTS.md").read_text())


def write_table(made: dict[str, Any]) -> None:
    """Write the table that people read."""
    lines = [
        "# Results",
        "",
        f"Measured on {made['at']}: {made['machine']}, by `{made['command']}`",
        "(`make bench` runs all sizes; what is not in the table was not run). Ratios are medians",
        "of runs that took turns with their baseline, the same SQL over pooled plaintext in one",
        "DuckDB on two threads, with the same evidence. Product times are whole questions: check,",
        "charge, source queries, tokens, messages, join, disclosure control, release and receipt.",
        "Every piece of a question runs in a worker process of its own. Starting them is included,",
        "but for `protections_ratio`: that compares with a node that has no workers and does not",
        "weigh answers against each other. `worker_start_s` is the fork server's own start, once.",
        "",
        "| figure | measured | target | stretch |",
        "|---|--:|--:|--:|",
    ]
    for name, value in made["results"].items():
        target, stretch = TARGETS.get(name, (None, None))
        bound = f"at least {target}" if name in AT_LEAST else target or ""
        lines.append(f"| `{name}` | {value} | {bound} | {stretch or ''} |")
    lines += [
        "",
        "| run | baseline, s | product, s | ratio | peak memory ratio | runs |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, detail in made["details"].items():
        lines.append(
            f"| {name} | {detail['baseline_s']} | {detail['product_s']} | {detail['ratio']} | "
            f"{detail['memory_ratio']} | {detail['runs']} |"
        )
    if made.get("extracts"):
        lines += lines_of_extracts(made["extracts"])
    if made.get("fhir"):
        lines += lines_of_fhir(made["fhir"])
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
