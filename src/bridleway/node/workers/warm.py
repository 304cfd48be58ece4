"""A rehearsal for the fork server: one question on invented rows, before any real work.

What engines and libraries prepare at their first use is then prepared once, not by each worker:
that saves a worker a third of its time and half of the memory that it copies. The rows are
numbers counted up, in a file in memory; nothing is written and no thread stays.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bridleway.documents import read_yaml
from bridleway.model.catalogue import TableFacts
from bridleway.node.rehearsal import rehearsal_grant
from bridleway.node.workers import landlock, seccomp
from bridleway.node.workers.blocks import new_block
from bridleway.node.workers.jobs import JOBS
from bridleway.questions.sql import Scope, parse
from bridleway.sources.catalogue_file import read_catalogue
from bridleway.sources.connect import connect, make_ahead
from bridleway.sources.source import sql_name

_ROWS = 300
_AREAS = ("north", "south", "west")
_QUESTION = (
    "SELECT one.area, COUNT(DISTINCT person) AS people, SUM(one.amount) AS total "
    "FROM one JOIN other USING (person) WHERE other.flag GROUP BY one.area"
)
_CATALOGUE = """\
catalogue: 1
source: {node}
tables:
  {table}:
    meaning: a rehearsal
    one_row_per: [person]
    entities:
      person: {{column: number, identifier: nhs-number}}
    columns:
      number: {{type: text, class: identifier}}
      area: {{type: text, class: plain, domain: [north, south, west]}}
      amount: {{type: decimal, class: sensitive, bounds: [0, 100], scale: 2}}
      flag: {{type: boolean, class: sensitive, domain: [true, false]}}
"""


def warm() -> None:
    """Work out one question, from rows to answer. Raises whatever fails in it."""
    handle = os.memfd_create("rehearsal", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(handle), "wb") as file:
            pq.write_table(_rows(), file)
        path = f"/proc/self/fd/{handle}"
        told = _told(path, sql_name(str(handle)))
        frames = [
            JOBS["frame"]({**told, "node": node, "task": _task(node, path)}, []).blocks[0]
            for node in ("one", "other")
        ]
        met = {"parts": [["one", "one"], ["other", "other"]], "asked_before": False, "earlier": []}
        JOBS["meet"]({**told, **met}, frames)
    finally:
        os.close(handle)
    make_ahead()
    new_block(1)
    landlock.edition()
    seccomp.available()


def _rows() -> pa.Table:
    numbers = [number for start in range(999_000_000, 999_000_000 + _ROWS)
               if (number := _nhs_number(start))]  # fmt: skip
    count = len(numbers)
    return pa.table(
        {
            "number": numbers,
            "area": [_AREAS[i % len(_AREAS)] for i in range(count)],
            "amount": [i % 100 + 0.25 for i in range(count)],
            "flag": [i % 4 > 0 for i in range(count)],
        }
    )


def _nhs_number(start: int) -> str:
    """Return nine digits with their check digit, in the range that is kept for tests."""
    check = 11 - sum(int(d) * (10 - i) for i, d in enumerate(str(start))) % 11
    return "" if check == 10 else f"{start}{check % 11}"


def _told(path: str, table: str) -> dict[str, Any]:
    facts = {node: _facts(node, table) for node in ("one", "other")}
    scope = Scope(
        {node: frozenset(known.columns) for node, known in facts.items()}, frozenset({"person"})
    )
    question = parse(_QUESTION, scope)
    grant = rehearsal_grant(question, {n: [known] for n, known in facts.items()}, "linked")
    return {
        "grant": grant.to_json(),
        "base": "/",
        "threads": 1,
        "seconds": 60,
        "secret": "00" * 32,
    }


def _facts(node: str, table: str) -> TableFacts:
    text = _CATALOGUE.format(node=node, table=table)
    return read_catalogue(read_yaml(text, "catalogue.yaml"), node).tables[table]


def _task(node: str, path: str) -> dict[str, Any]:
    url = f"parquet://{path}"
    with closing(connect(url, base=Path("/"), threads=1)) as source:
        stamps = [source.quick_stamp()]
    return {
        "name": node,
        "source": f"{node}.{node}",
        "url": url,
        "marks": None,
        "stamps": stamps,
        "snapshot": "",
    }
