"""A sealed passport is verified first, parsed once, and says what nodes enforce."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridleway.errors import BridlewayError, Gap, Refused, UsageError
from bridleway.keys.dsse import seal as seal_envelope
from bridleway.model.canonical import canonical_json, sha256_hex
from bridleway.model.passport import PAYLOAD_PASSPORT, PAYLOAD_STATEMENT
from bridleway.passport.seal import passport_from_body, read_sealed, seal
from tests.support.recorded import told_why

from .made import ANN, EVE, FROM, KEY, SAM, UNTIL, body, field, known, passport, person


def test_what_is_sealed_is_read_back_with_the_digest_of_its_bytes() -> None:
    """The digest is the SHA-256 of the payload; every accessor comes from the text."""
    read = read_sealed(seal(body(), SAM.signer), known())
    assert read.digest == sha256_hex(canonical_json(body()))
    assert (read.id, read.version, read.author, read.linker) == ("renters", 1, SAM.id, "linker")
    assert (read.valid_from, read.valid_until, read.most_runs) == (FROM, UNTIL, 12)
    assert read.tables["health"].at == (("health", "records", "conditions"),)
    assert read.fields["housing"]["nhs_number"].form == "key-only"
    assert set(read.fields["housing"]) == {"nhs_number", "area", "tenure"}
    assert read.questions[0].technique == "linked"
    assert read.controllers["jobs"] == ("jobs.claims",)


def test_a_changed_byte_is_refused() -> None:
    """Nothing is read from a text whose signature does not verify."""
    envelope = json.loads(seal(body(), SAM.signer))
    text = base64.b64decode(envelope["payload"]).replace(b'"runs":12', b'"runs":99')
    envelope["payload"] = base64.b64encode(text).decode()
    with told_why(Refused) as caught:
        read_sealed(json.dumps(envelope).encode(), known())
    assert caught.value.code == "bad-signature"


def test_a_key_nobody_vouches_for_is_refused() -> None:
    """The author's key has to be certified."""
    with told_why(Refused) as caught:
        read_sealed(seal(body(), SAM.signer), known(ANN))
    assert caught.value.code == "unknown-signer"


def test_another_persons_signature_is_refused() -> None:
    """Only the author whom the text names seals it."""
    with told_why(Refused) as caught:
        read_sealed(seal(body(), EVE.signer), known())
    assert caught.value.code == "author"


def test_a_second_signature_is_refused() -> None:
    """A passport has one author, however many would like to sign."""
    envelope = seal_envelope(canonical_json(body()), PAYLOAD_PASSPORT, SAM.signer, EVE.signer)
    with told_why(Refused) as caught:
        read_sealed(envelope, known())
    assert caught.value.code == "author"


@pytest.mark.parametrize(
    ("roles", "held"),
    [
        (("analyst",), ("2026-01-01", "2027-12-31")),
        (("author",), ("2027-11-01", "2027-12-31")),
    ],
)
def test_an_author_without_the_role_at_that_time_is_refused(
    roles: tuple[str, ...], held: tuple[str, str]
) -> None:
    """The role has to begin by the passport's last day."""
    sam = person(SAM.id, *roles, held=held)
    with told_why(Refused) as caught:
        read_sealed(seal(body(), sam.signer), known(sam))
    assert caught.value.code == "author"


def test_an_author_without_the_role_on_the_day_of_submission_is_refused() -> None:
    """Where that day is known, it counts too."""
    sam = person(SAM.id, "author", held=("2026-11-10", "2026-12-31"))
    envelope = seal(body(), sam.signer)
    assert read_sealed(envelope, known(sam), on=date(2026, 11, 10)).author == SAM.id
    with told_why(Refused):
        read_sealed(envelope, known(sam), on=date(2026, 11, 9))


def test_an_author_whose_role_ended_since_leaves_the_passport_readable() -> None:
    """A text that was taken in once is read again, whoever has left."""
    gone = person(SAM.id, "author", held=("2026-01-01", "2026-10-31"))
    envelope = seal(body(), gone.signer)
    assert read_sealed(envelope, known(gone), on=date(2026, 10, 30)).author == SAM.id
    assert read_sealed(envelope, known(gone)).author == SAM.id


def test_another_kind_of_document_is_no_passport() -> None:
    """The payload type is signed, and has to be that of a passport."""
    envelope = seal_envelope(canonical_json(body()), PAYLOAD_STATEMENT, SAM.signer)
    with told_why(Refused):
        read_sealed(envelope, known())


def test_the_same_key_twice_is_refused() -> None:
    """A threshold that is written twice is no threshold."""
    text = canonical_json(body()).replace(b'"runs":12', b'"runs":12,"runs":99')
    with told_why(UsageError):
        read_sealed(seal_envelope(text, PAYLOAD_PASSPORT, SAM.signer), known())


def test_text_that_is_not_canonical_is_refused() -> None:
    """One text has one digest."""
    text = json.dumps(body()).encode()
    with told_why(Refused) as caught:
        read_sealed(seal_envelope(text, PAYLOAD_PASSPORT, SAM.signer), known())
    assert caught.value.code == "not-canonical"


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\u0007", "\ue000", "\ud800"])
def test_characters_that_a_reader_cannot_see_are_refused(hidden: str) -> None:
    """Who signs has seen everything: bidirectional, zero-width and control characters hide text."""
    text = body(title=f"Renters{hidden} in need")
    with told_why(UsageError):
        seal(text, SAM.signer)
    if hidden != "\ud800":  # which cannot even be written as UTF-8
        envelope = seal_envelope(canonical_json(text), PAYLOAD_PASSPORT, SAM.signer)
        with told_why(UsageError):
            read_sealed(envelope, known())


def test_accents_and_line_breaks_are_text() -> None:
    """Only what cannot be seen is refused."""
    assert passport(title="Zoë's renters\n\tand Łódź").body["title"].startswith("Zoë")


def test_an_unknown_field_is_refused() -> None:
    """What no reader of the model knows is not signed by accident."""
    with told_why(UsageError) as caught:
        seal(body() | {"lawfulnes": {}}, SAM.signer)
    assert "lawfulness" in str(caught.value)


def _drop(path: str) -> Callable[[dict[str, Any]], None]:
    def change(made: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        at: Any = made
        for key in parents:
            at = at[key]
        del at[last]

    return change


@pytest.mark.parametrize(
    "path",
    [
        "id", "version", "level", "questions", "technique", "purpose", "purpose.code", "roles",
        "roles.author", "parties", "data", "data.sources", "data.tables", "validity",
        "validity.from", "validity.until", "validity.runs",
    ],
)  # fmt: skip
def test_a_part_that_nodes_enforce_may_not_be_missing(path: str) -> None:
    """The refusal names the part."""
    made = body()
    _drop(path)(made)
    with told_why(Gap) as caught:
        passport_from_body(made, "")
    assert caught.value.where.split(".")[0].split("[")[0] == path.split(".")[0]
    assert caught.value.remedy


def _sources(*listed: dict[str, Any]) -> list[dict[str, Any]]:
    return [*listed, *copy.deepcopy(body()["data"]["sources"][1:])]


_TWO_TABLES = {
    **body()["data"]["tables"],
    "rents": {"at": ["council.housing.rents"]},
}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"version": True}, "version"),
        ({"version": 0}, "version"),
        ({"level": "level-low"}, "level"),
        ({"roles__author": "Sam"}, "roles.author"),
        ({"linker": 7}, "linker"),
        ({"validity__until": "2026-13-01"}, "validity.until"),
        ({"validity__until": "2026-11-23T10:00:00"}, "validity.until"),
        ({"validity__until": "2026-10-01"}, "validity.until"),
        ({"validity__runs": 0}, "validity.runs"),
        ({"users": [{"role": "analyst", "training": "x"}]}, "users[0].node"),
        ({"questions": []}, "questions"),
        ({"questions": [{"id": "by-area", "kind": "gossip", "text": "x"}]}, "questions[0].kind"),
        ({"questions": [body()["questions"][0]] * 2}, "questions[1]"),
        ({"technique": {"areas": {"use": "local"}}}, "questions[0]"),
        ({"data__tables": {"Bad name": {"at": ["a.b.c"]}}}, "data.tables"),
        ({"data__tables__housing": {"at": []}}, "data.tables.housing"),
        ({"data__tables__housing": {"at": ["council.housing"]}}, "data.tables.housing.at"),
        (
            {"data__tables__housing": {"at": ["council.housing.a", "council.housing.b"]}},
            "data.tables.housing",
        ),
        ({"data__sources": body()["data"]["sources"][1:]}, "data.sources"),
        ({"data__sources": body()["data"]["sources"] * 2}, "data.sources[3]"),
        (
            {"data__sources": _sources({"id": "council.housing", "fields": [KEY, KEY]})},
            "data.sources[0].fields[1]",
        ),
        (
            {"data__sources": _sources({"id": "council.housing", "fields": [field("a", "bare")]})},
            "data.sources[0].fields[0].form",
        ),
        (
            {
                "data__sources": _sources(
                    {"id": "council.housing", "fields": [{**KEY, "table": "registr"}]}
                )
            },
            "data.sources[0].fields[0].table",
        ),
        ({"data__tables": _TWO_TABLES}, "data.sources[0].fields[0]"),
        (
            {"data__links": [{"entity": "person", "tables": ["housing", "wrok"]}]},
            "data.links[0].tables",
        ),
        ({"parties__controllers": body()["parties"]["controllers"][:2]}, "parties.controllers"),
        (
            {"parties__controllers": body()["parties"]["controllers"] * 2},
            "parties.controllers[3]",
        ),
        (
            {"parties__controllers": [{"id": "council", "sources": ["health.records"]}]},
            "parties.controllers[0].sources",
        ),
        (
            {"parties__controllers": [{"id": "council", "sources": "council.housing"}]},
            "parties.controllers[0].sources",
        ),
    ],
)
def test_a_part_in_a_form_that_cannot_be_enforced_is_named(
    changes: dict[str, Any], where: str
) -> None:
    """The first such part is named by its path, with a remedy, before anything is signed."""
    with told_why(Gap) as caught:
        seal(body(**changes), SAM.signer)
    assert caught.value.where == where
    assert caught.value.remedy


@pytest.mark.parametrize("rules", [{"smallest": 10}, {"smallest_group": 0}, {"homogeneity": 1}])
def test_disclosure_rules_are_ones_that_exist(rules: dict[str, Any]) -> None:
    """A misspelt threshold is no threshold."""
    with told_why(UsageError):
        seal(body(disclosure=rules), SAM.signer)


def test_a_field_belongs_to_the_table_it_names() -> None:
    """Where a source has several tables, each opens only its own fields."""
    fields = [{**KEY, "table": "register"}, {**field("rent"), "table": "rents"}]
    made = passport(
        data__tables=_TWO_TABLES,
        data__sources=_sources({"id": "council.housing", "fields": fields}),
    )
    assert set(made.fields["housing"]) == {"nhs_number"}
    assert set(made.fields["rents"]) == {"rent"}


def _many(forms: tuple[str, str]) -> dict[str, Any]:
    return {
        "data__tables": {"people": {"at": ["council.housing.p", "health.records.p"]}},
        "data__sources": [
            {"id": "council.housing", "fields": [field("age", forms[0]), field("area")]},
            {"id": "health.records", "fields": [field("age", forms[1])]},
        ],
        "data__links": [],
    }


def test_a_table_of_many_organisations_opens_what_all_of_them_list() -> None:
    """A column that one organisation does not list is open at none."""
    assert set(passport(**_many(("raw", "raw"))).fields["people"]) == {"age"}


def test_organisations_that_open_a_column_in_different_forms_are_a_gap() -> None:
    """No organisation's column opens in the looser form of another's."""
    with told_why(Gap) as caught:
        passport(**_many(("raw", "key-only")))
    assert caught.value.where == "data.tables.people"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    inner = [found for key, item in items for found in _paths(item, (*path, key))]
    return [path, *inner] if path else inner


@given(st.sampled_from(_paths(body())), _JSON)
@example(("disclosure",), True)
def test_whatever_stands_in_a_passport_it_is_read_or_refused_in_one_sentence(
    path: tuple[Any, ...], value: Any
) -> None:
    """No value in any place breaks the reader."""
    made = body()
    at: Any = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    try:
        passport_from_body(made, "")
    except BridlewayError as error:
        assert error.sentence and error.remedy


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda made: made["data"].update(tables={}), "data.tables"),
        (lambda made: made["data"]["links"][0].update(entity="two words"), "data.links"),
    ],
    ids=["no table", "an entity that is no name"],
)
def test_what_stands_for_nothing_is_refused(
    change: Callable[[dict[str, Any]], None], where: str
) -> None:
    """A passport over no table, a link on something that cannot be a name."""
    made = body()
    change(made)
    with told_why(BridlewayError) as caught:
        passport_from_body(made, "")
    assert caught.value.where.startswith(where)


@pytest.mark.parametrize("made", [None, [], "passport", 5])
def test_what_is_no_mapping_is_no_passport(made: Any) -> None:
    """Whatever else JSON can be."""
    with told_why(BridlewayError, match="not a passport"):
        passport_from_body(made, "")
