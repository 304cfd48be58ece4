"""Each piece of a statistic runs in a process of its own, and hostile work dies alone."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.api import verify
from bridleway.documents import read_yaml
from bridleway.errors import Refused, UsageError
from bridleway.model.flow import Grant
from bridleway.node.policy_file import policy_from
from bridleway.node.rehearsal import rehearsal_grant
from bridleway.node.workers import landlock, seccomp
from bridleway.node.workers.blocks import block_of
from bridleway.node.workers.confine import Needs, capabilities, confine
from bridleway.node.workers.jobs import needs
from bridleway.node.workers.runner import (
    START_SECONDS,
    Inline,
    Runner,
    Workers,
    _environment,
    _result,
)
from bridleway.node.workers.worker import receive
from bridleway.node.workspace import Workspace
from bridleway.questions.sql import Scope, parse
from bridleway.sources.catalogue_file import read_catalogue
from bridleway.sources.connect import connect
from tests.support.place import CATALOGUES, PASSWORD, approve, body, make_place, nhs_number, submit

Job = tuple[dict[str, Any], list[bytes]]

ASKER = "city/sam-okoro"
# Columns that cost nothing until a question reads them.
SLOW = "list_sum(list_transform(range(400000), x -> (x * 7 + length(nhs_number)) % 13)) > 0"
LARGE = "length(repeat(nhs_number, 300000000)) > 0"
_MODEST = "list_sum(list_transform(range(60000), x -> x + length(nhs_number))) > 0"
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
    questions = {
        "heavy": HEAVY,
        "light": LIGHT,
        "second": LIGHT.replace(" WHERE disabled", ""),
        "third": "SELECT disabled, COUNT(DISTINCT person) AS people FROM health GROUP BY disabled",
    }
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


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Workers whose server runs."""
    made = Workers()
    yield made
    made.close()


def _leaves(place: Workspace, node: str, kind: str) -> int:
    ledger = place.node(node).ledger
    size = ledger.check().size
    return sum(f'"kind":"{kind}"' in ledger.proof(i)["leaf"] for i in range(size))


@pytest.mark.parametrize(
    ("expression", "worker", "codes"),
    [
        (SLOW, "{seconds: 1, memory_mb: 4096}", {"too-long"}),
        (LARGE, "{seconds: 30, memory_mb: 1200}", {"too-large", "died"}),
    ],
    ids=["slow", "large"],
)
def test_hostile_work_is_stopped_charged_and_logged(
    place: Workspace, expression: str, worker: str, codes: set[str]
) -> None:
    _hostile(place, expression)
    _policy(place, "council", worker)
    charged, failed = _leaves(place, "council", "charge"), _leaves(place, "council", "failed")
    with pytest.raises(Refused) as stopped:
        place.ask("heavy", "renters-in-need", ASKER, PASSWORD)
    assert stopped.value.code in codes
    assert stopped.value.where == "council"
    assert _leaves(place, "council", "charge") == charged + 1
    assert _leaves(place, "council", "failed") == failed + 1
    told = verify(stopped.value.receipt, place.root / "trust.json")  # type: ignore[attr-defined]
    assert told.outcome == "refused"
    assert _left() == []


def test_a_job_is_killed_within_half_a_second_of_its_limit(
    workers: Workers, tmp_path: Path
) -> None:
    job = _slow(tmp_path)
    _light(workers, tmp_path)
    assert workers._server is not None
    server = workers._server.pid
    for seconds in (1, 2):
        assert _left() == []
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(workers.run, "frame", *job, seconds=seconds, memory_mb=4096)
            _wait_for(lambda: _children(server))
            (worker,), started = _children(server), time.monotonic()
            _wait_for(lambda pid=worker: not _alive(pid))
            lived = time.monotonic() - started
            with pytest.raises(Refused) as stopped:
                running.result()
        assert stopped.value.code == "too-long"
        assert seconds - 0.1 <= lived <= seconds + 0.5


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


def test_after_twenty_killed_workers_the_server_still_serves(
    workers: Workers, tmp_path: Path
) -> None:
    _light(workers, tmp_path)
    server = workers._server
    assert server is not None
    job = _slow(tmp_path)

    def killed(_: int) -> str:
        with pytest.raises(Refused) as stopped:
            workers.run("frame", *job, seconds=1, memory_mb=4096)
        return stopped.value.code

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(killed, range(20))) == {"too-long"}
    assert _light(workers, tmp_path) == _light(Inline(), tmp_path)
    assert workers._server is server
    assert _left() == []
    assert _zombies(server.pid) == []


def test_a_worker_that_somebody_kills_is_one_refusal(workers: Workers, tmp_path: Path) -> None:
    job = _slow(tmp_path)
    _light(workers, tmp_path)
    assert workers._server is not None
    server = workers._server.pid
    assert _left() == []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(workers.run, "frame", *job, seconds=60, memory_mb=4096)
        _wait_for(lambda: _children(server))
        time.sleep(1)  # until then the job could still be given to another worker
        (worker,) = _children(server)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(Refused) as stopped:
            running.result()
    assert stopped.value.code == "died"
    _light(workers, tmp_path)


def test_a_server_that_was_killed_is_started_again(tmp_path: Path) -> None:
    workers = Workers()
    try:
        _light(workers, tmp_path)
        first = workers._server
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        _light(workers, tmp_path)
        assert workers._server is not first
    finally:
        workers.close()
    assert first.poll() is not None


def test_a_server_that_can_start_no_process_goes_on(tmp_path: Path) -> None:
    """The first fork fails; that job alone is not done."""
    program = (
        "import os, socket, sys\n"
        "fork, tried = os.fork, []\n"
        "def sparse():\n"
        "    tried.append(1)\n"
        "    if len(tried) == 1:\n"
        "        raise BlockingIOError\n"
        "    return fork()\n"
        "os.fork = sparse\n"
        "from bridleway.node.workers.server import serve\n"
        "serve(socket.socket(fileno=int(sys.argv[1])))\n"
    )
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with (
        mine,
        subprocess.Popen(
            [sys.executable, "-c", program, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        ) as server,
    ):
        theirs.close()
        told = []
        for _ in range(2):
            channel, other = socket.socketpair()
            with channel:
                with other:
                    socket.send_fds(mine, [b"j"], [other.fileno()])
                try:
                    told.append("pid" in receive(channel, time.monotonic() + 30)[0])
                except EOFError:
                    told.append(False)
        mine.close()
        assert server.wait(5) == 0
    assert told == [False, True]


def test_two_that_find_the_server_dead_start_one(tmp_path: Path) -> None:
    workers = Workers()
    try:
        _light(workers, tmp_path)
        assert workers._server is not None
        os.kill(workers._server.pid, signal.SIGKILL)
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: _light(workers, tmp_path), range(4)))
        assert len(set(made)) == 1
    finally:
        workers.close()


_OWNER = """
import sys, threading, time
from bridleway.node.workers.runner import Workers
from tests.node.test_workers import _children, _slow
from pathlib import Path
workers = Workers()
job = _slow(Path(sys.argv[1]))
run = lambda: workers.run("frame", *job, seconds=60, memory_mb=4096)
threading.Thread(target=run).start()
while not (workers._server and _children(workers._server.pid)):
    time.sleep(0.01)
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
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and any(map(_alive, [server, *workers])):
        time.sleep(0.02)
    assert not any(map(_alive, [server, *workers]))


def _in_a_child(what: Callable[[], object], needs: Needs = Needs()) -> str:  # noqa: B008
    """Return the name of the error that something raises in a confined process, or 'nothing'."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(60)
            own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            confine((own >> 20) + 2048, 10, needs)  # address space that a test run has taken
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


def _confined(kind: str) -> None:
    if capabilities()[kind].startswith("not confined"):
        pytest.skip(f"{kind}: {capabilities()[kind]}")


def test_a_confined_process_reads_its_source_and_nothing_else(tmp_path: Path) -> None:
    _confined("reading")
    source, secret = tmp_path / "source", tmp_path / "secret"
    source.write_text("x")
    secret.write_text("x")
    needs = Needs((str(source),))
    assert _in_a_child(source.read_text, needs) == "nothing"
    assert _in_a_child(secret.read_text, needs) == "PermissionError"
    assert _in_a_child(lambda: os.listdir(tmp_path), needs) == "PermissionError"
    assert _in_a_child(lambda: os.listdir("/root"), needs) == "PermissionError"
    parent = f"/proc/{os.getpid()}/environ"
    assert _in_a_child(lambda: Path(parent).read_bytes(), needs) == "PermissionError"
    assert _in_a_child(lambda: Path("/proc/self/stat").read_bytes(), needs) == "nothing"


@pytest.mark.parametrize("alone", [False, True], ids=["landlock and seccomp", "seccomp alone"])
def test_a_confined_process_writes_nothing(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _confined("writing")
    if alone:
        _confined("network")  # it is seccomp that closes it
        monkeypatch.setattr(landlock, "edition", lambda: 0)
    kept = tmp_path / "kept"
    kept.write_text("x")
    tries = {
        "create": lambda: (tmp_path / "new").write_text("x"),
        "write": lambda: kept.write_text("y"),
        "append": lambda: os.open(kept, os.O_RDWR),
        "truncate": lambda: os.truncate(kept, 0),
        "remove": kept.unlink,
        "rename": lambda: kept.rename(tmp_path / "moved"),
        "folder": lambda: (tmp_path / "folder").mkdir(),
        "link": lambda: os.link(kept, tmp_path / "link"),
        "symlink": lambda: os.symlink(kept, tmp_path / "symlink"),
        "mode": lambda: kept.chmod(0o777),
        "times": lambda: os.utime(kept, (0, 0)),
        "owner": lambda: os.chown(kept, 1, 1),
        "mark": lambda: os.setxattr(kept, "user.x", b"x"),
    }
    assert {name: _in_a_child(what) for name, what in tries.items()} == dict.fromkeys(
        tries, "PermissionError"
    )
    assert kept.read_text() == "x"
    assert os.listdir(tmp_path) == ["kept"]


def test_a_confined_process_reaches_no_network_and_no_other_process() -> None:
    _confined("network")
    parent = os.getpid()
    tries: dict[str, Callable[[], object]] = {
        "TCP": lambda: socket.create_connection(("127.0.0.1", 9)),
        "UDP": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "local": lambda: socket.socket(socket.AF_UNIX),
        "program": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
        "process": os.fork,
        "signal": lambda: os.kill(parent, 0),
        "handle": lambda: os.pidfd_open(parent),
        "limit": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (64, 64)),
    }
    assert {name: _in_a_child(what) for name, what in tries.items()} == dict.fromkeys(
        tries, "PermissionError"
    )
    # Python's word for the same.
    own = lambda: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))  # noqa: E731
    assert _in_a_child(own) == "ValueError"


def test_a_confined_process_still_computes(tmp_path: Path) -> None:
    """Threads, memory to share and its own limits stay: engines need them."""
    assert _in_a_child(lambda: ThreadPoolExecutor(2).submit(int).result()) == "nothing"
    assert _in_a_child(socket.socketpair) == "nothing"
    assert _in_a_child(lambda: block_of(b"x")) == "nothing"
    assert _in_a_child(lambda: resource.getrlimit(resource.RLIMIT_AS)) == "nothing"
    assert _in_a_child(lambda: bytearray(3 << 30)) == "MemoryError"


def test_a_source_over_the_network_is_reached_at_its_port_alone() -> None:
    _confined("network")
    with (
        socket.create_server(("127.0.0.1", 0)) as wanted,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        needs = Needs(network=True, port=wanted.getsockname()[1])
        assert _in_a_child(lambda: _connect(wanted), needs) == "nothing"
        if landlock.edition() >= 4:
            assert _in_a_child(lambda: _connect(other), needs) == "PermissionError"
    assert _in_a_child(lambda: socket.socket(socket.AF_PACKET), Needs(network=True)) == (
        "PermissionError"
    )


def _connect(server: socket.socket) -> None:
    socket.create_connection(server.getsockname(), timeout=5).close()


@pytest.mark.parametrize("missing", ["landlock", "seccomp"])
def test_what_the_kernel_has_must_hold(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _confined("reading")
    _confined("network")
    module, name = (landlock, "close_files") if missing == "landlock" else (seccomp, "close_calls")
    monkeypatch.setattr(module, name, lambda *_: False)
    assert _in_a_child(int) == "Fault"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("network", [True, False])
def test_every_jump_of_the_filter_lands_within_it(machine: str, network: bool) -> None:
    lines = seccomp.filter_lines(machine, 1, network)
    for place, (code, yes, no, _) in enumerate(lines):
        assert code in (0x20, 0x15, 0x35, 0x45, 0x06)
        assert place + 1 + max(yes, no) < len(lines) or code == 0x06
    assert lines[-1][0] == 0x06


def test_the_folder_that_a_node_runs_in_is_neither_read_nor_a_place_for_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "duckdb.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *sys.path[1:]]))
    monkeypatch.setenv("BRIDLEWAY_SECRET", "planted-marker")
    workers = Workers()
    try:
        _light(workers, tmp_path)
        assert workers._server is not None
        server = Path(f"/proc/{workers._server.pid}")
        told = (server / "environ").read_bytes() + (server / "cmdline").read_bytes()
        assert b"planted-marker" not in told
        assert str(tmp_path).encode() not in (server / "maps").read_bytes()
    finally:
        workers.close()
    assert str(tmp_path) not in landlock.program()


def test_memory_stays_under_its_limit(workers: Workers, tmp_path: Path) -> None:
    """The identifiers of 2,000 rows are 64 MB each; the file is a few kilobytes."""
    path = tmp_path / "bomb.parquet"
    one = pa.array(["9" * (64 << 20)])
    bomb = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), one)
    few = {"area": ["north"] * 2000, "rent": [1.0] * 2000, "tenure": ["rent"] * 2000}
    pq.write_table(pa.table({"nhs_number": bomb, **few}), path, compression="zstd")
    assert path.stat().st_size < 200_000
    job = _job(f"parquet://{path}", tmp_path)
    job[0]["grant"] = _grant("bomb").to_json()
    _light(workers, tmp_path)
    assert workers._server is not None
    server = workers._server.pid
    peaks: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(workers.run, "frame", *job, seconds=30, memory_mb=1200)
        while not running.done():
            peaks += [_memory(child) for child in _children(server)]
            time.sleep(0.005)
        with pytest.raises(Refused) as stopped:
            running.result()
    assert stopped.value.code in ("too-large", "died")
    assert max(peaks) <= 1200 << 10
    assert _left() == []


def test_a_server_that_does_not_answer_is_left_and_stops_working(
    workers: Workers, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE sleepy")
    url = postgres_url.replace("/postgres?", "/sleepy?")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE TABLE kept AS SELECT '9990000018' AS nhs_number")
        admin.execute(
            "CREATE VIEW register AS SELECT nhs_number, 'north' AS area, 1.0 AS rent, "
            "CASE WHEN pg_sleep(length(nhs_number) * 10) IS NULL THEN 'own' ELSE 'rent' END "
            "AS tenure FROM kept"
        )
        job = _job(url, Path("/"))
        started = time.monotonic()
        with pytest.raises(Refused) as stopped:
            workers.run("frame", *job, seconds=3, memory_mb=4096)
        assert stopped.value.code == "too-long"
        assert time.monotonic() - started <= 3.5 + START_SECONDS

        def busy() -> int:
            row = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                "AND pid <> pg_backend_pid() AND datname = current_database()"
            ).fetchone()
            return int(row[0]) if row else 0

        _wait_for(lambda: busy() == 0, 5)


# -- what a worker that was taken over may say


def _said(*parts: bytes, blocks: Sequence[int] = (), pause: float = 0) -> str:
    """Return what receiving these bytes raises, within half a second."""
    mine, theirs = socket.socketpair()

    def say() -> None:
        with theirs, contextlib.suppress(OSError):
            socket.send_fds(theirs, [parts[0]], list(blocks))
            for part in parts[1:]:
                time.sleep(pause)
                theirs.sendall(part)

    speaker = threading.Thread(target=say)
    speaker.start()
    try:
        receive(mine, time.monotonic() + 0.5)
        return "nothing"
    except Exception as error:
        return type(error).__name__
    finally:
        mine.close()
        speaker.join()


def _message(body: bytes) -> bytes:
    return len(body).to_bytes(8, "little") + body


def test_a_reply_that_makes_no_sense_is_no_reply() -> None:
    assert _said(_message(b'{"body":{},"sizes":[]}')) == "nothing"
    assert _said(b"") == "EOFError"
    assert _said(b"123") == "EOFError"
    assert _said(_message(b"x" * 10)) == "ValueError"
    assert _said(_message(b"[]")) == "ValueError"
    assert _said(_message(b'{"body":{},"sizes":[1]}')) == "ValueError"
    assert _said((1 << 62).to_bytes(8, "little")) == "ValueError"
    slowly = [bytes([letter]) for letter in _message(b'{"body":{},"sizes":[]}')]
    assert _said(*slowly, pause=0.1) == "TimeoutError"


def test_a_block_that_could_shrink_or_is_shorter_than_said_is_no_block() -> None:
    gc.collect()
    open_files = len(os.listdir("/proc/self/fd"))
    loose = os.memfd_create("loose")
    os.ftruncate(loose, 10)
    assert _said(_message(b'{"body":{},"sizes":[10]}'), blocks=[loose]) == "ValueError"
    os.close(loose)
    block, _ = block_of(b"0123456789")
    for told in (b"11", b"4096", b"-1", b'"x"', b"null"):
        said = _said(_message(b'{"body":{},"sizes":[' + told + b"]}"), blocks=[block.fd])
        assert said == "ValueError", told
    assert _said(_message(b'{"body":{},"sizes":[10]}'), blocks=[block.fd]) == "nothing"
    with pytest.raises(OSError, match="Operation not permitted"):
        os.ftruncate(block.fd, 1)
    with pytest.raises(OSError, match="Operation not permitted"):
        os.pwrite(block.fd, b"x", 0)
    block.close()
    del block
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == open_files


def test_a_workers_words_have_an_end() -> None:
    with pytest.raises(Refused) as told:
        _result({"error": {"error": "refused", "sentence": "x\n" * 100_000}}, 1)
    assert len(str(told.value)) < 10_000
    assert "\n" not in str(told.value)
    for said in (None, [], {}, {"told": 1}, {"error": "x"}):
        with pytest.raises(Refused) as died:
            _result(said, 1)
        assert died.value.code == "died"


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
        "parts = {'parts': [['council', 'housing']], 'asked_before': False, 'earlier': []}\n"
        "JOBS['meet']({**told, **parts}, frame.blocks)\n"
        "late = set(sys.modules) - before\n"
        "print(json.dumps(sorted(n for n in late if not n.startswith('scipy'))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(told), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == []


def test_the_rehearsal_leaves_nothing_behind() -> None:
    """No thread, no open file, and no address space that would count as used."""
    program = (
        "import json, os\n"
        "from bridleway.node.workers import server, warm\n"
        "server.load()\n"
        "told = lambda: [len(os.listdir(f'/proc/self/{n}')) for n in ('task', 'fd')]\n"
        "before = told()\n"
        "warm.warm()\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "size = next(int(line.split()[1]) for line in lines if line.startswith('VmSize'))\n"
        "print(json.dumps([before, told(), size]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    (threads, files), (threads_after, files_after), size = json.loads(done.stdout)
    assert threads_after == threads
    assert files_after <= files + 1  # a library keeps one open
    assert size < 900 << 10


def test_data_that_changes_while_it_is_read_is_not_answered(tmp_path: Path) -> None:
    told, blocks = _slow(tmp_path, _MODEST)
    path = tmp_path / "slow.duckdb"
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as engine:
        engine.execute("CREATE TABLE register AS SELECT '9990000018' AS nhs_number")
    swap = threading.Timer(0.4, lambda: other.replace(path))
    swap.start()
    with pytest.raises(Refused) as changed:
        Inline().run("frame", told, blocks, seconds=60, memory_mb=4096)
    swap.join()
    assert changed.value.code == "data-changed"


@pytest.mark.parametrize("same", [True, False])
def test_what_was_read_is_the_version_that_was_declared(same: bool, tmp_path: Path) -> None:
    """Another mark alone is no change (a copied file); other content under it is one."""
    told, blocks = _slow(tmp_path, "length(nhs_number) > 0")
    whole = {**told, "whole": told["task"]}
    snapshot, _ = Inline().run("snapshot", whole, (), seconds=60, memory_mb=4096)
    told["task"] = {**told["task"], "stamps": [], "snapshot": snapshot["snapshot"]}
    os.utime(tmp_path / "slow.duckdb")
    if not same:
        with duckdb.connect(str(tmp_path / "slow.duckdb")) as engine:
            engine.execute("INSERT INTO kept VALUES ('9990000018')")
    outcome = "answered"
    try:
        Inline().run("frame", told, blocks, seconds=60, memory_mb=4096)
    except Refused as error:
        outcome = error.code
    assert outcome == ("answered" if same else "data-changed")


def test_a_touched_source_is_digested_once_in_a_worker(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[str] = []
    run = place.runner.run

    def counted(job: str, *args: Any, **limits: Any) -> Any:
        jobs.append(job)
        return run(job, *args, **limits)

    monkeypatch.setattr(place.runner, "run", counted)
    os.utime(place.root.parent / "data" / "conditions.parquet")
    for question in ("second", "third"):
        place.ask(question, "renters-in-need", ASKER, PASSWORD)
    assert jobs.count("snapshot") == 1
    assert jobs.count("local") == 2


@pytest.mark.parametrize(
    ("url", "reads", "network", "port"),
    [
        ("duckdb://a.duckdb", {"/base/a.duckdb", "/base/a.duckdb.wal"}, False, None),
        ("/data/a.parquet", {"/data/a.parquet", "/data/a.parquet.wal"}, False, None),
        ("postgresql://u:p@h/db", set(), True, 5432),
        ("postgres://u:p@h:6000/db?sslrootcert=/ca.pem", {"/ca.pem"}, True, 6000),
        ("postgresql://h1:1,h2:2/db", set(), True, None),
        ("sqlite:///data/a.sqlite", {"/data/a.sqlite"}, True, None),
    ],
)
def test_a_job_needs_its_source_and_nothing_else(
    url: str, reads: set[str], network: bool, port: int | None
) -> None:
    found = needs({"base": "/base", "task": {"url": url}})
    assert {p for p in found.reads if not p.endswith((".postgresql", "/db"))} == reads
    assert (found.network, found.port) == (network, port)


def test_links_in_a_folder_are_followed_to_where_they_lead(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "real.parquet").touch()
    (tmp_path / "folder" / "link.parquet").symlink_to(tmp_path / "real.parquet")
    found = needs({"base": str(tmp_path), "task": {"url": "parquet://folder"}})
    assert str(tmp_path / "real.parquet") in found.reads


@pytest.mark.parametrize(
    ("entry", "limits"),
    [
        ("", (60, 4096)),
        ("worker: {seconds: 5}", (5, 4096)),
        ("worker: {memory_mb: 1000}", (60, 1000)),
    ],
)
def test_the_policy_says_what_a_worker_may_take(entry: str, limits: tuple[int, int]) -> None:
    policy = policy_from(read_yaml(f"policy: 1\n{entry}\n", "policy.yaml"))
    assert (policy.worker_seconds, policy.worker_memory_mb) == limits


@pytest.mark.parametrize(
    "entry",
    [
        "5",
        "[5]",
        "{seconds: 0}",
        "{seconds: 1.5}",
        "{seconds: yes}",
        "{second: 5}",
        "null",
        "{memory_mb: 999}",
    ],
)
def test_a_limit_that_is_none_is_refused_with_its_place(entry: str) -> None:
    with pytest.raises(UsageError) as wrong:
        policy_from(read_yaml(f"policy: 1\nworker: {entry}\n", "policy.yaml"))
    assert wrong.value.where.startswith("policy.yaml, line 2")
    assert wrong.value.remedy


# -- helpers


def _light(runner: Runner, folder: Path) -> str:
    """Run a job that takes a moment, and return what it made."""
    path = folder / "light.csv"
    path.write_text("a\n1\n")
    whole = {"source": "a.b", "url": f"csv://{path}"}
    told = {"base": str(folder), "threads": 1, "seconds": 60, "whole": whole}
    return str(runner.run("snapshot", told, (), seconds=60, memory_mb=4096)[0]["snapshot"])


def _slow(folder: Path, expression: str = SLOW) -> Job:
    """Return a job that reads a column that takes minutes."""
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
    return _job(f"duckdb://{path}", folder)


def _job(url: str, folder: Path) -> Job:
    """Return the arguments of the job `frame` over the council's register at a URL."""
    with closing(connect(url, base=folder)) as source:
        stamp = source.quick_stamp()
    told = {
        "grant": _grant().to_json(),
        "node": "council",
        "base": str(folder),
        "threads": 2,
        "seconds": 60,
        "secret": "00" * 32,
        "task": {
            "name": "housing",
            "source": "council.housing",
            "url": url,
            "marks": None,
            "stamps": [stamp],
            "snapshot": "",
        },
    }
    return told, []


def _grant(table: str = "register") -> Grant:
    text = CATALOGUES["council.housing"].replace("  register:", f"  {table}:")
    facts = read_catalogue(read_yaml(text, "c.yaml"), "council").tables[table]
    scope = Scope({"housing": frozenset(facts.columns)}, frozenset({"person"}))
    return rehearsal_grant(parse(HEAVY, scope), {"housing": [facts]}, "local")


def _wait_for(done: Callable[[], object], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.01)


def _memory(pid: int) -> int:
    """Return the peak address space of a process, in kB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmPeak")), 0)


def _zombies(parent: int) -> list[int]:
    return [child for child in _children(parent) if not _alive(child)]


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _is_server(pid: int) -> bool:
    """Tell whether a process is a workers' server: others' children (Spark's) are not ours."""
    with contextlib.suppress(OSError):
        return b"bridleway.node.workers.server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _left() -> list[int]:
    """Return workers that still run under any of this process's servers, after a moment."""
    for _ in range(50):
        found = [w for one in _children(os.getpid()) if _is_server(one) for w in _children(one)]
        if not found:
            return []
        time.sleep(0.02)
    return found
