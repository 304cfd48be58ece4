"""A workspace for benchmarks: real nodes, real signatures, real ledgers, wide-open floors."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bridleway.documents import Document
from bridleway.node.workers.runner import Inline
from bridleway.node.workspace import Workspace

PASSWORD = "benchmark password"  # noqa: S105
TODAY = datetime.now(UTC).date()
FROM, UNTIL = (TODAY - timedelta(days=1)).isoformat(), (TODAY + timedelta(days=200)).isoformat()


def passport_body(
    questions: Mapping[str, str],
    technique: str | Mapping[str, str],
    tables: Mapping[str, Mapping[str, Any]],
    fields: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """Return the parts of a passport that a node enforces, for benchmarks only."""
    controllers: dict[str, list[str]] = {}
    for source in fields:
        controllers.setdefault(source.split(".")[0], []).append(source)
    return {
        "id": "benchmark",
        "version": 1,
        "title": "Benchmark",
        "level": "level-standard",
        "question": {"plain": "How fast is it?"},
        "questions": [{"id": q, "kind": "statistic", "text": t} for q, t in questions.items()],
        "technique": {
            q: {"use": technique if isinstance(technique, str) else technique[q], "why": "measured"}
            for q in questions
        },
        "linker": "linker",
        "disclosure": {"smallest_group": 10},
        "purpose": {"code": "dpv:ResearchAndDevelopment", "aim": "measure", "benefits": "speed"},
        "parties": {
            "controllers": [{"id": n, "name": n, "sources": s} for n, s in controllers.items()]
        },
        "roles": {"author": "city/bench-author", "dpo": "city/bench-officer"},
        "data": {
            "sources": [{"id": s, "fields": list(f)} for s, f in fields.items()],
            "tables": dict(tables),
            "links": [{"entity": "person", "tables": list(tables), "where": "at the linker"}],
            "frequency": {"runs": 1000, "per": "year"},
        },
        "users": [{"person": "city/bench-author", "training": "yes"}],
        "setting": {"code": "in-place", "text": "embedded"},
        "outputs": {"form": "aggregate", "recipients": ["city"]},
        "validity": {"from": FROM, "until": UNTIL, "runs": 1000},
    }


# Enough for questions over ten million rows.
WORKER = "worker: {seconds: 600, memory_mb: 16384}"


def build(
    catalogues: Mapping[str, tuple[str, str]], body: Mapping[str, Any], bare: bool = False
) -> Workspace:
    """Return a workspace whose sources are released and whose passport every controller signed.

    catalogues: 'node.source' -> (URL, catalogue YAML). bare: questions run in this process, and
    the nodes do not weigh questions and data versions against each other.
    """
    folder = Path(tempfile.mkdtemp(prefix="bridleway-bench-"))
    nodes = sorted({name.split(".")[0] for name in catalogues})
    Workspace.init(folder / "place", [*nodes, "city", "linker"]).close()
    for policy in (folder / "place" / "nodes").glob("*/policy.yaml"):
        text = re.sub(r"^worker: \{.*?\}", WORKER, policy.read_text(), flags=re.M)
        if bare:
            text = text.replace("together: true", "together: false")
            text = text.replace("hold: true", "hold: false")
        policy.write_text(text)
    place = Workspace(folder / "place", runner=Inline() if bare else None)
    place.add_person("city", "Bench Author", ["author", "analyst"], FROM, UNTIL, PASSWORD)
    for node in nodes:
        place.add_person(node, f"Controller {node}", ["controller"], FROM, UNTIL, PASSWORD)
    for name, (url, catalogue) in catalogues.items():
        node, source = name.split(".")
        place.node(node).holdings.add(source, url)
        place.node(node).holdings.catalogue_path(source).write_text(catalogue)
        place.release_source(node, source)
    place.submit(Document("benchmark.yaml", dict(body)), "city/bench-author", PASSWORD)
    place.add_person("city", "Bench Officer", ["dpo"], FROM, UNTIL, PASSWORD)
    place.sign("benchmark", "city/bench-officer", PASSWORD, "advise", "Measured, not released.")
    for node in nodes:
        person = f"{node}/controller-{node}"
        place.sign("benchmark", person, PASSWORD, "approve", "Measured, not released.")
    return place
