"""Jobs outlive a restart, expire, keep to limits, and are nobody else's."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridleway.errors import Fault, Refused
from bridleway.fhir.bulk.jobs import DONE, FAILED, MOST_STARTS, Busy, Caller, Job, Jobs, write_whole
from bridleway.fhir.bulk.request import Abilities, ExportRequest, from_query
from tests.fhir.bulk.place import TYPES, Plain, bulk_server
from tests.fhir.bulk.test_server import ASYNC, finished, is_outcome, kick_off, manifest

ME = Caller("me")


def asked(query: str = "") -> ExportRequest:
    """Read a kick-off."""
    return from_query("system", "", query, {}, Abilities(TYPES))


def until(done: Callable[[], Any]) -> Any:
    """Wait for something."""
    for _ in range(500):
        if found := done():
            return found
        time.sleep(0.01)
    raise AssertionError("it does not happen")


def over(jobs: Jobs, job: Job, caller: Caller = ME) -> Job:
    """Wait for a job's end."""

    def look() -> Job | None:
        found = jobs.find(job.id, caller)
        return found if found and found.over else None

    return until(look)  # type: ignore[no-any-return]


def test_a_job_is_private(tmp_path: Path) -> None:
    """Folders and files are the owner's alone; another client finds nothing."""
    jobs = Jobs(Plain(), tmp_path / "jobs", keep=60)
    job = over(jobs, jobs.start(asked(), ME, "http://x"))
    assert job.state == DONE and jobs.find(job.id, Caller("other")) is None
    assert len(job.id) >= 43
    home = tmp_path / "jobs" / job.id
    for path in (tmp_path / "jobs", home, home / "files"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "job.json").stat().st_mode) == 0o600
    jobs.close()


def test_a_finished_job_outlives_a_restart(tmp_path: Path) -> None:
    """The same job with the same files, and one broken record disturbs nobody."""
    jobs = Jobs(Plain(), tmp_path, keep=60)
    job = over(jobs, jobs.start(asked(), ME, "http://x"))
    jobs.close()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "job.json").write_text("{")
    again = Jobs(Plain(), tmp_path, keep=60)
    found = again.find(job.id, ME)
    assert found is not None and found.exported == job.exported and found.request == job.request
    assert job.exported is not None
    assert again.path(found, job.exported.files[0]) is not None
    again.close()


def test_a_running_job_starts_anew_after_a_restart(tmp_path: Path) -> None:
    """Under its old id; the client's status address stays good."""
    slow = Plain()
    slow.go.clear()
    jobs = Jobs(slow, tmp_path, keep=60)
    job = jobs.start(asked("_type=Patient"), ME, "http://x")
    until(lambda: (found := jobs.find(job.id, ME)) and found.done)
    (tmp_path / job.id / "files" / "half").write_text("half")
    jobs.close()
    again = Jobs(Plain(), tmp_path, keep=60)
    done = over(again, job)
    assert done.state == DONE and not (tmp_path / job.id / "files" / "half").exists()
    again.close()


def test_a_permission_lost_meanwhile_ends_a_job_at_restart(tmp_path: Path) -> None:
    """The exporter is asked again before a job starts anew."""
    job = interrupted(tmp_path, starts=1)
    strict = Plain()
    strict.refuse = True
    jobs = Jobs(strict, tmp_path, keep=60)
    done = over(jobs, job)
    assert done.state == FAILED and done.status == 403
    assert strict.callers[-1].covers(["Patient"]) and not strict.callers[-1].covers(["Device"])
    jobs.close()


def interrupted(folder: Path, starts: int) -> Job:
    """Leave a job as a crash does: running, and started so often."""
    job = Job("x" * 43, "http://x", asked("_type=Patient"), "me", 1.0, "running", starts)
    (folder / job.id).mkdir()
    write_whole(folder / job.id / "job.json", json.dumps(job.to_json()).encode())
    return job


def test_a_job_that_brings_the_server_down_ends(tmp_path: Path) -> None:
    """After a few starts it has failed."""
    job = interrupted(tmp_path, MOST_STARTS)
    jobs = Jobs(Plain(), tmp_path, keep=60)
    assert over(jobs, job).state == FAILED
    jobs.close()


def test_jobs_expire(tmp_path: Path) -> None:
    """After their time the files are gone, and the job is unknown."""
    now = [time.time()]
    jobs = Jobs(Plain(), tmp_path, keep=60, clock=lambda: now[0])
    job = over(jobs, jobs.start(asked(), ME, "http://x"))
    now[0] += 59
    assert jobs.find(job.id, ME) is not None
    now[0] += 2
    assert jobs.find(job.id, ME) is None and not (tmp_path / job.id).exists()
    jobs.close()


def test_limits_by_client_and_in_all(tmp_path: Path) -> None:
    """Neither one client nor all together start too many."""
    slow = Plain()
    slow.go.clear()
    jobs = Jobs(slow, tmp_path, keep=60, per_client=1, total=2)
    first = jobs.start(asked(), ME, "http://x")
    with pytest.raises(Busy):
        jobs.start(asked(), ME, "http://x")
    jobs.start(asked(), Caller("b"), "http://x")
    with pytest.raises(Busy):
        jobs.start(asked(), Caller("c"), "http://x")
    slow.go.set()
    over(jobs, first)
    jobs.start(asked(), ME, "http://x")
    jobs.close()


def test_a_deleted_job_leaves_nothing(tmp_path: Path) -> None:
    """Even while it runs: it is told to stop, and its folder goes."""
    slow = Plain()
    slow.go.clear()
    jobs = Jobs(slow, tmp_path, keep=60)
    job = jobs.start(asked(), ME, "http://x")
    until(lambda: (found := jobs.find(job.id, ME)) and found.state == "running")
    jobs.delete(job)
    jobs.close()
    assert not (tmp_path / job.id).exists()


def test_a_refusal_starts_nothing(tmp_path: Path) -> None:
    """No folder is made."""
    strict = Plain()
    strict.refuse = True
    jobs = Jobs(strict, tmp_path, keep=60)
    with pytest.raises(Refused):
        jobs.start(asked(), ME, "http://x")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    jobs.close()


def test_one_server_per_folder(tmp_path: Path) -> None:
    """A second one would run every job twice."""
    jobs = Jobs(Plain(), tmp_path, keep=60)
    with pytest.raises(Fault):
        Jobs(Plain(), tmp_path, keep=60)
    jobs.close()
    Jobs(Plain(), tmp_path, keep=60).close()


def test_polling_too_fast_and_starting_too_much(tmp_path: Path) -> None:
    """429 with Retry-After and an OperationOutcome of a transient kind, for both."""
    slow = Plain()
    slow.go.clear()
    with bulk_server(slow, tmp_path, poll_every=30.0, jobs_per_client=1) as base:
        first = kick_off(base)
        second = kick_off(base)
        assert "many" in is_outcome(second, 429) and int(second.headers["retry-after"]) > 0
        at = first.headers["content-location"]
        assert httpx.get(at).status_code == 202
        fast = httpx.get(at)
        is_outcome(fast, 429)
        assert fast.json()["issue"][0]["code"] == "throttled"
        assert int(fast.headers["retry-after"]) > 0
        slow.go.set()
        until(lambda: httpx.get(at).status_code == 200)  # a finished job is told at once


def test_a_download_goes_on_when_its_job_is_deleted(tmp_path: Path) -> None:
    """Whoever is reading a file reads it to its end."""
    many = [{"resourceType": "Patient", "id": f"{n}", "note": "x" * 1000} for n in range(20_000)]
    with bulk_server(Plain(many), tmp_path) as base:
        job = kick_off(base)
        [item] = manifest(job)["output"]
        headers = {"Accept-Encoding": "identity"}
        with httpx.stream("GET", item["url"], headers=headers, timeout=60) as answer:
            parts = answer.iter_raw(65536)
            size = len(next(parts))
            assert httpx.delete(job.headers["content-location"]).status_code == 202
            size += sum(map(len, parts))
        assert size == int(answer.headers["content-length"]) > 20_000_000


def test_a_restart_of_the_server_keeps_addresses(tmp_path: Path) -> None:
    """Status and files are found under the same address afterwards."""
    from tests.fhir.bulk.place import free_port

    port = free_port()
    with bulk_server(Plain(), tmp_path, port=port) as base:
        job = kick_off(base, headers=ASYNC)
        item = manifest(job)["output"][0]
    with bulk_server(Plain(), tmp_path, port=port):
        assert finished(job).status_code == 200
        assert httpx.get(item["url"]).status_code == 200


def test_threads_share_one_store(tmp_path: Path) -> None:
    """Starting, finding and deleting at once loses nothing."""
    jobs = Jobs(Plain(), tmp_path, keep=60, per_client=100, total=100)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                jobs.delete(over(jobs, jobs.start(asked("_type=Patient"), ME, "http://x")))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    jobs.close()
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
