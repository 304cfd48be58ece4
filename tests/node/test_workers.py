"""Each piece of a statistic runs in a process of its own, and hostile work dies alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from bridleway.api import verify
from bridleway.errors import Fault, Refused
from bridleway.node.workers.confine import capabilities, confine
from bridleway.node.workers.runner import Inline, Workers
from bridleway.node.workspace import Workspace
from tests.support.place import PASSWORD, approve, body, make_place, submit

ASKER = "city/sam-okoro"
# Columns that cost nothing until a question reads them.
SLOW = "list_sum(list_transform(range(400000), x -> (x * 7 + length(nhs_number)) % 13)) > 0"
LARGE = "length(repeat(nhs_number, 300000000)) > 0"
LIGHT = "SELECT COUNT(DISTINCT person) AS people FROM health WHERE disabled"
HEAVY = (
    "SELECT area, COUNT(DISTINCT person) AS people FROM housing WHERE tenure = 'rent' GROUP BY area"
)


def _hostile(place: Workspace, expression: str) -> None:
    """Turn the council's table into a view with one expensive column."""
    place.node("council").holdings.close()
    with duckdb.connect(str(place.root.parent / "data" / "housing.duckdb")) as engine:
        engine.execute("ALTER TABLE register RENAME TO kept")
        engine.execute(
            "CREATE VIEW register AS SELECT nhs_number, area, rent, "
            f"CASE WHEN {expression} THEN 'rent' ELSE 'own' END AS tenure FROM kept"
        )
    place.release_source("council", "housing")


def _policy(place: Workspace, node: str, worker: str) -> None:
    path = place.node(node).folder / "policy.yaml"
    text = path.read_text()
    assert "worker: {seconds: 60, memory_mb: 4096}" in text
    path.write_text(text.replace("worker: {seconds: 60, memory_mb: 4096}", f"worker: {worker}"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workspace]:
    made = make_place(tmp_path)
    local = {"use": "local", "why": "one source"}
    questions = {"heavy": HEAVY, "light": LIGHT}
    submit(
        made,
        body(
            questions=[{"id": i, "kind": "statistic", "text": t} for i, t in questions.items()],
            technique=dict.fromkeys(questions, local),
        ),
    )
    approve(made, "renters-in-need")
    made.ask("light", "renters-in-need", ASKER, PASSWORD)  # the server is up
    yield made
    made.close()


def _leaves(place: Workspace, node: str, kind: str) -> int:
    ledger = place.node(node).ledger
    size = ledger.check().size
    return sum(f'"kind":"{kind}"' in ledger.proof(i)["leaf"] for i in range(size))


@pytest.mark.parametrize(
    ("expression", "worker", "code"),
    [
        (SLOW, "{seconds: 1, memory_mb: 4096}", "too-long"),
        (LARGE, "{seconds: 30, memory_mb: 900}", ""),
    ],
)
def test_hostile_work_is_stopped_charged_and_logged(
    place: Workspace, expression: str, worker: str, code: str
) -> None:
    _hostile(place, expression)
    _policy(place, "council", worker)
    charged, failed = _leaves(place, "council", "charge"), _leaves(place, "council", "failed")
    started = time.monotonic()
    with pytest.raises((Refused, Fault)) as stopped:
        place.ask("heavy", "renters-in-need", ASKER, PASSWORD)
    assert time.monotonic() - started < 20
    assert _leaves(place, "council", "charge") == charged + 1
    if code:
        assert stopped.value.code == code
        assert _leaves(place, "council", "failed") == failed + 1
        told = verify(stopped.value.receipt, place.root / "trust.json")  # type: ignore[attr-defined]
        assert told.outcome == "refused"
    assert _left() == []


def test_a_job_is_killed_within_half_a_second_of_its_limit(tmp_path: Path) -> None:
    workers = Workers()
    with contextlib.suppress(Fault):  # it has nothing to work on: the server is up
        workers.run("released", *_nothing(), seconds=30, memory_mb=4096)
    job = _slow(tmp_path)
    for seconds in (1, 2):
        started = time.monotonic()
        with pytest.raises(Refused) as stopped:
            workers.run("frame", *job, seconds=seconds, memory_mb=4096)
        assert stopped.value.code == "too-long"
        assert seconds <= time.monotonic() - started <= seconds + 0.5
    workers.close()


def test_neighbours_are_answered_while_hostile_work_runs(place: Workspace) -> None:
    _hostile(place, SLOW)
    _policy(place, "council", "{seconds: 6, memory_mb: 4096}")
    errors: list[Exception] = []

    def heavy() -> None:
        try:
            place.ask("heavy", "renters-in-need", ASKER, PASSWORD)
        except Refused as error:
            errors.append(error)

    beside = threading.Thread(target=heavy)
    beside.start()
    time.sleep(0.5)
    place.release_source("health", "conditions")
    answers = 0
    while beside.is_alive():
        place.ask("light", "renters-in-need", ASKER, PASSWORD)
        answers += 1
    assert answers >= 1
    assert len(errors) == 1


def test_after_twenty_stopped_workers_the_server_still_serves(tmp_path: Path) -> None:
    workers = Workers()
    job = _slow(tmp_path)
    for _ in range(20):
        with pytest.raises((Refused, Fault)):
            workers.run("frame", *job, seconds=1, memory_mb=300)
    server = workers._server
    with pytest.raises(Fault):
        workers.run("released", *_nothing(), seconds=5, memory_mb=4096)
    assert workers._server is server
    assert _left() == []
    workers.close()


def test_a_server_that_was_killed_is_started_again(place: Workspace) -> None:
    workers = Workers()
    workers.start()
    assert workers._server is not None
    os.kill(workers._server.pid, signal.SIGKILL)
    workers._server.wait()
    with pytest.raises(Fault):
        workers.run("released", *_nothing(), seconds=5, memory_mb=4096)
    workers.close()


_OWNER = """
import sys, threading, time
from bridleway.node.workers.runner import Workers
from tests.node.test_workers import _slow
from pathlib import Path
workers = Workers()
threading.Thread(target=lambda: workers.run("frame", *_slow(Path(sys.argv[1])), seconds=60, memory_mb=4096)).start()
while workers._server is None:
    time.sleep(0.01)
time.sleep(3)
print(workers._server.pid, flush=True)
time.sleep(60)
"""


def test_when_its_owner_is_killed_server_and_workers_are_gone(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    server = int(owner.stdout.readline())
    assert _children(server), "the worker runs"
    workers = _children(server)
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and any(map(_alive, [server, *workers])):
        time.sleep(0.02)
    assert not any(map(_alive, [server, *workers]))


def _in_a_child(what: Callable[[], object]) -> str:
    """Return the name of the error that something raises in a confined process, or 'nothing'."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            confine(2048, 10, [], network=False)
            what()
            told = "nothing"
        except BaseException as error:
            told = type(error).__name__
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    return told


def test_a_confined_process_writes_nothing_connects_nowhere_and_starts_nothing(
    tmp_path: Path,
) -> None:
    if "Landlock" not in capabilities()["files"]:
        pytest.skip("this kernel has no Landlock: " + capabilities()["files"])
    secret = tmp_path / "secret"
    secret.write_text("x")
    assert _in_a_child(lambda: (tmp_path / "new").write_text("x")) == "PermissionError"
    assert _in_a_child(lambda: secret.write_text("y")) == "PermissionError"
    assert _in_a_child(secret.read_text) == "PermissionError"
    assert _in_a_child(lambda: socket.create_connection(("127.0.0.1", 9))) == "PermissionError"
    assert _in_a_child(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) == (
        "PermissionError"
    )
    assert _in_a_child(lambda: os.execv("/bin/true", ["true"])) == (  # noqa: S606
        "PermissionError"
    )
    assert _in_a_child(lambda: bytearray(3 << 30)) == "MemoryError"
    assert _in_a_child(lambda: socket.socketpair()) == "nothing"
    assert secret.read_text() == "x"


def test_a_worker_imports_nothing_that_its_server_could_have_imported(tmp_path: Path) -> None:
    """Each import in a worker would be paid again with every question."""
    told, _ = _slow(tmp_path, "length(nhs_number) > 0")
    program = (
        "import json, sys\n"
        "from bridleway.node.workers.server import load\n"
        "load()\n"
        "from bridleway.node.workers.jobs import JOBS\n"
        "told = json.load(sys.stdin)\n"
        "before = set(sys.modules)\n"
        "frame = JOBS['frame'](told, [])\n"
        "more = {**told, 'parts': [['council', 'housing']], 'asked_before': False}\n"
        "met = JOBS['combine'](more, frame.blocks)\n"
        "JOBS['clear']({**told, 'combined': met.told['combined'], 'earlier': []}, [])\n"
        "late = set(sys.modules) - before\n"
        "print(json.dumps(sorted(n for n in late if not n.startswith('scipy'))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(told), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == []


def test_data_that_changes_while_it_is_read_is_not_answered(tmp_path: Path) -> None:
    told, blocks = _slow(
        tmp_path, "list_sum(list_transform(range(60000), x -> x + length(nhs_number))) > 0"
    )
    path = tmp_path / "slow.duckdb"
    touch = threading.Timer(0.4, lambda: os.utime(path))
    touch.start()
    with pytest.raises(Refused) as changed:
        Inline().run("frame", told, blocks, seconds=60, memory_mb=4096)
    touch.join()
    assert changed.value.code == "data-changed"


# -- helpers


def _nothing() -> tuple[dict[str, object], list[bytes]]:
    return {}, []


def _slow(folder: Path, expression: str = SLOW) -> tuple[dict[str, object], list[bytes]]:
    """Return a job that reads a column that takes minutes."""
    from dataclasses import replace

    from bridleway.documents import read_yaml
    from bridleway.node.rehearsal import rehearsal_grant
    from bridleway.questions.sql import Scope, parse
    from bridleway.sources.catalogue_file import read_catalogue
    from tests.support.place import CATALOGUES, nhs_number

    path = folder / "slow.duckdb"
    if not path.exists():
        with duckdb.connect(str(path)) as engine:
            engine.execute("CREATE TABLE kept (nhs_number varchar)")
            numbers = [(n,) for s in range(999_000_000, 999_003_000) if (n := nhs_number(s))]
            engine.executemany("INSERT INTO kept VALUES (?)", numbers)
            engine.execute(
                "CREATE VIEW register AS SELECT nhs_number, 'north' AS area, 1.0 AS rent, "
                f"CASE WHEN {expression} THEN 'rent' ELSE 'own' END AS tenure FROM kept"
            )
    facts = read_catalogue(read_yaml(CATALOGUES["council.housing"], "c.yaml"), "council").tables[
        "register"
    ]
    scope = Scope({"housing": frozenset(facts.columns)}, frozenset({"person"}))
    grant = rehearsal_grant(parse(HEAVY, scope), {"housing": [facts]}, "local")
    told = {
        "grant": replace(grant).to_json(),
        "node": "council",
        "base": str(folder),
        "threads": 2,
        "secret": "00" * 32,
        "task": {
            "name": "housing",
            "source": "council.housing",
            "url": f"duckdb://{path}",
            "marks": None,
        },
    }
    return told, []


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _left() -> list[int]:
    """Return workers that still run under any of this process's servers, after a moment."""
    for _ in range(50):
        found = [w for server in _children(os.getpid()) for w in _children(server)]
        if not found:
            return []
        time.sleep(0.02)
    return found
