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
}


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
    module: str, rows: int, rounds: int, repeats: int, folder: Path, *extra: str
) -> dict[str, Any]:
    """Let product and baseline take turns; return medians, ratio and peak memory."""
    side(module, "write", rows, 1, folder)
    seconds: dict[str, list[float]] = {"baseline": [], "product": []}
    peak: dict[str, list[float]] = {"baseline": [], "product": []}
    for _ in range(rounds):
        for which in seconds:
            figures = side(module, which, rows, repeats, folder, *extra)
            seconds[which] += figures["seconds"]
            peak[which].append(figures["peak_mb"])
    made = {which: statistics.median(values) for which, values in seconds.items()}
    return {
        "baseline_s": round(made["baseline"], 3),
        "product_s": round(made["product"], 3),
        "ratio": round(made["product"] / made["baseline"], 2),
        "memory_ratio": round(
            statistics.median(peak["product"]) / statistics.median(peak["baseline"]), 2
        ),
        "runs": len(seconds["product"]),
    }


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
                details[name] = compare(module, rows, rounds, repeats, data, *extra)
                results[f"{name}_ratio"] = details[name]["ratio"]
                print(name, details[name], flush=True)
        if "linked_10m" in details:
            results["linked_10m_memory_ratio"] = details["linked_10m"]["memory_ratio"]
    results |= {
        name: round(value, 2) for name, value in {**passport_and_receipt(), **cli_start()}.items()
    }
    at = datetime.now(UTC).strftime("%Y-%m-%d")
    made = {
        "at": at,
        "machine": machine(),
        "worker_start_s": 0,
        "results": results,
        "details": details,
    }
    (HERE / "results.json").write_text(json.dumps(made, indent=1) + "\n")
    write_table(made)
    print((HERE / "RESULTS.md").read_text())


def write_table(made: dict[str, Any]) -> None:
    """Write the table that people read."""
    lines = [
        "# Results",
        "",
        f"Measured on {made['at']}: {made['machine']}. Made by `make bench`; ratios are medians of",
        "runs that took turns with their baseline, the same SQL over pooled plaintext in one",
        "DuckDB on two threads, with the same evidence. Product times are whole questions: check,",
        "charge, source queries, tokens, messages, join, disclosure control, release and receipt.",
        "Questions run in the process itself, so no worker start-up is included.",
        "",
        "| figure | measured | target | stretch |",
        "|---|--:|--:|--:|",
    ]
    for name, value in made["results"].items():
        target, stretch = TARGETS.get(name, (None, None))
        lines.append(f"| `{name}` | {value} | {target or ''} | {stretch or ''} |")
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
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
