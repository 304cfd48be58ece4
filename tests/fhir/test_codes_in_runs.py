"""Codes generalise instead of vanishing: whole runs over sources with a hierarchy."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bridleway.errors import UsageError
from bridleway.fhir.codes import sources
from bridleway.fhir.reading import read_policy
from bridleway.fhir.run import Order, anonymise

LOCAL = "https://example.org/codes"
TREE = [("asthma", "lung"), ("copd", "lung"), ("lung", "illness"), ("gout", "joint"),
        ("arthritis", "joint"), ("joint", "illness"), ("rare", "other"), ("other", "illness")]  # fmt: skip


def write(folder: Path, counts: dict[str, int], system: str = LOCAL) -> None:
    folder.mkdir()
    patients, conditions = [], []
    number = 0
    for code, count in counts.items():
        for _ in range(count):
            number += 1
            patients.append({"resourceType": "Patient", "id": f"p{number}", "gender": "male",
                             "birthDate": "1970-01-01"})  # fmt: skip
            conditions.append({
                "resourceType": "Condition", "id": f"c{number}",
                "subject": {"reference": f"Patient/p{number}"},
                "code": {"coding": [{"system": system, "code": code}], "text": code},
            })  # fmt: skip
    for name, told in (("Patient", patients), ("Condition", conditions)):
        (folder / f"{name}.ndjson").write_text("".join(json.dumps(x) + "\n" for x in told))


def policy(**rule: Any) -> Any:
    told = {
        "default": "redact",
        "fhirPathRules": [
            {"path": "Patient.gender", "method": "keep"},
            {"path": "Condition.subject", "method": "keep"},
            {"path": "Condition.code", "method": "generalize", **rule},
        ],
    }
    return read_policy(json.dumps(told), "policy.json")


def released(tmp_path: Path, told: Any, hierarchies: dict[str, Any]) -> Counter[str]:
    anonymise(Order(tmp_path / "in", tmp_path / "out", told, b"k" * 32, as_of=date(2026, 1, 1),
                    hierarchies=hierarchies, processes=1))  # fmt: skip
    found: Counter[str] = Counter()
    owners: dict[str, set[str]] = defaultdict(set)
    for line in (tmp_path / "out" / "Condition.ndjson").read_text().splitlines():
        one = json.loads(line)
        code = one.get("code", {}).get("coding", [{}])[0].get("code", "")
        found[code] += 1
        owners[code].add(one["subject"]["reference"])
        assert "text" not in one.get("code", {})
    least = max((r.settings.get("minCount", 0) for r in told.rules), default=0)
    assert all(len(who) >= least for code, who in owners.items() if code)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "tree.csv").write_text("".join(f"{a},{b}\n" for a, b in TREE))
    options = {"from": "table", "file": "tree.csv", "system": LOCAL}
    return {LOCAL: sources.load(options, tmp_path)}


def test_a_rare_code_leaves_with_its_siblings_as_their_parent(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    """Climbing alone would release a parent with three patients: the siblings go along."""
    write(tmp_path / "in", {"asthma": 20, "copd": 3, "gout": 8, "arthritis": 9})
    found = released(tmp_path, policy(minCount=5), tree)
    assert found == {"lung": 23, "gout": 8, "arthritis": 9}


def test_short_groups_alone_meet_where_the_policy_says_so(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    """swallow: 0 leaves codes with enough patients as they are."""
    write(tmp_path / "in", {"asthma": 20, "copd": 3, "gout": 4, "arthritis": 2})
    found = released(tmp_path, policy(minCount=5, swallow=0), tree)
    assert found["asthma"] == 20 and found["joint"] == 6


def test_without_a_hierarchy_rare_codes_go(tmp_path: Path) -> None:
    """A code that few have, in a system of which no tree is known, does not leave."""
    write(tmp_path / "in", {"asthma": 20, "copd": 3})
    assert released(tmp_path, policy(minCount=5), {}) == {"asthma": 20, "": 3}


def test_codes_go_up_to_named_ancestors(tmp_path: Path, tree: dict[str, Any]) -> None:
    """`to` names where codes stop; what reaches none of them does not leave."""
    write(tmp_path / "in", {"asthma": 2, "copd": 3, "gout": 4, "rare": 2})
    found = released(tmp_path, policy(hierarchy=LOCAL, to=["lung", "joint"]), tree)
    assert found == {"lung": 5, "joint": 4, "": 2}


def test_named_ancestors_and_a_count_hold_together(tmp_path: Path, tree: dict[str, Any]) -> None:
    """What is still rare at a named ancestor goes on, or goes."""
    write(tmp_path / "in", {"asthma": 20, "copd": 3, "gout": 2})
    found = released(tmp_path, policy(hierarchy=LOCAL, to=["lung", "joint"], minCount=5), tree)
    assert found["lung"] in (23, 0) and found["joint"] == 0
    assert sum(found.values()) == 25


def test_icd_10_is_there(tmp_path: Path) -> None:
    """Three-character categories stand in for rare subcategories, without any file."""
    icd = "http://hl7.org/fhir/sid/icd-10"
    write(tmp_path / "in", {"I21.0": 3, "I21.1": 4, "J45": 9}, icd)
    found = released(tmp_path, policy(minCount=5), {icd: sources.load({"from": "icd10"}, tmp_path)})
    assert found["I21"] == 7 and found["J45"] == 9


def test_a_hierarchy_that_is_not_given_is_asked_for(tmp_path: Path) -> None:
    """A rule that needs a hierarchy never falls back to something weaker."""
    write(tmp_path / "in", {"asthma": 20})
    with pytest.raises(UsageError) as caught:
        released(tmp_path, policy(hierarchy="snomed", to=["1"]), {})
    assert "snomed" in str(caught.value) and "--hierarchy" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_cut_is_by_all_of_a_source_not_by_its_part(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    """Jobs over parts release each code alike, as they were settled over the whole."""
    from bridleway.fhir.bulk.request import ExportRequest

    write(tmp_path / "in", {"asthma": 20, "copd": 3})
    told = policy(minCount=5)
    order = Order(tmp_path / "in", tmp_path / "all", told, b"k" * 32, as_of=date(2026, 1, 1),
                  hierarchies=tree, processes=1)  # fmt: skip
    settled = anonymise(order).settled
    few = ExportRequest("patient", ("Condition",), patients=("Patient/p1", "Patient/p21"))
    part = Order(tmp_path / "in", tmp_path / "part", told, b"k" * 32, as_of=date(2026, 1, 1),
                 hierarchies=tree, processes=1, request=few, settled=settled)  # fmt: skip
    anonymise(part)
    whole = (tmp_path / "all" / "Condition.ndjson").read_text().splitlines()
    lines = (tmp_path / "part" / "Condition.ndjson").read_text().splitlines()
    assert len(lines) == 2 and set(lines) <= set(whole)
    assert all('"lung"' in line for line in lines)
