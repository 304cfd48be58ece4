"""Pseudonyms: the same within a project, others elsewhere, never the identifier, never the key."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.errors import Refused, UsageError
from bridleway.extract import engine
from bridleway.extract.afterwards import Own
from bridleway.extract.chance import derived
from bridleway.extract.locally import Pseudonym
from bridleway.extract.pseudonyms import Names, pseudonym
from bridleway.extract.recipe import read_recipe
from bridleway.extract.write import FORMATS
from bridleway.sources.spelling import spelled
from tests.extract.test_changes import extract

NHS = ("9434765919", "943 476 5919", "9434765870", None, "1234567890", "")


def own(project: str) -> Own:
    return Own(b"c" * 32, Names(hashlib.sha256(project.encode()).digest(), spelled))


def body(**columns: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"nhs": {"class": "pseudonym"}, "area": "quasi-identifier"}
    return {
        "columns": {**told, **columns},
        "pseudonyms": {"why": "follow-up after a year"},
        "k": 3,
        "suppression": 0,
    }


def patients(number: int = 60) -> pa.Table:
    return pa.table(
        {
            "nhs": [f"{7 * n:010}" for n in range(number)],
            "area": ["n" if n % 2 else "s" for n in range(number)],
        }
    )


def test_a_pseudonym_is_the_keyed_hash_of_the_identifier() -> None:
    """RFC 2104 by the standard library: 128 bits, in one spelling; missing and invalid are gone."""
    names = Names(b"s" * 32, spelled)
    made = pseudonym(pa.array(NHS), Pseudonym("who", "nhs-number"), names).to_pylist()
    key = derived(b"s" * 32, "extract pseudonym 1", "nhs-number")
    wanted = hmac.new(key, b"9434765919", hashlib.sha256).digest()[:16].hex()
    assert made[:2] == [wanted, wanted]
    assert made[2] not in (None, wanted)
    assert made[3:] == [None, None, None]


def test_without_a_type_text_counts_as_it_stands() -> None:
    """But for blanks around it; numbers and text of the same digits agree."""
    names = Names(b"s" * 32, spelled)
    texts = pseudonym(pa.array([" 12", "12", "012", None, " "]), Pseudonym("ref"), names)
    first, second, third, fourth, fifth = texts.to_pylist()
    assert first == second != third and fourth is None and fifth is None
    assert pseudonym(pa.array([12]), Pseudonym("ref"), names).to_pylist() == [first]
    assert pseudonym(pa.array(["12"]), Pseudonym("other"), names).to_pylist() != [first]


def test_stable_within_a_project_and_different_between_projects(tmp_path: Path) -> None:
    """Two extracts of one project join; those of two share nothing."""
    told = body()
    first = pq.read_table(extract(tmp_path, patients(), told, own("a"), "one").data)
    later = pq.read_table(extract(tmp_path, patients(80), told, own("a"), "two").data)
    other = pq.read_table(extract(tmp_path, patients(), told, own("b"), "three").data)
    mine, more, theirs = (set(t["nhs"].to_pylist()) for t in (first, later, other))
    assert len(mine) == 60 and mine < more and not mine & theirs
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in mine | theirs)


@pytest.mark.parametrize("form", FORMATS)
def test_no_identifier_and_no_key_leaves(tmp_path: Path, form: str) -> None:
    """Nothing of them stands in any file; the order of rows is not that of the identifiers."""
    made = extract(tmp_path, patients(), body(), own("a"))
    held = b"".join(path.read_bytes() for path in made.folder.iterdir())
    for identifier in patients()["nhs"].to_pylist()[10:]:
        assert identifier.encode() not in held
    assert own("a").names.secret not in held
    out = pq.read_table(made.data)
    for area in "ns":
        found = [r["nhs"] for r in out.to_pylist() if r["area"] == area]
        assert found == sorted(found)


def test_the_engine_never_sees_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in what it is asked, nor in what it is lent."""
    secret = own("a").names.secret
    seen: list[str] = []
    real = engine.Work.__init__

    def watch(self: Any, expression: Any, lent: Any) -> None:
        seen.append(str(ibis.to_sql(expression, dialect="duckdb")))
        seen.extend(str(one.to_pydict()) for one in lent.values())
        real(self, expression, lent)

    monkeypatch.setattr(engine.Work, "__init__", watch)
    made = extract(tmp_path, patients(), body(), own("a"))
    assert len(seen) >= 3
    keys = [secret, derived(secret, "extract pseudonym 1", "nhs")]
    for text in seen:
        assert not any(key.hex() in text or repr(key) in text for key in keys)
        for one in pq.read_table(made.data)["nhs"].to_pylist():
            assert one not in text


def test_it_is_said_loudly(tmp_path: Path) -> None:
    """In the contract and the report, with the reason that a controller signed."""
    made = extract(tmp_path, patients(), body(), own("a"))
    contract = json.loads((made.folder / "contract.json").read_text())
    assert contract["pseudonyms"] == {"columns": ["nhs"], "why": "follow-up after a year"}
    assert contract["columns"][0]["class"] == "pseudonym"
    for told in (contract, made.report):
        assert any("linkable" in w and "personal data" in w for w in told["warnings"])
    assert "personal data" in (made.folder / "report.html").read_text()
    plain = extract(tmp_path, patients(), body(nhs="identifier") | {"pseudonyms": None}, name="no")
    assert "warnings" not in plain.report


@pytest.mark.parametrize(
    "told",
    [
        {"pseudonyms": None},
        {"pseudonyms": {"why": " "}},
        {"pseudonyms": {"because": "x"}},
        {"pseudonyms": "we need it"},
        {"columns": {"area": "quasi-identifier"}},
        {"columns": {"nhs": {"class": "pseudonym", "key": "abc"}, "area": "quasi-identifier"}},
        {"columns": {"nhs": {"class": "pseudonym", "identifier": 3}, "area": "quasi-identifier"}},
    ],
)
def test_no_pseudonym_without_a_reason(told: dict[str, Any]) -> None:
    """And no reason without one."""
    with pytest.raises(UsageError) as caught:
        read_recipe({**body(), **told})
    assert caught.value.remedy and caught.value.where


def test_k_counts_people_not_their_rows(tmp_path: Path) -> None:
    """Three rows of one person are one person, whom the pseudonym shows."""
    table = pa.table({"nhs": ["1", "1", "1"], "area": ["n"] * 3})
    with pytest.raises(Refused):
        extract(tmp_path, table, body(), own("a"))


def test_rows_that_a_pseudonym_links_do_not_single_out(tmp_path: Path) -> None:
    """Five people in each area, one of them in both: who knows that finds the person."""
    nhs = [*"12345", *"56789"]
    table = pa.table({"nhs": nhs, "area": ["n"] * 5 + ["s"] * 5})
    with pytest.raises(Refused) as caught:
        extract(tmp_path, table, body(), own("a"))
    assert caught.value.code == "linkable"
    assert not (tmp_path / "out").exists()
    # The same rows, nobody linked.
    extract(tmp_path, table, body(nhs="entity") | {"pseudonyms": None}, name="apart")
    # Three of them in both areas, and the others three in each: everybody hides among three.
    nhs = [*"123456", *"456789"]
    table = pa.table({"nhs": nhs, "area": ["n"] * 6 + ["s"] * 6})
    made = extract(tmp_path, table, body(), own("a"), "three")
    out = pq.read_table(made.data)
    assert sorted(Counter(out["nhs"].to_pylist()).values()) == [1] * 6 + [2] * 3


def test_the_number_of_rows_is_seen_too(tmp_path: Path) -> None:
    """One of five has four rows in the same class."""
    table = pa.table({"nhs": [*"12345", "5", "5", "5"], "area": ["n"] * 8})
    with pytest.raises(Refused) as caught:
        extract(tmp_path, table, body(), own("a"))
    assert caught.value.code == "linkable"


def test_linked_rows_do_not_tell_a_sensitive_value(tmp_path: Path) -> None:
    """Those who are in both areas are three, and all of them have gout in the south."""
    nhs = [*"123456", *"456789"]
    ill = ["flu", "gout"] * 3 + ["gout"] * 3 + ["flu", "none", "flu"]
    table = pa.table({"nhs": nhs, "area": ["n"] * 6 + ["s"] * 6, "ill": ill})
    told = body(ill={"class": "sensitive", "l": 2})
    with pytest.raises(Refused) as caught:
        extract(tmp_path, table, told, own("a"))
    assert caught.value.code == "linkable"


def command(tmp_path: Path, to: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `bridleway anonymise` with a recipe file."""
    pq.write_table(patients(), tmp_path / "patients.parquet")
    (tmp_path / "recipe.yaml").write_text(json.dumps(body()))
    run = [
        str(Path(sys.executable).with_name("bridleway")), "anonymise",
        str(tmp_path / "patients.parquet"), "--recipe", str(tmp_path / "recipe.yaml"),
        "--to", str(tmp_path / to), *more,
    ]  # fmt: skip
    return subprocess.run(run, capture_output=True, text=True)


def test_the_command_warns_and_takes_a_key(tmp_path: Path) -> None:
    """The same key file, the same pseudonyms; without one they are never made again."""
    key = tmp_path / "project.key"
    key.write_bytes(b"k" * 32)
    done = [command(tmp_path, to, "--key-file", str(key)) for to in ("a", "b")]
    done += [command(tmp_path, to) for to in ("c", "d")]
    assert [d.returncode for d in done] == [0] * 4, done[0].stderr
    assert all("personal data" in d.stdout for d in done)
    assert "in the key file" in done[0].stdout and "gone" in done[2].stdout
    a, b, c, d = (set(pq.read_table(tmp_path / n / "data.parquet")["nhs"].to_pylist())
                  for n in "abcd")  # fmt: skip
    assert a == b and not a & c and not c & d
    key.write_bytes(b"short\n")
    short = command(tmp_path, "e", "--key-file", str(key))
    assert short.returncode == 2 and "short" not in short.stdout + short.stderr
    assert command(tmp_path, "e", "--key-file", str(tmp_path / "none")).returncode == 2
    assert not (tmp_path / "e").exists()
