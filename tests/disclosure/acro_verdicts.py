"""Asks ACRO for its verdicts on the made-up tables and writes them down.

Run by a Python that has `acro` (it is no dependency of Bridleway):

    python tests/disclosure/acro_verdicts.py            writes acro_verdicts.json
    python tests/disclosure/acro_verdicts.py 7000 7050  prints the verdicts on these seeds
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.disclosure import tables

RECORD = Path(__file__).with_suffix(".json")
SEEDS = range(360)


def verdict(acro: Any, pandas: Any, seed: int) -> dict[str, Any]:
    """Return, for one table, ACRO's status and the cells that each of its checks marks."""
    from acro.sdc_agg_funcs import agg_values_are_same

    kind, records = tables.table(seed)
    data = pandas.DataFrame(records, columns=["row", "column", "value"])
    acro.sdc_checks.risk_appetite["check_missing_values"] = kind == "missing"
    values = {"values": data["value"], "aggfunc": "mean" if kind == "mean" else "sum"}
    shown = acro.crosstab(data["row"], data["column"], **({} if kind == "count" else values))
    made = acro.results.get_index(-1)
    counts = pandas.crosstab(data["row"], data["column"])
    assert list(shown.index) == list(counts.index) and list(shown.columns) == list(counts.columns)
    # No analysis of this version asks for the check of equal values; its function is there.
    same = data.groupby(["row", "column"])["value"].agg(agg_values_are_same)
    cells = {
        **{check: places for check, places in made.sdc["cells"].items() if places},
        "AllSameValuesCheck": [list(place) for place in same[same].index],
    }
    return {"status": made.status, "checks": sorted(made.sdc["cells"]), "cells": cells}


def verdicts(seeds: range) -> dict[str, Any]:
    """Return ACRO's version, a digest of the tables and the verdict on each."""
    import acro as package
    import pandas

    logging.disable(logging.CRITICAL)
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        os.chdir(folder)
        try:
            acro = package.ACRO(suppress=False)
            made = {str(seed): verdict(acro, pandas, seed) for seed in seeds}
        finally:
            os.chdir(here)
    from importlib.metadata import version

    return {"acro": version("acro"), "tables": tables.digest(seeds), "verdicts": made}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(verdicts(range(int(sys.argv[1]), int(sys.argv[2])))))
    else:
        told = verdicts(SEEDS)
        lines = [f'"{seed}": {json.dumps(one)}' for seed, one in told.pop("verdicts").items()]
        head = json.dumps({**told, "seeds": [SEEDS.start, SEEDS.stop]})[1:-1]
        RECORD.write_text("{" + head + ', "verdicts": {\n' + ",\n".join(lines) + "\n}}\n")
