"""Bad input gets one sentence, the place and the remedy: no traceback, no value, nothing half-done."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.cli.conftest import LOCAL, PASSWORD, Cli, Result, draft

SECRET = "Zebedee"
AUTHOR = ("--as", "office/cas")


def told(result: Result) -> str:
    """Return what an error said after asserting its form: kind, one sentence, place, remedy."""
    lines = result.stderr.strip().split("\n")
    kind, _, sentence = lines[0].partition(": ")
    assert kind in ("usage", "refused", "gap", "fault"), result.stderr
    assert len(lines) == 2 and lines[1].startswith("  "), result.stderr
    assert "." in sentence
    for hidden in (SECRET, PASSWORD, "Error(", "0x", "SELECT *", "/site-packages/"):
        assert hidden not in result.stderr + result.stdout
    return result.stderr


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but SQLite's own journals."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def catalogue_of(cli: Cli, node: str, name: str) -> Path:
    """Return where a source's catalogue stands."""
    return cli.place / "nodes" / node / "sources" / name / "catalogue.yaml"


# -- YAML


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("linker: linker", "linker: linker\nlinker: office", "'linker' is there twice"),
        ("linker: linker", "linker: &one linker", "Anchors and aliases"),
        ("linker: linker", "linker: !!str linker", "Tags are not allowed"),
        ("linker: linker", "linker: no", "The word 'no' is read differently"),
        ("linker: linker", "linker: [linker", "This is not YAML"),
        ("linker: linker", "linker: 0x1f", "written in a way"),
        ("linker: linker", "linker: link\u200ber", "hidden character"),
        ("version: 1", "version: one", "version"),
    ],
)
@pytest.mark.parametrize("command", ["check", "submit", "seal"])
def test_traps_in_a_passport(
    cli: Cli, tmp_path: Path, before: str, after: str, sentence: str, command: str
) -> None:
    """Duplicate keys, aliases, tags, yes/no and odd numbers are named with file and line."""
    file = tmp_path / "visits.yaml"
    draft(cli, file)
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    known = files_of(cli.place)
    more = () if command == "check" else AUTHOR
    more += ("--to", str(tmp_path / "sealed.json")) if command == "seal" else ()
    result = cli("passport", command, str(file), *more, code=5 if "version" in before else 2)
    said = result.stdout + result.stderr
    assert sentence in said and "visits.yaml, line " in said
    assert files_of(cli.place) == known and not (tmp_path / "sealed.json").exists()


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("type: text", "type: text\n        type: text", "'type' is there twice"),
        ("domain: [rent, own, social, other]", "domain: [yes, no]", "read differently"),
        ("domain: [rent, own, social, other]", "domain: [1, 2]", "A domain value is not text"),
        ("class: identifier", "class: identifer", "Did you mean 'identifier'?"),
        ("type: text", "type: txt", "The type of 'nhs_number' is not known"),
        ("column: nhs_number", "column: nhs_numbr", "Did you mean 'nhs_number'?"),
        ("catalogue: 1", "catalogue: 9", "known edition"),
        ("meaning:", "meening:", "Did you mean 'meaning'?"),
    ],
)
def test_traps_in_a_catalogue(cli: Cli, before: str, after: str, sentence: str) -> None:
    """A mistyped catalogue is named with line and remedy, and no data version is declared."""
    path = catalogue_of(cli, "council", "housing")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    version = path.with_name("version.json").read_bytes()
    said = told(cli("source", "release", "council", "housing", code=2))
    assert sentence in said and "catalogue.yaml, line " in said
    assert path.with_name("version.json").read_bytes() == version
    assert "catalogue.yaml" in cli("source", "list", "--json").json()["sources"][1]["problem"]


def test_a_catalogue_with_a_column_that_the_source_has_not(cli: Cli) -> None:
    """A column that is not in the file is named; so is a wrong type."""
    path = catalogue_of(cli, "council", "housing")
    text = path.read_text()
    extra = "    columns:\n      wings: {type: integer, class: plain}"
    path.write_text(text.replace("    columns:", extra, 1))
    assert "wings" in told(cli("source", "release", "council", "housing", code=5))
    path.write_text(text.replace("class: plain", "class: plain\n        scale: 2", 1))
    assert "decimal" in told(cli("source", "release", "council", "housing", code=2))


def test_a_column_of_another_type_than_declared(cli: Cli) -> None:
    """Values that are not of the declared type are counted, never shown; no version is declared."""
    path = catalogue_of(cli, "council", "housing")
    text = path.read_text()
    at = text.index("      tenure:")
    wrong = text[at:].replace("type: text", "type: integer").replace("domain:", "# domain:")
    path.write_text(text[:at] + wrong)
    version = path.with_name("version.json").read_bytes()
    said = told(cli("source", "release", "council", "housing", code=5))
    assert "tenure" in said
    assert path.with_name("version.json").read_bytes() == version


def test_a_policy_with_an_unknown_rule(used: Cli) -> None:
    """A mistyped rule is not ignored: the node does not answer by it, and says where it stands."""
    path = used.place / "nodes" / "council" / "policy.yaml"
    path.write_text(path.read_text().replace("smallest_group: 10", "smalest_group: 30"))
    said = told(used("ask", "homes", "-p", "visits", *AUTHOR, code=2))
    assert "policy.yaml, line " in said and "smallest_group" in said


# -- questions


def test_unknown_names_in_a_question(used: Cli) -> None:
    """Unknown tables and columns are named with the nearest known one and the place."""
    ask = ("-p", "visits", *AUTHOR)
    said = told(used("ask", LOCAL.replace("housing", "housng"), *ask, code=3))
    assert "Did you mean 'housing'?" in said and "column" in said
    wrong = LOCAL.replace("tenure,", "tenur,").replace("BY tenure", "BY tenur")
    assert "Did you mean 'tenure'?" in told(used("ask", wrong, *ask, code=3))


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE housing",
        "SELECT * FROM housing",
        "SELECT MAX(tenure) AS t FROM housing",
        "SELECT COUNT(DISTINCT person) AS people FROM housing HAVING COUNT(*) < 3",
        "SELECT COUNT(DISTINCT person) AS n FROM read_csv('/etc/passwd')",
        "SELECT tenure, COUNT(*) AS n FROM housing GROUP BY tenure; SELECT 1",
    ],
)
def test_what_is_not_in_the_language_is_refused(used: Cli, text: str) -> None:
    """Nothing outside the allow-list reaches an engine; the refusal says what to write."""
    result = used("ask", text, "-p", "visits", *AUTHOR, code=3)
    told(result)


# -- sources


def test_truncated_and_foreign_files(cli: Cli, tmp_path: Path) -> None:
    """A cut Parquet file, text with a wrong ending, an empty CSV and no file: nothing is kept."""
    whole = tmp_path / "whole.parquet"
    pa.parquet.write_table(pa.table({"name": [SECRET] * 1000}), whole)
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-40])
    (tmp_path / "words.parquet").write_text(f"name\n{SECRET}\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "words.duckdb").write_text(SECRET)
    (tmp_path / "words.txt").write_text(SECRET)
    known = files_of(cli.place)
    for name in (
        "cut.parquet",
        "words.parquet",
        "empty.csv",
        "words.duckdb",
        "words.txt",
        "no.csv",
    ):
        told(cli("source", "add", "council", "more", str(tmp_path / name), code=2))
        assert files_of(cli.place) == known, name


def test_a_parquet_file_that_is_cut_after_it_was_connected(cli: Cli, tmp_path: Path) -> None:
    """A source that breaks later is told at the next step, and its catalogue stays."""
    file = tmp_path / "more.parquet"
    pa.parquet.write_table(pa.table({"person_id": [f"{SECRET}{n}" for n in range(5000)]}), file)
    cli("source", "add", "council", "more", str(file))
    cli("source", "describe", "council", "more")
    kept = catalogue_of(cli, "council", "more").read_bytes()
    file.write_bytes(file.read_bytes()[:300])
    for words in (("release", "council", "more"), ("describe", "council", "more", "--again")):
        result = cli("source", *words, code=2)
        told(result)
    assert catalogue_of(cli, "council", "more").read_bytes() == kept


def test_a_csv_that_changed_after_its_data_version(used: Cli, tmp_path: Path) -> None:
    """Changed data is refused until its controller declares a new version."""
    path = used.place / "nodes" / "council" / "sources" / "housing" / "source.json"
    body = json.loads(path.read_text())
    moved = tmp_path / "housing.csv"
    shutil.copy(body["url"], moved)
    with moved.open("a") as file:
        file.write(f"9990000000,{SECRET}\n")
    path.write_text(json.dumps({**body, "url": str(moved)}))
    said = told(used("ask", "homes", "-p", "visits", *AUTHOR, code=3))
    assert "changed after" in said


def test_a_dead_postgresql(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: one sentence, and neither user nor password of the URL."""
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    known = files_of(cli.place)
    url = "postgresql://reader:${DB_PASSWORD}@127.0.0.1:1/register"
    result = cli("source", "add", "council", "server", url, code=1)
    assert "reader" not in told(result)
    monkeypatch.delenv("DB_PASSWORD")
    assert "DB_PASSWORD" in told(cli("source", "add", "council", "server", url, code=2))
    assert files_of(cli.place) == known


def test_a_domain_that_does_not_fit(cli: Cli) -> None:
    """`--domain` for a column that is not there, an identifier or no list leaves the old file."""
    path = catalogue_of(cli, "council", "housing")
    kept = path.read_bytes()
    for domain in ("tenur=rent", "nhs_number=1", "tenure=", "tenure"):
        told(cli("source", "describe", "council", "housing", "--again", "--domain", domain, code=2))
        assert path.read_bytes() == kept
    told(cli("source", "describe", "council", "housing", code=2))  # not without --again
    assert path.read_bytes() == kept


# -- keys and passwords


@pytest.mark.parametrize("file", ["keys/store.key", "secrets.age", "people/ann.key.json"])
def test_a_key_that_others_can_read(cli: Cli, tmp_path: Path, file: str) -> None:
    """A key file with wider permissions than 0600 is refused, with the command to mend it."""
    passport = tmp_path / "visits.yaml"
    draft(cli, passport)
    cli("passport", "submit", str(passport), *AUTHOR)
    path = cli.place / "nodes" / "council" / file
    path.chmod(0o644)
    words = ("passport", "sign", "visits", "--as", "council/ann", "--decision", "approve")
    said = told(cli(*words, "--reasons", "A trial.", code=3))
    assert "chmod 600" in said
    path.chmod(0o600)
    cli(*words, "--reasons", "A trial.")


def test_a_wrong_password(used: Cli) -> None:
    """A wrong password opens nothing, and is not repeated in the message."""
    used.password = SECRET
    said = told(used("ask", "homes", "-p", "visits", *AUTHOR, code=3))
    assert "password" in said


def test_a_short_password_and_a_second_key(cli: Cli) -> None:
    """A new person needs a password of some length; an existing key is never overwritten."""
    known = files_of(cli.place)
    told(cli("person", "add", "council", "Ann", "--role", "controller", code=2))
    cli.password = "short"
    told(cli("person", "add", "council", "Dan", "--role", "dpo", code=2))
    assert files_of(cli.place) == known


def test_days_of_a_certificate(cli: Cli) -> None:
    """Days that are none, or end before they begin, make no person."""
    known = files_of(cli.place)
    add = ("person", "add", "council", "Dan", "--role", "dpo")
    told(cli(*add, "--from", "tomorrow", code=2))
    told(cli(*add, "--from", "2026-02-02", "--until", "2026-02-01", code=2))
    assert files_of(cli.place) == known


# -- folders and names


def test_no_workspace_no_node_no_source_no_person(cli: Cli, tmp_path: Path) -> None:
    """What is not there is named, with the nearest name or the list."""
    lost = Cli(tmp_path)
    assert "bridleway init" in told(lost("status", code=2))
    assert "council" in told(cli("source", "describe", "concil", "housing", code=2))
    assert "housing" in told(cli("source", "describe", "council", "housin", code=2))
    told(cli("passport", "state", "nothing", code=3))
    told(cli("passport", "check", str(tmp_path / "no.yaml"), code=2))
    told(cli("verify", str(tmp_path / "no.json"), code=2))
    told(cli("ask", "@" + str(tmp_path / "no.sql"), "--dummy", code=2))
    told(cli("ask", "homes", code=2))
    told(cli("ledger", "check", "--against", str(tmp_path / "no.txt"), code=2))
    told(cli("person", "add", "council", "???", "--role", "dpo", code=2))


def test_init_leaves_nothing_half_made(tmp_path: Path) -> None:
    """A folder that is in use, two equal names, or no usable name: nothing is made."""
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_text("mine")
    cli = Cli(full)
    told(cli("init", str(full), "-o", "Council", code=2, here=False))
    told(cli("init", str(tmp_path / "two"), "-o", "A b", "-o", "a B", code=2, here=False))
    told(cli("init", str(tmp_path / "none"), "-o", "???", code=2, here=False))
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
    assert files_of(full) == {"file": b"mine"}


def test_a_folder_that_cannot_be_written(used: Cli, tmp_path: Path) -> None:
    """A read-only folder is told before anything is asked and charged."""
    closed = tmp_path / "closed"
    closed.mkdir(0o500)
    missing = tmp_path / "missing" / "receipt.json"
    entries = used("ledger", "check", "--json").stdout
    ask = ("ask", "homes", "-p", "visits", *AUTHOR)
    told(used(*ask, "--receipt", str(missing), code=2))
    told(used(*ask, "--plot", str(tmp_path / "answer.docx"), code=2))
    if os.geteuid() != 0:  # root may write everywhere
        told(used(*ask, "--receipt", str(closed / "receipt.json"), code=2))
        told(used("init", str(closed / "place"), "-o", "Council", code=1, here=False))
        told(used("passport", "new", str(closed / "p.yaml"), *AUTHOR, "--template", "light",
                  "--plain", "How many?", "-q", f"a={LOCAL}", code=1))  # fmt: skip
    assert used("ledger", "check", "--json").stdout == entries
    assert not list(closed.iterdir())


def test_a_disk_that_refuses(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine refuses to write, one sentence says so and nothing half-made stays."""

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied", str(tmp_path / "visits.yaml"))

    known = files_of(tmp_path)
    monkeypatch.setattr("bridleway.node.holdings.os.open", refuse)
    told(cli("passport", "new", str(tmp_path / "visits.yaml"), *AUTHOR, "--template", "light",
             "--plain", "How many?", "-q", f"a={LOCAL}", code=1))  # fmt: skip
    told(cli("init", str(tmp_path / "new"), "-o", "Council", code=1, here=False))
    monkeypatch.undo()
    assert files_of(tmp_path) == known


# -- receipts


def test_receipts_that_were_touched(answered: Cli, used: Cli, tmp_path: Path) -> None:
    """A receipt with a changed letter, half a receipt, and a foreign trust file fail."""
    good = tmp_path / "good.json"
    used("ask", "homes", "-p", "visits", *AUTHOR, "--receipt", str(good))
    text = good.read_text()
    bad = tmp_path / "bad.json"
    body = json.loads(text)
    middle = len(body["payload"]) // 2
    changed = "A" if body["payload"][middle] != "A" else "B"
    body["payload"] = body["payload"][:middle] + changed + body["payload"][middle + 1 :]
    bad.write_text(json.dumps(body))
    told(used("verify", str(bad), code=3))
    for damaged in (text[: len(text) // 2], "{}", ""):
        bad.write_text(damaged)
        told(used("verify", str(bad), code=3))
    other = Cli(tmp_path / "other")
    names = [w for n in ("Council", "Charity", "Office", "Linker") for w in ("-o", n)]
    other("init", str(other.place), *names, here=False)
    told(other("verify", str(good), code=3))
    told(other("verify", str(good), "--trust", str(bad), code=2))


def test_errors_as_json(cli: Cli) -> None:
    """With --json an error is one line of JSON on standard output, with the documented keys."""
    result = cli("source", "describe", "nowhere", "x", "--json", code=2)
    assert set(result.json()) == {"error", "code", "sentence", "where", "remedy"}
    assert result.stderr == ""


def test_a_fault_of_ours_shows_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is told by its kind alone, so that no value can be in it."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("bridleway.node.holdings.Holdings.describe", broken)
    assert "RuntimeError" in told(cli("source", "describe", "council", "housing", code=1))
