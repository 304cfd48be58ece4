"""Sources open read-only where they live, and every way they can be broken has one sentence."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.errors import BridlewayError, Fault, UsageError
from bridleway.model.flow import KeyColumn, Task
from bridleway.sources.connect import Source, connect
from bridleway.sources.engines import ibis_url
from bridleway.sources.run import run
from bridleway.sources.source import Location

from .conftest import FACTS, KINDS, people_table, write_csv, write_duckdb, write_postgres

MakeUrl = Callable[[str, pa.Table], str]
SECRET = "hunter2secret"


def _names(source: Source, name: str = "register") -> list[str]:
    task = Task("c", "h", name, "t", (KeyColumn("person", "nhs_number", "nhs-number"),))
    return [
        key or "" for rows in run(source, FACTS, task) for key in rows.keys["person"].to_pylist()
    ]


def test_every_kind_holds_the_same_table(source: Source) -> None:
    """Tables and columns are named alike, whatever engine holds them."""
    assert source.tables() == ("register",)
    assert list(source.columns("register")) == people_table().column_names
    assert len(_names(source)) == people_table().num_rows


def test_an_unknown_table_is_named_with_the_nearest(source: Source) -> None:
    """A typing slip gets the word that was meant."""
    with pytest.raises(UsageError, match="Did you mean 'register'") as caught:
        source.columns("registre")
    assert caught.value.where == "council.housing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_relative_path_starts_at_the_base(
    kind: str, made_url: MakeUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace can move: paths are taken from its folder, not from the caller's."""
    url = made_url(kind, people_table())
    monkeypatch.chdir("/")
    connect(url.replace(f"{tmp_path}/", ""), base=tmp_path).close()


@pytest.mark.parametrize("kind", ["duckdb", "parquet", "csv"])
def test_a_file_that_changes_is_noticed_and_read_anew(
    kind: str, made_url: MakeUrl, tmp_path: Path
) -> None:
    """The stamp and the digest change with the file, and no old content is served."""
    first, second = people_table().slice(0, 50), people_table().slice(50, 70)
    source = connect(made_url(kind, first), base=tmp_path)
    stamp, digest = source.quick_stamp(), source.fingerprint()
    assert (source.quick_stamp(), source.fingerprint()) == (stamp, digest)
    assert len(_names(source)) == 50
    for path in tmp_path.iterdir():
        path.unlink()
    made_url(kind, second)
    assert source.quick_stamp() != stamp and source.fingerprint() != digest
    assert len(_names(source)) == 70


def test_the_servers_digest_is_of_its_content_only(postgres_database: str, tmp_path: Path) -> None:
    """Row order and storage do not count; a changed value, a lost row and an update do."""
    table = people_table()
    write_postgres(postgres_database, table)
    source = connect(postgres_database, base=tmp_path)
    digest = source.fingerprint()
    with psycopg.connect(postgres_database) as admin:
        admin.execute("CREATE TABLE moved AS SELECT * FROM register ORDER BY tenure DESC")
        admin.execute("DROP TABLE register")
        admin.execute("ALTER TABLE moved RENAME TO register")
    assert source.fingerprint() == digest
    with psycopg.connect(postgres_database) as admin:
        admin.execute("UPDATE register SET rooms = 3 WHERE nhs_number = '9990000001'")
    changed = source.fingerprint()
    assert changed != digest
    assert source.fingerprint({"register": ("tenure",)}) != changed


def test_the_servers_stamp_moves_with_every_write(postgres_database: str, tmp_path: Path) -> None:
    """A cheap stamp spares the digest while nothing was written, and only then."""
    write_postgres(postgres_database, people_table())
    source = connect(postgres_database, base=tmp_path)
    stamp = source.quick_stamp()
    assert stamp is not None and source.quick_stamp() == stamp
    with psycopg.connect(postgres_database) as admin:
        admin.execute("DELETE FROM register WHERE rooms = 1")
        assert source.quick_stamp() == stamp  # not committed: nobody sees it yet
    assert source.quick_stamp() != stamp


def test_the_server_session_cannot_write(postgres_database: str, tmp_path: Path) -> None:
    """Even a role that may write connects read-only."""
    from bridleway.sources.engines.postgres import PostgresSource

    source = connect(postgres_database, base=tmp_path)
    assert isinstance(source, PostgresSource)
    with pytest.raises(BridlewayError), source._transaction() as connection:
        connection.execute("CREATE TABLE x (i int)")
    assert source.tables() == ()


def test_the_embedded_engine_is_locked_down(tmp_path: Path) -> None:
    """No other file, no setting, no extension, no writing: even if SQL were smuggled in."""
    from bridleway.sources.engines._files import FileSource

    other = write_csv(tmp_path / "other.csv", people_table())
    source = connect(str(write_duckdb(tmp_path / "a.duckdb", people_table())), base=tmp_path)
    assert isinstance(source, FileSource) and source._engine is not None
    for attack in (
        f"FROM read_csv('{other}')",
        f"FROM '{other}'",
        "FROM glob('/etc/*')",
        f"COPY register TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/new.db'",
        "SET enable_external_access = true",
        "SET threads = 1",
        "INSTALL httpfs",
        "LOAD httpfs",
        "INSERT INTO held.main.register FROM register",
        "DROP TABLE held.main.register",
    ):
        with pytest.raises(duckdb.Error):
            source._engine.execute(attack)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.duckdb", "other.csv"]


def test_folders_hold_one_table_per_file(tmp_path: Path) -> None:
    """CSV and Parquet folders; part files in a subfolder are one table; odd names are mended."""
    write_csv(tmp_path / "2024 rents.csv", people_table())
    (tmp_path / "more.csv.gz").write_bytes(
        gzip.compress((tmp_path / "2024 rents.csv").read_bytes())
    )
    assert connect(str(tmp_path), base=tmp_path).tables() == ("c_2024_rents", "more")
    lake = tmp_path / "lake"
    (lake / "visits").mkdir(parents=True)
    for part in range(2):
        pq.write_table(people_table(), lake / "visits" / f"part-{part}.parquet")
    pq.write_table(people_table(), lake / "register.parquet")
    source = connect("parquet://lake", base=tmp_path)
    assert source.tables() == ("register", "visits")
    assert len(_names(source, "visits")) == 360


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_text_is_read_as_it_is_written(tmp_path: Path, separator: str) -> None:
    """Quotes, line ends in fields, byte order marks and odd headers do not shift a column."""
    rows = [["nhs_number", "Age (years)"], ['"9990000018"', '"a ""b""\nc"'], ["9990000026", ""]]
    text = "\ufeff" + "".join(separator.join(row) + "\r\n" for row in rows)
    (tmp_path / "people.csv").write_text(text, encoding="utf-8", newline="")
    source = connect("people.csv", base=tmp_path)
    assert list(source.columns("people")) == ["nhs_number", "Age_years"]
    assert _names(source, "people") == ["9990000018", "9990000026"]


def _broken(kind: str, folder: Path) -> str:
    path = folder / f"broken.{'duckdb' if kind == 'not duckdb' else 'parquet'}"
    if kind == "missing":
        return "nowhere.duckdb"
    if kind == "missing csv":
        return "csv://nowhere"
    if kind == "empty folder":
        (folder / "empty").mkdir()
        return "csv://empty"
    if kind == "unclear":
        (folder / "notes.txt").write_text("x")
        return "notes.txt"
    if kind == "not duckdb":
        path.write_bytes(b"this is not a database " * 9)
    elif kind == "folder as duckdb":
        return f"duckdb://{folder}"
    elif kind == "not parquet":
        path.write_bytes(b"nhs_number\n9990000018\n")
    elif kind == "truncated parquet":
        pq.write_table(people_table(), path)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "damaged parquet":
        pq.write_table(people_table(), path)
        whole = bytearray(path.read_bytes())
        whole[-400:-8] = b"\xff" * 392
        path.write_bytes(bytes(whole))
    elif kind == "no header":
        (folder / "x.csv").write_text("")
        return "x.csv"
    elif kind == "two alike":
        (folder / "x.csv").write_text("Age,age\n1,2\n")
        return "x.csv"
    elif kind == "not utf-8":
        (folder / "x.csv").write_bytes("naïve,b\n".encode("latin-1"))
        return "x.csv"
    elif kind == "two kinds":
        (folder / "x.csv").write_text("a\n1\n")
        pq.write_table(people_table(), path)
        return str(folder)
    elif kind == "empty url":
        return ""
    elif kind == "unknown scheme":
        return f"frob://user:{SECRET}@host/x"
    elif kind == "no driver":
        return f"mysql://user:{SECRET}@127.0.0.1:1/x"
    elif kind == "bad postgres url":
        return f"postgresql://user:{SECRET}@127.0.0.1:notaport/x"
    return str(path)


@pytest.mark.parametrize(
    "kind",
    [
        "missing", "missing csv", "empty folder", "unclear", "not duckdb", "folder as duckdb",
        "not parquet", "truncated parquet", "damaged parquet", "no header", "two alike",
        "not utf-8", "two kinds", "empty url", "unknown scheme", "no driver", "bad postgres url",
    ],
)  # fmt: skip
def test_a_broken_source_gets_one_sentence_place_and_remedy(kind: str, tmp_path: Path) -> None:
    """No traceback, no engine text, no password, no data value."""
    url = _broken(kind, tmp_path)
    with pytest.raises((UsageError, Fault)) as caught:
        connect(url, base=tmp_path)
    error = caught.value
    assert error.sentence.endswith(".") and error.remedy and (error.where or not url)
    assert error.__cause__ is None and error.__suppress_context__ or not error.__context__
    for word in (SECRET, "9990000018", "Error", "duckdb.", "psycopg", "LINE 1"):
        assert word not in str(error)


def test_a_dead_postgres_is_one_sentence_without_the_password(tmp_path: Path) -> None:
    """Nobody listens there: say so, with host and database only."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Fault, match="does not answer") as caught:
        connect(f"postgresql://sam:{SECRET}@127.0.0.1:{port}/housing", base=tmp_path)
    assert SECRET not in str(caught.value) and "sam" not in str(caught.value)
    assert caught.value.where == "postgresql://127.0.0.1/housing"


def test_a_server_that_cuts_the_line_is_a_fault_and_then_works_again(
    postgres_database: str, tmp_path: Path
) -> None:
    """A lost connection is one sentence, and the next question connects anew."""
    write_postgres(postgres_database, people_table())
    source = connect(postgres_database, base=tmp_path, name="council.housing")
    with psycopg.connect(postgres_database, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    with pytest.raises(Fault) as caught:
        source.tables()
    assert caught.value.where == "council.housing"
    assert source.tables() == ("register",)


def test_a_table_that_the_role_may_not_read_is_not_offered(
    postgres_database: str, tmp_path: Path
) -> None:
    """Only what the database's owner granted is a table of the source."""
    write_postgres(postgres_database, people_table())
    write_postgres(postgres_database, people_table(), "secret")
    role = f"reader_{os.getpid()}"
    with psycopg.connect(postgres_database) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")
        admin.execute(f"GRANT SELECT ON register TO {role}")
    source = connect(postgres_database.replace("postgres:@", f"{role}:@"), base=tmp_path)
    assert source.tables() == ("register",)


def test_a_duckdb_file_open_for_writing_is_named(tmp_path: Path) -> None:
    """Another program's writer is never disturbed."""
    path = write_duckdb(tmp_path / "busy.duckdb", people_table())
    script = f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(Fault, match="open for writing") as caught:
            connect("busy.duckdb", base=tmp_path)
        writer.communicate(b"\n")
    assert caught.value.where == "busy.duckdb"
    connect("busy.duckdb", base=tmp_path).close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("kind", ["duckdb", "parquet", "csv"])
def test_an_unreadable_file_is_named(kind: str, made_url: MakeUrl, tmp_path: Path) -> None:
    """Permissions are said in one sentence."""
    url = made_url(kind, people_table())
    for path in tmp_path.iterdir():
        path.chmod(0)
    with pytest.raises(UsageError, match="cannot be read"):
        connect(url, base=tmp_path)


def test_a_csv_row_of_another_width_is_a_fault_without_the_row(tmp_path: Path) -> None:
    """A ragged file stops the question; its content is not quoted."""
    (tmp_path / "x.csv").write_text("nhs_number,age\n9990000018,4\n9990000026,5,6\n")
    source = connect("x.csv", base=tmp_path)
    with pytest.raises(Fault) as caught:
        _names(source, "x")
    assert "9990000026" not in str(caught.value) and caught.value.where == "x.csv"


def test_any_ibis_url_is_a_source(tmp_path: Path) -> None:
    """An engine without a part of its own goes through Ibis alone."""
    path = write_duckdb(tmp_path / "a.duckdb", people_table())
    place = Location(f"duckdb://{path}?read_only=True", "duckdb", str(path), tmp_path, "any", 1)
    source = ibis_url.open_source(place)
    assert source.tables() == ("register",)
    assert source.fingerprint() == source.fingerprint() and source.quick_stamp() is None
    assert len(_names(source)) == people_table().num_rows
    source.close()
    source.close()


def test_an_sqlite_file_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself would leave an empty file, named by whatever the URL said."""
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite://nothing.db", f"sqlite:///{tmp_path}/nothing.db", "sqlite://"):
        with pytest.raises(UsageError, match="no such file"):
            connect(url, base=tmp_path)
    assert list(tmp_path.iterdir()) == []
