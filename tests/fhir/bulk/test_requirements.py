"""Every requirement of the standard leads to a test that exists, or says why not."""

from __future__ import annotations

import ast
import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LIST = ROOT.parent / "shared" / "data" / "fhir" / "bulk_data_requirements.csv"


def writer() -> ModuleType:
    """Load the page's writer."""
    spec = importlib.util.spec_from_file_location(
        "fhir_bulk_page", ROOT / "docs" / "reference" / "fhir_bulk_page.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current() -> None:
    """`python docs/reference/fhir_bulk_page.py` would change nothing."""
    page = writer()
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), (
        "run python docs/reference/fhir_bulk_page.py"
    )


def test_every_named_test_exists() -> None:
    """By file and function."""
    known = {
        f"{path.name}::{node.name}"
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    _, listed = writer().requirements()
    named = {test for one in listed for test in one.get("tests", [])}
    assert named <= known, sorted(named - known)
    assert all(bool(one.get("tests")) is not bool(one.get("instead")) for one in listed)
    assert len({one["id"] for one in listed}) == len(listed)


def test_every_requirement_is_in_the_map() -> None:
    """All that a server or client shall or should do, with its verb, actor and page."""
    if not LIST.exists():
        pytest.skip("the list of requirements is not here")
    guide, listed = writer().requirements()
    mapped = {(str(one["id"]), one["verb"], one["actor"]): one["page"] for one in listed}
    with LIST.open(encoding="utf-8", newline="") as file:
        wanted = {
            (row["ID"], row["Conformance"], row["Actors"].lower()): row["URL"]
            for row in csv.DictReader(file)
            if row["Req Set"].endswith("_2.0.0") and row["Conformance"].startswith("SH")
        }
    assert set(mapped) == set(wanted)
    assert all(f"{guide}{mapped[key]}" in wanted[key] for key in mapped)
