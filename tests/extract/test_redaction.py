"""Free text: dropped by default; kept with patterns replaced, where Presidio is installed."""

from __future__ import annotations

import importlib.util
import json
import socket
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.errors import UsageError
from bridleway.extract.recipe import read_recipe
from bridleway.extract.redactors.presidio import _merged
from tests.extract.test_changes import extract

TEXT = (
    "Seen with Ann Lee. NHS 943 476 5919, NINO AB123456C, tel 020 7946 0123, "
    "mail ann.lee@example.com, SW1A 1AA, born 03/04/1980."
)
NOTES = pa.table({"area": ["a"] * 6, "note": [TEXT, None, "", "Well.", "Well.", "Ill."]})
BODY: dict[str, Any] = {
    "columns": {"area": "quasi-identifier", "note": {"class": "free-text", "redact": "presidio"}},
    "suppression": 0,
}
INSTALLED = importlib.util.find_spec("presidio_analyzer") is not None


def test_free_text_is_dropped_unless_said() -> None:
    """Neither with the class alone, nor with a redactor that is not there."""
    told = {"columns": {"area": "quasi-identifier", "note": "free-text"}}
    assert read_recipe(told).released == ("area",)
    told["columns"]["note"] = {"class": "free-text", "redact": "presidi"}  # type: ignore[assignment]
    with pytest.raises(UsageError, match="Did you mean 'presidio'"):
        read_recipe(told)


@pytest.mark.skipif(INSTALLED, reason="Presidio is installed")
def test_what_to_install_is_said_once(tmp_path: Path) -> None:
    """And nothing is written."""
    with pytest.raises(UsageError) as caught:
        extract(tmp_path, NOTES, BODY)
    assert "bridleway[presidio]" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_findings_that_overlap_are_one() -> None:
    """Called by the surest of them, the longest of these."""
    found = [(0, 4, 0.5, "A"), (2, 9, 0.5, "B"), (3, 5, 0.9, "C"), (9, 12, 0.1, "D")]
    assert _merged(found) == [(0, 9, "C"), (9, 12, "D")]


@pytest.mark.skipif(not INSTALLED, reason="Presidio is not installed")
def test_patterns_go_and_names_stay_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the network off."""

    def deny(*told: Any, **more: Any) -> None:
        raise AssertionError("the network was asked")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, deny)
    monkeypatch.setattr(socket.socket, "connect", deny)
    made = extract(tmp_path, NOTES, BODY)
    notes = pq.read_table(made.data)["note"].to_pylist()
    (text,) = (note for note in notes if note and len(note) > 10)
    for gone in ("943 476", "AB123456C", "7946", "ann.lee", "example", "SW1A", "1980"):
        assert gone not in text
    for kind in ("UK_NHS", "UK_NINO", "PHONE_NUMBER", "EMAIL_ADDRESS", "UK_POSTCODE", "DATE_TIME"):
        assert f"[{kind}]" in text
    assert "Ann Lee" in text
    assert sorted(n for n in notes if n is not None and n != text) == ["", "Ill.", "Well.", "Well."]
    contract = json.loads((made.folder / "contract.json").read_text())
    for told in (contract, made.report):
        assert any("names" in warning for warning in told["warnings"])
