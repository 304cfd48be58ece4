"""The doctor finds what is wrong, says what to do, and repeats no secret."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bridleway import parts
from bridleway.cli.main import app
from bridleway.node import doctor
from bridleway.node.detectors import find
from bridleway.node.doctor import (
    Finding,
    Place,
    core_dumps,
    disk,
    environment,
    versions,
    workers,
)
from bridleway.node.workspace import Workspace

AGE = str(pyrage.x25519.Identity.generate())
SEED = "JBSWY3DPEHPK3PXPKRSXG5DZ"
TOKEN = "ghp_" + "aZ3" * 12  # as GitHub writes them
AWS = "AKIA" + "Q3EGRTYZW2XLMNVB"

PLANTED = {
    "age key": (AGE, "an age secret key"),
    "age key in lower case": (AGE.lower(), "an age secret key"),
    "age key amid other text": (f"key={AGE};x", "an age secret key"),
    "otpauth": (f"otpauth://totp/x:y?issuer=z&secret={SEED}", "an otpauth URL"),
    "seed beside its word": (f"totp_seed: {SEED}", "a TOTP seed"),
    "seed in groups": ("2FA backup JBSW Y3DP EHPK 3PXP KRSX G5DZ", "a TOTP seed"),
    "seed in small letters": (f"authenticator = {SEED.lower()}", "a TOTP seed"),
    "seed alone as a value": ("code: JBSWY3DPEHPK3PXPKRSXG5DZABCDEF22", "a TOTP seed"),
    "private key": ("-----BEGIN PRIVATE KEY-----", "a private key"),
    "SSH key": ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
    "URL": ("see postgresql://reader:hunter2zz@db/x.", "a URL with a password"),
    "URL option": ("jdbc:x://db/x?user=a&password=hunter2zz", "a URL with a password"),
    "keyword": ('db_password = "hunter2zz-9"', "what looks like a secret"),
    "GitHub token": (f"x {TOKEN}", "what looks like a secret"),
    "AWS key": (f"x {AWS}", "what looks like a secret"),
    "random text": ('x = "q7Zk2LmP0vXw9RtB4NsYc6HdJ1fGa8Ue"', "what looks like a secret"),
}  # fmt: skip
HARMLESS = [
    "A sentence about passwords, seeds and keys, nothing more.",
    "password: required",
    "postgresql://USER:PASSWORD@HOST/DATABASE",
    "postgresql://bridleway:${secret:register}@db/housing and ${PASSWORD}",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    '"signing_key": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kdmxqdd9qd0kkzv",
    "-----BEGIN PUBLIC KEY-----",
    "area: {type: text, class: plain, domain: [north, south]}",
    "https://example.org/a@b?page=2",
]


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_secret_is_found_and_not_kept(name: str) -> None:
    """With its line and kind; the finding holds at most 16 bits of it."""
    text, kind = PLANTED[name]
    found = find(f"first line\n{text}\nlast line")
    assert [f.line for f in found] == [2] * len(found) and found
    assert any(kind in f.kind for f in found), found
    assert all(len(f.tag) == 4 for f in found)
    for word in re.findall(r"[A-Za-z0-9]{9,}", text):
        assert word not in repr(found)


@pytest.mark.parametrize("text", HARMLESS)
def test_plain_text_is_left_alone(text: str) -> None:
    """Placeholders, digests, public keys, prose."""
    assert find(text) == []


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """No text makes the detectors fail."""
    find(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean workspace of two nodes."""
    monkeypatch.delenv("BRIDLEWAY_PASSWORD", raising=False)
    made = Workspace.init(tmp_path / "place", ["Council", "City"])
    made.add_person("council", "Ann", ["controller"], "2026-01-01", "2099-01-01", "long enough")
    made.close()
    return tmp_path / "place"


def look(place: Path, **more: object) -> list[Finding]:
    """Return errors and warnings about the workspace (this machine's own set-up left out)."""
    report = doctor.examine(place, **more)  # type: ignore[arg-type]
    ours = [f for f in report.findings if f.check not in ("versions", "disk")]
    return [f for f in ours if f.severity != "note"]


def test_a_new_workspace_is_clean(place: Path) -> None:
    """What init makes gives the doctor nothing to say but that there is no recovery key."""
    assert look(place) == []
    notes = [f for f in doctor.examine(place).findings if f.check == "stores"]
    assert [f.severity for f in notes] == ["note", "note"]


def _widen(place: Path) -> None:
    place.chmod(0o755)


def _key(place: Path) -> None:
    (place / "nodes/council/keys/store.key").chmod(0o644)


def _person(place: Path) -> None:
    (place / "nodes/council/people/ann.key.json").chmod(0o640)


def _store(place: Path) -> None:
    (place / "nodes/council/secrets.age").write_bytes(b"age-encryption.org/v1\n")


def _folder(place: Path) -> None:
    (place / "nodes/council").chmod(0o777)


def _ledger(place: Path) -> None:
    with sqlite3.connect(place / "nodes/council/ledger.sqlite") as engine:
        engine.execute("UPDATE leaf SET body = replace(body, '2026', '2025')")


def _future(place: Path) -> None:
    with Workspace.open(place, lambda: datetime.now(UTC) + timedelta(days=2)) as later:
        later.add_person("city", "Bo", ["dpo"], "2026-01-01", "2099-01-01", "long enough")


def _policy(place: Path) -> None:
    path = place / "nodes/council/policy.yaml"
    path.write_text(path.read_text().replace("smallest_group: 10", "smallest_group: 3"))


def _bad_policy(place: Path) -> None:
    (place / "nodes/council/policy.yaml").write_text("policy: [\n")


def _clear(place: Path) -> None:
    path = place / "nodes/council/policy.yaml"
    path.write_text(path.read_text().replace("in_the_clear: false", "in_the_clear: true"))


def _half(place: Path) -> None:
    path = place / "nodes/council/.policy.yaml.0a1b2c3d"
    path.write_text("x")
    os.utime(path, (1, 1))


def _url(place: Path) -> None:
    folder = place / "nodes/council/sources/register"
    folder.mkdir(parents=True)
    (folder / "source.json").write_text('{"source": 1, "url": "postgresql://u:hunter2zz@h/d"}')


def _missing(place: Path) -> None:
    folder = place / "nodes/council/sources/register"
    folder.mkdir(parents=True)
    (folder / "source.json").write_text('{"source": 1, "url": "postgresql://u:${secret:pw}@h/d"}')


def _gone(place: Path) -> None:
    shutil.rmtree(place / "nodes/city")


def _next(place: Path) -> None:
    keys = place / "nodes/council/keys"
    shutil.copy(keys / "store.key", keys / "store.key.next")


def _trust(place: Path) -> None:
    (place / "trust.json").write_text("{")


def _file(place: Path) -> None:
    (place / "notes.txt").write_text(f"the key: {AGE}\n")


BROKEN: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "others look in": (_widen, "permissions", "chmod 700"),
    "a readable key": (_key, "permissions", "chmod 600"),
    "a readable person's key": (_person, "permissions", "chmod 600"),
    "a damaged store": (_store, "stores", "--recovery"),
    "a folder others write": (_folder, "permissions", "chmod go-w"),
    "a changed ledger": (_ledger, "ledgers", "audits"),
    "a clock behind": (_future, "clock", "Set the clock"),
    "a loose policy": (_policy, "policies", "strict"),
    "a damaged policy": (_bad_policy, "policies", ""),
    "results in the clear": (_clear, "policies", "strict"),
    "a half-written file": (_half, "leftovers", "remove"),
    "a password in a URL": (_url, "sources", "bridleway secret set council register-password"),
    "a missing secret": (_missing, "sources", "bridleway secret set council pw"),
    "a missing node": (_gone, "ledgers", "backup"),
    "a rotation cut off": (_next, "stores", "rotate council"),
    "a damaged trust file": (_trust, "ledgers", ""),
    "a secret in a file": (_file, "secrets_here", "bridleway secret set"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_found_with_what_to_do(place: Path, name: str) -> None:
    """By the check whose business it is; the command ends with 1 and repeats no secret."""
    make, check, remedy = BROKEN[name]
    make(place)
    found = [f for f in look(place) if f.check == check]
    assert found and all(f.sentence and f.where for f in found)
    assert any(remedy in f.remedy for f in found), found
    done = CliRunner().invoke(app, ["doctor", "-w", str(place)])
    assert done.exit_code == 1 and "Traceback" not in done.output
    assert any(f.id in line for f in found for line in done.output.split("\n"))
    told = json.loads(CliRunner().invoke(app, ["doctor", "-w", str(place), "--json"]).stdout)
    assert not told["clean"]
    for secret in (AGE, "hunter2zz"):
        assert secret not in done.output + json.dumps(told)


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", str(place), *who, *words], check=True, capture_output=True)


@pytest.mark.parametrize(
    "hidden", ["committed", "branch", "stash", "unreachable", "message", "tag"]
)
def test_the_history_is_read_wherever_git_keeps_it(place: Path, hidden: str) -> None:
    """A secret that was removed from the files is still in the repository."""
    git(place, "init", "-q")
    (place / ".gitignore").write_text("nodes/*/keys/\nnodes/*/people/\n")
    git(place, "add", ".")
    git(place, "commit", "-qm", "start")
    assert look(place) == []
    file = place / "notes.txt"
    if hidden in ("message", "tag"):
        words = ("commit", "--allow-empty") if hidden == "message" else ("tag", "-a", "v1")
        git(place, *words, "-m", f"the key is {AGE}")
    else:
        if hidden == "branch":
            git(place, "checkout", "-qb", "other")
        file.write_text(f"{AGE}\n")
        git(place, "add", "notes.txt")
        if hidden == "stash":
            git(place, "stash")
        else:
            git(place, "commit", "-qm", "more")
            git(place, "rm", "-q", "notes.txt")
            git(place, "commit", "-qm", "less")
        if hidden == "unreachable":
            git(place, "reset", "-q", "--hard", "HEAD~2")
            git(place, "reflog", "expire", "--expire=now", "--all")
    file.unlink(missing_ok=True)
    (found,) = look(place)
    assert found.check == "history" and "an age secret key" in found.sentence
    assert found.severity == "error" and "filter-repo" in found.remedy
    assert not look(place, seconds=0) or "not read" in look(place, seconds=0)[0].sentence


def test_a_repository_that_would_take_the_keys_is_told(place: Path) -> None:
    """Before they are committed."""
    git(place, "init", "-q")
    assert {f.where for f in look(place)} == {"nodes/council/keys", "nodes/city/keys"}
    assert all(".gitignore" in f.remedy for f in look(place))


def test_a_finding_is_accepted_with_a_reason_and_stays_itself(place: Path) -> None:
    """Moved by lines it is known; another value in its place is not, and a key never is."""
    file = place / "notes.txt"
    file.write_text('x = "q7Zk2LmP0vXw9RtB4NsYc6HdJ1fGa8Ue"\n')
    (found,) = look(place)
    base = ["doctor", "-w", str(place)]
    assert CliRunner().invoke(app, [*base, "--accept", found.id]).exit_code == 2
    assert CliRunner().invoke(app, [*base, "--accept", "0" * 12, "--why", "x"]).exit_code == 2
    done = CliRunner().invoke(app, [*base, "--accept", found.id, "--why", "A test vector."])
    assert done.exit_code == 0, done.output
    kept = (place / doctor.BASELINE).read_text()
    assert "A test vector." in kept and "q7Zk2LmP" not in kept and found.tag not in kept
    assert look(place) == []
    file.write_text("\n\n" + file.read_text())
    assert look(place) == []
    file.write_text('x = "w8Yk3LmQ1vXw0RtC5NsZc7HdK2fGb9Ve"\n')
    assert len(look(place)) == 1
    _key(place)
    (readable,) = [f for f in look(place) if f.check == "permissions"]
    done = CliRunner().invoke(app, [*base, "--accept", readable.id, "--why", "no"])
    assert done.exit_code == 2


def test_a_damaged_baseline_is_told(place: Path) -> None:
    """It does not silently accept or forget."""
    (place / doctor.BASELINE).write_text("{")
    done = CliRunner().invoke(app, ["doctor", "-w", str(place)])
    assert done.exit_code == 2 and doctor.BASELINE in done.output


def test_a_check_that_fails_is_a_finding(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on, and its words, which may quote what it read, go nowhere."""

    def fail(_: object) -> None:
        raise RuntimeError(f"could not read {AGE}")

    monkeypatch.setattr(disk, "examine", fail)
    found = [f for f in doctor.examine(place).findings if f.check == "disk"]
    assert [f.severity for f in found] == ["error"] and AGE not in repr(found)


def test_every_check_is_a_part_with_words() -> None:
    """One file per check: dropping one in adds it."""
    known = parts.names(doctor.ROOM)
    assert len(known) >= 12
    assert all(callable(parts.load(doctor.ROOM, name).examine) for name in known)


def test_the_disk_the_environment_and_dumps(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full or read-only disk, a password in the environment, dumps and swap."""
    here = Place(place, datetime.now(UTC))
    real = os.statvfs(place)

    class Full:
        f_bavail, f_frsize, f_files, f_favail, f_flag = 1, 4096, 10, 1, os.ST_RDONLY

    monkeypatch.setattr(disk.os, "statvfs", lambda _: Full)
    assert [f.severity for f in disk.examine(here)] == ["error", "error", "warning"]
    assert real.f_frsize
    monkeypatch.undo()
    found = list(
        environment.examine(here, {"BRIDLEWAY_PASSWORD": "x", "MY_API_KEY": "y", "A": "z"})
    )
    assert [f.severity for f in found] == ["warning", "note"]
    assert not {"x", "y"} & set(repr(found).replace("'", " ").split())
    pattern, swaps = tmp_path / "pattern", tmp_path / "swaps"
    pattern.write_text("|/usr/lib/systemd/systemd-coredump %P\n")
    swaps.write_text("Filename Type\n/swapfile file\n")
    assert [f.where for f in core_dumps.examine(here, pattern, swaps)] == ["core dumps", "swap"]
    assert list(core_dumps.examine(here, tmp_path / "none", tmp_path / "none")) == []


def test_what_does_not_confine_workers_is_told(place: Path) -> None:
    here = Place(place, datetime.now(UTC))
    told = {"reading": "not confined: this kernel has no Landlock", "network": "none"}
    (finding,) = workers.examine(here, told)
    assert "reading" in finding.sentence
    assert list(workers.examine(here, {"reading": "the source alone"})) == []


def test_a_version_other_than_the_locked_one(place: Path, tmp_path: Path) -> None:
    """The lock file says what was tested."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("typer==0.0.1 \\\n    --hash=sha256:00\n")
    found = [
        f for f in versions.examine(Place(place, datetime.now(UTC)), lock) if f.where == "typer"
    ]
    assert [f.severity for f in found] == ["warning"] and "0.0.1 is locked" in found[0].sentence


def test_the_doctor_changes_nothing(place: Path) -> None:
    """Every file is as before."""
    known = {p: p.read_bytes() for p in place.rglob("*") if p.is_file() and "sqlite-" not in p.name}
    doctor.examine(place)
    after = {p: p.read_bytes() for p in place.rglob("*") if p.is_file() and "sqlite-" not in p.name}
    assert after == known
