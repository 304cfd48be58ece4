"""Names cannot steer a terminal, forge a line or a log entry, or fake JSON (G09)."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bridleway.cli.frame import json_text
from bridleway.cli.main import app
from bridleway.documents import read_yaml
from bridleway.errors import UsageError, from_json, plain

EVIL = [
    "x\nrefused: forged", "x\r\nok", "\x1b[2J\x1b[1;31mred", "\x9b31mC1", "a\x08\x08b", "\x07bell",
    '"}\n{"error": "none", "level": "INFO"}', "\u202egnp.exe", "zero\u200bwidth", "line\u2028sep",
    "\x1b]0;title\x07", "\x1b]8;;http://evil\x07link", "nul\x00",
]  # fmt: skip


def steers(text: str) -> bool:
    """Tell whether a printed text holds a character that is no visible one (line ends aside)."""
    lines = text.replace("\n", "")
    return any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") for c in lines)


@given(st.text())
def test_plain_text_is_one_visible_line(text: str) -> None:
    """Whatever the name; and what was visible stays as it was."""
    made = plain(text)
    assert not steers(made) and "\n" not in made
    assert plain(made) == made
    if text.isprintable():
        assert made == text


@given(
    st.recursive(
        st.text() | st.none() | st.integers(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_json_is_one_visible_line_and_says_the_same(value: object) -> None:
    """Escaped as JSON escapes, so that readers get the very value back."""
    made = json_text(value)
    assert not steers(made) and "\n" not in made
    assert json.loads(made) == value


@pytest.mark.parametrize("name", EVIL)
def test_an_error_is_one_line_wherever_it_is_logged(name: str) -> None:
    """In its text, its JSON and its copy at another node."""
    error = UsageError(f"There is no '{name}'.", f"Not {name}.", where=name)
    for one in (error, from_json(error.to_json())):
        assert (
            not steers(str(one)) and "\n" not in str(one) and "\n" not in json.dumps(one.to_json())
        )
        assert not steers("".join(one.args))


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert "Traceback" not in done.output
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", [e for e in EVIL if "\x00" not in e])
def test_names_of_organisations_tables_and_columns(tmp_path: Path, name: str) -> None:
    """Printed by commands, in tables, sentences and JSON, they stay names."""
    place = tmp_path / "place"
    said = run("init", str(place), "-o", f"Council {name}", "-o", "City")
    said += run("status", "-w", str(place)) + run("status", "-w", str(place), "--json")
    with duckdb.connect(str(tmp_path / "odd.duckdb")) as engine:
        quoted = name.replace('"', '""')
        engine.execute(f'CREATE TABLE "{quoted}" ("{quoted}" VARCHAR, nhs_number VARCHAR)')
    where = ("-w", str(place))
    said += run("source", "add", "city", "odd", str(tmp_path / "odd.duckdb"), *where)
    said += run("source", "describe", "city", "odd", *where)
    said += run("source", "add", "city", name, "x", *where)
    said += run("source", "describe", name, name, *where)
    said += run("person", "add", "city", name, "--role", name, *where)
    said += run("passport", "state", name, *where) + run("secret", "set", "city", name, *where)
    said += run("doctor", "--seconds", "0", *where)
    assert said and not steers(said)
    assert not any(
        line.startswith(("refused: forged", '{"error": "none"')) for line in said.split("\n")
    )


@pytest.mark.parametrize("escape", ["\\x1b[2J", "\\u202e", "\\u200b", "\\0", "\\r", "\\x9b", "\\a"])
def test_a_yaml_escape_hides_nothing(escape: str) -> None:
    """`"\\x1b"` is visible in the file and not in the value: refused, as value and as key."""
    for text in (f'title: "a{escape}b"', f'"a{escape}b": 1', f'- "a{escape}b"'):
        with pytest.raises(UsageError, match="hidden character") as caught:
            read_yaml(text, "passport.yaml")
        assert caught.value.where == "passport.yaml, line 1"
    assert read_yaml('title: "a\\nb\\tc"').value == {"title": "a\nb\tc"}
