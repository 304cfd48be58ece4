"""Tables of every kind: a right result, looked at by SQL of the test's own, or one clear sentence."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridleway.errors import BridlewayError, Fault
from bridleway.extract import make as make_module
from bridleway.extract.make import Made
from bridleway.extract.tables import anonymise

Q = "quasi-identifier"
FORMS = ("parquet", "csv", "arrow")
UTC = datetime.UTC
# Where a hierarchy's top stands for everything, as text.
_TOP = "*"


def table(**columns: Any) -> pa.Table:
    """Return a table."""
    return pa.table(columns)


def body(columns: dict[str, Any], **said: Any) -> dict[str, Any]:
    """Return a recipe that lets much be left out, so that little is refused for k alone."""
    return {"columns": columns, "k": 2, "suppression": 1.0, **said}


def tried(
    source: Any, told: dict[str, Any], form: str, secrets: tuple[str, ...] = ()
) -> Made | str:
    """Return what was made and is right, or the sentence that says why not.

    secrets: values that no message may hold.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out"
        try:
            made = anonymise(source, told, target, form=form)
        except BridlewayError as error:
            said = " ".join((str(error), error.sentence, error.remedy, error.where or ""))
            assert error.sentence and error.remedy
            assert "\n" not in str(error) and "Traceback" not in said
            # A check of ours that fails is no clear sentence to the user: nothing may reach it.
            assert not (isinstance(error, Fault) and error.code == "extract-check"), said
            assert not [secret for secret in secrets if secret in said]
            assert not list(Path(folder).iterdir())
            return error.sentence
        require_right(source, told, made, form)
        return made


def require_right(source: Any, told: dict[str, Any], made: Made, form: str) -> None:
    """Look at a written file with SQL, and hold it against the table."""
    quasi = [n for n, said in told["columns"].items() if Q in (said, _class(said))]
    sensitive = [n for n, said in told["columns"].items() if _class(said) == "sensitive"]
    with _read(made.data, form) as engine:
        keys = ", ".join(f"CAST({_quoted(n)} AS VARCHAR)" for n in quasi)
        sizes = engine.execute(f"SELECT count(*) FROM released GROUP BY {keys}").fetchall()
        assert min(n for (n,) in sizes) >= told["k"]
        assert sum(n for (n,) in sizes) == made.report["rows"]["after"]
        for name in sensitive:
            least = engine.execute(
                f"SELECT min(n) FROM (SELECT count(DISTINCT coalesce('v' || {_quoted(name)}, ''))"
                f" AS n FROM released GROUP BY {keys})"
            ).fetchall()
            assert least[0][0] >= 2
        if isinstance(source, pa.Table) and not made.report["rows"]["left_out"]:
            _require_true(engine, source, told, made.report["columns"], form)
    before = made.report["rows"]["before"]
    if isinstance(source, pa.Table) and isinstance(before, int):  # else too few were left out
        assert before == source.num_rows


def _require_true(
    engine: Any, source: pa.Table, told: dict[str, Any], columns: dict[str, Any], form: str
) -> None:
    """Of a column that is left as it is, every value is that of the table; what is hidden is `*`."""
    for name, said in told["columns"].items():
        kind = source.schema.field(name).type
        leaves = _class(said) != "identifier"
        if (
            form == "csv"
            or not leaves
            or not (pa.types.is_string(kind) or pa.types.is_integer(kind))
        ):
            continue
        found = dict(
            engine.execute(
                f"SELECT CAST({_quoted(name)} AS VARCHAR), count(*) FROM released GROUP BY 1"
            ).fetchall()
        )
        texts = [None if value is None else str(value) for value in source[name].to_pylist()]
        levels = columns[name]["levels"] if name in columns else [0]
        if levels == [0]:
            assert found == dict(Counter(texts))
        elif said in (Q, {"class": Q, "hierarchy": {"values": {}}}) and levels == [1]:
            assert found == {_TOP: source.num_rows}


@contextmanager
def _read(path: Path, form: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as engine:
        if form == "arrow":
            engine.register("released", pa.ipc.open_file(path).read_all())
        elif form == "parquet":
            engine.read_parquet(str(path)).create_view("released")
        else:
            engine.read_csv(
                str(path), header=True, sep=",", all_varchar=True, na_values="",
                quotechar='"', escapechar='"', allow_quoted_nulls=False,
            ).create_view("released")  # fmt: skip
        yield engine


def _class(said: Any) -> Any:
    return said["class"] if isinstance(said, dict) else said


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


SAME = ["x"] * 6
MOMENT = datetime.datetime(2020, 1, 1, tzinfo=UTC)
HOSTILE = (
    "k0",
    "v",
    'a"b',
    "n",
    "class",
    "a'; DROP TABLE x;--",
    "select",
    "x_from",
    "x_to",
    "\t",
    "é",
)

# name -> (table, recipe, the sentence that is expected, None where something is made)
CASES: dict[str, tuple[pa.Table, dict[str, Any], str | None]] = {
    "no columns": (pa.table({}), body({"a": Q}), "no columns"),
    "header only": (table(a=pa.array([], pa.string())), body({"a": Q}), "no rows"),
    "one row": (table(a=["x"]), body({"a": Q}), "No generalisation"),
    "one row and k = 1": (table(a=["x"]), body({"a": Q}, k=1), None),
    "all unique": (table(a=[str(n) for n in range(50)]), body({"a": Q}, suppression=0), None),
    "all equal": (table(a=SAME), body({"a": Q}), None),
    "only missing": (table(a=pa.array([None] * 9, pa.string())), body({"a": Q}), None),
    "only missing, sensitive": (
        table(a=SAME, s=pa.array([None] * 6, pa.string())),
        body({"a": Q, "s": "sensitive"}),
        "No generalisation",
    ),
    "without a type": (table(a=SAME, p=pa.nulls(6)), body({"a": Q, "p": "plain"}), None),
    "mixed types as text": (
        table(a=["1", "1.0", "x", None, "2020-01-01", "1"]), body({"a": Q}), None
    ),
    "mixed types as numbers": (
        table(a=["1", "ten-marker"] * 3),
        body({"a": {"class": Q, "hierarchy": "numbers"}}),
        "no number",
    ),
    "emoji and scripts": (
        table(a=["👩‍👩‍👧"] * 3 + ["العربية"] * 3 + ["\u202eabc"] * 3 + ["\x00\x01"] * 3 + ["\x1f"] * 3),
        body({"a": Q}),
        None,
    ),
    "very long": (table(a=["x" * 10**6] * 3 + ["y" * (10**6 + 1)] * 3), body({"a": Q}), None),
    "the sign for missing": (
        table(a=["\ue000"] * 3 + [None] * 3 + ["\ue000\ue000"] * 3), body({"a": Q}), None
    ),
    "the sign for missing, few": (
        table(a=["\ue000"] + [None] * 3 + ["x"] * 4), body({"a": Q}, suppression=0.5), None
    ),
    "the sign for missing, recoded": (
        table(a=["\ue000"] * 3 + [None] * 3, b=[str(n) for n in range(6)]),
        body({"a": Q, "b": Q}, suppression=0),
        None,
    ),
    "the sign for missing, locally": (
        table(a=["\ue000"] * 3 + [None] * 3 + ["x"]), body({"a": Q}, recoding="local"), None
    ),
    "the name of everything": (table(a=["*"] * 3 + ["x"]), body({"a": Q}, suppression=0), None),
    "hostile names": (
        pa.table([pa.array(SAME)] * len(HOSTILE[:9]), names=list(HOSTILE[:9])),
        body(dict.fromkeys(HOSTILE[:9], Q)),
        None,
    ),
    "a name of blanks": (pa.table([SAME], names=["\t"]), body({"\t": Q}), "no name"),
    "names within": (
        pa.table([SAME, SAME], names=["bridleway_from", "bridleway_rows"]),
        body({"bridleway_from": Q, "bridleway_rows": Q}),
        "use themselves",
    ),
    "names by case": (
        pa.table([SAME, SAME], names=["a", "A"]), body({"a": Q, "A": Q}), "differ in case"
    ),
    "the same name": (pa.table([SAME, SAME], names=["a", "a"]), body({"a": Q}), "the same name"),
    "a sensitive v": (
        pa.table([SAME, ["x", "y"] * 3, SAME], names=["k0", "v", "k1"]),
        body({"k0": Q, "v": "sensitive", "k1": "plain"}),
        None,
    ),
    "odd numbers": (
        table(a=[float("nan")] * 3 + [float("inf")] * 3 + [-0.0] * 3 + [0.0] * 3 + [1e308] * 3),
        body({"a": Q}),
        None,
    ),
    "odd numbers in intervals": (
        table(a=[float("nan")] * 3 + [1.0] * 3),
        body({"a": {"class": Q, "hierarchy": "numbers"}}),
        "no number",
    ),
    "far numbers in intervals": (
        table(a=[1e308, -1e308, 5e-324, 0.1] * 3),
        body({"a": {"class": Q, "hierarchy": "numbers"}}),
        None,
    ),
    "a signed zero, sensitive": (
        table(a=SAME, s=[0.0] * 3 + [-0.0] * 3), body({"a": Q, "s": "sensitive"}), "No generalisation"
    ),
    "huge decimals": (
        table(a=pa.array([Decimal("9" * 38)] * 3 + [Decimal(1)] * 3, pa.decimal128(38, 0))),
        body({"a": {"class": Q, "hierarchy": "numbers"}}),
        None,
    ),
    "huger decimals": (
        table(a=pa.array([Decimal("9" * 60)] * 3, pa.decimal256(70, 0))), body({"a": Q}), "a type"
    ),
    "times with zones": (
        table(
            a=pa.array([MOMENT] * 3, pa.timestamp("us", "Europe/Paris")),
            p=pa.array([1] * 3, pa.timestamp("ns")),
        ),
        body({"a": {"class": Q, "hierarchy": "dates"}, "p": "plain"}),
        None,
    ),
    "bytes": (table(a=[b"\xff\x00"] * 3, p=[b"\xff"] * 3), body({"a": Q, "p": "plain"}), None),
    "lists and records": (
        table(a=["x"] * 3, l=[[1, 2]] * 3, r=[{"u": 1, "w": "=x"}] * 3),
        body({"a": Q, "l": "plain", "r": "plain"}),
        None,
    ),
    "categories": (
        table(a=pa.array(SAME).dictionary_encode(), p=pa.array(["=x"] * 6).dictionary_encode()),
        body({"a": Q, "p": "plain"}),
        None,
    ),
    "blanks apart": (table(a=["x"] * 3 + ["x "] * 3 + [" x"] * 3), body({"a": Q}), None),
    "empty and missing apart": (
        table(a=[""] * 3 + [None] * 3, s=["", None] * 3),
        body({"a": Q, "s": {"class": "sensitive", "l": 2}}),
        None,
    ),
    "signs of CSV": (
        table(a=["a\rb"] * 3 + ['a\r\n"b'] * 3 + ["\n"] * 3 + [","] * 3 + ["'=x"] * 3 + ["=x"] * 3),
        body({"a": Q}),
        None,
    ),
    "a formula as a name": (pa.table([SAME], names=["=x"]), body({"=x": Q}), None),
    "200 columns": (
        pa.table({f"c{n}": ["x", "y"] * 5 for n in range(200)}),
        body({f"c{n}": Q for n in range(200)}, recoding="local"),
        None,
    ),
    "200 columns, each on one level": (
        pa.table({f"c{n}": ["x", "y"] * 5 for n in range(200)}),
        body({f"c{n}": Q for n in range(200)}),
        "more ways than can be searched",
    ),
    "200 columns, most plain": (
        pa.table({f"c{n}": ["x", "y"] * 5 for n in range(200)}),
        body({f"c{n}": Q if n < 3 else "plain" for n in range(200)}),
        None,
    ),
}  # fmt: skip
# What a CSV cannot hold, it says.
NO_CSV = {
    "bytes": "A CSV cannot hold",
    "lists and records": "A CSV cannot hold",
    "a formula as a name": "for a formula",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_odd_tables(name: str, form: str) -> None:
    """Each in every format."""
    source, told, sentence = CASES[name]
    expected = NO_CSV.get(name, sentence) if form == "csv" else sentence
    found = tried(source, told, form, ("ten-marker",))
    if expected is None:
        assert isinstance(found, Made), found
    else:
        assert isinstance(found, str) and expected in found


def test_the_sign_for_missing_stays_what_it_is() -> None:
    """A private use character of the table is neither lost nor taken for a missing value."""
    source, told, _ = CASES["the sign for missing"]
    with tempfile.TemporaryDirectory() as folder:
        made = anonymise(source, told, Path(folder) / "out")
        assert sorted(pq.read_table(made.data)["a"].to_pylist(), key=str) == sorted(
            source["a"].to_pylist(), key=str
        )
        source, told, _ = CASES["the sign for missing, few"]
        made = anonymise(source, told, Path(folder) / "few")
        assert sorted(pq.read_table(made.data)["a"].to_pylist(), key=str) == [None] * 3 + ["x"] * 4


def test_a_million_distinct_values() -> None:
    """Every one unique: hidden, in time."""
    values = pa.array(np.arange(10**6)).cast(pa.string())
    with tempfile.TemporaryDirectory() as folder:
        made = anonymise(table(a=values), body({"a": Q}, k=5, suppression=0), Path(folder) / "out")
        assert pq.read_table(made.data)["a"].unique().to_pylist() == [_TOP]
        assert made.report["rows"]["after"] == 10**6


TEXTS = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.sampled_from(
        [
            "",
            " ",
            "*",
            "\ue000",
            "'",
            "=1",
            "'=1",
            "nan",
            "NULL",
            "\x00",
            "é",
            "😀",
            "1",
            "1.0",
            "-0",
        ]
    ),
)
NAMES = st.one_of(
    st.sampled_from([*HOSTILE, "bridleway_from", "bridleway_0", "A", "a", "K0", "v_v", ""]),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=5),
)
COLUMNS = st.one_of(
    TEXTS.map(lambda _: pa.string()), st.just(pa.int64()), st.just(pa.float64()),
    st.just(pa.bool_()), st.just(pa.date32()),
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, dict[str, Any], str]:
    """Draw a table of up to 24 rows of few values, a recipe and a format."""
    rows = draw(st.integers(0, 24))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    made, columns = [], {}
    for at, name in enumerate(names):
        kind = draw(COLUMNS)
        value = {
            pa.string(): TEXTS,
            pa.int64(): st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)),
            pa.float64(): st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1.5])),
            pa.bool_(): st.one_of(st.none(), st.booleans()),
            pa.date32(): st.one_of(st.none(), st.dates()),
        }[kind]
        known = draw(st.lists(value, min_size=1, max_size=4))
        made.append(pa.array([draw(st.sampled_from(known)) for _ in range(rows)], kind))
        cls = Q if not at else draw(st.sampled_from([Q, Q, "sensitive", "plain", "identifier"]))
        columns[name] = {"class": "sensitive", "l": 2} if cls == "sensitive" else cls
        if cls == Q:
            builder = draw(st.sampled_from(["values", "values", "numbers", "dates", "prefix"]))
            options = {"prefix": {"keep": [1]}}.get(builder, {})
            columns[name] = {"class": Q, "hierarchy": {builder: options}}
    told = body(
        columns, k=draw(st.integers(1, 4)), suppression=draw(st.sampled_from([0, 0.3, 1])),
        recoding=draw(st.sampled_from(["full-domain", "local"])),
    )  # fmt: skip
    return pa.table(made, names=names), told, draw(st.sampled_from(FORMS))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(tables())
def test_drawn_tables(drawn: tuple[pa.Table, dict[str, Any], str]) -> None:
    """Whatever the table holds."""
    tried(*drawn)


FILES = {
    "empty.csv": (b"", 2),
    "header.csv": (b"area,note\n", 2),
    "ragged.csv": (b"area,note\na,1\nb\nc,2,secretmarker\n" * 3, None),
    "latin.csv": ("area,note\ncaf\u00e9secretmarker,1\n".encode("latin-1") * 6, 2),
    "quotes.csv": (b'area,note\n"a,1\nsecretmarker' * 4, None),
    "nul.csv": (b"area,note\na\x00secretmarker,1\n" * 6, None),
    "twice.csv": (b"area,area\na,1\n" * 6, 2),
    "case.csv": (b"area,note,Note\n" + b"a,1,2\n" * 6, 2),
    "good.csv": (b"area,note\n" + b"a,1\n" * 6, 0),
    "bom.csv": (b"\xef\xbb\xbfarea,note\n" + b"a,1\n" * 6, 0),
    "false.parquet": (b"PAR1secretmarkerPAR1", 1),
    "false.duckdb": (b"secretmarker" * 400, 2),
}


@pytest.mark.parametrize("name", FILES)
def test_odd_files_on_the_command_line(tmp_path: Path, name: str) -> None:
    """As a user meets them: an extract, or one sentence, and never a value."""
    data, code = FILES[name]
    (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("bridleway")), "anonymise", name,
            "--quasi", "area", "--plain", "note", "--to", "out",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert "Traceback" not in said and "secretmarker" not in said
    assert done.returncode == code or (code is None and done.returncode in (0, 1, 2))
    assert (tmp_path / "out").exists() == (done.returncode == 0)
    if done.returncode:
        assert re.search(r"[a-z]\.", said)


@pytest.mark.parametrize("form", ["csv", "parquet", "arrow"])
@pytest.mark.parametrize(
    "values",
    [
        [1000.0, 0.1, 1e20, None, 3.5],
        [True, False, None],
        [datetime.date(2020, 1, 1), None, datetime.date(1999, 5, 6)],
        [
            datetime.datetime(2020, 1, 1, 3, 4, 5),
            datetime.datetime(1999, 5, 6, 1, 1, 1, 5000),
            None,
        ],
        [Decimal("1.50"), Decimal("1000.00"), None],
        ["", "a", None, "=x", "'=x", '"q"', "a,b", "x\ny", " "],
    ],
    ids=["float", "bool", "date", "time", "decimal", "text"],
)
def test_what_the_file_check_looks_up_is_what_stands_in_the_file(
    tmp_path: Path, values: list[Any], form: str
) -> None:
    """A value that the check does not know is an error, so its distances cannot pass as 0."""
    rows = 200
    held = pa.table(
        {
            "age": pa.array([n % 2 for n in range(rows)]),
            "v": pa.array([values[n // 2 % len(values)] for n in range(rows)]),
        }
    )
    recipe = {"k": 5, "columns": {"age": "quasi-identifier", "v": {"class": "sensitive", "t": 0.1}}}
    made = anonymise(held, recipe, tmp_path / "out", form=form)
    assert made.report["rows"]["after"] == rows
    one_sided = held.set_column(
        1, "v", pa.array([values[0] if n % 2 else values[-1] for n in range(rows)])
    )
    real = make_module.write_rows

    def spoiled(sink: Any, schema: pa.Schema, batches: Any, form: str) -> int:
        del batches
        return real(sink, schema, one_sided.cast(schema).to_batches(), form)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(make_module, "write_rows", spoiled)
        with pytest.raises(Fault, match="too far from the whole table"):
            anonymise(held, recipe, tmp_path / "other", form=form)
    assert not (tmp_path / "other").exists()
