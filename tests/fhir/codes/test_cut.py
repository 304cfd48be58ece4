"""The cut: k distinct patients behind every released code, the same in whatever order."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import Refused, UsageError
from bridleway.fhir.codes.cut import cut
from bridleway.fhir.codes.cuts import Binding, from_json, make
from bridleway.fhir.codes.fates import fate, tally
from bridleway.fhir.codes.hierarchy import Builder, Hierarchy, build
from bridleway.fhir.codes.seen import Seen
from bridleway.model.canonical import canonical_json, digest_of
from tests.fhir.codes.support import SYSTEM, dags

CONDITIONS = (
    Path(__file__).parents[4] / "shared" / "data" / "fhir" / "synthea-100" / "Condition.ndjson.gz"
)
Pairs = list[tuple[str, int]]

# A little ICD-like tree.
TREE = [
    ("diabetes", "endocrine"), ("type 1", "diabetes"), ("type 2", "diabetes"),
    ("thyroid", "endocrine"), ("goitre", "thyroid"), ("endocrine", "all"), ("heart", "all"),
    ("infarct", "heart"),
]  # fmt: skip


def tree(**options: Any) -> Hierarchy:
    """Return the little tree."""
    return build(SYSTEM, TREE, **options)


def grouped(pairs: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    """Return the patients of each code."""
    found: dict[str, set[int]] = defaultdict(set)
    for code, patient in pairs:
        found[code].add(patient)
    return dict(found)


def told(found: Mapping[str, set[int]], k: int, rng: random.Random) -> dict[str, int | Set[int]]:
    """Return what `cut` takes: bare counts where there are k, or now and then the set."""
    return {
        code: len(who) if len(who) >= k and rng.random() < 0.7 else who
        for code, who in found.items()
    }


def released_patients(pairs: Pairs, made: Mapping[str, str | None]) -> dict[str | None, set[int]]:
    """Return the distinct patients of the records under each released code, from the raw pairs."""
    found: dict[str | None, set[int]] = defaultdict(set)
    for code, patient in pairs:
        found[made[code]].add(patient)
    return found


def by_hand(hierarchy: Hierarchy, pairs: Pairs, k: int, barred: set[str]) -> dict[str, str | None]:
    """The rule, word by word, on the raw pairs: deepest short code first, until none is short."""
    made: dict[str, str | None] = {
        code: code if hierarchy.known(code) and code not in barred else None for code, _ in pairs
    }

    def below(top: str) -> set[str]:
        """Codes under a top in the tree of primary parents, itself included."""
        found = set()
        for code in hierarchy.codes:
            at: str | None = code
            while at is not None and at != top:
                at = hierarchy.primary(at)
            if at == top:
                found.add(code)
        return found

    while True:
        counts = released_patients(pairs, made)
        short = [code for code in counts if code is not None and len(counts[code]) < k]
        if not short:
            return made
        code = max(short, key=lambda one: (hierarchy.depth(one), one))
        inner = below(code)
        if any(to in inner and to != code for to in made.values()):
            target: str | None = code  # its own "not otherwise specified" meets its children
        else:
            target = hierarchy.primary(code)
            target = None if target in barred else target
        merged = {code} if target is None else below(target)
        for one, to in made.items():
            if to in merged:
                made[one] = target


@st.composite
def cases(draw: st.DrawFn) -> tuple[Hierarchy, Pairs, int, int]:
    """Return a hierarchy, pairs of code and patient, k, and a seed."""
    hierarchy, _ = draw(dags())
    names = [*hierarchy.codes, "never heard of"]
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(names), st.integers(0, 9)), min_size=1, max_size=50)
    )
    return hierarchy, pairs, draw(st.integers(1, 5)), draw(st.integers(0, 99))


def barred(hierarchy: Hierarchy, withheld: Iterable[str]) -> set[str]:
    """Return the withheld codes and what stands above them."""
    return {up for code in withheld for up in (code, *hierarchy.ancestors(code))}


@given(cases(), st.none() | st.integers(0, 3), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_released_code_has_k_distinct_patients(
    case: tuple[Hierarchy, Pairs, int, int], swallow: int | None, all_released: bool
) -> None:
    """Counted from the raw pairs; every released code is the recorded one or stands above it."""
    hierarchy, pairs, k, seed = case
    withheld = () if all_released else None
    made = cut(
        hierarchy,
        told(grouped(pairs), k, random.Random(seed)),
        k,
        swallow=swallow,
        withheld=withheld,
    )
    for released, patients in released_patients(pairs, made).items():
        assert released is None or len(patients) >= k
    for code, to in made.items():
        assert to is None or to == code or to in hierarchy.ancestors(code)
        assert to is None or all_released or to not in hierarchy.withheld


@given(cases(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_cut_is_what_the_rule_says(
    case: tuple[Hierarchy, Pairs, int, int], all_released: bool
) -> None:
    """The rule followed step by step over the raw pairs gives the same cut."""
    hierarchy, pairs, k, seed = case
    withheld = () if all_released else hierarchy.roots
    made = cut(hierarchy, told(grouped(pairs), k, random.Random(seed)), k, withheld=withheld)
    assert made == by_hand(hierarchy, pairs, k, barred(hierarchy, withheld))


@given(cases(), st.none() | st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_a_cut_applied_to_its_own_output_changes_nothing(
    case: tuple[Hierarchy, Pairs, int, int], swallow: int | None
) -> None:
    """Whatever was released once is released as it is."""
    hierarchy, pairs, k, _ = case
    made = cut(hierarchy, grouped(pairs), k, swallow=swallow)
    after = [(to, patient) for code, patient in pairs if (to := made[code]) is not None]
    again = cut(hierarchy, grouped(after), k, swallow=swallow)
    assert all(to == code for code, to in again.items())


@given(cases(), st.none() | st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_input_changes_nothing(
    case: tuple[Hierarchy, Pairs, int, int], swallow: int | None
) -> None:
    """Shuffled pairs, other forms of the counts and other numbers of patients: the same cut."""
    hierarchy, pairs, k, seed = case
    rng = random.Random(seed)
    made = cut(hierarchy, grouped(pairs), k, swallow=swallow)
    other = list(range(10))
    rng.shuffle(other)
    shuffled = [(code, other[patient]) for code, patient in pairs]
    rng.shuffle(shuffled)
    assert list(cut(hierarchy, told(grouped(shuffled), k, rng), k, swallow=swallow).items()) == (
        list(made.items())
    )


@given(cases())
@settings(max_examples=100, deadline=None)
def test_the_input_is_left_as_it_was(case: tuple[Hierarchy, Pairs, int, int]) -> None:
    """The caller's sets stay the caller's."""
    hierarchy, pairs, k, _ = case
    found, same = grouped(pairs), grouped(pairs)
    cut(hierarchy, found, k)
    assert found == same


@given(cases())
@settings(max_examples=100, deadline=None)
def test_a_code_stays_unless_it_or_a_sibling_needed_it(
    case: tuple[Hierarchy, Pairs, int, int],
) -> None:
    """Where every recorded code has k patients, nothing happens but to withheld ones."""
    hierarchy, pairs, k, _ = case
    enough = [(code, patient) for code, _ in pairs for patient in range(k)]
    made = cut(hierarchy, grouped(enough), k)
    for code, to in made.items():
        assert to == (code if hierarchy.known(code) and code not in hierarchy.withheld else None)


@given(cases(), st.sets(st.integers(0, 9)))
@settings(max_examples=100, deadline=None)
def test_one_cut_serves_every_part_of_the_data(
    case: tuple[Hierarchy, Pairs, int, int], first: set[int]
) -> None:
    """Jobs over part of the patients and over all, under one cut, differ by whole released records."""
    hierarchy, pairs, k, _ = case
    made = cut(hierarchy, grouped(pairs), k)
    part = [(made[code], patient) for code, patient in pairs if patient in first]
    rest = [(made[code], patient) for code, patient in pairs if patient not in first]
    whole = [(made[code], patient) for code, patient in pairs]
    assert sorted(map(str, part + rest)) == sorted(map(str, whole))
    # A fresh cut over the part may release what the whole never did: why one is bound and reused.
    assert {to for to, _ in part} <= {to for to, _ in whole}


@given(cases())
@settings(max_examples=100, deadline=None)
def test_without_a_hierarchy_short_codes_are_redacted(
    case: tuple[Hierarchy, Pairs, int, int],
) -> None:
    """Nothing to climb: k patients or nothing."""
    _, pairs, k, seed = case
    found = grouped(pairs)
    made = cut(None, told(found, k, random.Random(seed)), k)
    assert made == {code: code if len(who) >= k else None for code, who in found.items()}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6))), st.integers(1, 4), st.data())
def test_counting_stops_at_k(pairs: Pairs, k: int, data: st.DataObject) -> None:
    """Seen in two places and taken together is seen in one; fewer than k are kept by number."""
    split = data.draw(st.integers(0, len(pairs)))
    one, two = Seen(k), Seen(k)
    for code, patient in pairs[:split]:
        one.add(code, patient)
    for code, patient in pairs[split:]:
        two.add(code, patient)
    one.take(two)
    assert one.patients() == {
        code: k if len(who) >= k else who for code, who in grouped(pairs).items()
    }


def test_a_rare_code_takes_its_siblings_under_the_parent() -> None:
    """Three with type 1 and fifty with type 2 have diabetes; the heart is left alone."""
    made = cut(tree(), {"type 1": {1, 2, 3}, "type 2": 50, "infarct": 12, "goitre": 30}, 10)
    assert made == {
        "goitre": "goitre", "infarct": "infarct", "type 1": "diabetes", "type 2": "diabetes"
    }  # fmt: skip


def test_merging_goes_on_while_it_falls_short() -> None:
    """The same three people have both types: five in all, so the next parent is needed."""
    made = cut(tree(), {"type 1": {1, 2, 3}, "type 2": {1, 2, 3, 4, 5}, "goitre": {5, 6, 7}}, 7)
    assert set(made.values()) == {"endocrine"}


def test_below_a_withheld_code_only_the_short_group_goes() -> None:
    """One rare chapter does not take all the others with it."""
    made = cut(tree(), {"type 1": {1, 2}, "infarct": 40, "heart": 20}, 5)
    assert made == {"type 1": None, "infarct": "infarct", "heart": "heart"}
    assert cut(tree(), {"type 1": {1, 2}, "infarct": 40}, 5, withheld=()) == {
        "type 1": "all", "infarct": "all"
    }  # fmt: skip


def test_a_code_recorded_as_the_parent_joins_it() -> None:
    """'Diabetes' alone is one more child of diabetes."""
    assert cut(tree(), {"diabetes": {9}, "type 1": 20, "type 2": 30}, 5) == dict.fromkeys(
        ("diabetes", "type 1", "type 2"), "diabetes"
    )
    assert cut(tree(), {"diabetes": 6, "type 1": 20}, 5) == {
        "diabetes": "diabetes", "type 1": "type 1"
    }  # fmt: skip
    assert cut(tree(), {"diabetes": {9}, "goitre": 8}, 5) == dict.fromkeys(
        ("diabetes", "goitre"), "endocrine"
    )


def test_swallow_spares_what_has_k_itself() -> None:
    """One stray 'endocrine' record does not cost three good codes."""
    counts: dict[str, int | Set[int]] = {
        "endocrine": {1}, "type 1": 20, "type 2": 30, "goitre": {2, 3}, "thyroid": {4, 5}
    }  # fmt: skip
    assert set(cut(tree(), counts, 5).values()) == {"endocrine"}
    assert cut(tree(), counts, 5, swallow=1) == {
        "type 1": "type 1", "type 2": "type 2",
        "endocrine": "endocrine", "goitre": "endocrine", "thyroid": "endocrine",
    }  # fmt: skip
    assert cut(tree(), counts, 6, swallow=1)["thyroid"] is None


def test_retired_codes_count_as_what_replaced_them() -> None:
    """Old and new records of one concept stand together."""
    builder = Builder(SYSTEM)
    for child, parent in TREE:
        builder.edge(child, parent)
    hierarchy = builder.finish(replaced={"IDDM": "type 1"})
    assert cut(hierarchy, {"IDDM": {1, 2}, "type 1": {2, 3}, "gone": {1}}, 3) == {
        "IDDM": "type 1", "type 1": "type 1", "gone": None
    }  # fmt: skip


@given(cases())
@settings(max_examples=100, deadline=None)
def test_nothing_with_k_patients_is_taken_in_under_swallow_0(
    case: tuple[Hierarchy, Pairs, int, int],
) -> None:
    """Short groups meet among themselves; nothing more is redacted than must be."""
    hierarchy, pairs, k, _ = case
    found = grouped(pairs)
    made = cut(hierarchy, found, k, swallow=0)
    for code, who in found.items():
        if len(who) >= k and hierarchy.known(code) and code not in hierarchy.withheld:
            assert made[code] == code


def test_a_fresh_cut_would_be_differenced_and_the_bound_one_is_not() -> None:
    """One patient more, a job later: fresh cuts tell the code of the patient at the edge."""
    before: dict[str, int | Set[int]] = {"type 1": {1, 2}, "type 2": {3, 4, 5, 6}}
    after: dict[str, int | Set[int]] = {"type 1": {1, 2, 7}, "type 2": {3, 4, 5, 6}}
    assert cut(tree(), before, 3)["type 1"] == "diabetes"
    assert cut(tree(), after, 3)["type 1"] == "type 1"
    made = make(bound(tree(), k=3), tree(), before)
    with pytest.raises(Refused, match="data version"):
        from_json(made.to_json(), bound(tree(), k=3, data_version="after" + "0" * 59))
    assert made.release("type 1") == "diabetes"


@pytest.mark.skipif(not CONDITIONS.exists(), reason="the shared samples are not here")
@pytest.mark.parametrize("swallow", [None, 0])
def test_the_sample_of_a_hundred_patients(swallow: int | None) -> None:
    """Real frequencies: nothing vanishes that a parent with k patients can stand for."""
    numbers: dict[str, int] = {}
    pairs: Pairs = []
    seen = Seen(5)
    with gzip.open(CONDITIONS) as file:
        for line in file:
            told = json.loads(line)
            patient = numbers.setdefault(told["subject"]["reference"], len(numbers))
            for coding in told["code"]["coding"]:
                pairs.append((coding["code"], patient))
                seen.add(coding["code"], patient)
    codes = {code for code, _ in pairs}
    # A made-up hierarchy: by the first two digits, then by the first, then all.
    edges = {edge for code in codes for edge in ((code, f"{code[:2]}x"), (f"{code[:2]}x", code[0]))}
    made = build(SYSTEM, [*edges, *((digit, "all") for digit in {code[0] for code in codes})])
    released = cut(made, seen.patients(), 5, swallow=swallow)
    counts = released_patients(pairs, released)
    assert all(len(who) >= 5 for code, who in counts.items() if code is not None)
    # A few first digits stand for fewer than five patients, or have so few left under 0.
    assert sum(to is None for to in released.values()) <= 3
    # Without a hierarchy 59 of 87 codes vanish.
    assert sum(to is None for to in cut(None, seen.patients(), 5).values()) == 59


def test_wrong_calls_are_refused() -> None:
    """k, the limit and the withheld codes are looked at; a bare count below k proves nothing."""
    for wrong in (0, -1, True):
        with pytest.raises(UsageError):
            cut(None, {}, wrong)
    with pytest.raises(UsageError):
        cut(None, {}, 2, swallow=-1)
    with pytest.raises(UsageError):
        cut(tree(), {}, 2, withheld=["nowhere"])
    with pytest.raises(ValueError, match="numbers"):
        cut(None, {"a": 1}, 2)


def bound(one: Hierarchy | None, **other: Any) -> Binding:
    """Return a binding."""
    given = {
        "system": SYSTEM, "k": 5, "data_version": "d" * 64, "passport": "p" * 64,
        "hierarchy": one.digest if one else "",
    }  # fmt: skip
    return Binding(**(given | other))


def test_a_cut_is_written_and_read_again() -> None:
    """The document says the same after a round through JSON, and nothing of unknown codes."""
    hierarchy = tree()
    made = make(
        bound(hierarchy),
        hierarchy,
        {"type 1": {1}, "type 2": 9, "heart": {2}, "infarct": {3}, "goitre": 7, "Mr Smith": {1}},
    )
    assert made.unknown == 1
    text = canonical_json(made.to_json())
    assert b"Smith" not in text
    again = from_json(json.loads(text), bound(hierarchy))
    assert again == made
    assert again.release("type 1") == "diabetes"
    assert again.release("Mr Smith") is None
    assert fate(again, "Mr Smith") == "unknown"
    records = {"type 1": 2, "type 2": 9, "heart": 1, "infarct": 1, "goitre": 8, "Mr Smith": 3}
    assert tally(again, records) == {"kept": 8, "generalised": 11, "redacted": 2, "unknown": 3}
    assert [fate(again, code) for code in ("goitre", "type 1", "heart")] == [
        "kept", "generalised", "redacted"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        {"k": 6}, {"data_version": "e" * 64}, {"passport": "q" * 64}, {"hierarchy": "h" * 64},
        {"system": "http://example.org/other"}, {"swallow": 0}, {"withheld": ("all",)},
    ],
)  # fmt: skip
def test_a_cut_is_not_reused_for_something_else(other: dict[str, Any]) -> None:
    """Each thing that it is bound to is looked at."""
    hierarchy = tree()
    document = make(bound(hierarchy), hierarchy, {"type 1": 9}).to_json()
    with pytest.raises(Refused):
        from_json(document, bound(hierarchy, **other))


def resealed(other: dict[str, Any]) -> dict[str, Any]:
    """Return a cut with other content under a digest that fits."""
    body = make(bound(None), None, {"a": 9}).to_json() | other
    del body["digest"]
    return body | {"digest": digest_of(body)}


def test_damaged_cuts_are_refused() -> None:
    """Another content, another format, no document at all."""
    document = make(bound(None), None, {"a": 9}).to_json()
    for damaged in (
        None, [], {}, document | {"codes": {"a": "b"}}, document | {"format": "other"},
        document | {"digest": "0" * 64}, {"format": document["format"]},
        *map(resealed, ({"unknown": "1"}, {"codes": {"a": 1}}, {"codes": 7}, {"binding": None},
                        {"binding": {"withheld": None}}, {"binding": {"k": 5}})),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            from_json(damaged, bound(None))


def test_the_hierarchy_must_be_the_bound_one() -> None:
    """A cut cannot be made under another hierarchy's name."""
    with pytest.raises(UsageError):
        make(bound(None), tree(), {})
