"""None of the sample's direct identifiers leaves, under either shipped policy."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import Any

import orjson

from tests.fhir.support import Made, leaves, references, sample_lines

LONG = 4  # letters from which a text is looked for wherever it may be, as whole words
DIRECT = ("name", "address", "telecom", "identifier", "note", "text", "contact", "photo", "alias")
HUMAN = ("display", "comment", "description", "patientInstruction", "div", "title", "conclusion")
CODED = ("system", "code", "use", "url", "unit", "type", "status")  # vocabulary, of anybody
TIME = re.compile(r"T\d{2}:\d{2}|\d{2}:\d{2}:\d{2}")
WORD = re.compile(r"\w+")
DAY = re.compile(r"\d{4}(-\d{2}(-\d{2}(T00:00:00Z)?)?)?")


def _in_extension(path: tuple[str, ...]) -> bool:
    return any(name in ("extension", "modifierExtension") for name in path)


@cache
def _sample() -> list[dict[str, Any]]:
    return [orjson.loads(line) for _, line in sample_lines()]


@cache
def _identifying() -> tuple[frozenset[str], frozenset[str]]:
    """Return all texts that identify somebody, and the ids of all resources."""
    texts, ids = set(), set()
    for resource in _sample():
        ids.add(resource["id"])
        for path, value in leaves(resource):
            if not isinstance(value, str) or _in_extension(path):
                continue
            named = any(name in DIRECT for name in path[:-1]) and path[-1] not in CODED
            if named or path[-1] in HUMAN or path[-1] in ("text", "value") or (
                path[-1] == "reference"
            ):  # fmt: skip
                texts.add(value)
    return frozenset(texts), frozenset(ids)


def _words(text: str) -> str:
    """Return a text as words with one blank on each side, so that whole words can be looked for."""
    return f" {' '.join(WORD.findall(text.lower()))} "


@cache
def _written(made: Made) -> dict[str, set[tuple[str, ...]]]:
    """Return every text that was written, with the paths at which it stands."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for resource in made.resources():
        for path, value in leaves(resource):
            if isinstance(value, str):
                found[value].add((resource["resourceType"], *path))
    return found


@cache
def _codes() -> frozenset[str]:
    """Return the words of the sample's vocabularies: they may be spelled as somebody is called."""
    found = set()
    for resource in _sample():
        for path, value in leaves(resource):
            if isinstance(value, str) and path[-1] in CODED and not _in_extension(path):
                found.add(_words(value))
    return frozenset(found)


def _words_written(made: Made) -> list[list[str]]:
    """Return the written texts as words, but for names of types, days, and codes of the sample.

    Those may be spelled as a word or a house number is.
    """
    known = _codes()
    return [
        WORD.findall(text.lower())
        for text, paths in _written(made).items()
        if not DAY.fullmatch(text)
        and not all(path[-1] == "resourceType" for path in paths)
        and not (all(path[-1] in ("code", "system") for path in paths) and _words(text) in known)
        and not all(path[-1] == "reference" for path in paths)  # looked at by test_no_original_id
    ]


def test_no_identifying_text_leaves_as_whole_words(shipped: Made) -> None:
    """Names, addresses, telecoms, identifiers, notes, displays and narratives of four letters."""
    texts, _ = _identifying()
    looked_for = {w for t in texts if len(t) >= LONG and (w := _words(t)).strip()} - _codes()
    assert len(looked_for) > 5_000
    found = set()
    for words in _words_written(shipped):
        for start in range(len(words)):
            for end in range(start + 1, len(words) + 1):
                found |= {f" {' '.join(words[start:end])} "} & looked_for
    assert not found


def test_no_part_of_a_name_or_an_address_leaves(shipped: Made) -> None:
    """Each word of them, where no vocabulary has the same."""
    texts = {
        word
        for resource in _sample()
        for path, value in leaves(resource)
        if isinstance(value, str) and {"name", "address"} & set(path) and path[-1] not in CODED
        and not _in_extension(path)
        for word in WORD.findall(value.lower())
        if len(word) >= LONG
    }  # fmt: skip
    vocabulary = {word for words in _codes() for word in words.split()}
    assert len(texts - vocabulary) > 500
    written = {word for words in _words_written(shipped) for word in words}
    assert not (texts - vocabulary) & written


def test_nothing_stands_where_identifiers_and_extensions_stand(shipped: Made) -> None:
    """Shorter ones are found by their place: nothing leaves there at all."""
    for text, paths in _written(shipped).items():
        for path in paths:
            assert not set(path) & set(DIRECT) - {"type"}, path
            assert path[-1] not in HUMAN, path
            if _in_extension(path):
                assert text in (
                    "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                    "masked",
                ), path


def test_no_original_id_leaves(shipped: Made) -> None:
    """Neither as an id nor in a reference nor anywhere else."""
    _, ids = _identifying()
    told = shipped.everything().decode()
    found = set(re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", told))
    assert not found
    assert not ids & set(_written(shipped))
    for resource in shipped.resources():
        assert re.fullmatch(r"[0-9a-f]{32}", resource["id"])
        for one in references(resource):
            assert re.fullmatch(r"[A-Z][A-Za-z]+/[0-9a-f]{32}|#[0-9a-f]{32}", one)


def test_no_time_of_day_leaves(shipped: Made) -> None:
    """Midnight, where an instant must have one, tells nothing."""
    for text, paths in _written(shipped).items():
        assert not TIME.search(text.replace("T00:00:00Z", "")), paths


def test_only_years_leave_under_safe_harbor(safe_harbor: Made) -> None:
    """No day and no month of anything."""
    for text, paths in _written(safe_harbor).items():
        assert not re.fullmatch(r"\d{4}-\d{2}.*", text), paths


def test_report_and_rejections_hold_no_identifying_text(shipped: Made) -> None:
    """What is told about a run names nobody."""
    _, ids = _identifying()
    names = {
        name["family"].lower()
        for resource in _sample()
        if resource["resourceType"] == "Patient"
        for name in resource.get("name", ())
    }
    assert len(names) > 50
    for file in ("report.json", "rejected.jsonl", "report.html"):
        told = (shipped.folder / file).read_text("utf-8")
        assert not ids & set(re.findall(r"[0-9a-f-]{36}", told))
        if file != "report.html":  # its style sheet has words of its own
            assert not names & set(WORD.findall(told.lower()))
