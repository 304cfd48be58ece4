"""FHIR: what one line costs, a million resources, and memory at any size.

*Per line* is reading, anonymising under the default policy and writing one line after another, in
one process, with nothing but a reference to `orjson.loads` and `dumps` of the same lines, which
take turns with it. *A run* is `fhir anonymise` of the sample many times over, with fresh ids: both
passes, all processors, risk and utility included, without gzip. Run as `python -m benchmarks.fhir
FOLDER`; prints JSON.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

SAMPLE = Path(__file__).parents[2] / "shared" / "data" / "fhir" / "synthea-100"
REPEATS = 7
RESOURCES = 1_000_000
_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DAY = date(2026, 11, 28)


def sample() -> list[bytes]:
    """Return all lines of the sample."""
    found: list[bytes] = []
    for path in sorted(SAMPLE.glob("*.gz")):
        found += gzip.decompress(path.read_bytes()).splitlines()
    return found


def enlarge(folder: Path, resources: int) -> int:
    """Write the sample over and over with fresh ids; return how many resources."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = {path.name.split(".")[0]: gzip.decompress(path.read_bytes())
             for path in sorted(SAMPLE.glob("*.gz"))}  # fmt: skip
    per = sum(text.count(b"\n") for text in files.values())
    copies = -(-resources // per)
    for copy in range(copies):
        mark = f"{copy:08x}".encode()
        for name, text in files.items():
            with (folder / f"{name}.ndjson").open("ab") as file:
                file.write(_fresh(text, mark))
    return per * copies


def _fresh(text: bytes, mark: bytes) -> bytes:
    return _UUID.sub(lambda found: mark + found[0][8:], text)


def per_line(lines: list[bytes]) -> dict[str, float]:
    """Return the ratio of the default policy to loads and dumps, and resources per second.

    In pure Python, and `_compiled` where the walks in C are built.
    """
    from bridleway.fhir import forms

    found = _per_line(lines, forms.in_python())
    in_c = forms.built()
    if in_c is None:
        return found
    told = _per_line(lines, in_c)
    return found | {
        "fhir_line_ratio_compiled": told["fhir_line_ratio"],
        "fhir_line_ratio_compiled_least": told["fhir_line_ratio_least"],
        "fhir_lines_per_s_compiled": told["fhir_lines_per_s"],
    }


def _per_line(lines: list[bytes], forms: Any) -> dict[str, float]:
    from bridleway.fhir.engine import Engine
    from bridleway.fhir.keyed import Keys
    from bridleway.fhir.reading import shipped
    from bridleway.fhir.walks import Tools
    from bridleway.fhir.weigh import counted

    policy = shipped("analytics")

    class Kept(dict[Any, Any]):
        """Every code leaves as it is, which costs the most."""

        def get(self, key: Any, default: Any = None) -> Any:
            return key

    codes = {rule.where: Kept() for rule in counted(policy)}
    base, ours = [], []
    gc.disable()
    for _ in range(REPEATS):
        engine = Engine(
            policy, Tools(Keys(b"k" * 32), DAY, policy.parameters, codes=codes, forms=forms)
        )
        for line in lines[:: len(lines) // 500]:  # walks are made when they are first needed
            engine.taken(line)
        start = time.process_time()
        for line in lines:
            orjson.dumps(orjson.loads(line))
        base.append(time.process_time() - start)
        start = time.process_time()
        for line in lines:
            engine.taken(line)
        ours.append(time.process_time() - start)
    gc.enable()
    ratios = [mine / theirs for mine, theirs in zip(ours, base, strict=True)]
    return {
        "fhir_line_ratio": statistics.median(ratios),
        "fhir_line_ratio_least": min(ratios),
        "fhir_lines_per_s": len(lines) / statistics.median(ours),
        "fhir_loads_dumps_per_s": len(lines) / statistics.median(base),
    }


def run(source: Path, target: Path, processes: int, walks: str) -> dict[str, float]:
    """Anonymise a source in a process of its own; return seconds and peak memory.

    walks: Python or C.
    """
    from bridleway.fhir.forms import SWITCH

    shutil.rmtree(target, ignore_errors=True)
    code = [sys.executable, "-m", "benchmarks.fhir", str(source), "--into", str(target),
            "--processes", str(processes)]  # fmt: skip
    environment = os.environ | {SWITCH: "0" if walks == "Python" else "1"}
    done = subprocess.run(code, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def once(source: Path, target: Path, processes: int) -> dict[str, float]:
    """Anonymise a source here."""
    from bridleway.fhir.reading import shipped
    from bridleway.fhir.run import Order, anonymise
    from bridleway.fhir.workers import peak_mb

    start = time.perf_counter()
    order = Order(source, target, shipped("analytics"), b"k" * 32, as_of=DAY, processes=processes)
    outcome = anonymise(order)
    report = outcome.report
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak_mb": peak_mb(),
        "process_peak_mb": outcome.peak_mb,
        "resources": report["resources"]["read"],
        "index_bytes_per_resource": report["index"]["bytes_per_resource"],
    }


def lines(made: dict[str, Any]) -> list[str]:
    """Return what people read of whole runs."""
    told = [
        "",
        f"FHIR was measured on {made['at']} by `python -m benchmarks.fhir` under a load of "
        f"{made['load']}",
        "(five-minute average). Runs are the sample many times over with fresh ids, NDJSON in and",
        "out, not packed, both passes, risk and utility included; memory of the largest process:",
        "",
        "| walks in | resources | processes | seconds | resources per second | peak memory, MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    return told + [
        f"| {one['walks']} | {one['resources']:,} | {one['processes']} | {one['seconds']:.1f} | "
        f"{one['resources'] / one['seconds']:,.0f} | "
        f"{max(one['peak_mb'], one['process_peak_mb']):.0f} |"
        for one in made["runs"].values()
    ]


def main() -> None:
    """Measure all, or run once into a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--resources", type=int, default=RESOURCES)
    arguments = parser.parse_args()
    if arguments.into:
        print(json.dumps(once(arguments.folder, arguments.into, arguments.processes)))
        return
    from bridleway.fhir import forms

    folder: Path = arguments.folder
    told = per_line(sample())
    runs = {}
    for name, size in (("tenth", arguments.resources // 10), ("whole", arguments.resources)):
        count = enlarge(folder / "source", size)
        for walks in ("Python", "C") if forms.built() else ("Python",):
            for processes in (1, os.cpu_count() or 1):
                made = run(folder / "source", folder / "out", processes, walks)
                runs[f"{name}-{walks}-{processes}"] = made | {
                    "resources": count, "processes": processes, "walks": walks,
                }  # fmt: skip
                shutil.rmtree(folder / "out", ignore_errors=True)
    whole = runs[f"whole-Python-{os.cpu_count() or 1}"]
    in_c = runs.get(f"whole-C-{os.cpu_count() or 1}")
    if in_c:
        told["fhir_1m_compiled_s"] = in_c["seconds"]
    print(json.dumps({
        "at": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[1], 1),
        "results": told | {
            "fhir_1m_s": whole["seconds"],
            "fhir_1m_peak_mb": max(whole["peak_mb"], whole["process_peak_mb"]),
            "fhir_1m_two_over_one": whole["seconds"] / runs["whole-Python-1"]["seconds"],
            "fhir_index_bytes_per_resource": whole["index_bytes_per_resource"],
        },
        "runs": runs,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
