"""Presets say what their sources say, and a policy or passport can only tighten them."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.disclosure.clear import MeasureFacts, Sensitivity, clear
from bridleway.documents import read_yaml
from bridleway.errors import Fault, UsageError
from bridleway.model.flow import Cell, Combined
from bridleway.model.policy import Rules
from bridleway.model.question import Measure, Question
from bridleway.node.floor import FloorLine, floor_in_words
from bridleway.node.policy_file import DEFAULT_TEXT, policy_from
from bridleway.references import presets
from bridleway.references.presets import Example, Preset, preset

ALL = presets.presets()
ROOT = Path(__file__).resolve().parents[2]


def _released(count: int, rules: Rules) -> int | None:
    """Return what disclosure control releases for a count of people."""
    cell = Cell((), {"people": count, "base": count, "rows": count})
    question = Question(table="t", measures=(Measure("count_people", "people"),), groups=())
    made = clear(
        Combined((cell,), (True,), {}), question, rules, {"people": MeasureFacts()}, Sensitivity()
    )
    values = made.cells[0].values
    return None if values is None else int(values["people"])


@pytest.mark.parametrize(
    ("one", "example"),
    [(one, example) for one in ALL for example in one.examples],
    ids=lambda value: value.label if isinstance(value, Preset) else str(value.count),
)
def test_a_preset_releases_what_its_source_shows(one: Preset, example: Example) -> None:
    """The source's own examples come out as the source has them, through the real rules."""
    assert _released(example.count, one.floor) == example.released


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("opensafely", {"smallest_group": 8, "rounding_counts": 5}),
        ("nhs-england-hes", {"smallest_group": 8, "rounding_counts": 5}),
        ("ons-10-5", {"smallest_group": 10, "rounding_counts": 5}),
        ("ons-cell-key", {"smallest_group": 10, "rounding_counts": 5, "cell_key": True}),
        (
            "sacro",
            {
                "smallest_group": 10, "dominance": True, "dominance_n": 2,
                "dominance_n_share_percent": 90, "dominance_p_percent": 10,
            },
        ),
    ],
)  # fmt: skip
def test_the_known_presets_hold_their_sources_numbers(written: str, rules: dict[str, Any]) -> None:
    """'7 or fewer' is a smallest group of 8; nothing that a source does not name is named."""
    assert dict(preset(written).rules) == rules


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.label)
def test_a_preset_says_where_it_is_from_and_what_it_leaves_out(one: Preset) -> None:
    """Issuer, source with address and edition, differences and rules without a counterpart."""
    assert one.issuer and one.basis and one.covers and one.differs and one.not_here
    assert all(s.title and s.url.startswith("https://") and s.edition for s in one.sources)
    assert preset(one.label) == one


def test_sacro_names_the_rules_that_do_not_apply() -> None:
    """Degrees of freedom and survival tables exist there and not here."""
    told = " ".join(rule for rule, _ in preset("sacro").not_here)
    assert "degrees of freedom" in told and "survival" in told


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.label)
def test_what_a_source_does_not_name_stays_at_the_strict_default(one: Preset) -> None:
    """A preset switches nothing off."""
    assert set(one.floor.looser_than(Rules())) <= set(one.rules)


def test_an_unknown_preset_is_named_with_the_nearest() -> None:
    """A slip of the pen is told with the list."""
    with pytest.raises(UsageError) as told:
        preset("opensafly")
    assert "opensafely" in str(told.value) and "sacro" in str(told.value)
    with pytest.raises(UsageError):
        preset("opensafely@99")
    with pytest.raises(UsageError):
        preset(7)


def test_the_newest_edition_is_meant_where_none_is_written(monkeypatch: Any) -> None:
    """An edition can be held to; the bare name follows the newest."""
    from dataclasses import replace

    old = preset("opensafely")
    new = replace(old, edition=2, rules={"smallest_group": 9})
    monkeypatch.setattr(presets, "presets", lambda: (old, new))
    assert preset("opensafely") == new and preset("opensafely@1") == old


@pytest.mark.parametrize("text", ["preset: x\n", "preset: x\nedition: 1\nrules: {k: 3}\n", "- a\n"])
def test_a_broken_preset_file_is_a_fault(text: str) -> None:
    """A file that was dropped in and lacks a part says which file it is."""
    with pytest.raises(Fault, match="x.yaml"):
        presets._read("x.yaml", text)


# -- policies


def _policy(text: str) -> Rules:
    return policy_from(read_yaml(text, "policy.yaml")).rules


def test_a_policy_can_name_a_preset_and_tighten_it() -> None:
    """The preset's values, stricter entries over them, strict defaults for the rest."""
    assert _policy("policy: 1\npreset: opensafely\n") == Rules(smallest_group=8)
    made = _policy("policy: 1\npreset: opensafely\nrules:\n  rounding_counts: 10\n")
    assert made == Rules(smallest_group=8, rounding_counts=10)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("smallest_group: 7", "smallest_group"),
        ("rounding_counts: 1", "rounding_counts"),
        ("dominance: false", "dominance"),
    ],
)
def test_a_policy_cannot_loosen_a_preset(entry: str, name: str) -> None:
    """The line and the looser entry are named, also where the preset itself is silent on it."""
    with pytest.raises(UsageError) as told:
        _policy(f"policy: 1\npreset: opensafely\nrules:\n  {entry}\n")
    assert f"'{name}' is looser" in str(told.value) and "policy.yaml, line 4" in str(told.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("policy: 1\npreset: nobody\n", "line 2"),
        ("policy: 1\npreset: sacro\nrules:\n  k: 3\n", "line 3"),
        ("policy: 1\nrules: [smallest_group]\n", "line 2"),
    ],
)
def test_a_mistaken_policy_names_its_line(text: str, line: str) -> None:
    """An unknown preset, an unknown rule and a list where a record belongs."""
    with pytest.raises(UsageError) as told:
        _policy(text)
    assert line in str(told.value)


RULES = st.fixed_dictionaries(
    {},
    optional={
        "smallest_group": st.integers(1, 30),
        "rounding_counts": st.integers(1, 30),
        "dominance_n_share_percent": st.integers(1, 100),
        "homogeneity": st.booleans(),
    },
)


@given(st.sampled_from(ALL), RULES)
def test_no_accepted_policy_is_looser_than_its_preset(one: Preset, entries: dict[str, Any]) -> None:
    """Whatever is written beside a preset: it holds, or the file is refused."""
    lines = "".join(f"  {name}: {str(v).lower()}\n" for name, v in entries.items())
    text = (
        f"policy: 1\npreset: {one.label}\nrules:\n{lines}"
        if lines
        else f"policy: 1\npreset: {one.label}\n"
    )
    try:
        rules = _policy(text)
    except UsageError as told:
        assert "looser" in str(told) and one.looser(entries)
    else:
        assert rules.at_least_as_strict_as(one.floor)
        assert all(rules.to_json()[name] == value for name, value in entries.items())


def test_the_default_policy_says_every_rule_in_words() -> None:
    """Each rule has a sentence and the line that it stands on."""
    lines = floor_in_words(read_yaml(DEFAULT_TEXT, "policy.yaml"))
    assert [line.rule for line in lines] == list(Rules().to_json())
    assert all(line.words and "policy.yaml, line" in line.source for line in lines)


def test_a_floor_says_where_each_rule_is_from() -> None:
    """The node's own line, the preset with its source, or the strict default."""
    text = "policy: 1\npreset: opensafely\nrules:\n  rounding_counts: 10\n  secondary: true\n"
    lines: dict[str, FloorLine] = {
        line.rule: line for line in floor_in_words(read_yaml(text, "policy.yaml"))
    }
    assert lines["rounding_counts"].source == "policy.yaml, line 4"
    assert "opensafely@1: OpenSAFELY documentation" in lines["smallest_group"].source
    assert lines["smallest_group"].words == "Cells with fewer than 8 distinct people are withheld."
    assert lines["homogeneity"].source == "the strict default of a node"
    assert "cell_key" in lines and lines["cell_key"].words == "No noise is added."


def test_the_presets_page_is_current() -> None:
    """presets.md is what the script writes from the preset files today."""
    script = ROOT / "docs" / "reference" / "presets_page.py"
    kept = script.with_name("presets.md").read_text(encoding="utf-8")
    assert kept == runpy.run_path(str(script))["page"](), f"run: python {script.relative_to(ROOT)}"


def test_the_notice_names_the_sources_of_presets() -> None:
    """Whoever passes the product on passes the attributions on."""
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for issuer in ("OpenSAFELY", "NHS England", "Office for National Statistics", "SACRO"):
        assert issuer in notice
        assert any(issuer in one.issuer for one in ALL)
