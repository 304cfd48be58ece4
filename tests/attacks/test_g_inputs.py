"""Family G: inputs, outputs and secrets."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from bridleway.api import verify
from bridleway.cli.frame import json_text
from bridleway.cli.main import app
from bridleway.documents import read_yaml, read_yaml_file
from bridleway.errors import BridlewayError, from_json
from bridleway.keys.dsse import open_envelope
from bridleway.keys.trust import read_trust
from bridleway.ledger import notes
from bridleway.model.canonical import strict_json
from bridleway.model.passport import PAYLOAD_PASSPORT
from bridleway.node.policy_file import read_policy
from bridleway.node.road import kept_receipt
from bridleway.node.workspace import Workspace
from bridleway.passport.document import read_file
from bridleway.sources.connect import connect
from bridleway.techniques.frames import from_ipc
from tests.attacks import weak_inputs as weak
from tests.attacks.api import attack
from tests.attacks.standing import (
    ASKER,
    MARKER,
    PASSPORT,
    is_clean,
    pinned_body,
    quick_passwords,
    raw_engine,
    standing_place,
)
from tests.attacks.test_c_language import code_runners
from tests.support.place import FROM, PASSWORD, UNTIL, approve, body, make_place, submit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Passwords cost little here."""
    with quick_passwords():
        yield


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a workspace with a valid passport; tests work on copies."""
    folder = tmp_path_factory.mktemp("inputs")
    standing_place(folder).close()
    return folder


@pytest.fixture
def place(master: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace of the test's own."""
    shutil.copytree(master / "place", tmp_path / "place")
    with Workspace.open(tmp_path / "place") as made:
        yield made


def _files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


# -- G02: names as paths

PATHS = (
    "../../x", "../x", "/tmp/bridleway-x", "a/../../b", "x\x00.json", "x" * 300, "CON", "con.txt",
    "..", ".", "", "a/b", "a\\b", "~/x", "$HOME", "%2e%2e%2fx", "x\n", ".hidden", "X", "x ",
    "\uff0e\uff0e\uff0fx", "aux.", "file:///x", "-rf", "x;ls", "x.key.json",
)  # fmt: skip


@attack(
    "G02",
    severity="C",
    tried="../../x, absolute names, NUL, 300 characters, CON, other case as request id, person, "
    "node, source, passport and question; receipts and keys swapped for links",
    weak="a file is written outside the folder",
    holds="whatever becomes a file name is an id (a-z, 0-9, hyphens); the node picks its own "
    "names, creates exclusively, and neither reads keys nor writes receipts through links",
)
def test_g02(kind: str, place: Workspace, tmp_path: Path) -> bool:
    """No name leads out of its folder."""
    if kind == "weak":
        inside = tmp_path / "exports" / "mine"
        inside.mkdir(parents=True)
        weak.save_export(inside, "../../stolen", "x")
        return (tmp_path / "stolen").exists()
    won: list[str] = []
    before, around = _files(tmp_path), set(os.listdir(tempfile.gettempdir()))

    def never(name: str, call: Callable[[], Any]) -> None:
        try:
            call()
            won.append(name)
        except BridlewayError as error:
            if not is_clean(error):
                won.append(f"{name}: {error!r}")

    for path in PATHS:
        never(f"request {path!r}", lambda p=path: place.ask(
            "by-area", PASSPORT, ASKER, PASSWORD, request=p))  # fmt: skip
        never(f"person {path!r}", lambda p=path: place.key_path(f"city/{p}"))
        never(f"node {path!r}", lambda p=path: place.node(p))
        never(f"asker {path!r}", lambda p=path: place.ask(
            "by-area", PASSPORT, f"{p}/sam-okoro", PASSWORD))  # fmt: skip
        never(f"source {path!r}", lambda p=path: place.node("council").holdings.add(p, "csv://x"))
        never(
            f"catalogue {path!r}", lambda p=path: place.node("council").holdings.catalogue_path(p)
        )
        never(f"passport {path!r}", lambda p=path: submit(place, body(id=p)))
        never(f"kept receipt {path!r}", lambda p=path: kept_receipt(tmp_path, p))
        question = {"id": path, "kind": "statistic", "text": "SELECT COUNT(*) FROM housing"}
        never(f"question {path!r}", lambda q=question: submit(
            place, body(id="odd-question", questions=[q], technique={})))  # fmt: skip
    for name in ("../../x", "/tmp/bridleway-x", "a/../../b", "CON"):
        made = tmp_path / "organisations"
        with pytest.MonkeyPatch.context():
            Workspace.init(made, [name]).close()  # the id is made from it: `x`, `tmp-bridleway-x`
        (only,) = (made / "nodes").iterdir()
        if not re.fullmatch(r"[a-z0-9-]+", only.name):
            won.append(f"organisation {name}")
        shutil.rmtree(made)
    written = _files(tmp_path) - before
    if any("x" in Path(f).name and "receipts" not in f for f in written if f.endswith("x")):
        won.append(f"written: {written}")
    if any("bridleway-x" in name for name in set(os.listdir(tempfile.gettempdir())) - around):
        won.append("written to the temporary folder")

    # Links in place of the folder, of a receipt and of keys.
    home, outside = place.node("city").folder, tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(home / "receipts", ignore_errors=True)
    (home / "receipts").symlink_to(outside)
    never("receipts lead elsewhere", lambda: place.ask(
        "rent-by-area", PASSPORT, ASKER, PASSWORD, request="through-a-link"))  # fmt: skip
    if list(outside.iterdir()):
        won.append("a receipt was written through a link")
    (home / "receipts").unlink()
    (home / "receipts").mkdir()
    victim = outside / "victim"
    victim.write_text("untouched")
    (home / "receipts" / "linked.json").symlink_to(victim)
    never("a receipt is a link", lambda: place.ask(
        "rent-by-area", PASSPORT, ASKER, PASSWORD, request="linked"))  # fmt: skip
    if victim.read_text() != "untouched":
        won.append("a link's target was overwritten")
    key = place.key_path(ASKER)
    shutil.copy(key, outside / "key")
    os.chmod(outside / "key", 0o600)
    key.unlink()
    key.symlink_to(outside / "key")
    place._signers.clear()
    never("a key is a link", lambda: place.unlock(ASKER, PASSWORD))
    print(won)
    return bool(won)


# -- G04: bombs

LEVELS = "\n".join(
    [f"a0: &a0 [{', '.join(['x'] * 9)}]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 6)]
)


def _bombs(folder: Path) -> dict[str, Callable[[], Any]]:
    """Return every reader with what should blow it up."""
    deep = "[" * 200_000 + "]" * 200_000
    wide = "a:\n" + "- x\n" * 150_000
    large = folder / "large"
    with large.open("wb") as file:
        file.truncate(2**30)
    zipped = folder / "bomb.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("0", bytes(50_000_000))
    packed = folder / "bomb.csv.gz"
    packed.write_bytes(gzip.compress(b"a" * 300_000_000, 9))
    parquet = folder / "false.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), parquet)
    raw = bytearray(parquet.read_bytes())
    raw[-8:-4] = (2**31 - 1).to_bytes(4, "little")
    parquet.write_bytes(bytes(raw))
    cut = folder / "cut.parquet"
    cut.write_bytes(b"PAR1" + bytes(1000) + (900).to_bytes(4, "little") + b"PAR1")
    held = folder / "false.duckdb"
    held.write_bytes(bytes(8) + b"DUCK" + b"\xff" * 8000)
    stream = io.BytesIO()
    batch = pa.record_batch({"k.person.low": pa.array([1, 2, 3], pa.uint64())})
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    lying = stream.getvalue().replace((3).to_bytes(8, "little"), (2**40).to_bytes(8, "little"))
    envelope = json.dumps({"payloadType": PAYLOAD_PASSPORT, "signatures": [{}] * 100_000,
                           "payload": base64.b64encode(bytes(2_000_000)).decode()})  # fmt: skip
    written = folder / "written.yaml"
    written.write_text(LEVELS)
    return {
        "aliases": lambda: read_yaml(LEVELS, "p.yaml"),
        "aliases in a file": lambda: read_file(written),
        "deep YAML": lambda: read_yaml(deep[:390_000], "p.yaml"),
        "deep braces": lambda: read_yaml("{a: " * 90_000, "p.yaml"),
        "wide YAML": lambda: read_yaml(wide, "p.yaml"),
        "deep JSON": lambda: strict_json(deep.encode()),
        "nested objects": lambda: strict_json(b'{"a":' * 500_000),
        "long number": lambda: strict_json(b"9" * 3_900_000),
        "10 MB of JSON": lambda: strict_json(b'"' + b"x" * 10_000_000 + b'"'),
        "envelope": lambda: open_envelope(envelope.encode(), PAYLOAD_PASSPORT, {}),
        "gzip as a document": lambda: strict_json(gzip.compress(b"{}" * 1_000_000)),
        "zip as a passport": lambda: read_file(zipped),
        "1 GB as a passport": lambda: read_yaml_file(large),
        "1 GB as a policy": lambda: read_policy(large),
        "1 GB as a trust list": lambda: read_trust(large),
        "1 GB as a receipt": lambda: verify(large, ROOT / "pyproject.toml"),
        "zip as a receipt": lambda: verify(zipped.read_bytes(), ROOT / "pyproject.toml"),
        "a device": lambda: read_yaml_file("/dev/zero"),
        "a device as a receipt": lambda: verify(Path("/dev/zero"), ROOT / "pyproject.toml"),
        "note": lambda: notes.verify(
            "bridleway/a\n" + "9" * 100_000 + "\nAA==\n\n— x AA==\n", "a", "1" * 64
        ),  # fmt: skip
        "gzip as CSV": lambda: connect(f"csv://{packed}", base=folder).columns("bomb"),
        "false Parquet": lambda: connect(f"parquet://{parquet}", base=folder).tables(),
        "cut Parquet": lambda: connect(f"parquet://{cut}", base=folder).tables(),
        "false DuckDB": lambda: connect(f"duckdb://{held}", base=folder).tables(),
        "lying Arrow": lambda: from_ipc(lying),
        "no Arrow": lambda: from_ipc(b"\xff" * 1000),
    }


# A child reads one bomb after the other, under an address space that bounds the harm.
_CHILD = """
import resource, sys, time
from pathlib import Path
from tests.attacks.test_g_inputs import _bombs
from tests.attacks.standing import is_clean
folder = Path(sys.argv[1])
bombs = _bombs(folder)
size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, size + 2**30))
for name, read in bombs.items():
    began = time.perf_counter()
    try:
        read()
        print(name, '|', 'read')
    except Exception as error:
        print(name, '|', 'clean' if is_clean(error) else repr(error)[:200])
    spent = time.perf_counter() - began
    if spent > 3:
        print(name, '|', f'{spent:.1f} s')
print('end | clean')
"""


@attack(
    "G04",
    severity="H",
    tried="YAML aliases, deep and wide documents, a gigabyte of JSON, zip and gzip, Parquet and "
    "Arrow with false lengths, an endless device, at every reader",
    weak="a kilobyte of YAML grows to megabytes at five levels, nine times more at each further",
    holds="signed input is JSON; every reader has a limit on bytes and depth, knows no aliases "
    "and no archives, and refuses within seconds",
)
def test_g04(kind: str, tmp_path: Path) -> bool:
    """A bomb is refused by the reader that meets it."""
    if kind == "weak":
        return len(LEVELS) < 1000 and weak.inflated(weak.read_document(LEVELS)) > 3_000_000
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT, env=environment,
    )  # fmt: skip
    told = [line.partition(" | ")[::2] for line in done.stdout.splitlines()]
    won = [(name, what) for name, what in told if what != "clean"]
    print(won, done.stderr[-2000:])
    return bool(won) or told[-1:] != [("end", "clean")]


# -- G05: markers


def _reachable(error: BaseException) -> str:
    """Return what a crash reporter sees: text, causes, locals of every frame but this file's."""
    made, one = [], error
    while one is not None:
        told = traceback.TracebackException.from_exception(one, capture_locals=True)
        made += [*told.format_exception_only(), *getattr(one, "__notes__", [])]
        frames = [frame for frame in told.stack if frame.filename != __file__]
        made += [f"{frame.filename} {frame.line} {frame.locals}" for frame in frames]
        one = one.__cause__ or one.__context__
    return "\n".join(made)


@attack(
    "G05",
    severity="C",
    tried="fail at every layer with 20 markers planted in data, passwords and keys; read errors, "
    "tracebacks with locals, receipts, logs, printed output, files and the process list",
    weak="the log holds the row, the crash report holds the password",
    holds="errors are our sentences, leave without frames and causes, and nothing but the stores "
    "holds a marker",
)
def test_g05(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> bool:
    """What is secret stays in its store."""
    people = [f"Marker{n:02d}Zq Person" for n in range(10)]
    passwords = [f"password-Marker{n:02d}Zq" for n in range(10, 20)]
    if kind == "weak":
        log = weak.failing_job({"name": people[0], "rent": people[1]}, passwords[0])
        return all(m in log for m in (*people[:2], passwords[0])) and (
            passwords[1] in weak.locals_of_failure(passwords[1])
        )
    markers = re.compile(r"Marker\d\dZq")
    told: dict[str, str] = {}
    with make_place(tmp_path, 300) as made:
        made.node("council").holdings.close()
        data = tmp_path / "data" / "housing.duckdb"
        with duckdb.connect(str(data)) as engine:
            engine.execute("ALTER TABLE register ALTER rent TYPE VARCHAR")
            for n, person in enumerate(people):
                column = ("rent", "tenure", "area", "nhs_number")[n % 4]
                engine.execute(f"UPDATE register SET {column} = ? WHERE rowid = ?", [person, n])
        made.release_source("council", "housing")
        submit(made, body())
        approve(made, PASSPORT)
        answer = made.ask("rent-by-area", PASSPORT, ASKER, PASSWORD, request="first")
        told["answer"] = json.dumps(answer.to_json()) + answer.receipt.decode()
        told["linked answer"] = json.dumps(made.ask("by-area", PASSPORT, ASKER, PASSWORD).to_json())
        for n, person in enumerate(("Pat One", "Kim Two")):
            made.add_person("city", person, ["analyst"], FROM, UNTIL, passwords[n])

        def fails(name: str, call: Callable[[], Any]) -> None:
            try:
                call()
                raise AssertionError(name)
            except BridlewayError as error:
                told[name] = f"{error} {error.to_json()} {_reachable(error)}"

        fails("wrong password", lambda: made.ask(
            "by-area", PASSPORT, "city/pat-one", passwords[2]))  # fmt: skip
        fails("right password, no user", lambda: made.ask(
            "by-area", PASSPORT, "city/kim-two", passwords[1]))  # fmt: skip
        fails("password in a URL", lambda: made.node("council").holdings.add(
            "other", f"postgresql://ann:{passwords[3]}@127.0.0.1:9/x"))  # fmt: skip
        fails("password as an option", lambda: made.node("council").holdings.add(
            "other", f"postgresql://127.0.0.1:9/x?user=ann&password={passwords[4]}"))  # fmt: skip
        fails("constant", lambda: made.ask(
            f"SELECT COUNT(*) FROM housing WHERE nobody = '{people[4]}'", PASSPORT, ASKER, PASSWORD))  # fmt: skip
        key = made.key_path("city/pat-one")
        os.chmod(key, 0o600)
        key.write_text(json.dumps({"public": passwords[5]}))
        fails("damaged key", lambda: made.unlock("city/pat-one", passwords[0]))
        # The same row fails in every layer below: a damaged file, a missing column, a wrong type.
        made.node("council").holdings.close()
        with duckdb.connect(str(data)) as engine:
            engine.execute("UPDATE register SET rent = nhs_number || area || tenure || rent")
        fails("changed data", lambda: made.ask(
            "rent-by-area", PASSPORT, ASKER, PASSWORD, request="second"))  # fmt: skip
        made.node("council").holdings.close()
        with duckdb.connect(str(data)) as engine:
            engine.execute("CREATE TABLE kept AS FROM register; DROP TABLE register")
            engine.execute(
                "CREATE VIEW register AS SELECT nhs_number, area, tenure, "
                "CAST(rent AS DECIMAL(9, 2)) AS rent FROM kept"
            )
        fails("a view that fails on somebody", lambda: made.release_source("council", "housing"))
        made.node("council").holdings.close()
        content = data.read_bytes()
        data.write_bytes(content[: len(content) // 2])
        fails("damaged data", lambda: made.release_source("council", "housing"))
        told["processes"] = "\n".join(
            path.read_bytes().decode(errors="replace")
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if _readable(path)
        )
        result = CliRunner().invoke(
            app,
            [
                "ask",
                "by-area",
                "-p",
                PASSPORT,
                "--as",
                "city/kim-two",
                "-w",
                str(tmp_path / "place"),
            ],
            env={"BRIDLEWAY_PASSWORD": passwords[6]},
        )
        told["command"] = result.output + (result.stderr or "")
    out, err = capfd.readouterr()
    told["printed"] = out + err
    for path in [p for p in (tmp_path / "place").rglob("*") if p.is_file() and p != key]:
        told[f"file {path.relative_to(tmp_path)}"] = path.read_bytes().decode(errors="replace")
    found = {name: sorted(set(markers.findall(text))) for name, text in told.items()}
    found = {name: hits for name, hits in found.items() if hits}
    # The author's own constant is refused with its place, and the question is the caller's text.
    print(found)
    return bool(found) or resource.getrlimit(resource.RLIMIT_CORE)[0] not in (0, -1)


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


# -- G06: secrets where others read them


@attack(
    "G06",
    severity="H",
    tried="make keys readable by the group or by all; put passwords into URLs and configuration",
    weak="the key is read and used, whoever else can read it",
    holds="a key that others can read is refused with the command that mends it; keys and URLs "
    "are created for their owner only; a URL with a password in it is refused",
)
def test_g06(kind: str, place: Workspace, tmp_path: Path) -> bool:
    """A key that others can read opens nothing."""
    if kind == "weak":
        path = tmp_path / "signing.pem"
        with weak.umask_of_everybody():
            path.write_bytes(b"key")
        return path.stat().st_mode & 0o044 == 0o044 and weak.read_key(path) == b"key"
    won = []
    patterns = ("store.key", "secrets.age", "*.key.json", "source.json")
    private = [path for pattern in patterns for path in place.root.rglob(pattern)]
    assert len(private) >= 2 * 5 + 5 + 3
    won += [str(p) for p in private if p.stat().st_mode & 0o077]
    root = place.root
    place.close()
    for name in ("keys/store.key", "secrets.age"):
        for mode in (0o640, 0o604, 0o644, 0o666):
            path = root / "nodes" / "council" / name
            os.chmod(path, mode)
            try:
                with Workspace.open(root) as opened:
                    opened.ask("by-area", PASSPORT, ASKER, PASSWORD)
                won.append(f"{name} {mode:o}")
            except BridlewayError as error:
                if not is_clean(error) or "chmod 600" not in str(error):
                    won.append(f"{name} {mode:o}: {error}")
            os.chmod(path, 0o600)
    with Workspace.open(root) as opened:
        key = opened.key_path(ASKER)
        os.chmod(key, 0o644)
        try:
            opened.ask("by-area", PASSPORT, ASKER, PASSWORD)
            won.append("a person's key")
        except BridlewayError as error:
            assert "chmod 600" in str(error)
        os.chmod(key, 0o600)
        with weak.umask_of_everybody():
            opened.add_person("city", "Una Mask", ["analyst"], FROM, UNTIL, PASSWORD)
        if opened.key_path("city/una-mask").stat().st_mode & 0o077:
            won.append("a careless umask")
        for url in (
            "postgresql://ann:hunter2hunter2@127.0.0.1:9/x",
            "postgresql://ann@127.0.0.1:9/x?password=hunter2hunter2",
            "mysql://ann:hunter2hunter2@127.0.0.1:9/x",
        ):
            try:
                opened.node("council").holdings.add("other", url)
                won.append("a URL with a password")
            except BridlewayError as error:
                if "hunter2" in str(error) or not is_clean(error):
                    won.append("a URL in an error")
    if any(b"hunter2" in p.read_bytes() for p in root.rglob("*") if p.is_file()):
        won.append("a password was stored")
    print(won)
    return bool(won)


# -- G07: text that becomes code

BANNED = "S102,S301,S302,S307,S506,S602,S604,S605,S606,S608,S701,S702,TID251"


@attack(
    "G07",
    severity="H",
    tried="pickle, yaml.load, eval, templates in the text of rules and passports, SQL made of "
    "parts by way of names and constants",
    weak="the tag constructs, the template reads attributes, the constant changes the SQL",
    holds="banned by lint rules without a single suppression; texts are shown as they are; "
    "names in SQL are quoted, constants typed",
)
def test_g07(kind: str, place: Workspace, tmp_path: Path) -> bool:
    """Text stays text."""
    if kind == "weak":
        built = yaml.load("!!python/object/apply:len [[1, 2]]", Loader=yaml.UnsafeLoader)  # noqa: S506, TID251 (the weak node)
        engine = raw_engine()
        all_rows = weak.count_where(engine, "name", "x' OR '1'='1")
        secret = weak.fill_in("{rule.__class__.__mro__}", rule="x")
        return built == 2 and all_rows == 2 and "object" in secret
    won = []
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--isolated", "--select",
         BANNED.replace(",TID251", "").replace(",S608", ""), "--ignore-noqa", "src"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        won.append(done.stdout[-600:])
    banned = "|".join(BANNED.replace("S608,", "").split(","))
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if re.search(rf"noqa:[^\n]*(?:{banned})|nosec|noqa\s*$", text, re.M):
            won.append(f"a suppression in {path.name}")
    won += code_runners(ROOT / "src" / "bridleway")
    # Templates in every text of a passport come out as they went in.
    templates = ("{{ 7 * 7 }}", "{0.__class__}", "${HOME}", "%(x)s", "%s %n", "{title}",
                 "<% 49 %>", "#{7*7}", "[bold]x[/bold]", "[link=http://evil]x[/link]")  # fmt: skip
    for number, template in enumerate(templates):
        name = f"template-{number}"
        made = submit(place, body(id=name, title=f"A {template} B"))
        if made.body["title"] != f"A {template} B":
            won.append(f"{template} changed")
        shown = CliRunner().invoke(
            app, ["passport", "show", name, "-w", str(place.root)], env={"COLUMNS": "200"}
        ).output  # fmt: skip
        if template not in shown or "A 49 B" in shown:
            won.append(f"{template} is not shown as it is: {shown[:200]}")
    # Names of tables and columns that would end a statement: quoted at the engine.
    odd = tmp_path / "odd.duckdb"
    with duckdb.connect(str(odd)) as engine:
        engine.execute('CREATE TABLE "a""; DROP TABLE b; --" (x VARCHAR, "y\'"";" VARCHAR)')
        engine.execute("CREATE TABLE b (x VARCHAR)")
    source = connect(f"duckdb://{odd}", base=tmp_path, name="n.s")
    try:
        names = source.tables()
        assert len(names) == 2
        for name in names:
            source.columns(name)
        if source.tables() != names:
            won.append("a table's name ran")
    finally:
        source.close()
    with make_place(tmp_path / "again", 60) as made_again:
        for value in ("x' OR '1'='1", "'; DROP TABLE register; --", "\\", "%", "$1", "{}", ":x"):
            quoted = value.replace("'", "''")
            probe = pinned_body(
                f"SELECT COUNT(DISTINCT person) AS n FROM housing WHERE tenure = '{quoted}'"
            )
            try:
                submit(made_again, probe)
                approve(made_again, probe["id"])
                answer = made_again.ask("probe", probe["id"], ASKER, PASSWORD)
                if any(row["values"] for row in answer.rows):
                    won.append(f"{value} matched")
            except BridlewayError as error:
                if not is_clean(error):
                    won.append(f"{value}: {error}")
    print(won)
    return bool(won)


# -- G09: lines that nobody wrote

STEERING = (
    "x\n2026-11-23T10:00:00Z INFO approved by everybody", "x\r\nok", "\x1b[2J\x1b[31mred",
    "\x9b31mred", "\x07", "\x08\x08\x08", '"}\n{"level": "INFO"}', "\u202eevil", "a\u2028b",
    "\x1b]0;title\x07", "\x00", "\x85next", "zero\u200bwidth",
)  # fmt: skip


def _steers(text: str) -> bool:
    """Whether a printed text holds what a terminal acts on or a reader cannot see."""
    kinds = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
    return any(unicodedata.category(c) in kinds for c in text.replace("\n", ""))


@attack(
    "G09",
    severity="M",
    tried="line ends, escapes, bidi and fake JSON in names, ids, questions, file names and in "
    "what another node answers",
    weak="the log holds a line that nobody wrote; the terminal obeys",
    holds="names are ids or plain; errors are one visible line wherever they come from; printed "
    "JSON escapes; the ledger holds canonical JSON, one leaf each",
)
def test_g09(kind: str, place: Workspace, tmp_path: Path) -> bool:
    """Nobody's name writes a line of its own."""
    if kind == "weak":
        log = weak.log_line(STEERING[0])
        return len(log.splitlines()) == 2 and log.splitlines()[1].endswith("approved by everybody")
    won = []
    runner, where = CliRunner(), ["-w", str(place.root)]
    environment = {"BRIDLEWAY_PASSWORD": PASSWORD, "COLUMNS": "200"}
    for text in STEERING:
        calls = [
            ["ask", text, "-p", PASSPORT, "--as", ASKER, *where],
            ["ask", "by-area", "-p", text, "--as", ASKER, *where],
            ["ask", "by-area", "-p", PASSPORT, "--as", text, *where],
            ["ask", "by-area", "-p", PASSPORT, "--as", ASKER, "--request", text, *where],
            [
                "person",
                "add",
                "city",
                text,
                "--role",
                "analyst",
                "--from",
                FROM,
                "--until",
                UNTIL,
                *where,
            ],
            ["source", "add", "council", text, "csv://x.csv", *where],
            ["passport", "show", text, *where],
            ["verify", text, *where],
            ["ask", "by-area", "-w", text],
        ]
        for call in calls:
            for options in ([], ["--json"]) if call is calls[1] else ([],):
                done = runner.invoke(app, [*call, *options], env=environment)
                told = done.stdout + done.stderr
                if "Traceback" in told or not isinstance(done.exception, SystemExit | type(None)):
                    won.append(f"{call[0]} {text!r}: {done.exception!r}")
                if _steers(told):
                    won.append(f"{call[:3]} {text!r} steers")
                if any("approved by everybody" in line and line.startswith("2026-11-23T10")
                       for line in told.splitlines()):  # fmt: skip
                    won.append(f"{call[:2]} forges a line")
        error = from_json({"error": "refused", "sentence": text, "remedy": text, "where": text,
                           "code": text})  # fmt: skip
        if _steers(str(error)) or "\n" in str(error) or _steers(json_text(error.to_json())):
            won.append(f"another node's {text!r}")
    for node in place.nodes.values():
        size = node.ledger.check().size
        for leaf in (node.ledger.proof(i)["leaf"] for i in range(size)):
            if "\n" in leaf or _steers(leaf):
                won.append(f"a leaf of {node.id}")
    print(won)
    return bool(won) or MARKER in repr(won)
