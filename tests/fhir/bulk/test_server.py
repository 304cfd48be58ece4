"""The server, asked by a strict client of plain HTTP: each rule of the standard by itself."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.fhir.bulk.settings import Settings
from tests.fhir.bulk.place import SAMPLE, Plain, bulk_server

ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
LENIENT = {**ASYNC, "Prefer": "respond-async, handling=lenient"}


@pytest.fixture(scope="module")
def exporter() -> Plain:
    """What the server of this module exports."""
    return Plain()


@pytest.fixture(scope="module")
def base(exporter: Plain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that is open, and does not mind being polled."""
    folder = tmp_path_factory.mktemp("jobs")
    with bulk_server(exporter, folder, jobs_per_client=1_000, jobs_total=1_000) as at:
        yield at


@pytest.fixture(autouse=True)
def _as_new(exporter: Plain) -> None:
    exporter.__init__()  # type: ignore[misc]


def kick_off(base: str, path: str = "/$export", **options: Any) -> httpx.Response:
    """Send a kick-off by GET."""
    return httpx.get(f"{base}{path}", **{"headers": ASYNC, **options})


def post(base: str, *pairs: tuple[str, str, Any], path: str = "/$export", **more: Any) -> Any:
    """Send a kick-off by POST."""
    body = {"resourceType": "Parameters", "parameter": [{"name": n, k: v} for n, k, v in pairs]}
    headers = {**ASYNC, "Content-Type": "application/fhir+json"}
    return httpx.post(f"{base}{path}", **{"json": body, "headers": headers, **more})


def finished(answer: httpx.Response) -> httpx.Response:
    """Poll until the job has ended."""
    assert answer.status_code == 202, answer.text
    for _ in range(500):
        told = httpx.get(answer.headers["content-location"])
        if told.status_code != 202:
            return told
        time.sleep(0.02)
    raise AssertionError("the export does not end")


def manifest(answer: httpx.Response) -> dict[str, Any]:
    """Return the manifest of an export that succeeds."""
    told = finished(answer)
    assert told.status_code == 200, told.text
    return dict(told.json())


def resources(told: dict[str, Any], section: str = "output") -> list[dict[str, Any]]:
    """Download a section's files."""
    found = []
    for item in told[section]:
        text = httpx.get(item["url"]).text
        lines = [json.loads(line) for line in text.splitlines()]
        assert len(lines) == item["count"] and text.endswith("\n")
        assert {line["resourceType"] for line in lines} == {item["type"]}
        found += lines
    return found


def is_outcome(answer: httpx.Response, status: int) -> str:
    """An error is an OperationOutcome; return its words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    told = answer.json()
    assert told["resourceType"] == "OperationOutcome"
    assert told["issue"][0]["severity"] == "error" and told["issue"][0]["code"]
    return str(told["issue"][0]["diagnostics"])


# Kick-off


@pytest.mark.parametrize("path", ["/$export", "/Patient/$export", "/Group/g/$export"])
def test_each_level_is_kicked_off_by_get(base: str, path: str) -> None:
    """202, and the absolute address of the status."""
    answer = kick_off(base, path)
    assert answer.status_code == 202 and not answer.content
    assert answer.headers["content-location"].startswith(f"{base}/jobs/")
    assert manifest(answer)["request"] == f"{base}{path}"


@pytest.mark.parametrize("path", ["/$export", "/Patient/$export", "/Group/g/$export"])
def test_each_level_is_kicked_off_by_post(base: str, path: str) -> None:
    """The manifest's request has no parameters then."""
    told = manifest(post(base, ("_type", "valueString", "Patient"), path=path))
    assert told["request"] == f"{base}{path}"
    assert [item["type"] for item in told["output"]] == ["Patient"]


def test_exports_are_asynchronous(base: str) -> None:
    """Without respond-async, or for another format of answer, there is no export."""
    is_outcome(kick_off(base, headers={"Accept": "application/fhir+json"}), 400)
    is_outcome(kick_off(base, headers={**ASYNC, "Accept": "text/html"}), 406)
    assert kick_off(base, headers={"Prefer": "respond-async"}).status_code == 202


def test_other_methods_start_nothing(base: str, exporter: Plain) -> None:
    """PUT, DELETE and HEAD are not kick-offs."""
    assert "method" in is_outcome(httpx.put(f"{base}/$export", headers=ASYNC), 405)
    assert httpx.head(f"{base}/$export", headers=ASYNC).status_code == 405
    assert not exporter.seen


@pytest.mark.parametrize(
    "query",
    [
        "_outputFormat=text/csv", "_since=2020", "_type=Nonsense", "odd=1", "_type=Encounter",
        "_typeFilter=Patient%3Fodd=1", "_elements=Patient.name.family", "patient=Patient/a",
        "includeAssociatedData=x", "organizeOutputBy=Patient",
    ],
)  # fmt: skip
def test_a_strict_server_refuses_what_it_does_not_support(base: str, query: str) -> None:
    """400 and an OperationOutcome for every such parameter."""
    is_outcome(kick_off(base, f"/$export?{query}"), 400)


def test_a_lenient_export_tells_what_it_left_out(base: str) -> None:
    """One OperationOutcome per parameter, in the error files and not in the output."""
    query = "odd=1&organizeOutputBy=Patient&_type=Patient,Nonsense"
    told = manifest(kick_off(base, f"/$export?{query}", headers=LENIENT))
    outcomes = resources(told, "error")
    assert len(outcomes) == 3
    assert {one["issue"][0]["severity"] for one in outcomes} == {"warning"}
    assert {one["resourceType"] for one in resources(told)} == {"Patient"}


def test_a_body_that_is_none_is_refused(base: str) -> None:
    """Wrong media type, no JSON, no Parameters, parameters in the address, packed, too large."""
    headers = {**ASYNC, "Content-Type": "text/plain"}
    is_outcome(httpx.post(f"{base}/$export", headers=headers, content="x"), 415)
    right = {**ASYNC, "Content-Type": "application/fhir+json"}
    is_outcome(httpx.post(f"{base}/$export", headers=right, content=b"\xff{"), 400)
    is_outcome(httpx.post(f"{base}/$export", headers=right, content=b"[" * 100_000), 400)
    is_outcome(httpx.post(f"{base}/$export", headers=right, content=b"[]"), 400)
    is_outcome(httpx.post(f"{base}/$export", headers=right, json={"resourceType": "Group"}), 400)
    is_outcome(post(base, path="/$export?_type=Patient"), 400)
    is_outcome(post(base, headers={**right, "Content-Encoding": "gzip"}), 415)
    is_outcome(httpx.post(f"{base}/$export", headers=right, content=b" " * 17_000_000), 413)


def test_addresses_never_come_from_the_host_header(base: str) -> None:
    """A forged Host changes nothing that the server gives out."""
    forged = {**ASYNC, "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    answer = kick_off(base, headers=forged)
    told = finished(answer)
    assert "evil" not in answer.headers["content-location"] + told.text
    slash = httpx.get(f"{base}/metadata/", headers={"Host": "evil.example"})
    assert "evil" not in str(slash.headers) and slash.status_code == 404


def test_the_exporter_may_refuse(base: str, exporter: Plain) -> None:
    """Refused at the kick-off is 403, with its reason."""
    exporter.refuse = True
    assert "controller" in is_outcome(kick_off(base), 403)


# What is in


def test_since_and_until(base: str) -> None:
    """Later than since; what has no date is in, and reported."""
    told = manifest(kick_off(base, "/$export?_type=Patient&_since=2022-01-01T00:00:00Z"))
    assert [one["id"] for one in resources(told)] == ["b", "c"]
    notes = resources(told, "error")
    assert notes[0]["issue"][0]["severity"] == "information"
    told = manifest(kick_off(base, "/$export?_type=Patient&_until=2022-01-01T00:00:00Z"))
    assert [one["id"] for one in resources(told)] == ["a", "c"]


def test_a_group_holds_its_active_members_alone(base: str) -> None:
    """Nothing of others, not even what mentions a member."""
    told = manifest(kick_off(base, "/Group/g/$export"))
    assert {one["id"] for one in resources(told)} == {"a", "c1"}


def test_named_patients_alone(base: str) -> None:
    """`patient` narrows; nothing of others leaves."""
    told = manifest(
        post(base, ("patient", "valueReference", {"reference": "Patient/b"}),
             path="/Patient/$export")
    )  # fmt: skip
    assert {one["id"] for one in resources(told)} == {"b", "c2"}


def test_elements_and_type_filters(base: str) -> None:
    """Elements are narrowed and tagged, filters hold for their type alone."""
    query = (
        "_elements=Patient.gender&_typeFilter=Condition%3Fcode%3D44054006&_type=Patient,Condition"
    )
    found = resources(manifest(kick_off(base, f"/$export?{query}")))
    patients = [one for one in found if one["resourceType"] == "Patient"]
    assert [set(one) for one in patients] == [{"resourceType", "id", "meta", "gender"}] * 3
    assert patients[0]["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert [one["id"] for one in found if one["resourceType"] == "Condition"] == ["c1"]


def test_each_resource_is_exported_once(base: str) -> None:
    """Every supported resource, in its newest version, once."""
    found = [(one["resourceType"], one["id"]) for one in resources(manifest(kick_off(base)))]
    assert sorted(found) == sorted((one["resourceType"], one["id"]) for one in SAMPLE)


# Status and manifest


def test_a_running_job_tells_its_progress(base: str, exporter: Plain) -> None:
    """202 with X-Progress under 100 characters and Retry-After; no body."""
    exporter.go.clear()
    exporter.phrase = "Patient é\r\nX: y " + "long " * 40
    answer = kick_off(base)
    time.sleep(0.2)
    told = httpx.get(answer.headers["content-location"])
    exporter.go.set()
    assert told.status_code == 202 and not told.content
    assert told.headers["x-progress"].startswith("25% Patient")
    assert len(told.headers["x-progress"]) < 100 and "X" not in told.headers
    assert int(told.headers["retry-after"]) >= 1
    finished(answer)


def test_a_manifest_has_what_the_standard_requires(base: str) -> None:
    """Times, request, arrays, absolute addresses, counts, one type per file; it expires."""
    told = finished(kick_off(base, "/$export?_type=Patient,Procedure"))
    assert told.headers["content-type"] == "application/json"
    expires = parsedate_to_datetime(told.headers["expires"])
    assert 86_000 < (expires - datetime.now(UTC)).total_seconds() < 86_500
    held = told.json()
    assert held["transactionTime"] == "2026-01-02T03:04:05.000Z"
    assert held["request"] == f"{base}/$export?_type=Patient,Procedure"
    assert held["requiresAccessToken"] is False
    assert held["error"] == [] and "deleted" not in held
    [item] = held["output"]  # none for Procedure: an empty file is not listed
    assert item["type"] == "Patient" and item["count"] == 3
    assert item["url"].startswith(f"{base}/jobs/") and len(item["extension"]["sha256"]) == 64


def test_an_empty_export_has_empty_arrays(base: str) -> None:
    """Nothing found is a success."""
    told = manifest(kick_off(base, "/$export?_type=Procedure"))
    assert told["output"] == [] and told["error"] == []


def test_deleted_resources_have_files_of_their_own(base: str, exporter: Plain) -> None:
    """Transaction Bundles with DELETE; what is deleted is not in the output."""
    entry = {"request": {"method": "DELETE", "url": "Patient/gone"}}
    exporter.deleted = [{"resourceType": "Bundle", "type": "transaction", "entry": [entry]}]
    told = manifest(kick_off(base, "/$export?_since=2020-01-01T00:00:00Z"))
    [bundle] = resources(told, "deleted")
    assert bundle["entry"][0]["request"] == {"method": "DELETE", "url": "Patient/gone"}
    assert "gone" not in {one["id"] for one in resources(told)}


def test_the_exporter_may_add_links(base: str, exporter: Plain) -> None:
    """Policy and receipt travel in the manifest's extension."""
    exporter.extension = {"policy": "sha256:1", "receipt": f"{base}/receipts/1"}
    assert manifest(kick_off(base))["extension"] == exporter.extension


def test_a_failed_job_says_so_and_shows_nothing(base: str, exporter: Plain) -> None:
    """An error of ours keeps its words; any other exception keeps its values to itself."""
    exporter.raises = UsageError("There is no such group.", "Check its id.", code="not-found")
    assert "group" in is_outcome(finished(kick_off(base)), 400)
    exporter.raises = ValueError("Jane Doe")
    failed = finished(kick_off(base))
    assert is_outcome(failed, 500) == "The export failed." and "Jane" not in failed.text
    assert failed.json()["issue"][0]["code"] == "processing"  # not transient: asking again is vain


def test_the_status_of_the_poll_may_be_apart(base: str, exporter: Plain) -> None:
    """separate-export-status: 200 for the poll, the export's own in X-Export-Status."""
    exporter.raises = ValueError()
    answer = kick_off(base)
    finished(answer)
    told = httpx.get(
        answer.headers["content-location"], headers={"Prefer": "separate-export-status"}
    )
    assert told.status_code == 200 and told.headers["x-export-status"] == "500"
    assert told.headers["preference-applied"] == "separate-export-status"


def test_deleting_stops_a_job_and_removes_it(base: str, exporter: Plain) -> None:
    """202; from then on 404 with an OperationOutcome, for status, files and a second DELETE."""
    exporter.go.clear()
    running = kick_off(base).headers["content-location"]
    assert httpx.delete(running).status_code == 202
    exporter.go.set()
    is_outcome(httpx.get(running), 404)
    is_outcome(httpx.delete(running), 404)
    done = kick_off(base)
    item = manifest(done)["output"][0]
    assert httpx.delete(done.headers["content-location"]).status_code == 202
    is_outcome(httpx.get(item["url"]), 404)


# Files


def test_files_are_ndjson_packed_or_not(base: str) -> None:
    """fhir+ndjson; gzip only for who accepts it; nothing is cached."""
    [item] = manifest(kick_off(base, "/$export?_type=Patient"))["output"]
    for asked, packed in (
        ("gzip", True), ("br, GZIP;q=0.5", True), ("*", True),
        ("identity", False), ("gzip;q=0, *", False), ("", False),
    ):  # fmt: skip
        with httpx.stream("GET", item["url"], headers={"Accept-Encoding": asked}) as answer:
            data = b"".join(answer.iter_raw())
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/fhir+ndjson"
            assert ("content-encoding" in answer.headers) is packed
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["vary"] == "Accept-Encoding"
            plain = gzip.decompress(data) if packed else data
            assert plain.count(b"\n") == 3


@pytest.mark.parametrize(
    "name",
    [
        "..%2Fjob.json", "../job.json", "job.json", "files", "Patient.ndjson", "%2e%2e",
        "output-1-Patient.ndjson%00", "output-2-Patient.ndjson", "..%5cjob.json", "",
    ],
)  # fmt: skip
def test_no_name_leads_out_of_a_job(base: str, name: str) -> None:
    """Only names on the job's own list are files."""
    answer = kick_off(base, "/$export?_type=Patient")
    manifest(answer)
    is_outcome(httpx.get(f"{answer.headers['content-location']}/{name}"), 404)


def test_an_exporter_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    """A path or link that leaves the job's folder is no file."""
    from bridleway.fhir.bulk.jobs import Exported, ExportedFile

    (tmp_path / "secret").write_text("{}\n")

    class Bad(Plain):
        def run(self, request: Any, folder: Path, *_: Any) -> Exported:
            os.symlink(tmp_path / "secret", folder / "link")
            paths = ("link", "../job.json", str(tmp_path / "secret"), "missing")
            files = tuple(ExportedFile("Patient", path, 1, "0") for path in paths)
            return Exported(files, self.at)

    with bulk_server(Bad(), tmp_path / "jobs") as base:
        told = manifest(kick_off(base))
        assert len(told["output"]) == 4
        for item in told["output"]:
            is_outcome(httpx.get(item["url"]), 404)


def test_a_permission_that_ended_ends_downloads(base: str, exporter: Plain) -> None:
    """The exporter is asked again at each download."""
    item = manifest(kick_off(base))["output"][0]
    exporter.refuse_download = True
    is_outcome(httpx.get(item["url"]), 403)


# $de-identify, and what the server says of itself


def test_de_identify(base: str) -> None:
    """A resource or a Bundle with ?policy=, or Parameters; the policy is required."""
    headers = {"Content-Type": "application/fhir+json"}
    at = f"{base}/$de-identify"
    one = httpx.post(f"{at}?policy=analytics", json=SAMPLE[0], headers=headers)
    assert one.status_code == 200 and "name" not in one.json()
    assert one.headers["content-type"] == "application/fhir+json"
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "policy", "valueString": "analytics"},
            {"name": "identifiableData", "resource": {"resourceType": "Bundle", "name": 1}},
        ],
    }
    two = httpx.post(at, json=body, headers=headers)
    assert two.json()["parameter"][0]["resource"] == {"resourceType": "Bundle"}
    is_outcome(httpx.post(at, json=SAMPLE[0], headers=headers), 400)
    is_outcome(httpx.post(f"{at}?policy=odd", json=SAMPLE[0], headers=headers), 400)
    is_outcome(httpx.post(f"{at}?policy=a&policy=b", json=SAMPLE[0], headers=headers), 400)
    is_outcome(httpx.post(f"{at}?policy=analytics", json={}, headers=headers), 400)
    body["parameter"] = [{"name": "identifiableDataFileUrls"}]
    is_outcome(httpx.post(at, json=body, headers=headers), 400)
    is_outcome(httpx.get(at), 405)


def test_the_capability_statement_is_true_and_valid(base: str) -> None:
    """It names both versions of the guide, the operations, and every type."""
    from fhir.resources.R4B.capabilitystatement import CapabilityStatement

    answer = httpx.get(f"{base}/metadata")
    assert answer.headers["content-type"] == "application/fhir+json"
    told = answer.json()
    CapabilityStatement.model_validate(told)
    canonical = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
    assert {canonical, f"{canonical}|2.0.0", f"{canonical}|3.0.0"} == set(told["instantiates"])
    rest = told["rest"][0]
    assert {one["type"] for one in rest["resource"]} >= {"Patient", "Group", "Condition"}
    names = {one["name"] for one in rest["operation"]}
    levels = {
        one["operation"][0]["definition"].rpartition("/")[2]
        for one in rest["resource"]
        if "operation" in one
    }
    assert names == {"export", "de-identify"} and levels == {"patient-export", "group-export"}
    assert "lastUpdated" in rest["documentation"] and "security" not in rest
    assert httpx.get(f"{base}/.well-known/smart-configuration").status_code == 404


def test_the_base_is_encrypted_or_this_machine(tmp_path: Path) -> None:
    """http elsewhere is refused before anything is served."""
    Settings("https://fhir.example/r4", tmp_path)
    Settings("http://127.0.0.1:8/fhir", tmp_path)
    Settings("http://[::1]:8/fhir", tmp_path)
    for wrong in ("http://fhir.example/r4", "ftp://x", "fhir.example", "https://a:b@x/", "http://"):
        with pytest.raises(UsageError):
            Settings(wrong, tmp_path)


def test_unknown_addresses_are_outcomes(base: str) -> None:
    """404 everywhere else."""
    for path in ("/", "/Patient", "/jobs/none", "/jobs", "/Group/$export", "/Group/a/b/$export"):
        is_outcome(httpx.get(f"{base}{path}", headers=ASYNC), 404)
    is_outcome(kick_off(base, "/Group/a%20b/$export"), 400)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=40), st.binary(max_size=60), st.booleans())
def test_the_server_never_breaks(base: str, query: str, body: bytes, posted: bool) -> None:
    """Any parameters, any body: an export, or an error that is the sender's."""
    from urllib.parse import quote

    at = f"{base}/Patient/$export"
    if posted:
        headers = {**ASYNC, "Content-Type": "application/fhir+json"}
        answer = httpx.post(at, content=body, headers=headers)
    else:
        answer = httpx.get(f"{at}?{quote(query, safe='=&%+,')}", headers=ASYNC)
    if answer.status_code != 202:
        is_outcome(answer, answer.status_code)
        assert 400 <= answer.status_code < 500
