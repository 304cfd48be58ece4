"""Spark as a source: a folder of Parquet on this machine's Spark, and a server by Spark Connect."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.errors import Fault, UsageError
from bridleway.sources.compile import query_of
from bridleway.sources.connect import Source, connect
from tests.support.spark import require_spark

PEOPLE = pa.table(
    {"id": pa.array([1, 2, 3, None], pa.int64()), "name": ["Ann", None, "", "Zoë 💊"]}
)
SERVER = """
import sys
import pyarrow as pa
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.plugins", "org.apache.spark.sql.connect.SparkConnectPlugin")
    .config("spark.connect.grpc.binding.address", "127.0.0.1")
    .config("spark.connect.grpc.binding.port", sys.argv[1])
    .config("spark.sql.warehouse.dir", sys.argv[2]).getOrCreate())
spark.sql("CREATE DATABASE care")
spark.read.parquet(sys.argv[3]).write.saveAsTable("care.people")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one table of two part files."""
    require_spark(tmp_path_factory.mktemp("java"))
    made = tmp_path_factory.mktemp("tables")
    (made / "people").mkdir()
    pq.write_table(PEOPLE.slice(0, 2), made / "people" / "a.parquet")
    pq.write_table(PEOPLE.slice(2), made / "people" / "b.parquet")
    return made


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Spark Connect server with the table `care.people`; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    place = tmp_path_factory.mktemp("warehouse")
    command = [sys.executable, "-c", SERVER, str(port), str(place), str(folder / "people")]
    running = subprocess.Popen(
        command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        assert running.stdin is not None
        assert running.stdout.readline() == "ready\n"
        yield port
        running.stdin.close()
        running.wait(60)
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def _recoded(source: Source) -> set[tuple[object, object]]:
    """Join a lent table, as an extract does."""
    table = ibis.table(source.columns("people"), name="people")
    lent = ibis.table({"was": "string", "is": "string"}, name="bridleway_lent_0")
    joined = table.inner_join(lent, [table["name"].fill_null("-") == lent["was"]])
    query = query_of(
        joined.select("id", "is"),
        source.dialect,
        {"bridleway_lent_0": pa.table({"was": ["Ann", "-", ""], "is": ["A", None, "empty"]})},
    )
    found = {
        row for batch in source.read(query) for row in zip(*batch.to_pydict().values(), strict=True)
    }
    with pytest.raises(Fault):  # nothing of what was lent stays
        list(source.read(query_of(lent, source.dialect)))
    return found


def _require_people(source: Source) -> None:
    assert source.tables() == ("people",)
    assert {name: str(kind) for name, kind in source.columns("people").items()} == {
        "id": "int64",
        "name": "string",
    }
    with pytest.raises(UsageError, match="Did you mean 'people'"):
        source.columns("peple")
    assert _recoded(source) == {(1, "A"), (2, None), (3, "empty")}


def test_a_folder_on_this_machines_spark(folder: Path) -> None:
    """Tables are those that the Parquet engine finds, and lent tables can be joined."""
    source = connect(f"spark://{folder.name}", base=folder.parent)
    _require_people(source)
    assert source.name == folder.name
    source.close()


def test_the_fingerprint_is_of_the_values(folder: Path, tmp_path: Path) -> None:
    """Order and files do not count, a value that moves to another row does; a change is seen."""
    (tmp_path / "people").mkdir()
    path = tmp_path / "people" / "all.parquet"
    pq.write_table(PEOPLE.take(pa.array([3, 1, 0, 2])), path)
    mine = connect(f"spark://{tmp_path}", base=tmp_path)
    before, stamp = mine.fingerprint(), mine.quick_stamp()
    assert before == connect(f"spark://{folder}", base=folder).fingerprint()
    names = ["Ann", "", None, "Zoë 💊"]
    pq.write_table(pa.table({"id": PEOPLE["id"], "name": names}), path)
    assert mine.fingerprint() != before
    assert mine.quick_stamp() != stamp
    pq.write_table(pa.table({"id": PEOPLE["id"], "name": ["x,", "y", "z", ""]}), path)
    assert mine.fingerprint({"people": ("id",)}) == mine.fingerprint({"people": ("id",)})


def test_spark_connect(server: int) -> None:
    """A database of a server's catalogue; a token stands in no message."""
    url = f"sc://localhost:{server}/;token=hunter2secret;database=care"
    source = connect(url, base=Path())
    _require_people(source)
    assert source.quick_stamp() is None
    assert len(source.fingerprint()) == 64
    assert "hunter2" not in source.name
    with pytest.raises(Fault) as caught:
        connect(f"sc://localhost:{server}/;database=nobody;token=hunter2secret", base=Path())
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_not_there_is_told_soon() -> None:
    """One sentence, not ten minutes of tries."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pytest.importorskip("pyspark")
    with pytest.raises(Fault, match="does not answer"):
        connect(f"sc://127.0.0.1:{port}", base=Path())


def test_without_java_one_sentence_says_so(folder: Path) -> None:
    """Nothing of Spark's own pages of text is told as the error."""
    code = (
        "import sys; from pathlib import Path; from bridleway.errors import Fault\n"
        "from bridleway.sources.connect import connect\n"
        "source = connect(f'spark://{sys.argv[1]}', base=Path())\n"
        "try: source.columns('people')\n"
        "except Fault as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "JAVA_HOME": "/there/is/no/java"}, capture_output=True, text=True,
    )  # fmt: skip
    assert "Spark cannot be started here. Install Java 17 or 21" in done.stdout


def test_a_masters_address_is_no_folder(tmp_path: Path) -> None:
    """Spark calls its own masters spark://HOST:PORT."""
    pytest.importorskip("pyspark")
    with pytest.raises(UsageError, match="Spark master") as caught:
        connect("spark://spark.example:7077", base=tmp_path)
    assert "sc://" in caught.value.remedy


def test_without_spark_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        connect(f"spark://{tmp_path}", base=tmp_path)
    assert "bridleway[spark]" in caught.value.remedy
