"""URLs of sources: every way to write a password out is found, and no error repeats it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bridleway.cli.main import app
from bridleway.errors import Refused, UsageError
from bridleway.node.secret_urls import expand, holds_password, names_in, refuse_password
from bridleway.node.workspace import Workspace

SECRET = "hunter2secret"

WRITTEN_OUT = [
    f"postgresql://u:{SECRET}@host/db",
    f"postgres://u:{SECRET}@host:5432/db",
    f"postgresql://u:{SECRET}@[::1]:5432/db",
    f"POSTGRESQL://u:{SECRET}@host/db?sslmode=require",
    f"mysql://u:x/{SECRET}@host/db",
    f"mysql://u:12/{SECRET}@host/db",
    f"mysql://u:x?{SECRET}@host/db",
    f"mysql://u:x#{SECRET}@host/db",
    f"mysql://u:x@{SECRET}@host/db",
    f"mysql://:{SECRET}@host/db",
    f"mysql://u:pre${{secret:a}}{SECRET}@host/db",
    f"mysql://u:${{secret:a}}{SECRET}@host/db",
    f"postgresql://host/db?user=u&password={SECRET}",
    f"postgresql://host/db?user=u&pass%77ord={SECRET}",
    f"postgresql://host/db?PASSWORD={SECRET}",
    f"postgresql://host/db?sslpassword={SECRET}",
    f"md:db?motherduck_token={SECRET}",
    f"bigquery://p/d?api_key={SECRET}",
    f"snowflake://u@a/db?private-key={SECRET}",
    f"azure://c/b?AccountKey={SECRET}",
    f"https://h/b?sv=1&sig={SECRET}",
    f"mssql://host/db;UID=u;PWD={SECRET}",
    f"host=db user=u password={SECRET}",
    f"databricks://h#access_token={SECRET}",
    f"redis://u:${{NAME}}@host/db?auth={SECRET}",
]  # fmt: skip

HARMLESS = [
    "housing.duckdb", "duckdb:///data/housing.duckdb", "csv:///data/a@b/", "parquet://data",
    "postgresql://host/db", "postgresql://u@host/db", "postgresql://u:@host/db",
    "postgresql://postgres:@/postgres?host=/tmp/x", "postgresql://host:5432/db?user=a@b",
    "postgresql://u:${secret:register}@host/db", "postgresql://u:${PW}@host/db",
    "postgresql://${secret:user}:${secret:register}@host/db?sslmode=verify-full&sslkey=/k.pem",
    "postgresql://host/db?password=${secret:register}&passfile=/x/.pgpass",
    "postgresql://host/db?keepalives=1&sslrootcert=/ca.pem&primary_key_check=0",
    "${secret:whole}", "mysql://u:${secret:a}${secret:b}@host/db", "postgresql://[::1]:5432/db",
]  # fmt: skip


@pytest.mark.parametrize("url", WRITTEN_OUT)
def test_a_password_written_out_is_refused_with_the_command_that_stores_it(url: str) -> None:
    """The sentence names the command and repeats no part of the URL."""
    with pytest.raises(Refused) as caught:
        refuse_password(url, "council", "register")
    told = str(caught.value)
    assert "bridleway secret set council register-password" in told
    assert "${secret:register-password}" in told
    assert SECRET not in told and "hunter" not in told


@pytest.mark.parametrize("url", HARMLESS)
def test_a_url_without_a_password_passes(url: str) -> None:
    """Placeholders, empty passwords, ports, file names and options that open nothing."""
    assert not holds_password(url)
    refuse_password(url, "council", "register")


_WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(_WORD.filter(lambda w: "${" not in w))
def test_whatever_the_password_a_well_formed_url_is_refused(password: str) -> None:
    """Percent-encoded as it should be, in either place."""
    written = quote(password, safe="")
    assert holds_password(f"postgresql://u:{written}@host/db")
    assert holds_password(f"postgresql://host/db?user=u&password={written}")


@example("a:1?b")
@given(_WORD.filter(lambda w: "${" not in w))
def test_a_password_that_nobody_encoded_is_refused_too(password: str) -> None:
    """Characters that end an authority early do not hide it (but where the URL means another)."""
    port = re.split(r"[/?#]", password)[0]
    if (port == "" or port.isdigit()) and "/" not in password:
        return  # `u:12?x@host` is host u, port 12
    assert holds_password(f"postgresql://u:{password}@host/db")


@given(st.text(max_size=30))
def test_a_stored_value_stays_one_part_of_the_url(value: str) -> None:
    """No value of a secret can change host, database or options."""
    made = expand("postgresql://u:${secret:a}@host/db", {}, lambda _: value)
    assert made == f"postgresql://u:{quote(value, safe='')}@host/db"
    assert made.count("@") == 1 and made.endswith("@host/db")


def test_a_secret_may_be_the_whole_url() -> None:
    """Then it is taken as it is."""
    assert expand("${secret:a}", {}, {"a": "mysql://u:p@h/d"}.__getitem__) == "mysql://u:p@h/d"
    assert names_in("x://${secret:a}:${secret:b}@${secret:a}") == ("a", "b")


@pytest.mark.parametrize("url", ["x://${}", "x://${secret}", "x://${a-b}", "x://${MISSING}"])
def test_a_placeholder_that_means_nothing_is_told(url: str) -> None:
    """It does not travel to the database as text."""
    with pytest.raises(UsageError):
        expand(url, {}, lambda _: "x") if url != "x://${secret}" else expand(url, {}, None)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Workspace.init(tmp_path / "place", ["Council", "City"]).close()
    return tmp_path / "place"


def run(place: Path, *words: str, code: int, told: str | None = None) -> str:
    """Run a command, with standard input; return all that it printed."""
    done = CliRunner().invoke(app, [*words, "-w", str(place)], input=told)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.stdout + done.stderr


def test_the_paved_path(place: Path, postgres_url: str) -> None:
    """Refused, stored, listed, used, replaced: a real server, and the value stands nowhere."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE reader LOGIN PASSWORD 'p@ss/w:rd'")
        admin.execute("CREATE TABLE IF NOT EXISTS paved (id text)")
        admin.execute("GRANT SELECT ON paved TO reader")
    base = postgres_url.replace("postgres:@", "reader:{}@")
    assert base != postgres_url
    said = run(place, "source", "add", "council", "register", base.format(SECRET), code=3)
    assert "bridleway secret set council register-password" in said and SECRET not in said
    url = base.format("${secret:register-password}")
    said = run(place, "source", "add", "council", "register", url, code=2)
    assert "bridleway secret set council register-password" in said
    run(place, "secret", "set", "council", "register-password", code=0, told="p@ss/w:rd\n")
    run(place, "source", "add", "council", "register", url, code=0)
    listed = run(place, "secret", "list", "council", "--json", code=0)
    (row,) = json.loads(listed)["secrets"]
    assert row["name"] == "register-password" and row["used_by"] == ["council.register"]
    assert "p@ss" not in listed + run(place, "secret", "list", "council", code=0)
    run(place, "secret", "rotate", "council", code=0)
    run(place, "source", "describe", "council", "register", code=0)
    known = b"".join(p.read_bytes() for p in place.rglob("*") if p.is_file())
    assert b"p@ss/w:rd" not in known and quote("p@ss/w:rd", safe="").encode() not in known


def test_a_stored_url_with_a_password_is_refused_as_well(place: Path) -> None:
    """A file that somebody wrote by hand, or an older edition, does not slip by."""
    folder = place / "nodes" / "council" / "sources" / "register"
    folder.mkdir(parents=True)
    url = f"postgresql://u:{SECRET}@localhost:1/db"
    (folder / "source.json").write_text(json.dumps({"source": 1, "url": url}))
    said = run(place, "source", "describe", "council", "register", code=3)
    assert "secret set council register-password" in said and SECRET not in said


@pytest.mark.parametrize(
    ("value", "code"),
    [("\n", 2), ("one\ntwo\n", 2), ("a\x1b[2Jb\n", 2), ("plain", 0), ("Quux7\n", 0)],
)
def test_a_value_comes_from_standard_input_as_one_line(place: Path, value: str, code: int) -> None:
    """There is no argument for it, so that it is in no process list and no shell history."""
    said = run(place, "secret", "set", "council", "it", code=code, told=value)
    assert value.strip() == "" or value.strip() not in said.replace("${secret:it}", "")


def test_there_is_no_way_to_give_a_value_on_the_command_line(place: Path) -> None:
    """An extra argument is a usage error."""
    run(place, "secret", "set", "council", "it", SECRET, code=2, told="x\n")
