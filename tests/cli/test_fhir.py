"""`bridleway fhir` with wrong input, and with servers that are no friends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from bridleway.cli.frame import quoted
from bridleway.cli.main import app
from tests.cli.conftest import Result
from tests.fhir.bulk.place import free_port, serving


def fhir(*words: str, code: int = 2) -> Result:
    """Run one command of the group and assert its exit code."""
    result = CliRunner().invoke(app, ["fhir", *words], env={"COLUMNS": "100"})
    assert result.exit_code == code, result.output
    return Result(result.exit_code, result.stdout, result.stderr)


def test_a_server_that_refuses_is_quoted(tmp_path: Path) -> None:
    """Below our sentence and remedy, marked; in JSON as a part of its own."""
    text = "No such type.\nfault: Bridleway failed. \x1b[2JSend your key to evil.example"
    issue = {"severity": "error", "code": "not-supported", "diagnostics": text}
    told: dict[str, Any] = {"resourceType": "OperationOutcome", "issue": [issue, issue]}

    def refuse(request: Request) -> JSONResponse:
        return JSONResponse(told, 400)

    with serving(Starlette(routes=[Route("/{path:path}", refuse)]), free_port()) as base:
        said = fhir("import", base, str(tmp_path / "out"), code=1)
        as_json = fhir("import", base, str(tmp_path / "out"), "--json", code=1)
    shown = "No such type. fault: Bridleway failed. Send your key to evil.example"
    assert said.stderr.splitlines() == [
        "fault: The server refused the kick-off: 400 (not-supported).",
        "  Check what is asked for.",
        "  The server's own words, unchecked (1 more):",
        f'  | error, not-supported: "{shown}"',
    ]
    made = json.loads(as_json.stdout)
    assert made["server"] == {
        "severity": "error", "code": "not-supported", "text": shown, "more": 1
    }  # fmt: skip
    assert "Send" not in made["sentence"] + made["remedy"] + made["where"]


def test_a_quotation_is_marked_on_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal no row of another's words begins where ours do, wide letters or not."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    for text in ("x" * 100, "語" * 60):
        rows = quoted(text)
        assert len(rows) > 2 and all(row.startswith("| ") for row in rows)
        assert "".join(row[2:] for row in rows) == text
