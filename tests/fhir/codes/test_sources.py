"""Hierarchies from RF2, ICD-10, tables and FHIR CodeSystems. All content here is made up."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from bridleway import parts
from bridleway.errors import UsageError
from bridleway.fhir.codes import ecl, sources
from bridleway.fhir.codes.cut import cut
from bridleway.fhir.codes.hierarchies.rf2 import IS_A, REPLACED_BY, SAME_AS
from bridleway.fhir.codes.hierarchy import Hierarchy
from bridleway.fhir.codes.sctid import is_concept_id

STATED_MODULE = "900000000000207008"
ROOT = "138875005"

CONCEPTS = ["id", "effectiveTime", "active", "moduleId", "definitionStatusId"]
RELATIONSHIPS = [
    "id",
    "effectiveTime",
    "active",
    "moduleId",
    "sourceId",
    "destinationId",
    "relationshipGroup",
    "typeId",
    "characteristicTypeId",
    "modifierId",
]
MEMBERS = ["id", "effectiveTime", "active", "moduleId", "refsetId", "referencedComponentId"]
ASSOCIATIONS = [*MEMBERS, "targetComponentId"]


def write(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """Write an RF2 file: tabs, CRLF, a header; cells that are not told are filled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(columns)]
    for row in rows:
        filled = {"effectiveTime": "20240101", "active": "1", "moduleId": STATED_MODULE} | row
        lines.append("\t".join(filled.get(column, "0") for column in columns))
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def concept(code: str, **other: str) -> dict[str, str]:
    """Return a row of the concept file."""
    return {"id": code, **other}


def is_a(number: int, child: str, parent: str, **other: str) -> dict[str, str]:
    """Return a row of the relationship file."""
    row = {"id": f"{number}", "sourceId": child, "destinationId": parent, "typeId": IS_A}
    return row | other


TERMINOLOGY = Path("SnomedCT_Made_Up", "Snapshot", "Terminology")
REFSETS = Path("SnomedCT_Made_Up", "Snapshot", "Refset", "Content")


def release(folder: Path) -> Path:
    """Write a tiny release; the folder's other files must be left alone."""
    write(
        folder / TERMINOLOGY / "sct2_Concept_Snapshot_INT_20240101.txt",
        CONCEPTS,
        [
            concept(ROOT), concept("100001"), concept("100002"), concept("100003"),
            concept("100009", active="0"), concept("100008", active="0"),
            concept("100007", active="0", effectiveTime="20250101"),
        ],
    )  # fmt: skip
    write(
        folder / TERMINOLOGY / "sct2_Relationship_Snapshot_INT_20240101.txt",
        RELATIONSHIPS,
        [
            is_a(1, "100001", ROOT), is_a(2, "100002", ROOT),
            is_a(3, "100003", "100001"), is_a(4, "100003", "100002"),
            is_a(5, "100002", "100001", active="0"),
            is_a(6, "100003", "100001"),  # once more, under another identifier
            is_a(7, "100002", "100003", typeId="363698007"),  # no is-a
            is_a(8, "100009", "100001"),  # of a retired concept
        ],
    )  # fmt: skip
    write(
        folder / TERMINOLOGY / "sct2_StatedRelationship_Snapshot_INT_20240101.txt",
        RELATIONSHIPS,
        [is_a(9, "100001", "100003")],
    )
    write(
        folder / TERMINOLOGY.parent.parent / "Full" / "sct2_Concept_Full_INT_20240101.txt",
        CONCEPTS,
        [concept("100077")],
    )
    write(
        folder / REFSETS / "der2_Refset_SimpleSnapshot_INT_20240101.txt",
        MEMBERS,
        [
            {"id": "u1", "refsetId": "900001", "referencedComponentId": "100001"},
            {"id": "u2", "refsetId": "900001", "referencedComponentId": "100009"},
            {"id": "u3", "refsetId": "900001", "referencedComponentId": "100002", "active": "0"},
            {"id": "u4", "refsetId": "900002", "referencedComponentId": "100003"},
        ],
    )
    write(
        folder / REFSETS / "der2_cRefset_AssociationSnapshot_INT_20240101.txt",
        ASSOCIATIONS,
        [
            association("a1", SAME_AS, "100009", "100003"),
            association("a2", REPLACED_BY, "100008", "100001"),
            association("a3", REPLACED_BY, "100008", "100002"),
            association("a4", "900000000000523009", "100007", "100002"),  # possibly equivalent
        ],
    )
    return folder


def association(number: str, kind: str, old: str, new: str) -> dict[str, str]:
    """Return a row of the association file."""
    return {
        "id": number, "refsetId": kind, "referencedComponentId": old, "targetComponentId": new
    }  # fmt: skip


def load(where: Path, **options: Any) -> Hierarchy:
    """Load by kind, as a policy does."""
    return sources.load(options, where)


def rf2(where: Path, **options: Any) -> Hierarchy:
    """Load an RF2 folder."""
    return load(where, **{"from": "rf2", "folder": "SnomedCT_Made_Up"}, **options)


def test_an_rf2_release_is_loaded(tmp_path: Path) -> None:
    """Active concepts and active, inferred is-a relationships, and nothing else."""
    made = rf2(release(tmp_path))
    assert made.system == "http://snomed.info/sct"
    assert made.codes == ("100001", "100002", "100003", ROOT)
    assert made.parents("100003") == ("100001", "100002")
    assert made.parents("100002") == (ROOT,)
    assert made.withheld == {ROOT}
    assert made.version == "20240101"
    assert ecl.codes("^ 900001", made) == {"100001"}
    assert ecl.codes("< (^ 900001)", made) == {"100003"}
    with pytest.raises(UsageError):
        ecl.codes("^ 900003", made)


def test_retired_concepts_count_as_the_one_that_replaced_them(tmp_path: Path) -> None:
    """Not where there are two, nor where the meaning may differ."""
    made = rf2(release(tmp_path))
    assert [made.current(code) for code in ("100009", "100008", "100007", "100003")] == [
        "100003", None, None, "100003"
    ]  # fmt: skip
    assert cut(made, {"100009": {1}, "100003": {2, 3}, "100008": 50}, 3) == {
        "100009": "100003", "100003": "100003", "100008": None
    }  # fmt: skip


def test_an_extension_overrides_what_it_extends(tmp_path: Path) -> None:
    """Of one component the newest row counts, whichever file it stands in."""
    release(tmp_path)
    snapshot = tmp_path / "SnomedCT_Made_Up" / "Extension" / "Snapshot"
    write(
        snapshot / "sct2_Concept_Snapshot_XX1000000_20240601.txt",
        CONCEPTS,
        [
            concept("21000001105", effectiveTime="20240601"),
            concept("100002", active="0", effectiveTime="20240601"),
            concept("100001", active="0", effectiveTime="20230101"),  # older: does not count
        ],
    )
    write(
        snapshot / "sct2_Relationship_Snapshot_XX1000000_20240601.txt",
        RELATIONSHIPS,
        [
            is_a(20, "21000001105", "100001", effectiveTime="20240601"),
            is_a(4, "100003", "100002", active="0", effectiveTime="20240601"),
        ],
    )
    made = rf2(tmp_path)
    assert made.codes == ("100001", "100003", ROOT, "21000001105")
    assert made.parents("100003") == ("100001",)
    assert made.parents("21000001105") == ("100001",)
    assert made.version == "20240601"
    with pytest.raises(UsageError, match="extension needs the edition"):
        load(
            snapshot.parent, **{"from": "rf2", "folder": "Snapshot"}
        )  # the extension without its edition


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path) -> None:
    """No folder, an empty one, no such option, damaged files."""
    with pytest.raises(UsageError, match="no such folder"):
        rf2(tmp_path)
    (tmp_path / "SnomedCT_Made_Up").mkdir()
    with pytest.raises(UsageError, match="sct2_Concept_Snapshot"):
        rf2(tmp_path)
    release(tmp_path)
    with pytest.raises(UsageError, match="no option 'foldr'"):
        rf2(tmp_path, foldr="x")
    assert rf2(tmp_path, withheld=["100001"]).withheld == {"100001"}
    with pytest.raises(UsageError):
        rf2(tmp_path, withheld="100001")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\tactive\t", "\tis_active\t", "no column 'active'"),
        ("100002\t20240101\t1", "100002\t20240101", "Row 4"),
        ("100002\t20240101\t1", "100002\t20240101\tyes", "Row 4"),
        ("100002\t20240101\t1", "100001\t20240101\t1", "twice"),
        ("100002\t", "10000ü\t", "UTF-8"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    """By file and row, without showing it."""
    path = release(tmp_path) / TERMINOLOGY / "sct2_Concept_Snapshot_INT_20240101.txt"
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new).encode("latin-1"))
    with pytest.raises(UsageError, match=said) as caught:
        rf2(tmp_path)
    assert caught.value.where == path.name


def test_two_rows_of_one_time_must_agree(tmp_path: Path) -> None:
    """Two packages that tell differently of one component are no release."""
    release(tmp_path)
    write(
        tmp_path / "SnomedCT_Made_Up" / "sct2_Concept_Snapshot_XX_20240101.txt",
        CONCEPTS,
        [concept("100001", active="0")],
    )
    with pytest.raises(UsageError, match="differently"):
        rf2(tmp_path)


def test_icd_10_has_chapters_blocks_categories_and_codes(tmp_path: Path) -> None:
    """The WHO's; a chapter may be released, so a rare chapter is redacted alone."""
    made = load(tmp_path, **{"from": "icd10"})
    assert made.system == "http://hl7.org/fhir/sid/icd-10"
    assert made.ancestors("I21.0") == {"I21", "I20-I25", "IX"}
    assert len(made) == 12_542
    assert len(made.roots) == 22
    assert made.withheld == frozenset()
    found: dict[str, int | set[int]] = {
        "I21.0": {1, 2}, "I21.1": {2, 3}, "I21.9": 40, "I20.0": 60, "E11.9": 200, "E11.5": {1},
        "A00.0": {4},
    }  # fmt: skip
    assert cut(made, found, 5) == {
        "I21.0": "I21", "I21.1": "I21", "I21.9": "I21", "I20.0": "I20.0",
        "E11.9": "E11", "E11.5": "E11", "A00.0": None,
    }  # fmt: skip


def test_icd_10_cm_names_its_package(tmp_path: Path) -> None:
    """It is the user's to install."""
    options = {"from": "icd10", "edition": "cm"}
    if importlib.util.find_spec("simple_icd_10_cm") is None:
        with pytest.raises(UsageError, match="simple-icd-10-cm"):
            load(tmp_path, **options)
    else:
        made = load(tmp_path, **options)
        assert made.ancestors("E11.65") == {"E11.6", "E11", "E08-E13", "4"}
        assert made.parents("B99") == ("1",)
    with pytest.raises(UsageError, match="edition"):
        load(tmp_path, **{"from": "icd10", "edition": "gm"})


@pytest.mark.parametrize(
    "text",
    [
        "child,parent\na,b\nc,b\nb,\n",
        "a,b\nc,b\n",
        "\ufeffCode;Parent Code\r\na;b\r\n\r\nc;b\r\n",
        "a\tb\nc\tb\nb\n",
        '"a","b"\n"c"," b "\n',
    ],
)
def test_tables_of_two_columns_are_loaded(tmp_path: Path, text: str) -> None:
    """With and without header, with commas, semicolons or tabs."""
    (tmp_path / "t.csv").write_bytes(text.encode())
    made = load(tmp_path, **{"from": "table", "file": "t.csv", "system": "http://example.org/x"})
    assert made.codes == ("a", "b", "c")
    assert made.parents("c") == ("b",)
    assert made.roots == ("b",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\na,b\n", "twice"),
        ("a,b\nb,a\n", "goes round"),
        ("a,b,c\n", "more than two"),
        (",b\n", "no code"),
        ('a,"b\n', "not CSV"),
        ("", "no codes"),
        ("child,parent\n", "no codes"),
        ("a,\xff\n", "UTF-8"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str, said: str) -> None:
    """One clear sentence each."""
    (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=said) as caught:
        load(tmp_path, **{"from": "table", "file": "t.csv", "system": "http://example.org/x"})
    assert caught.value.where.startswith("t.csv")


def test_a_header_can_be_told(tmp_path: Path) -> None:
    """Where the words are others, or are codes."""
    (tmp_path / "t.csv").write_text("child,parent\na,b\n")
    options = {"from": "table", "file": "t.csv", "system": "http://example.org/x"}
    assert load(tmp_path, **options, header=False).known("child")
    assert not load(tmp_path, **options).known("child")
    (tmp_path / "t.csv").write_text("unten,oben\na,b\n")
    assert not load(tmp_path, **options, header=True).known("unten")
    with pytest.raises(UsageError):
        load(tmp_path, **options, header="maybe")
    with pytest.raises(UsageError, match="system"):
        load(tmp_path, **{"from": "table", "file": "t.csv"})
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path, **options | {"file": "none.csv"})


def code_system(folder: Path, **told: Any) -> Hierarchy:
    """Write a CodeSystem and load it."""
    body = {
        "resourceType": "CodeSystem", "url": "http://example.org/cs", "version": "3",
        "content": "complete", "hierarchyMeaning": "is-a",
    } | told  # fmt: skip
    (folder / "cs.json").write_text(json.dumps(body))
    return load(folder, **{"from": "code_system", "file": "cs.json"})


def of(code: str, value: str, kind: str = "valueCode") -> dict[str, Any]:
    """Return a property of a concept."""
    return {"code": code, kind: {"code": value} if kind == "valueCoding" else value}


def test_code_systems_are_loaded_nested_and_by_property(tmp_path: Path) -> None:
    """Nesting, parents, children, and properties that are named otherwise, all at once."""
    made = code_system(
        tmp_path,
        property=[
            {"code": "up", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
            {"code": "colour", "type": "string"},
        ],
        concept=[
            {"code": "top", "concept": [
                {"code": "a", "property": [of("parent", "top"), of("colour", "red")]},
                {"code": "b", "concept": [{"code": "d"}]},
            ]},
            {"code": "c", "property": [of("up", "a", "valueCoding"), of("parent", "b")]},
            {"code": "e", "property": [of("child", "d", "valueString")]},
        ],
    )  # fmt: skip
    assert made.system == "http://example.org/cs"
    assert made.version == "3"
    assert {code: made.parents(code) for code in made.codes} == {
        "top": (), "a": ("top",), "b": ("top",), "c": ("a", "b"), "d": ("b", "e"), "e": ()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"hierarchyMeaning": "part-of"}, "is-a"),
        ({"content": "not-present"}, "without its concepts"),
        ({"concept": []}, "no concepts"),
        ({"resourceType": "ValueSet"}, "not a FHIR CodeSystem"),
        ({"url": None}, "no url"),
        ({"concept": [{"code": "a"}, {"code": "a"}]}, "twice"),
        ({"concept": [{"display": "a"}]}, "not built"),
        ({"concept": ["a"]}, "not built"),
        ({"concept": [{"code": "a", "property": [{"code": "parent"}]}]}, "not built"),
        ({"concept": [{"code": "a", "property": [of("parent", "z")]}]}, "not codes of"),
        ({"concept": [{"code": "a", "property": [of("parent", "a")]}]}, "goes round"),
    ],
)
def test_other_code_systems_are_refused(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    """One clear sentence each."""
    with pytest.raises(UsageError, match=said):
        code_system(tmp_path, **{"concept": [{"code": "a"}]} | told)


def test_deep_nesting_is_no_trouble(tmp_path: Path) -> None:
    """Far more levels than Python's stack would bear in a walk by recursion."""
    concept: dict[str, Any] = {"code": "0"}
    text = json.dumps(concept)
    for at in range(1, 400):
        text = f'{{"code": "{at}", "concept": [{text}]}}'
    (tmp_path / "cs.json").write_text(
        f'{{"resourceType": "CodeSystem", "url": "http://example.org/x", "concept": [{text}]}}'
    )
    assert load(tmp_path, **{"from": "code_system", "file": "cs.json"}).depth("0") == 399
    (tmp_path / "cs.json").write_text('{"a":' * 100_000)
    with pytest.raises(UsageError, match="not JSON"):
        load(tmp_path, **{"from": "code_system", "file": "cs.json"})


def test_kinds_are_found_by_their_file() -> None:
    """Each has a default system and a loader; another kind is refused with the known ones."""
    kinds = parts.names(sources.ROOM)
    assert kinds == ("code_system", "icd10", "rf2", "table", "terminology")
    for kind in kinds:
        module = parts.load(sources.ROOM, kind)
        assert isinstance(module.SYSTEM, str)
        assert callable(module.load)
    assert sources.system({"from": "rf2"}) == "http://snomed.info/sct"
    assert sources.system({"from": "table", "system": "http://example.org/x"}).endswith("/x")
    with pytest.raises(UsageError, match="rf2"):
        sources.load({"from": "rf3"}, Path())
    with pytest.raises(UsageError, match="where it comes from"):
        sources.load({}, Path())


@pytest.mark.parametrize("good", [ROOT, "404684003", "44054006", "10759271000119104"])
def test_identifiers_of_concepts_are_told_by_shape_and_check_digit(good: str) -> None:
    """Any one digit changed, or two neighbours exchanged, is found."""
    assert is_concept_id(good)
    for at, digit in enumerate(good):
        for other in "0123456789":
            assert other == digit or not is_concept_id(good[:at] + other + good[at + 1 :])
    for at in range(len(good) - 1):
        swapped = good[:at] + good[at + 1] + good[at] + good[at + 2 :]
        assert swapped == good or not is_concept_id(swapped)
    assert not is_concept_id(f"{good} ")
    assert not is_concept_id("Mr Smith")
