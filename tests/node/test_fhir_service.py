"""A passport's FHIR extract over HTTP: our strict client, real tokens, real files."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jwt.algorithms import ECAlgorithm

from bridleway.api import verify
from bridleway.errors import Refused
from bridleway.fhir.bulk.client import Wanted, fetch
from bridleway.fhir.bulk.server import application
from bridleway.fhir.bulk.settings import Settings
from bridleway.fhir.bulk.signing import from_file
from bridleway.fhir.bulk.smart import Clients
from bridleway.fhir.bulk.wire import Credentials
from bridleway.node.fhir_service import PassportExporter, clients_from
from bridleway.node.workspace import Workspace
from tests.node.test_extracts import allow
from tests.node.test_fhir_extracts import (  # noqa: F401 -- fixtures
    SECRET_NAME,
    TYPES,
    clinic,
    made_once,
    passport,
)
from tests.support.place import PASSWORD


@contextmanager
def served(place: Workspace, clients: Path | None = None) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}/fhir"
    folder = place.root / "fhir-server"
    exporter = PassportExporter(place, "cohort", "city/sam-okoro", PASSWORD)
    known = None if clients is None else Clients(clients_from(clients), folder / "tokens")
    app = application(
        exporter, Settings(base, folder / "jobs", poll_every=0.0, organize_by=("Patient",)), known
    )
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.05)
    try:
        yield base
    finally:
        server.should_exit = True
        thread.join(20)


def started(base: str, path: str = "/$export", **params: str) -> httpx.Response:
    return httpx.get(
        base + path, params=params,
        headers={"Accept": "application/fhir+json", "Prefer": "respond-async"},
    )  # fmt: skip


def finished(address: str) -> dict[str, Any]:
    for _ in range(600):
        told = httpx.get(address)
        if told.status_code == 200:
            return dict(told.json())
        assert told.status_code == 202, told.text
        time.sleep(0.1)
    raise AssertionError("the export does not end")


def test_a_client_exports_under_the_passport(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """With a registered ES384 key: anonymised files, a receipt for every job, and $de-identify."""
    allow(clinic, passport())
    key = ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    public = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "ES384"}
    listed = [{"id": "research", "scopes": ["system/*.rs"], "jwks": {"keys": [public]}}]
    (tmp_path / "clients.yaml").write_text(json.dumps(listed))
    credentials = Credentials("research", from_file(tmp_path / "key.pem", "k1"))
    with served(clinic, tmp_path / "clients.yaml") as base:
        assert started(base).status_code == 401
        made = fetch(base, tmp_path / "got", Wanted(), credentials=credentials)
    assert {one.type for one in made.files} == set(TYPES)
    for path in (tmp_path / "got").rglob("*"):
        if path.is_file():
            assert SECRET_NAME.encode() not in path.read_bytes()
    answers = clinic.node("clinic").ledger.answers()
    assert len(answers) == 1 and b"analytics" in answers[0][1]
    (record,) = (clinic.root / "fhir-server" / "cohort" / "records").iterdir()
    assert {path.name for path in record.iterdir()} >= {
        "Task.json", "AuditEvent.json", "Provenance.json", "receipt.json"
    }  # fmt: skip
    checked = verify((record / "receipt.json").read_bytes(), clinic.root / "trust.json")
    assert checked.outcome == "answered"


def test_parts_of_a_source(clinic: Workspace) -> None:  # noqa: F811
    """_type and _elements narrow an export; a type that the passport does not open is refused."""
    allow(clinic, passport())
    with served(clinic) as base:
        refused = started(base, _type="Encounter")
        assert refused.status_code in (400, 403)
        assert refused.json()["resourceType"] == "OperationOutcome"
        first = started(base, _type="Observation", _elements="status,code")
        assert first.status_code == 202
        manifest = finished(first.headers["content-location"])
        assert [one["type"] for one in manifest["output"]] == ["Observation"]
        assert manifest["extension"]["bridleway"]["policy"] == "analytics"
        lines = httpx.get(manifest["output"][0]["url"]).text.splitlines()
        told = json.loads(lines[0])
        assert set(told) == {"resourceType", "id", "meta", "status", "code"}
        one = {"resourceType": "Condition", "id": "c0-0", "subject": {"reference": "Patient/p0"},
               "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
               "note": [{"text": SECRET_NAME}]}  # fmt: skip
        done = httpx.post(f"{base}/$de-identify", params={"policy": "analytics"}, json=one,
                          headers={"Content-Type": "application/fhir+json"})  # fmt: skip
        assert done.status_code == 200 and SECRET_NAME not in done.text
        assert done.json()["code"]["coding"][0]["code"] == "44054006"
        exported = json.loads(
            (clinic.root / "ehr" / "Condition.ndjson").read_text().splitlines()[0]
        )
        assert exported["id"] == "c0-0"
        both = finished(started(base, _type="Condition").headers["content-location"])
        pseudonyms = httpx.get(both["output"][0]["url"]).text
        assert done.json()["id"] not in pseudonyms  # or ids could be turned into pseudonyms
        assert done.json()["subject"]["reference"] not in pseudonyms
        other = httpx.post(f"{base}/$de-identify", params={"policy": "none"}, json=one,
                           headers={"Content-Type": "application/fhir+json"})  # fmt: skip
        assert other.status_code == 403


def test_output_can_stand_patient_by_patient(clinic: Workspace) -> None:  # noqa: F811
    """organizeOutputBy: every block begins with its patient's header, and nobody is in two."""
    allow(clinic, passport())
    with served(clinic) as base:
        first = started(base, organizeOutputBy="Patient")
        manifest = finished(first.headers["content-location"])
        assert manifest["outputOrganizedBy"] == "Patient"
        (one,) = manifest["output"]
        assert "type" not in one
        lines = [json.loads(line) for line in httpx.get(one["url"]).text.splitlines()]
    seen, now = set(), ""
    for told in lines:
        if told["resourceType"] == "Parameters":
            now = told["parameter"][0]["valueReference"]["reference"]
            assert now not in seen
            seen.add(now)
            continue
        owner = f"Patient/{told['id']}" if told["resourceType"] == "Patient" else (
            told["subject"]["reference"]
        )  # fmt: skip
        assert owner == now
    assert len(lines) - len(seen) == one["count"] - len(seen) > 300


def test_what_ends_between_kick_off_and_download_ends(clinic: Workspace) -> None:  # noqa: F811
    """A passport that is revoked after an export was made closes its files, too."""
    allow(clinic, passport())
    with served(clinic) as base:
        manifest = finished(started(base, _type="Patient").headers["content-location"])
        url = manifest["output"][0]["url"]
        assert httpx.get(url).status_code == 200
        clinic.sign("cohort", "clinic/ann-lee", PASSWORD, "revoke", "The study has ended.")
        late = httpx.get(url)
        assert late.status_code == 403
        assert late.json()["resourceType"] == "OperationOutcome"
        assert started(base).status_code == 403


def test_no_valid_passport_no_server_answer(clinic: Workspace) -> None:  # noqa: F811
    """Without the controller's approval the kick-off is refused with an OperationOutcome."""
    from tests.support.place import submit

    submit(clinic, passport())
    with served(clinic) as base:
        told = started(base)
        assert told.status_code == 403 and "in-review" in told.text
    with pytest.raises(Refused):
        PassportExporter(clinic, "cohort", "city/sam-okoro", PASSWORD)._require_standing()


def test_the_commands_serve_and_import(clinic: Workspace, tmp_path: Path) -> None:  # noqa: F811
    """From terminal to terminal: one serves a passport's extract, another imports it."""
    allow(clinic, passport())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}/fhir"
    command = [str(Path(sys.executable).with_name("bridleway")), "fhir"]
    env = {**os.environ, "BRIDLEWAY_PASSWORD": PASSWORD}
    serving = [*command, "serve", "cohort", "--as", "city/sam-okoro", "-w", str(clinic.root)]
    for wrong, words in (
        (["--base", base], "--clients"),
        (["--open", "--host", "192.0.2.1"], "tokens"),
    ):
        done = subprocess.run([*serving, *wrong], env=env, capture_output=True, text=True)
        assert done.returncode == 2 and words in done.stderr
    server = subprocess.Popen(
        [*serving, "--open", "--base", base, "--port", str(port)], env=env,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None and "Serving" in server.stdout.readline()
        for _ in range(200):
            with contextlib.suppress(httpx.ConnectError):
                if httpx.get(f"{base}/metadata").status_code == 200:
                    break
            time.sleep(0.05)
        to = tmp_path / "imported"
        done = subprocess.run(
            [*command, "import", base, str(to), "--type", "Patient", "--json"],
            env=env, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (one,) = json.loads(done.stdout)["files"]
        assert one["type"] == "Patient" and one["resources"] == 120
        assert SECRET_NAME not in (to / one["name"]).read_text()
    finally:
        server.terminate()
        server.wait(20)
