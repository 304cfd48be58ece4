"""The page of policies names every method, setting and parameter that there is."""

from __future__ import annotations

import re
from pathlib import Path

from bridleway import parts
from bridleway.fhir import methods
from bridleway.fhir.methods import method
from bridleway.fhir.reading import PARAMETERS, read_policy

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "fhir-policies.md"


def _rows(title: str) -> dict[str, str]:
    """Return the rows of a section's table by what stands in the first column."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name: row for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_methods_and_their_settings_and_labels() -> None:
    rows = _rows("Methods")
    known = [method(name.replace("_", "")) for name in parts.names(methods.__name__)]
    assert rows.keys() == {one.NAME for one in known}
    for one in known:
        for word in (*one.SETTINGS, *([one.TAG] if one.TAG else ())):
            assert f"`{word}`" in rows[one.NAME], (one.NAME, word)


def test_parameters() -> None:
    assert _rows("Parameters").keys() == set(PARAMETERS)


def test_the_example_is_a_policy() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    assert read_policy(text, "example.yaml").is_own
