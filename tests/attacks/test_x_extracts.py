"""Family X: what a file of records tells whoever has it; and G01, G03, G10 for extracts."""

from __future__ import annotations

import csv
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bridleway.errors import BridlewayError
from bridleway.extract import challenge, engine, make, write
from bridleway.extract.tables import anonymise
from tests.attacks.api import SEED, attack, count, guessed, knows
from tests.attacks.extract_lab import Desk, learned
from tests.attacks.standing import is_clean
from tests.extract.test_challenge import clusters, wong

Q = "quasi-identifier"


def out(folder: Path) -> Path:
    """Return a folder that is not there yet."""
    return folder / f"out{len(list(folder.iterdir()))}"


def released(
    folder: Path, rows: list[dict[str, Any]], body: dict[str, Any], form: str = "parquet"
) -> list[dict[str, Any]]:
    """Return the rows that leave; none where it is refused in one clear sentence."""
    try:
        made = anonymise(pa.Table.from_pylist(rows), body, out(folder), form=form)
    except BridlewayError as error:
        assert is_clean(error)
        return []
    return pq.read_table(made.data).to_pylist()


def classes(rows: list[dict[str, Any]], quasi: tuple[str, ...]) -> dict[Any, list[dict[str, Any]]]:
    """Return rows by their quasi-identifiers."""
    made: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        made.setdefault(tuple(row[q] for q in quasi), []).append(row)
    return made


# -- one file


@attack(
    "X01",
    severity="C",
    tried="homogeneity: look somebody up by area and age, and read the one illness of the class",
    weak="k alone: everybody in the class has it",
    holds="a sensitive column has two values or more in every class (l), and by default no class "
    "is far from the whole table (t)",
)
def test_x01(kind: str, tmp_path: Path) -> bool:
    """Forty towns in which some areas have one illness only."""
    rng, won = random.Random(SEED), 0
    for _ in range(count(10, 40)):
        rows = []
        for area in range(12):
            ill = ["flu"] if rng.random() < 0.4 else ["flu", "gout", "asthma"]
            rows += [
                {"area": f"a{area}", "illness": rng.choice(ill)} for _ in range(rng.randint(5, 20))
            ]
        sensitive = "sensitive" if kind == "default" else "plain"
        body = {"columns": {"area": Q, "illness": sensitive}, "k": 5}
        found = classes(released(tmp_path, rows, body), ("area",))
        won += any(len({row["illness"] for row in c}) == 1 for c in found.values())
    return won > 0


@attack(
    "X02",
    severity="H",
    tried="skewness: find the class in which a rare illness is frequent",
    weak="l = 2 alone: a class with one healthy person in it tells of everybody else",
    holds="t-closeness: no class is farther than 0.3 from the whole table",
)
def test_x02(kind: str, tmp_path: Path) -> bool:
    """One in a hundred has it in all, nine in ten in one street."""
    rows = [{"street": "s0", "illness": "HIV"}] * 9 + [{"street": "s0", "illness": "none"}]
    rows += [
        {"street": f"s{n % 9 + 1}", "illness": "HIV" if n < 2 else ["none", "flu"][n // 9 % 2]}
        for n in range(1090)
    ]
    said: Any = {"class": "sensitive", "l": 2} if kind == "weak" else "sensitive"
    body = {"columns": {"street": Q, "illness": said}, "k": 5}
    found = classes(released(tmp_path, rows, body), ("street",))
    share = [Counter(r["illness"] for r in c)["HIV"] / len(c) for c in found.values()]
    return max(share, default=0) > 0.5


@attack(
    "X03",
    severity="C",
    tried="somebody whose area is missing, or whose illness is: alone in a class that tools which "
    "drop missing values do not count",
    weak="a grouping that drops missing values says k = 5 and lets the table go",
    holds="a missing value is a value: its class has k people and l values, or does not leave",
    ways=("quasi-identifier", "sensitive"),
)
def test_x03(kind: str, way: str, tmp_path: Path) -> bool:
    """A null singleton, which such a grouping reads as k = 5 (pycanon: as k of the others)."""
    rows: list[dict[str, Any]] = [
        {"area": area, "illness": ill} for area in "ab" for ill in ("flu", "gout") * 5
    ]
    if way == "quasi-identifier":
        rows.append({"area": None, "illness": "flu"})
    else:
        rows += [{"area": "c", "illness": None}] * 6
    body = {"columns": {"area": Q, "illness": {"class": "sensitive", "l": 2}}, "k": 5}
    if kind == "weak":  # what `groupby` of data frames does by default
        known = Counter(row["area"] for row in rows if row["area"] and row["illness"])
        left = rows if min(known.values()) >= 5 else []
    else:
        left = released(tmp_path, rows, {**body, "suppression": 0.3})
    found = classes(left, ("area",)).values()
    return any(len(c) < 5 or len({row["illness"] for row in c}) < 2 for c in found)


@attack(
    "X04",
    severity="H",
    tried="unsorted matching: the rows of the file stand as those of a register do",
    weak="rows leave in the order in which they were held: the n-th of a class is the n-th in it",
    holds="rows are sorted by what they say: their order says nothing else",
)
def test_x04(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Guess everybody's illness from the place in the register."""
    if kind == "weak":

        def unsorted(table: Any, solution: Any) -> engine.Work:
            return engine._recoded(table, solution, list(table.columns))

        monkeypatch.setattr(engine, "apply", unsorted)
        monkeypatch.setattr(make.from_counts, "rows_of", lambda *told: None)
    rng = random.Random(SEED)
    rows = [
        {"area": rng.choice("abcd"), "illness": rng.choice(["flu", "gout"])} for _ in range(2000)
    ]
    left = released(tmp_path, rows, {"columns": {"area": Q, "illness": "sensitive"}, "k": 5})
    assert len(left) == len(rows)
    files = {area: iter(c) for area, c in classes(left, ("area",)).items()}
    right = sum(next(files[(row["area"],)])["illness"] == row["illness"] for row in rows)
    if kind == "weak":
        return knows(right, len(rows))
    return guessed(right, len(rows), 0.5)


# -- several files of one source


def _people(number: int = 400) -> list[dict[str, Any]]:
    rng = random.Random(SEED)
    return [
        {
            "nhs": f"p{n:04}", "age": rng.randrange(90), "area": rng.choice("abcdefgh"),
            "job": rng.choice("rstuvwxy"), "illness": f"i{rng.randrange(40):02}",
        }
        for n in range(number)
    ]  # fmt: skip


def _recipe(**level: int) -> dict[str, Any]:
    """Return a recipe: columns at level 1 are hidden."""
    ages = {"class": Q, "hierarchy": {"numbers": {"widths": [5, 15, 45]}}}
    columns: dict[str, Any] = {"age": ages, "area": {"class": Q}, "job": {"class": Q}}
    for name, at in level.items():
        columns[name] = {**columns[name], "level": at}
    columns = {name: columns[name] for name in level}
    columns["illness"] = {"class": "sensitive", "l": 2}
    return {"columns": columns, "k": 5, "suppression": 0.3}


def _two_recodings(desk: Desk) -> None:
    desk.extract(_recipe(age=1, area=1))
    desk.extract(_recipe(age=4, area=0, job=0))


def _one_gone(desk: Desk) -> None:
    desk.extract(_recipe(age=3))
    desk.extract(_recipe(age=3), rows=desk.rows[1:])


def _one_came(desk: Desk) -> None:
    rows = desk.rows
    desk.extract(_recipe(age=3), rows=rows[1:])
    desk.extract(_recipe(age=3), rows=rows)


def _filtered(desk: Desk) -> None:
    desk.rows = [row for row in desk.rows if row["age"] > 4]
    desk.rows = [*desk.rows, {**desk.rows[0], "nhs": "pnew", "age": 2}]
    desk.extract(_recipe(age=3))
    desk.extract(_recipe(age=3), where="age >= 3")


def _spelled_otherwise(desk: Desk) -> None:
    desk.extract(_recipe(age=3))
    spelled = [
        {**row, "nhs": f"00{row['nhs'].upper()[:2]}-{row['nhs'][2:]} "} for row in desk.rows[1:]
    ]
    desk.extract(_recipe(age=3), rows=spelled)


def _three(desk: Desk) -> None:
    """Any two of three recodings meet in eight people or more; all three meet in one."""
    cells = [(x, y, z) for x in "01" for y in "01" for z in "01"]
    rows = [
        {"age": x, "area": y, "job": z, "nhs": f"q{x}{y}{z}{n}", "illness": f"i{x}{y}{z}{n}"}
        for x, y, z in cells
        for n in range(1 if (x, y, z) == ("0", "0", "0") else 8)
    ]
    for name in ("age", "area", "job"):
        body = {"columns": {name: Q, "illness": {"class": "sensitive", "l": 2}}, "k": 5}
        desk.extract(body, rows=rows)


WAYS = {
    "two recodings": _two_recodings,
    "one person gone in the next version": _one_gone,
    "one person more in the next version": _one_came,
    "a WHERE that leaves one person out": _filtered,
    "identifiers spelled otherwise in the next version, one gone": _spelled_otherwise,
    "three recodings that are safe in pairs": _three,
}


@attack(
    "X05",
    severity="C",
    tried="intersection, composition and differencing (Ganta, Kasiviswanathan and Smith 2008): "
    "everybody's quasi-identifiers are known, and several extracts of one source",
    weak="each file is k-anonymous, and together they name somebody's illness",
    holds="people in each meeting of classes of all extracts, or in some and not in others, are k "
    "or more, with l values; who is who is told by a keyed mark of the identifier, however it is "
    "spelled; else the new extract is withheld",
    ways=tuple(WAYS),
)
def test_x05(kind: str, way: str) -> bool:
    """Whoever is learned by several files and by none of them alone."""
    desk = Desk(_people(), compares=kind == "default")
    WAYS[way](desk)
    assert desk.left  # the first leaves in any case
    truth = {row["nhs"].upper(): row["illness"] for row in desk.rows}
    truth |= {row["nhs"].upper(): row["illness"] for row in _people()}
    found = learned(desk.left, "illness")
    return any(truth.get(person) == value for person, value in found.items())


# -- knowing how it was made


@attack(
    "X06",
    severity="H",
    tried="minimality (Wong, Fu, Wang and Pei 2007): why was this class not split? Because all in "
    "one of its streets have HIV",
    weak="all ten are named, though each is one of 35 in the class",
    holds="the same attack is run on the written file before it becomes visible; where it is right "
    "more often than the class alone lets guess, nothing leaves",
    ways=("full-domain", "local"),
)
def test_x06(kind: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Wong's table: the attacker's own reasoning, by hand."""
    if kind == "weak":
        monkeypatch.setattr(challenge.Challenge, "require_lost", lambda self: None)
    source, told = wong(tmp_path)
    register = pq.read_table(source).to_pylist()
    left = released(tmp_path, register, {**told, "recoding": way})
    if not left:
        return False
    streets = Counter(row["street"] for row in register)
    ill = Counter(row["illness"] for row in left)["HIV"]
    # Had they been spread as everywhere, the streets would have been shown apart.
    hidden = {row["street"] for row in left}.isdisjoint(streets)
    guess = [name for name, number in streets.items() if number == ill and hidden]
    truth = [row for row in register if row["street"] in guess]
    return bool(truth) and all(row["illness"] == "HIV" for row in truth)


@attack(
    "X07",
    severity="H",
    tried="downcoding (Cohen 2022): of clusters some are shown finer; those that are not are all "
    "of the kind that could not be",
    weak="nine in ten of the hidden cells are guessed, where the table as a whole misleads",
    holds="the same attack is run on the written file before it becomes visible; where it guesses "
    "more than five cells in a hundred more than without minimality, nothing leaves",
)
def test_x07(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Cohen's clusters: the attacker's own reasoning, by hand."""
    if kind == "weak":
        monkeypatch.setattr(challenge.Challenge, "require_lost", lambda self: None)
    source, told = clusters(tmp_path)
    table = pq.read_table(source).to_pylist()
    left = released(tmp_path, table, told)
    hidden = {row["place"] for row in left if row["kind"] == "*"}
    truth = [row["kind"] for row in table if row["place"] in hidden]
    usual = Counter(row["kind"] for row in table).most_common(1)[0][0]
    shown = Counter(row["kind"] for row in left)
    rest = Counter(row["kind"] for row in table) - shown
    best = rest.most_common(1)[0][0] if truth else usual
    return bool(truth) and guessed(truth.count(best), len(truth), truth.count(usual) / len(truth))


# -- files


@attack(
    "G01",
    severity="H",
    tried="10,000 cells that begin with =, +, -, @, tab, line ends, full-width signs, or with "
    "quotes before them, in quasi-identifiers, sensitive and plain columns and in names of columns",
    weak="a spreadsheet runs what somebody wrote into a form",
    holds="such a text is quoted in a CSV, no two texts become one, and numbers stay numbers; a "
    "column whose name is a formula is refused in a CSV",
)
def test_g01(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """No cell of a CSV is a formula, and what was told apart still is."""
    if kind == "weak":
        monkeypatch.setattr(write, "_plain", lambda column: column)
    rng = random.Random(SEED)
    signs = "=+-@\t\r\n＝＋－＠"
    bodies = ('HYPERLINK("http://x")', "cmd|' /C calc'!A0", "1+1", "", "SUM(A1)", "é😀", "1")
    texts = [
        rng.choice(["", "", "'", "''", " "]) + rng.choice(signs) + rng.choice(bodies)
        for _ in range(count(2_000, 10_000))
    ]
    rows = [
        {"area": rng.choice(texts[:6]), "note": text, "free": text, "number": rng.choice([-5, 7])}
        for text in texts
    ]
    body = {
        "columns": {"area": Q, "note": {"class": "sensitive", "l": 2}, "free": "plain",
                    "number": "plain"},
        "k": 5,
    }  # fmt: skip
    made = anonymise(pa.Table.from_pylist(rows), body, tmp_path / "out", form="csv")
    with made.data.open(encoding="utf-8", newline="") as file:
        told = list(csv.reader(file))
    assert len(told) == len(rows) + 1
    cells = [cell for row in told[1:] for cell in row[:3]]
    formulas = [cell for cell in cells if cell.startswith(tuple(signs))]
    if kind == "default":
        assert {row[3] for row in told[1:]} == {"-5", "7"}
        assert len({row[2] for row in told[1:]}) == len(set(texts))
        with pytest.raises(BridlewayError, match="formula"):
            anonymise(
                pa.table({"=1": ["x"] * 9}), {"columns": {"=1": Q}}, tmp_path / "b", form="csv"
            )
    return bool(formulas)


@attack(
    "G03",
    severity="H",
    tried="join the file with a public register by age, area and job: who is alone in a class?",
    weak="k = 1: most people are, and their illness stands beside them",
    holds="every class of the written file has k people, looked at by SQL before it is visible",
)
def test_g03(kind: str) -> bool:
    """Journalist and prosecutor in one: the register holds everybody who is in the file."""
    desk = Desk(_people())
    body = _recipe(age=0, area=0, job=0)
    if kind == "weak":
        body["columns"]["illness"] = "plain"
        body["k"] = 1
    else:
        body["columns"] = {
            name: {k: v for k, v in one.items() if k != "level"}
            for name, one in body["columns"].items()
        }
    assert desk.extract(body)
    (file,) = desk.left
    sizes = Counter(file.of.values())
    truth = {row["nhs"].upper(): row["illness"] for row in desk.rows}
    found = learned(desk.left, "illness")
    named = [p for p, value in found.items() if sizes[file.of[p]] == 1 and truth[p] == value]
    return bool(named)


@attack(
    "X08",
    severity="C",
    tried="names of the folder: .., absolute, NUL, 300 characters; a link where it is to be "
    "written, and links put in the place of the half-written folder or of its file",
    weak="what is written follows the link, and stands where the attacker wants it",
    holds="the folder is made by its writer and held open; a link in its place stops the extract, "
    "and nothing that is there is written over",
)
def test_x08(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Nothing of the table is outside the folder that was named."""
    rows = [{"area": "secret-marker"}] * 20
    body = {"columns": {"area": Q}, "k": 5}
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    elsewhere.mkdir()
    home.mkdir()
    if kind == "weak":  # a folder that is made under its last name, and believed to be there
        (home / "out").symlink_to(elsewhere)
        (home / "out" / "data.csv").write_text("secret-marker")
        return any(elsewhere.iterdir())
    (home / "out").symlink_to(elsewhere)
    table = pa.Table.from_pylist(rows)
    for name in ("out", "../elsewhere", "x\x00y", "n" * 300, ""):
        with pytest.raises(BridlewayError) as caught:
            anonymise(table, body, home / name)
        assert is_clean(caught.value)
    (home / "out").unlink()
    real = make.write_rows

    def swapped(*told: Any) -> int:
        rows_written = real(*told)
        (partial,) = home.iterdir()
        partial.rename(home / "moved")
        partial.symlink_to(elsewhere)
        return rows_written

    monkeypatch.setattr(make, "write_rows", swapped)
    with pytest.raises(BridlewayError):
        anonymise(table, body, home / "out")
    made = [path for path in elsewhere.rglob("*") if path.is_file()]
    return bool(made) or (home / "out").exists()


_WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from bridleway.extract.tables import anonymise
rows = int(sys.argv[2])
table = pa.table({"area": [str(n % 50) for n in range(rows)], "n": list(range(rows))})
print("go", flush=True)
anonymise(table, {"columns": {"area": "quasi-identifier", "n": "plain"}}, Path(sys.argv[1]))
print("made", flush=True)
"""


@attack(
    "G10",
    severity="M",
    tried="kill the writer at any moment; fill the disk",
    weak="half a file stands under its name, and reads as a whole one",
    holds="written beside, synced, checked, renamed at once; the next run takes the remains away",
)
def test_g10(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """What is there under its name is whole, after every kill."""
    if kind == "weak":
        path = tmp_path / "data.csv"
        with path.open("w") as file:  # written in place, and cut off
            file.writelines(f"{n}\n" for n in range(500))
        return len(path.read_text().splitlines()) == 500
    rng, rows, won = random.Random(SEED), 60_000, []
    target = tmp_path / "place" / "out"
    for _ in range(count(6, 60)):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(target), str(rows)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert child.stdout is not None and child.stdout.readline() == "go\n"
        time.sleep(rng.random() * 0.5)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if target.exists():
            won += [] if _is_whole(target, rows) else ["half a file"]
            for path in target.iterdir():
                path.unlink()
            target.rmdir()
    table = pa.table({"area": ["a"] * 50, "n": list(range(50))})
    body = {"columns": {"area": Q, "n": "plain"}}
    real = make.write_rows

    def full(*told: Any) -> int:
        real(*told)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(make, "write_rows", full)
        with pytest.raises(BridlewayError, match="No space left"):
            anonymise(table, body, target)
    won += ["something is left of a full disk"] if list(target.parent.iterdir()) else []
    anonymise(table, body, target)
    won += [] if _is_whole(target, 50) else ["the next run does not work"]
    won += ["remains"] if [p.name for p in target.parent.iterdir()] != ["out"] else []
    print(won)
    return bool(won)


def _is_whole(folder: Path, rows: int) -> bool:
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True, check=False
    )
    with duckdb.connect() as reader:
        found = reader.read_parquet(str(folder / "data.parquet")).aggregate("count(*)").fetchall()
    return done.returncode == 0 and found == [(rows,)]
