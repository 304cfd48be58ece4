"""`bridleway fhir` with wrong input, and with servers that are no friends."""

from __future__ import annotations

import json
import socket
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
from tests.cli.conftest import Cli, Result
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


WRONG: dict[str, tuple[str, ...]] = {
    "There is no such file or folder": ("anonymise", "nowhere", "out"),
    "There is nothing to anonymise": ("anonymise", "empty", "out"),
    "The target is there already": ("anonymise", "ehr", "empty"),
    "The target lies in the source": ("anonymise", "ehr", "ehr/out"),
    "--as-of is no day": ("anonymise", "ehr", "out", "--as-of", "28.11.2026"),
    "--as-of is in the future": ("anonymise", "ehr", "out", "--as-of", "2206-11-28"),
    "There is no policy 'analytic'. Did you mean": ("anonymise", "ehr", "out", "--policy",
                                                    "analytic"),
    "There is no method 'kepp'": ("explain", "typo.yaml"),
    "FHIR R4 has no resource 'Patients'. Did you mean 'Patient'": ("explain", "--type", "Patients"),
    "FHIR R4 has no resource 'patient'. Did you mean 'Patient'": ("explain", "--type",
                                                                  "Condition,patient"),
    "--hierarchy does not say": ("anonymise", "ehr", "out", "--hierarchy", "snomed"),
    "The address of the server holds a name, a password": (
        "import", "https://me:secret@fhir.example/r4", "out"),
    "The address of the server holds a query": ("import", "https://fhir.example/r4?key=secret",
                                                "out"),
    "The address of the server is not encrypted": ("import", "http://fhir.example", "out"),
    "FHIR R4 has no resource 'Conditions'": ("import", "https://fhir.example", "out", "--type",
                                             "Patient,Conditions"),
    "--since is no moment": ("import", "https://fhir.example", "out", "--since", "yesterday"),
    "--group and --patients": ("import", "https://fhir.example", "out", "--group", "g",
                               "--patients"),
    "The target is a file": ("import", "https://fhir.example", "typo.yaml"),
    "The folder holds other files": ("import", "https://fhir.example", "ehr"),
    "A client id goes with a key": ("import", "https://fhir.example", "out", "--client-id", "me"),
    "The server needs the clients": ("serve", "p", "--as", "a/b"),
    "With --open nobody needs a token": ("serve", "p", "--as", "a/b", "--open", "--clients", "c"),
    "Without tokens the server answers this machine": ("serve", "p", "--as", "a/b", "--open",
                                                       "--host", "10.0.0.1"),
    "by which address clients reach": ("serve", "p", "--as", "a/b", "--clients", "c",
                                       "--host", "10.0.0.1"),
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_input_gets_a_sentence_and_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: str
) -> None:
    """And nothing is written, nobody asked, no secret repeated."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "ehr").mkdir()
    (tmp_path / "ehr" / "Patient.ndjson").write_text('{"resourceType":"Patient","id":"a"}\n')
    rules = "fhirPathRules:\n  - {path: Patient.gender, method: kepp}\n"
    (tmp_path / "typo.yaml").write_text(f"default: redact\n{rules}")
    before = sorted(tmp_path.rglob("*"))
    said = fhir(*WRONG[sentence])
    kind, remedy = said.stderr.rstrip().split("\n")
    assert kind.startswith(f"usage: {sentence}") or sentence in kind
    assert remedy.startswith("  ") and remedy.endswith(".")
    assert "secret" not in said.stderr + said.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_numbers_out_of_range_are_told_by_their_option() -> None:
    """Before anything begins."""
    for words in (
        ("anonymise", "a", "b", "--processes", "-3"),
        ("serve", "p", "--as", "a/b", "--open", "--port", "99999"),
        ("serve", "p", "--as", "a/b", "--open", "--keep-hours", "-1"),
    ):
        said = fhir(*words)
        assert words[-2] in said.stderr


def test_a_server_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    """It is told at once, and no empty folder stays."""
    said = fhir("import", f"http://127.0.0.1:{free_port()}", str(tmp_path / "out"), code=1)
    assert "No server answers at that address" in said.stderr
    assert not (tmp_path / "out").exists()


def test_a_port_that_is_taken_is_told_before_anything_is_served(cli: Cli) -> None:
    """As usage, with the port; no word of a server that serves."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = cli(
            "fhir", "serve", "p", "--as", "office/cas", "--open", "--port", str(port), code=2
        )
    assert "The server cannot listen there (Address already in use)" in said.stderr
    assert f"127.0.0.1:{port}" in said.stderr and "Serving" not in said.stdout


def test_files_of_which_nothing_can_leave_are_warned_of(tmp_path: Path) -> None:
    """The run ends well, as any whose lines are rejected, and says where to look."""
    (tmp_path / "text.ndjson").write_text("no JSON\n")
    said = fhir("anonymise", str(tmp_path / "text.ndjson"), str(tmp_path / "out"), code=0)
    assert "Warning: nothing could leave" in said.stdout
