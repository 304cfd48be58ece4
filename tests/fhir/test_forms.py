"""The walks in C do what those in Python do: the same bytes, the same reasons, the same counts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import UsageError
from bridleway.fhir import forms
from bridleway.fhir.engine import Engine
from bridleway.fhir.forms import Forms, plain
from bridleway.fhir.keyed import Keys
from bridleway.fhir.policy import Policy
from bridleway.fhir.reading import policy_of
from bridleway.fhir.resources import REASONS, Wrong
from bridleway.fhir.walks import Tools
from tests.fhir.imported.support import POLICIES, SHARED
from tests.fhir.support import AS_OF, SAMPLE, own, policy, sample_lines, written
from tests.fhir.test_hostile import JSON, NAMES, OTHER, _places, _rich

SHIPPED = ("analytics", "safe-harbor")
OWN = own(
    "{path: Patient.gender, method: keep}",
    "{path: Patient.birthDate, method: generalize, hierarchy: birth-years}",
    "{path: Patient.contact, method: keep}",
    "{path: Patient.multipleBirthInteger, method: keep}",
    "{path: Patient.active, method: keep}",
    "{path: Patient.generalPractitioner, method: keep}",
    "{path: Patient.contained, method: keep}",
    "{path: Observation, method: keep}",
    '{path: "Condition.where(recordedDate.exists()).onset", method: dateShift}',
    "{path: Condition.subject, method: keep}",
    "{path: Questionnaire, method: keep}",
)


class _Codes(dict[Any, Any]):
    """Every code leaves, as itself."""

    def get(self, key: Any, default: Any = None) -> Any:
        return key


@pytest.fixture(scope="session")
def in_c() -> Forms:
    """The walks in C. `make test` builds them where it can."""
    found = forms.built()
    if found is None:
        can = os.environ.get("BRIDLEWAY_CI") and shutil.which("cc")
        assert not can, "There is a C compiler: run make compiled."
        pytest.skip("the walks in C are not built")
    return found


class Pair:
    """One policy at work twice."""

    def __init__(self, told: Policy, in_c: Forms) -> None:
        self.engines = [self._engine(told, one) for one in (forms.in_python(), in_c)]

    @staticmethod
    def _engine(told: Policy, one: Forms) -> Engine:
        codes = {rule.where: _Codes() for rule in told.rules}
        tools = Tools(Keys(b"k" * 32), AS_OF, told.parameters, told.shift_days, told.is_own,
                      codes=codes, forms=one)  # fmt: skip
        return Engine(told, tools)

    def require_alike(self, line: bytes) -> bytes:
        """Compare what becomes of a line; return it, or why it is rejected."""
        python, c = (_told(one, line) for one in self.engines)
        assert c == python, line[:2000]
        assert self.engines[1].counts == self.engines[0].counts
        return python


def _told(engine: Engine, line: bytes) -> bytes:
    try:
        return engine.taken(line)
    except Wrong as wrong:
        return wrong.reason.encode()


_PAIRS: dict[str, Pair] = {}


def _pair(name: str, in_c: Forms) -> Pair:
    if name not in _PAIRS:
        told = policy(OWN) if name == "own" else policy_of(name)
        _PAIRS[name] = Pair(told, in_c)
    return _PAIRS[name]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_line_of_the_sample(name: str, in_c: Forms) -> None:
    """All 38,472 of them under our own policies."""
    pair = Pair(policy(name), in_c)
    assert sum(pair.require_alike(line).startswith(b"{") for _, line in sample_lines()) > 30_000


@pytest.mark.parametrize("name", POLICIES)
def test_lines_under_policies_of_other_tools(name: str, in_c: Forms) -> None:
    """Every fortieth line of each type."""
    pair = Pair(policy_of(str(SHARED / "policies" / name)), in_c)
    seen: dict[str, int] = {}
    for kind, line in sample_lines():
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] % 40 == 1:
            pair.require_alike(line)
    assert len(seen) == 17


@pytest.mark.parametrize("name", [*SHIPPED, "own"])
def test_every_place_of_rich_resources_changed(name: str, in_c: Forms) -> None:
    """Other kinds of values in every place, other names, and each place left out."""
    pair = _pair(name, in_c)
    for one in _rich():
        for changed in _changed(one):
            pair.require_alike(changed)


def _changed(resource: dict[str, Any]) -> Iterator[bytes]:
    places = len(list(_places(resource)))
    for number in range(places):
        for other in OTHER:
            copied = orjson.loads(orjson.dumps(resource))
            holder, key = list(_places(copied))[number]
            holder[key] = other
            yield orjson.dumps(copied)
        copied = orjson.loads(orjson.dumps(resource))
        holder, key = list(_places(copied))[number]
        if isinstance(holder, dict):
            for name in NAMES:
                holder[name] = {"extension": [{"url": "http://x", "valueString": "y"}]}
                yield orjson.dumps(copied)
                del holder[name]
                holder.setdefault(key, 1)
            del holder[key]
            yield orjson.dumps(copied)


@settings(max_examples=400)
@given(
    st.sampled_from(["Patient", "Observation", "Encounter", "Claim", "MedicationRequest",
                     "ExplanationOfBenefit", "Procedure", "Questionnaire"]),
    st.dictionaries(
        st.sampled_from(["gender", "birthDate", "deceasedDateTime", "subject", "code", "status",
                         "valueQuantity", "component", "contained", "period", "class", "participant",
                         "item", "dosageInstruction", "extension", "_status", "_gender", "meta",
                         "text", "issued", "effectiveDateTime", "category", "patient", "name",
                         "active", "multipleBirthInteger", "generalPractitioner", "encounter",
                         "performedPeriod", "total", "insurance", "given", "contact"]),
        JSON, max_size=8),
    st.sampled_from([*SHIPPED, "own", *POLICIES]),
)  # fmt: skip
def test_any_values_of_any_elements(
    in_c: Forms, kind: str, told: dict[str, Any], name: str
) -> None:
    """Generated resources."""
    if name in POLICIES:
        name = str(SHARED / "policies" / name)
    line = json.dumps({"resourceType": kind, "id": "1", **told}).encode()
    _pair(name, in_c).require_alike(line)


_DIGITS = st.text("0123456789", min_size=1, max_size=25)
_NUMBERS = st.builds(
    lambda minus, whole, rest, power: (
        f"{minus}{whole.lstrip('0') or '0'}{'.' + rest if rest else ''}{power}"
    ),
    st.sampled_from(["", "-"]),
    _DIGITS,
    st.one_of(st.just(""), _DIGITS),
    st.sampled_from(["", "", "e5", "E-7", "e+12", "e-305", "e-320", "E-400"]),
)
_PLACES = st.sampled_from(
    ['"value":%s', '"value": %s', '"v":[%s]', '"v":[1, %s]', '"v":"%s"', '"v":"\\"%s"',
     '"v":"x:%s"', '"v":"\\\\","w":%s', '"%s":1', '"v":{"w":"\\\\\\"","x":%s}']
)  # fmt: skip


@settings(max_examples=500)
@given(st.lists(st.tuples(_PLACES, _NUMBERS), min_size=1, max_size=4))
def test_numbers_that_are_no_doubles(in_c: Forms, told: list[tuple[str, str]]) -> None:
    """In numbers and in texts that look like some; anywhere in a line."""
    members = ",".join(place % number for place, number in told)
    line = f'{{"resourceType":"Observation","id":"1",{members}}}'.encode()
    verdicts = [_verdict(one, line) for one in (forms.in_python(), in_c)]
    assert verdicts[0] == verdicts[1]
    zero = f'{{"resourceType":"Observation","id":"1","valueQuantity":{{"value":{told[0][1]}}}}}'
    _pair("own", in_c).require_alike(zero.encode())


def _verdict(one: Forms, line: bytes) -> str:
    try:
        one.parse(line)
    except Wrong as wrong:
        return wrong.reason
    return ""


@pytest.mark.parametrize("depth", [50, 120, 240, 300, 600, 1000, 1020, 5000, 100_000])
@pytest.mark.parametrize("shape", ["lists", "items", "extensions", "contained"])
def test_deep_nesting_is_rejected_and_ends_nothing(in_c: Forms, depth: int, shape: str) -> None:
    """C has no limit of its own to how deep calls go."""
    begins, ends = {
        "lists": ('"contact":' + "[" * depth, "]" * depth),
        "items": ('"item":[{"linkId":"1"' + ',"item":[{"linkId":"1"' * depth, "}]" * (depth + 1)),
        "extensions": (
            '"gender":"male","extension":[{"url":"x"' + ',"extension":[{"url":"x"' * depth,
            "}]" * (depth + 1),
        ),
        "contained": (
            '"contained":[{"resourceType":"Patient","id":"2"'
            + ',"contained":[{"resourceType":"Patient","id":"2"' * depth,
            "}]" * (depth + 1),
        ),
    }[shape]  # fmt: skip
    kind = "Questionnaire" if shape == "items" else "Patient"
    line = f'{{"resourceType":"{kind}","id":"1",{begins}{ends}}}'.encode()
    before = _depth()
    for name in (*SHIPPED, "own", str(SHARED / "policies" / POLICIES[0])):
        told = [_told(one, line) for one in _pair(name, in_c).engines]
        assert all(one.startswith(b"{") or one.decode() in REASONS for one in told)
        if not 400 < depth < 1024:  # about where Python's stack ends
            assert told[0] == told[1]
    assert _depth() == before


def _depth() -> int:
    """Return how deep calls may still go."""

    def deeper(n: int) -> int:
        try:
            return deeper(n + 1)
        except RecursionError:
            return n

    return deeper(0)


@pytest.mark.parametrize("depth", [100, 300, 497, 700, 1010])
def test_deep_references_end_no_run(in_c: Forms, tmp_path: Path, depth: int) -> None:
    """Under Microsoft's policy parts of references are walked: as deep as a line says."""
    inner = b'{"assigner":{"identifier":' * (depth // 2) + b"{}" + b"}}" * (depth // 2)
    line = b'{"resourceType":"Observation","id":"1","subject":{"identifier":%b}}' % inner
    pair = _pair(str(SHARED / "policies" / POLICIES[0]), in_c)
    for _ in range(20):
        assert all(one.startswith(b"{") or one.decode() in REASONS
                   for one in (_told(each, line) for each in pair.engines))  # fmt: skip


def test_a_deep_call_of_a_walk_is_an_error(in_c: Forms) -> None:
    """The limit of the interpreter holds, and is the same afterwards."""
    value: Any = {}
    for _ in range(5000):
        value = {"a": value}
    known: dict[str, Any] = {}

    class Known:
        def __init__(self) -> None:
            self.known = known

        def made(self, key: str) -> Any:
            return known[key]

    known["a"] = in_c.fields(Known(), frozenset(), False)  # type: ignore[arg-type]
    before = _depth()
    for _ in range(3):
        with pytest.raises(RecursionError):
            known["a"](value, in_c.Job())
    assert _depth() == before
    for kind in (in_c.each, in_c.fields, in_c.root, in_c.reference, in_c.coding):
        with pytest.raises((TypeError, AttributeError, SystemError, Wrong)):
            kind.__new__(kind)([1], in_c.Job())  # type: ignore[attr-defined, operator]


@pytest.mark.parametrize("name", ["text", "truth", "whole_number", "number", "date", "instant"])
def test_simple_values(in_c: Forms, name: str) -> None:
    """Every kind of value in every simple walk."""
    values: list[Any] = [
        *OTHER, "2020-01-01", "2020", "2020-02", "2020-02-30", "2020-01-01T10:00:00Z", "20200101xx",
        "0001-01-01", "9999-12-31", "2020-W01-1", "x" * (1 << 20), "x" * ((1 << 20) + 1), 10**30,
        1e-300, -1e-300, 0.0, -0.0, 1e300, "é" * 600_000, 2, "２０２０-０１-０１",
    ]  # fmt: skip
    for value in values:
        told = []
        for one in (forms.in_python(), in_c):
            job = one.Job()
            job.shift = -100
            try:
                told.append((getattr(one, name)(value, job), job.tiny))
            except Wrong as wrong:
                told.append((wrong.reason, None))
        assert told[0] == told[1], value
        assert type(told[0][0]) is type(told[1][0])


def test_lines_too_long_and_lines_that_are_no_resources(in_c: Forms) -> None:
    """Refused before anything of them is walked."""
    long = b'{"resourceType":"Patient","id":"1","x":"%b"}' % (b"x" * (16 << 20))
    for line in (long, long[:-50], b"", b"[]", b"1", b"{", b'{"resourceType":1}', b"\xff", b"null",
                 b'{"resourceType":"Nothing","id":"1"}', b'{"resourceType":"Patient","id":"a b"}',
                 b'{"resourceType":"Patient","id":"%b"}' % (b"1" * 65),
                 b'{"resourceType":"Patient","id":"\xc3\xa9"}', b'{"resourceType":"Patient","id":"-."}',
                 b'{"resourceType":"Patient","id":""}', b'{"resourceType":"Patient"}'):  # fmt: skip
        _pair("analytics", in_c).require_alike(line)


def test_what_is_no_job_is_refused(in_c: Forms) -> None:
    """A walk in C trusts nothing that it is given by Python."""
    for job in (None, 1, plain.Job()):
        with pytest.raises(TypeError):
            in_c.text("a", job)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        in_c.reference(None, in_c.text)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        in_c.parse("text")  # type: ignore[arg-type]


def test_what_was_built_for_another_text_rests(in_c: Forms, tmp_path: Path) -> None:
    """After a change of what they equal nobody is served by yesterday's walks."""
    other = tmp_path / "changed"
    for number, path in enumerate(forms.EQUALS):
        other.write_bytes(path.read_bytes() + b"# changed\n")
        changed = [other if n == number else each for n, each in enumerate(forms.EQUALS)]
        assert not forms.is_same(in_c, changed, forms.WALKS)
    other.write_bytes(forms.WALKS.read_bytes() + b"# changed\n")
    assert not forms.is_same(in_c, forms.EQUALS, other)
    assert forms.is_same(in_c, forms.EQUALS, forms.WALKS)
    assert forms.is_same(in_c, forms.EQUALS, tmp_path / "not-in-a-checkout")


def test_which_walks_work(in_c: Forms, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is built works, unless it is switched off."""
    monkeypatch.delenv(forms.SWITCH, raising=False)
    assert forms.best() is in_c
    monkeypatch.setenv(forms.SWITCH, "0")
    assert forms.best() is forms.in_python()
    monkeypatch.setenv(forms.SWITCH, "1")
    assert forms.best() is in_c
    monkeypatch.setattr(forms, "built", lambda: None)
    with pytest.raises(UsageError, match="make compiled"):
        forms.best()


def test_a_run_writes_the_same_files(in_c: Forms, tmp_path: Path) -> None:
    """Both passes, risk and report, in processes of their own."""
    lines: dict[str, list[bytes]] = {}
    for kind, line in sample_lines():
        lines.setdefault(f"{kind}.ndjson", []).append(line)
    files = {name: told[:300] for name, told in lines.items()}
    source = written(tmp_path / "in", files)
    key = tmp_path / "key"
    key.write_text("11" * 32 + "\n")
    key.chmod(0o600)
    for switch in ("0", "1"):
        command = [
            Path(sys.executable).with_name("bridleway"), "fhir", "anonymise", str(source),
            str(tmp_path / switch), "--key-file", str(key), "--as-of", "2026-11-28",
        ]  # fmt: skip
        subprocess.run(
            command, check=True, capture_output=True, env={**os.environ, forms.SWITCH: switch}
        )
    python, c = (
        {p.name: p.read_bytes() for p in (tmp_path / n).iterdir() if p.suffix != ".html"}
        for n in "01"
    )
    assert {n: t for n, t in python.items() if n != "report.json"} == {
        n: t for n, t in c.items() if n != "report.json"
    }
    assert len(python) > 17
    assert SAMPLE.is_dir()
