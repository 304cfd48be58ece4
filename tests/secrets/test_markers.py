"""Markers planted in data, passwords and keys appear nowhere outside the stores (ATTACKS G05).

Everything is used: sources of every kind, questions, refusals, receipts, ledgers, doctor; and
everything is broken, at every layer, with an error whose words quote a marker. Read back: all that
commands print (with debugging on), every log record at DEBUG with its traceback, every exception
with the locals of its frames, temporary files while they live, the process list, receipts,
ledgers, and every other file of the workspace.
"""

from __future__ import annotations

import io
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from bridleway import api
from bridleway.cli.main import app
from bridleway.node.workers.runner import Inline
from bridleway.node.workspace import Workspace
from tests.support import place as support
from tests.support.markers import Markers, Search, forms, plant

PEOPLE = 600
UNPINNED = "SELECT tenure, COUNT(DISTINCT person) AS people FROM housing GROUP BY tenure"

# Functions of every layer, by the name under which they are called.
LAYERS = (
    "bridleway.node.workers.jobs.run", "bridleway.node.workers.jobs.frame_of", "bridleway.node.node.permit",
    "bridleway.node.node.plan", "bridleway.node.node.issue", "bridleway.node.node.seal_to",
    "bridleway.node.workers.jobs.to_ipc", "bridleway.node.node.protect_figures",
    "bridleway.node.node.open_sealed", "bridleway.node.node.messages.sign",
    "bridleway.node.node.messages.verify", "bridleway.node.holdings.expand",
    "bridleway.node.workers.jobs.combined_of", "bridleway.node.workers.jobs.clear_combined",
    "bridleway.ledger.store.Ledger.charge", "bridleway.ledger.store.Ledger.release",
    "bridleway.ledger.store.tree.leaf_hash", "bridleway.keys.store._read",
    "bridleway.keys.files._password_key", "bridleway.node.workspace.ask",
    "bridleway.node.workspace.sign_asking", "bridleway.node.node.read_policy",
    "bridleway.node.register.state_of", "bridleway.sources.connect.connect",
)  # fmt: skip

EXTRA = """\
      name: {type: text, class: sensitive}
      ref: {type: text, class: quasi-identifier}
      notes: {type: text, class: sensitive}
"""


class Ear(logging.Handler):
    """Keeps every record: message, arguments and formatted traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = f"{record.msg!r}"
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.heard.append(f"{record.name} {text} {record.args!r} {trace}")


class Watch(threading.Thread):
    """Reads temporary files and the process list again and again while others work."""

    def __init__(self, temporary: Path, search: Search) -> None:
        super().__init__(daemon=True)
        self.temporary = temporary
        self.search = search
        self.found: dict[str, set[str]] = {}
        self.looks = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            self.look()
            time.sleep(0.03)

    def look(self) -> None:
        self.looks += 1
        for path in self.temporary.rglob("*"):
            self._read(path, f"temporary file {path.name}")
        for pid in family(os.getpid()):
            for name in ("cmdline", "environ"):
                self._read(Path(f"/proc/{pid}/{name}"), f"process {pid} {name}")

    def _read(self, path: Path, place: str) -> None:
        try:
            hits = self.search.hits(path.read_bytes())
        except OSError:
            return
        if hits:
            self.found.setdefault(place, set()).update(hits)


def family(pid: int) -> list[int]:
    """Return a process and its children, and theirs."""
    made = [pid]
    for one in made:
        try:
            listed = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            continue
        made += [int(child) for child in listed]
    return made


class Trial:
    """One workspace with markers everywhere, and everything that was heard from it."""

    def __init__(self, folder: Path, count: int, seed: int, postgres: str) -> None:
        self.folder = folder
        self.postgres = postgres
        self.root = folder / "place"
        self.data = folder / "data"
        self.markers: Markers = plant(count, seed)
        self.draw = random.Random(seed)
        self.heard: dict[str, bytes] = {}
        self.calls = 0
        self.codes: list[int] = []
        self.reached: set[str] = set()
        self.password_files: dict[str, Path] = {}

    # -- saying and hearing

    def hear(self, place: str, text: str) -> None:
        self.heard[f"{len(self.heard)} {place}"] = text.encode("utf-8", "replace")

    def cli(self, *words: str, told: str | None = None, person: str | None = None) -> Any:
        """Run a command with debugging on; hear all that it prints and raises."""
        self.calls += 1
        line = [*words, "-w", str(self.root)]
        if person is not None:
            line += ["--password-file", str(self.password_files[person])]
        done = CliRunner().invoke(app, line, input=told, env={"BRIDLEWAY_DEBUG": "1"})
        self.codes.append(done.exit_code)
        self.hear(f"command {' '.join(words[:3])}", done.output + done.stderr)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            self.hear_error(f"command {' '.join(words[:3])}", done.exception)
        return done

    def python(self, act: Callable[[], Any]) -> BaseException | None:
        """Call the front door of the library; hear what it raises, with locals."""
        self.calls += 1
        try:
            act()
        except Exception as error:
            last = error.__traceback__
            while last is not None and last.tb_frame.f_code.co_filename == __file__:
                last = last.tb_next  # this test's own frames know the markers
            error.__traceback__ = last
            self.hear_error("front door", error)
            return error
        return None

    def hear_error(self, place: str, error: BaseException) -> None:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        notes = getattr(error, "__notes__", [])
        told = error.to_json() if hasattr(error, "to_json") else {}
        self.hear(
            f"error of {place}",
            f"{error!s} {error!r} {error.args!r} {notes} {told} {''.join(report.format())}",
        )

    # -- planting

    def password(self, person: str) -> str:
        """Return a person's password: a marker, in a 0600 file that commands read."""
        if person not in self.password_files:
            path = self.folder / "passwords" / person.replace("/", "-")
            path.parent.mkdir(exist_ok=True, mode=0o700)
            path.write_text(self.markers.passwords[len(self.password_files)] + "\n")
            path.chmod(0o600)
            self.password_files[person] = path
        return self.password_files[person].read_text().strip()

    def _marked(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Add a name, a reference and free text to each row; every marker stands somewhere."""
        made = []
        for at, row in enumerate(rows):
            kinds = (self.markers.names, self.markers.ids, self.markers.texts)
            name, ref, text = (kind[at % len(kind)] for kind in kinds)
            number = row[0] if at % 10 else ref  # some identifiers are no numbers
            made.append((number, *row[1:], name, ref, f"Said: {text}, then left."))
        return made

    def make(self) -> None:
        """Make sources that hold markers in every row, people, and a workspace."""
        support.write_sources(self.data, PEOPLE)
        with duckdb.connect(str(self.data / "housing.duckdb")) as engine:
            housing = engine.execute("FROM register").fetchall()
        with duckdb.connect() as engine:
            health = engine.execute(f"FROM '{self.data}/conditions.parquet'").fetchall()
            work = engine.execute(
                f"FROM read_csv('{self.data}/claims.csv', all_varchar=true)"
            ).fetchall()
        (self.data / "housing.duckdb").unlink()
        marked = self._marked(health)
        names = ("nhs_number", "disabled", "name", "ref", "notes")
        columns = {n: [row[i] for row in marked] for i, n in enumerate(names)}
        pq.write_table(pa.table(columns), self.data / "conditions.parquet")
        lines = ["nhs_number,low_income,name,ref,notes"]
        lines += [f'{a},{b},{c},{d},"{e}"' for a, b, c, d, e in self._marked(work)]
        (self.data / "claims.csv").write_text("\n".join(lines) + "\n")
        with psycopg.connect(self.postgres, autocommit=True) as admin:
            admin.execute("CREATE TABLE register (nhs_number text, area text, tenure text, "
                          "rent numeric(9,2), name text, ref text, notes text)")  # fmt: skip
            admin.cursor().executemany(
                "INSERT INTO register VALUES (%s, %s, %s, %s, %s, %s, %s)", self._marked(housing)
            )
            role = f"reader_{self.draw.randrange(10**9)}"
            admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self.markers.secrets[0]}'")
            admin.execute(f"GRANT SELECT ON register TO {role}")
        self.role = role
        Workspace.init(self.root, ["Council", "Health", "Jobs", "City", "Linker"]).close()
        for node, name, *roles in (
            ("city", "Sam Okoro", "author", "analyst"), ("council", "Ann Lee", "controller"),
            ("health", "Bo Chen", "controller"), ("jobs", "Cy Dunn", "controller"),
            ("council", "Dee Pott", "dpo"),
        ):  # fmt: skip
            person = f"{node}/{name.lower().replace(' ', '-')}"
            self.password(person)
            self.cli("person", "add", node, name, *(w for r in roles for w in ("--role", r)),
                     person=person)  # fmt: skip

    def private_keys(self) -> None:
        """Take every private key as a marker too: hex, and the text of age identities."""
        with api.open(self.root) as place:
            for node in place.nodes.values():
                for key in (node.keyring.signing(), node.keyring.sealing()):
                    self.markers.keys.append(key.private_bytes_raw().hex())
                text = node.keyring.store.identity_path.read_text().splitlines()[-1]
                self.markers.keys.append(text)
            for person, path in self.password_files.items():
                signer = place.unlock(person, path.read_text().strip())
                self.markers.keys.append(signer.private.private_bytes_raw().hex())

    # -- using

    def url(self, secret: str) -> str:
        """Return the database's URL with something where the password stands."""
        return self.postgres.replace("postgres:@", f"{self.role}:{secret}@")

    def use(self) -> None:
        """The whole way, as people walk it."""
        literal = self.url(self.markers.secrets[1])
        assert self.cli("source", "add", "council", "housing", literal).exit_code == 3
        for at, value in enumerate(self.markers.secrets):
            name = "housing-password" if at == 0 else f"spare-{at}"
            self.cli("secret", "set", "council", name, told=value + "\n")
        self.cli("source", "add", "council", "housing", self.url("${secret:housing-password}"))
        self.cli(
            "source", "add", "health", "conditions", f"parquet://{self.data}/conditions.parquet"
        )
        self.cli("source", "add", "jobs", "claims", f"csv://{self.data}/claims.csv")
        for source, text in support.CATALOGUES.items():
            node, _, name = source.partition(".")
            self.cli("source", "describe", node, name)
            described = self.root / "nodes" / node / "sources" / name / "catalogue.yaml"
            self.hear(f"catalogue of {source}", described.read_text())
            described.write_text(text + EXTRA)
            assert self.cli("source", "release", node, name).exit_code == 0
            self.cli("source", "dummy", node, name, "--to", str(self.folder / "dummy" / name))
        with api.open(self.root) as place:
            support.PASSWORD, kept = self.password("city/sam-okoro"), support.PASSWORD
            try:
                many = {"validity__runs": 2000, "data__frequency__runs": 2000}
                support.submit(place, support.body(**many))
            finally:
                support.PASSWORD = kept
        for person in (*support.CONTROLLERS, "council/dee-pott"):
            decision = "advise" if person.endswith("dee-pott") else "approve"
            self.cli("passport", "sign", "renters-in-need", "--as", person, "--decision", decision,
                     "--reasons", "The need outweighs the risk.", person=person)  # fmt: skip
        asker = ("-p", "renters-in-need", "--as", "city/sam-okoro")
        for question in ("by-area", "rent-by-area"):
            receipt = self.folder / f"{question}.json"
            done = self.cli(
                "ask", question, *asker, "--receipt", str(receipt), person="city/sam-okoro"
            )
            assert done.exit_code == 0, done.output
            self.cli("verify", str(receipt), "--trust", str(self.root / "trust.json"))
            self.hear(f"receipt {question}", receipt.read_text())
        self.cli("ask", UNPINNED, *asker, person="city/sam-okoro")
        self.cli("ask", UNPINNED, "--dummy")
        for words in (
            ("status",), ("source", "list"), ("secret", "list", "council"), ("person", "list"),
            ("passport", "state", "renters-in-need"), ("passport", "show", "renters-in-need"),
            ("passport", "export", "renters-in-need", "--format", "dpia-md"), ("passport", "list"),
            ("ledger", "check"), ("ledger", "sealed", "council"), ("ledger", "checkpoint", "council"),
        ):  # fmt: skip
            assert self.cli(*words).exit_code == 0, words
            self.cli(*words, "--json")
        self.cli("secret", "rotate", "council")

    # -- breaking

    def break_sources(self) -> None:
        """Damaged and wrongly typed data, a database that refuses and one that quotes a value."""
        parquet = self.data / "conditions.parquet"
        whole = parquet.read_bytes()
        for broken in (
            whole[: len(whole) // 2],
            whole[:-4] + b"XXXX",
            self.markers.texts[0].encode(),
        ):
            parquet.write_bytes(broken)
            self._release_and_ask("health", "conditions")
        parquet.write_bytes(whole)
        lines = (self.data / "claims.csv").read_text()
        for broken in (
            lines.replace("low_income", self.markers.names[0], 1),
            lines + f'"{self.markers.texts[1]}\n',
            lines + f"{self.markers.ids[1]},{self.markers.names[1]},,,,,,\n",
            lines.replace("true", self.markers.names[2]),
        ):
            (self.data / "claims.csv").write_text(broken)
            self._release_and_ask("jobs", "claims")
        (self.data / "claims.csv").write_text(lines)
        path = self.root / "nodes" / "jobs" / "sources" / "claims" / "catalogue.yaml"
        kept = path.read_text()
        for kind in ("integer", "decimal, scale: 2, bounds: [0, 9]", "date", "boolean"):
            path.write_text(kept.replace("notes: {type: text", f"notes: {{type: {kind}"))
            self._release_and_ask("jobs", "claims")
        path.write_text(kept)
        with psycopg.connect(self.postgres, autocommit=True) as admin:
            admin.execute("ALTER TABLE register RENAME TO kept")
            for column in ("name", "notes"):
                admin.execute(
                    "CREATE VIEW register AS SELECT nhs_number, area, tenure, "
                    f"({column}::integer)::numeric(9,2) AS rent, name, ref, notes FROM kept"
                )
                admin.execute(f"GRANT SELECT ON register TO {self.role}")
                self._release_and_ask("council", "housing")
                admin.execute("DROP VIEW register")
            self._release_and_ask("council", "housing")
            admin.execute("ALTER TABLE kept RENAME TO register")
            admin.execute(f"REVOKE SELECT ON register FROM {self.role}")
            self._release_and_ask("council", "housing")
            admin.execute(f"GRANT SELECT ON register TO {self.role}")
        # another password than the database's; a URL that no driver can read
        self.cli(
            "secret", "set", "council", "housing-password", told=self.markers.secrets[2] + "\n"
        )
        self._release_and_ask("council", "housing")
        for at, url in enumerate((
            "postgresql://u:${secret:spare-3}@127.0.0.1:1/db", "mysql://u:${secret:spare-3}@h/d",
            "nonsense://${secret:spare-3}", "postgresql://h:${secret:spare-3}/db", "${secret:spare-3}",
            "postgresql://u@h/db?bad=${secret:spare-3}", "sqlite://${secret:spare-3}",
            f"mysql://u:{self.markers.secrets[3]}@h/d", f"x://h?token={self.markers.secrets[3]}",
        )):  # fmt: skip
            self.cli("source", "add", "council", f"extra-{at}", url)
        self.cli(
            "secret", "set", "council", "housing-password", told=self.markers.secrets[0] + "\n"
        )

    def _release_and_ask(self, node: str, name: str) -> None:
        done = self.cli("source", "release", node, name)
        self.cli("source", "describe", node, name, "--again", "--json")
        folder = self.root / "nodes" / node / "sources" / name
        old = folder / "catalogue.yaml.old"
        if old.exists():
            old.replace(folder / "catalogue.yaml")
        self.cli("ask", "by-area", "-p", "renters-in-need", "--as", "city/sam-okoro",
                 "--receipt", str(self.folder / "refused.json"), person="city/sam-okoro")  # fmt: skip
        if (self.folder / "refused.json").exists():
            self.hear("receipt of a refusal", (self.folder / "refused.json").read_text())
        with api.open(self.root) as place:
            self.python(lambda: place.release_source(node, name))
            holdings = place.node(node).holdings
            self.python(lambda: holdings.require_unchanged(name))
        assert done.exit_code in (0, 1, 2, 3, 5)

    def ask(self) -> Any:
        """Ask through the front door of the library."""
        return api.ask("by-area", passport="renters-in-need", asker="city/sam-okoro",
                       password=self.password("city/sam-okoro"), workspace=self.root)  # fmt: skip

    def break_files(self) -> None:
        """Damaged stores, keys, receipts, configuration; wrong passwords."""
        nodes = self.root / "nodes"
        broken = self.markers.secrets[4].encode()
        for name in (
            "council/secrets.age", "council/keys/store.key", "council/people/ann-lee.key.json",
            "council/policy.yaml", "council/sources/housing/source.json",
            "council/sources/housing/version.json", "council/sources/housing/catalogue.yaml",
            "council/ledger.sqlite",
        ):  # fmt: skip
            path = nodes / name
            kept = path.read_bytes()
            as_text = b"x: [" + broken if name.endswith(".yaml") else b'{"x": "' + broken + b'", '
            for content in (broken, kept[: len(kept) // 2] + broken, as_text):
                mode = path.stat().st_mode
                path.write_bytes(content)
                path.chmod(mode)
                for other in path.parent.glob("ledger.sqlite-*"):
                    other.unlink()
                for words in (
                    ("status",),
                    ("secret", "list", "council"),
                    ("ledger", "check"),
                    ("source", "release", "council", "housing"),
                    ("doctor", "--seconds", "0"),
                ):
                    self.cli(*words)
                if "people" in name:
                    self.cli("passport", "sign", "renters-in-need", "--as", "council/ann-lee",
                             "--decision", "approve", "--reasons", "x", person="council/ann-lee")  # fmt: skip
                self.python(self.ask)
            path.write_bytes(kept)
        receipt = (self.folder / "by-area.json").read_bytes()
        for damaged in (broken, receipt[:-9] + broken, receipt.replace(b"payloadType", broken)):
            file = self.folder / "bad.json"
            file.write_bytes(damaged)
            self.cli("verify", str(file), "--trust", str(self.root / "trust.json"))
            self.python(lambda d=damaged: api.verify(d, self.root / "trust.json"))
            file.unlink()
        wrong = self.folder / "passwords" / "wrong"
        wrong.write_text(self.markers.passwords[-1])
        self.password_files["wrong"] = wrong
        self.cli(
            "ask", "by-area", "-p", "renters-in-need", "--as", "city/sam-okoro", person="wrong"
        )
        with api.open(self.root) as place:
            self.python(lambda: place.unlock("city/sam-okoro", self.markers.passwords[-1]))
            self.python(
                lambda: place.sign(
                    "none", "council/ann-lee", self.markers.passwords[-1], "approve", "x"
                )
            )
            self.python(
                lambda: place.add_person(
                    "city", "Sam Okoro", ["dpo"], "x", "y", self.markers.passwords[-1]
                )
            )
        for value in ("a\n" + self.markers.secrets[4], self.markers.secrets[4] + "\x07", ""):
            self.cli("secret", "set", "council", "other", told=value)

    def break_layers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each layer fails in words that quote a row, a password and a key."""
        texts = [self.markers.texts[3], self.markers.secrets[5], self.markers.keys[0]]
        for number, layer in enumerate(LAYERS):
            words = texts[number % 3]

            def fail(*args: Any, words: str = words, layer: str = layer, **kwargs: Any) -> Any:
                self.reached.add(layer)
                row = {"name": words}
                raise RuntimeError(f"could not convert string '{row['name']}' {args!r} {kwargs!r}")

            # A new data version each time: nothing is answered from what was answered before.
            with (self.data / "claims.csv").open("a") as file:
                file.write(f"{number},true,,,\n")
            assert self.cli("source", "release", "jobs", "claims").exit_code == 0
            with monkeypatch.context() as patch:
                # In this process, where a layer can be made to fail.
                patch.setattr("bridleway.node.workspace.default_runner", Inline)
                patch.setattr(layer, fail)
                self.cli("ask", "by-area", "-p", "renters-in-need", "--as", "city/sam-okoro",
                         "--json", person="city/sam-okoro")  # fmt: skip
                self.cli("source", "release", "health", "conditions")
                self.python(self.ask)

    def look_with_doctor(self) -> None:
        """Secrets where they should not be, found and not repeated."""
        self.markers.keys += [
            "AGE-SECRET-KEY-1" + "QPZRY9X8GF" * 5 + "2TVDW0S3",
            "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        ]
        (self.root / "notes.txt").write_text(
            f"{self.markers.keys[-2]}\notpauth://totp/a?secret={self.markers.keys[-1]}\n"
            f'password = "{self.markers.secrets[6]}"\nmysql://u:{self.markers.secrets[7]}@h/d\n'
        )
        git = ["git", "-C", str(self.root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "add", "notes.txt"], check=True)
        said = f"key {self.markers.secrets[8]}".encode()
        subprocess.run([*git, "commit", "-qF", "-"], input=said, check=True)
        for words in ((), ("--json",)):
            done = self.cli("doctor", *words)
            assert done.exit_code == 1
        for said in ("an age secret key", "otpauth", "URL with a password", "git history"):
            assert said in done.output
        (self.root / "notes.txt").unlink()
        shutil.rmtree(self.root / ".git")

    def as_processes(self) -> None:
        """Some commands as processes of their own, so that the process list shows them."""
        start = "from bridleway.cli.main import main; main()"
        for words, told in (
            (("secret", "set", "council", "own"), self.markers.secrets[9]),
            (("ask", "by-area", "-p", "renters-in-need", "--as", "city/sam-okoro",
              "--password-file", str(self.password_files["city/sam-okoro"])), ""),
            (("doctor", "--seconds", "1"), ""),
        ):  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-c", start, *words, "-w", str(self.root)],
                input=told, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            self.hear(f"process {words[0]}", done.stdout + done.stderr)

    # -- reading back

    def files(self) -> dict[str, bytes]:
        """Return every file but the stores: source data, password files, sealed and key files."""
        stores = (self.data, self.folder / "passwords")
        made = {}
        for path in self.folder.rglob("*"):
            kept = path.name in ("secrets.age", "store.key") or path.name.endswith(".key.json")
            if path.is_file() and not kept and not any(s in path.parents for s in stores):
                made[f"file {path.relative_to(self.folder)}"] = path.read_bytes()
        return made


@contextmanager
def listening() -> Iterator[Ear]:
    """Hear every log at DEBUG."""
    ear, root = Ear(), logging.getLogger()
    kept = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield ear
    finally:
        root.removeHandler(ear)
        root.setLevel(kept)


def exercise(
    folder: Path, count: int, seed: int, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Trial, dict[str, set[str]], Watch]:
    """Plant, use and break everything; return what was found outside the stores, by place."""
    trial = Trial(folder, count, seed, postgres)
    temporary = folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    printed, errors = io.StringIO(), io.StringIO()
    watch = Watch(temporary, Search(trial.markers.all()))
    with listening() as ear, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", printed)
        patch.setattr(sys, "stderr", errors)
        watch.start()
        try:
            trial.make()
            trial.private_keys()
            watch.search = Search(trial.markers.all())
            trial.use()
            trial.as_processes()
            trial.break_sources()
            trial.break_files()
            trial.break_layers(monkeypatch)
            trial.look_with_doctor()
        finally:
            watch.done.set()
            watch.join()
    trial.hear("stdout", printed.getvalue())
    trial.hear("stderr", errors.getvalue())
    trial.hear("logs", "\n".join(ear.heard))
    search = Search(trial.markers.all())
    found = search.among({**trial.heard, **trial.files()})
    for place, hits in watch.found.items():
        found.setdefault(place, set()).update(hits)
    return trial, found, watch


def database(url: str, name: str) -> str:
    """Make an empty database and return its URL."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize("count", [200])
def test_no_marker_leaves_the_stores(
    count: int, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 hits in everything outside the data, the sealed stores and the key files."""
    url = database(postgres_url, f"markers_{count}")
    trial, found, watch = exercise(tmp_path, count, 7, url, monkeypatch)
    assert found == {}, json.dumps({p: sorted(h)[:2] for p, h in found.items()}, indent=1)
    assert len(trial.markers.all()) >= count
    assert trial.calls > 300 and watch.looks > 20
    assert set(LAYERS) == trial.reached, "a layer is called otherwise now: name it in LAYERS"
    assert {0, 1, 2, 3, 5} <= set(trial.codes)
    print(
        f"{len(trial.markers.all())} markers, {trial.calls} calls, {len(trial.heard)} texts heard, "
        f"{len(trial.files())} files, {watch.looks} looks at temporary files and processes: 0 hits"
    )


def test_the_search_finds_a_marker_in_any_clothes() -> None:
    """Plain, in another case, hex, base64 at any offset, quoted, UTF-16: or the test above is blind."""
    import base64

    marker = "NamAb3dE5fGh7iJkLm"
    search = Search([marker])
    raw = marker.encode()
    clothes = [raw, raw.upper(), raw.hex().encode(), marker.encode("utf-16-le")]
    clothes += [base64.b64encode(b"x" * n + raw + b"yz") for n in range(6)]
    for data in clothes:
        assert search.hits(b"before " + data + b" after") == {marker}
    assert search.hits(b"NamAb3dE5fGh7iJk") == set()
    assert all(len(form) >= 12 for form in forms(marker))
