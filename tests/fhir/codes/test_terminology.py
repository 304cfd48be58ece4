"""A terminology server, met over HTTP: its answers, its moods and its mistakes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridleway.errors import BridlewayError, Fault, Refused, UsageError
from bridleway.fhir.codes import ecl, server, sources
from bridleway.fhir.codes.cut import cut
from bridleway.fhir.codes.nearest import Nearest, targets
from bridleway.fhir.codes.server import Server, read_token

SCT = "http://snomed.info/sct"
ROOT, FINDING, DISEASE, DIABETES = "138875005", "404684003", "64572001", "73211009"
TYPE_1, TYPE_2, RETIRED = "46635009", "44054006", "22298006"
# A few true identifiers, under made-up parents.
PARENTS = {
    ROOT: [], FINDING: [ROOT], DISEASE: [FINDING], DIABETES: [DISEASE],
    TYPE_1: [DIABETES], TYPE_2: [DIABETES, FINDING],
}  # fmt: skip

Answer = tuple[int, dict[str, str], bytes]


class Double:
    """A server that answers as told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.headers: list[dict[str, str]] = []
        self.urls: list[str] = []
        self.next: list[Answer] = []  # answers to give before the usual ones
        self.version = f"{SCT}/900000000000207008/version/20240101"
        self.style = "valueCode"
        self.members = sorted(PARENTS)
        self.total = True
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                double.urls.append(self.path)
                double.asked.append((parts.path, parse_qs(parts.query)))
                double.headers.append(dict(self.headers))
                usual = double.answer(parts.path, parse_qs(parts.query))
                status, headers, body = double.next.pop(0) if double.next else usual
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):  # who asked may have gone
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def base(self) -> str:
        """Return the base address."""
        return f"http://127.0.0.1:{self.http.server_port}/fhir"

    def close(self) -> None:
        """Stop."""
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def answer(self, path: str, query: dict[str, list[str]]) -> Answer:
        """Answer as a well-behaved server."""
        if path.endswith("$lookup"):
            return self.lookup(query["code"][0])
        if path.endswith("$subsumes"):
            pair = (query["codeA"][0], query["codeB"][0])
            outcome = "subsumes" if pair == (DIABETES, TYPE_1) else "not-subsumed"
            return said({"resourceType": "Parameters",
                         "parameter": [{"name": "outcome", "valueCode": outcome}]})  # fmt: skip
        start, count = int(query["offset"][0]), int(query["count"][0])
        contains = [{"system": SCT, "code": c} for c in self.members[start : start + count]]
        expansion: dict[str, Any] = {"contains": contains}
        if self.total:
            expansion["total"] = len(self.members)
        return said({"resourceType": "ValueSet", "expansion": expansion})

    def lookup(self, code: str) -> Answer:
        """Answer $lookup."""
        if code not in PARENTS and code != RETIRED:
            return outcome(404, "not-found")
        properties = [self.property("parent", up) for up in PARENTS.get(code, [])]
        properties.append(
            {"name": "property", "part": [{"name": "code", "valueCode": "inactive"},
                                          {"name": "value", "valueBoolean": code == RETIRED}]}
        )  # fmt: skip
        version = [{"name": "version", "valueString": self.version}]
        return said({"resourceType": "Parameters", "parameter": version + properties})

    def property(self, code: str, value: str) -> dict[str, Any]:
        """Return a property in one of the ways in which servers write it."""
        told: Any = {"system": SCT, "code": value} if self.style == "valueCoding" else value
        return {"name": "property", "part": [{"name": "code", "valueCode": code},
                                             {"name": "value", self.style: told}]}  # fmt: skip


def said(body: Any, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return status, {"Content-Type": "application/fhir+json"}, json.dumps(body).encode()


def outcome(status: int, code: str) -> Answer:
    """Return an OperationOutcome."""
    issue = {"severity": "error", "code": code, "diagnostics": "no such thing"}
    return said({"resourceType": "OperationOutcome", "issue": [issue]}, status)


@pytest.fixture
def double() -> Iterator[Double]:
    """Return a running server."""
    made = Double()
    yield made
    made.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long was waited, without waiting."""
    found: list[float] = []
    monkeypatch.setattr(server.Server.__init__, "__defaults__", (
        *server.Server.__init__.__defaults__[:-1], found.append  # type: ignore[index]
    ))  # fmt: skip
    return found


def options(double: Double, **other: Any) -> dict[str, Any]:
    """Return a policy's words about the server."""
    return {"from": "terminology", "server": double.base} | other


RECORDED = [TYPE_1, TYPE_2]


@pytest.mark.parametrize("style", ["valueCode", "valueString", "valueCoding"])
def test_the_recorded_codes_and_all_above_them_are_asked_for(
    double: Double, tmp_path: Path, style: str
) -> None:
    """Level by level, each code once, in whatever way the server writes a parent."""
    double.style = style
    made = sources.load(options(double), tmp_path, RECORDED)
    assert {code: set(made.parents(code)) for code in made.codes} == {
        code: set(up) for code, up in PARENTS.items()
    }
    assert made.version == double.version
    assert made.withheld == {ROOT}
    codes = [query["code"][0] for _, query in double.asked]
    assert sorted(codes) == sorted(PARENTS)
    assert double.asked[0][1]["system"] == [SCT]
    assert double.asked[0][1]["property"] == ["parent", "inactive"]
    assert made.primary(TYPE_2) == FINDING
    assert cut(made, {TYPE_1: {1}, TYPE_2: 9}, 3)[TYPE_1] == FINDING
    assert Nearest(made, targets(made, [DIABETES])).release(TYPE_2) == DIABETES


def test_what_cannot_be_a_code_is_never_sent(double: Double, tmp_path: Path) -> None:
    """Names and numbers typed into a code's field stay here; unknown and retired codes are unknown."""
    junk = ["Mr Smith", "123-45-6789", "1234567890", "44054007", ""]
    made = sources.load(options(double), tmp_path, [*junk, TYPE_1, RETIRED, "80891009"])
    assert made.codes == tuple(sorted([ROOT, FINDING, DISEASE, DIABETES, TYPE_1]))
    assert not any(text in url for url in double.urls for text in ("Smith", "6789", "44054007"))
    assert not made.known(RETIRED)


def test_answers_are_kept_on_disk(double: Double, tmp_path: Path) -> None:
    """A second run asks nothing; a damaged file is asked for anew; another version is another."""
    first = sources.load(options(double, cache="kept"), tmp_path, RECORDED)
    count = len(double.asked)
    again = sources.load(options(double, cache="kept"), tmp_path, RECORDED)
    assert len(double.asked) == count
    assert again.digest == first.digest
    files = sorted((tmp_path / "kept").iterdir())
    assert len(files) == count
    assert all(file.suffix == ".json" and not file.name.startswith(".") for file in files)
    files[0].write_text('{"parents":')
    files[1].write_text('["something else"]')
    assert sources.load(options(double, cache="kept"), tmp_path, RECORDED).digest == first.digest
    assert len(double.asked) == count + 2
    sources.load(options(double, cache="kept", version=double.version), tmp_path, RECORDED)
    assert len(double.asked) == 2 * count + 2
    assert double.asked[-1][1]["version"] == [double.version]


def test_ecl_is_evaluated_by_the_server(double: Double, tmp_path: Path) -> None:
    """In the implicit value set's address, encoded once; terms and comments are not sent."""
    made = sources.load(options(double, cache="kept"), tmp_path, RECORDED)
    double.members = [DIABETES]
    found = targets(made, f"<< {DIABETES} |Diabetes| MINUS (^ 900001 OR {TYPE_1})")
    assert found == {DIABETES}
    path, query = double.asked[-1]
    assert path == "/fhir/ValueSet/$expand"
    assert query["url"] == [f"{SCT}?fhir_vs=ecl/<< {DIABETES} MINUS (^ 900001 OR {TYPE_1})"]
    assert f"%3Ffhir_vs%3Decl%2F%3C%3C%20{DIABETES}%20MINUS" in double.urls[-1]
    count = len(double.asked)
    assert ecl.codes(f"<<{DIABETES} MINUS (^900001 OR {TYPE_1})", made) == found
    assert len(double.asked) == count


@pytest.mark.parametrize("total", [True, False])
def test_long_expansions_come_in_pages(double: Double, total: bool) -> None:
    """With and without the total that a server may leave out."""
    double.members = [str(100_000 + at) for at in range(2 * server.PAGE + 1)]
    double.total = total
    with Server(double.base, SCT) as opened:
        assert opened.expand("*") == set(double.members)
        assert len(double.asked) == 3
        with pytest.raises(UsageError, match="more than"):
            opened.expand("*", most=server.PAGE)


def test_expansions_that_leave_pages_out_are_refused(double: Double) -> None:
    """A total that is never reached, and a server that gives the first page again and again."""
    page = {"contains": [{"system": SCT, "code": "100001"}], "total": 7}
    double.next = [said({"resourceType": "ValueSet", "expansion": page})] * 3
    with Server(double.base, SCT) as opened, pytest.raises(Fault, match="left out"):
        opened.expand("*")


def test_nested_expansions_and_other_systems(double: Double) -> None:
    """Contained codes count; those of another system do not."""
    contains = [{"system": SCT, "code": "100001", "contains": [{"system": SCT, "code": "100002"}]},
                {"system": "http://loinc.org", "code": "1-8"}, {"display": "a heading"}]  # fmt: skip
    double.next = [said({"resourceType": "ValueSet", "expansion": {"contains": contains}})]
    with Server(double.base, SCT) as opened:
        assert opened.expand("*") == {"100001", "100002"}
        with pytest.raises(UsageError, match="too long"):
            opened.expand("x" * 10_000)


def test_subsumption_is_asked_for(double: Double, tmp_path: Path) -> None:
    """And kept; an unknown code is no answer."""
    with Server(double.base, SCT, cache=tmp_path / "kept") as opened:
        assert opened.subsumes(DIABETES, TYPE_1) == "subsumes"
        assert opened.subsumes(TYPE_1, DIABETES) == "not-subsumed"
        assert opened.subsumes(DIABETES, TYPE_1) == "subsumes"
        assert len(double.asked) == 2
        double.next = [outcome(404, "not-found")]
        with pytest.raises(UsageError):
            opened.subsumes(DIABETES, TYPE_2)
        double.next = [said({"resourceType": "Parameters", "parameter": []})]
        with pytest.raises(Fault):
            opened.subsumes(DIABETES, TYPE_2)


def test_a_busy_server_is_asked_again_when_it_says(double: Double, waits: list[float]) -> None:
    """Seconds, a date, nothing and nonsense; other errors of a moment too."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    double.next = [
        (429, {"Retry-After": "7"}, b""), (503, {"Retry-After": soon}, b""),
        (503, {}, b""), (502, {"Retry-After": "soon"}, b""), (429, {"Retry-After": "0"}, b""),
    ]  # fmt: skip
    with Server(double.base, SCT) as opened:
        found = opened.lookup(TYPE_1)
    assert found is not None and found.parents == (DIABETES,)
    assert waits[0] == 7
    assert 25 <= waits[1] <= 30
    assert waits[2:] == [2.0, 4.0, 0.0]


def test_a_server_that_stays_busy_is_given_up(double: Double, waits: list[float]) -> None:
    """After some tries, or at once if it asks for too long a wait."""
    double.next = [(503, {}, b"")] * 50
    with Server(double.base, SCT) as opened:
        with pytest.raises(Fault, match="503"):
            opened.lookup(TYPE_1)
        assert len(double.asked) == server.TRIES
        assert len(waits) == server.TRIES - 1
        double.next = [(429, {"Retry-After": "86400"}, b"")]
        with pytest.raises(Fault, match="429"):
            opened.lookup(TYPE_1)
        assert len(double.asked) == server.TRIES + 1


def test_a_server_that_is_not_there_or_too_slow(waits: list[float]) -> None:
    """Connections that fail and answers that do not come are tried again, then named."""
    gone = Double()
    gone.close()
    with Server(gone.base, SCT) as opened, pytest.raises(Fault, match="connection"):
        opened.lookup(TYPE_1)
    slow = Double()
    released = threading.Event()
    usual: Callable[..., Answer] = slow.answer

    def late(path: str, query: dict[str, list[str]]) -> Answer:
        released.wait(5)
        return usual(path, query)

    slow.answer = late  # type: ignore[method-assign]
    with Server(slow.base, SCT, timeout=0.05) as opened, pytest.raises(Fault, match="too long"):
        opened.lookup(TYPE_1)
    released.set()
    slow.close()
    assert len(waits) == 2 * (server.TRIES - 1)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"\xff\xfe"),
        (200, {}, b'{"resourceType": "Parameters"'),
        (200, {}, b"[" * 100_000),
        (200, {}, b"null"),
        (200, {}, b"[]"),
        (200, {}, b'{"resourceType": "Patient"}'),
        (200, {}, b'{"resourceType": "Parameters", "parameter": [{"name": "property", "part": ['
                  b'{"name": "code", "valueCode": "parent"}, {"name": "value"}]}]}'),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
        (500, {}, b""),
        (404, {}, b"no such page"),
        (404, {}, b'{"resourceType": "OperationOutcome", "issue": [{"code": "forbidden"}]}'),
        (400, {}, b'{"resourceType": "OperationOutcome", "issue": [{"code": "invalid"}]}'),
        (401, {}, b""),
        (403, {}, b""),
        (307, {"Location": "http://example.org/elsewhere"}, b""),
    ],
)  # fmt: skip
def test_strange_answers_are_faults_that_show_nothing(
    double: Double, waits: list[float], answer: Answer
) -> None:
    """Neither the code nor what the server said."""
    double.next = [answer] * server.TRIES
    with Server(double.base, SCT) as opened, pytest.raises(Fault) as caught:
        opened.lookup(TYPE_1)
    assert TYPE_1 not in str(caught.value)
    assert double.base not in str(caught.value)


def test_answers_that_are_too_large_are_cut_off(
    double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server cannot fill the memory."""
    monkeypatch.setattr(server, "MAX_BYTES", 100)
    with Server(double.base, SCT) as opened, pytest.raises(Fault, match="too large"):
        opened.lookup(TYPE_1)


def test_a_server_that_knows_nothing_is_not_believed(double: Double, tmp_path: Path) -> None:
    """Every code redacted would look like a result."""
    double.next = [outcome(404, "not-found")] * 2
    with pytest.raises(UsageError, match="none of the recorded codes"):
        sources.load(options(double), tmp_path, RECORDED)
    double.next = [said({"resourceType": "Parameters", "parameter": []})] * 2
    with pytest.raises(UsageError, match="tells no parents"):
        sources.load(options(double), tmp_path, RECORDED)


def test_a_server_must_know_the_parents_it_names(double: Double, tmp_path: Path) -> None:
    """Half a hierarchy is none."""
    usual = double.lookup
    double.lookup = lambda code: (  # type: ignore[method-assign]
        outcome(404, "not-found") if code == DIABETES else usual(code)
    )
    with pytest.raises(Fault, match="parent that it named"):
        sources.load(options(double), tmp_path, RECORDED)


def test_answers_of_two_versions_are_not_mixed(double: Double, tmp_path: Path) -> None:
    """A server that changes its edition, or a cache that outlived one."""
    sources.load(options(double, cache="kept"), tmp_path, [TYPE_1])
    double.version = f"{SCT}/900000000000207008/version/20250101"
    with pytest.raises(UsageError, match="several versions"):
        sources.load(options(double, cache="kept"), tmp_path, RECORDED)


def test_the_token_comes_from_a_private_file_and_goes_into_a_header(
    double: Double, tmp_path: Path
) -> None:
    """Never into an address, a kept file or an error."""
    file = tmp_path / "token"
    file.write_text("s3cret-token\n")
    file.chmod(0o644)
    with pytest.raises(Refused, match="Other users"):
        sources.load(options(double, token_file="token"), tmp_path, RECORDED)
    file.chmod(0o600)
    sources.load(options(double, token_file="token", cache="kept"), tmp_path, RECORDED)
    assert all(headers["Authorization"] == "Bearer s3cret-token" for headers in double.headers)
    assert not any("s3cret" in url for url in double.urls)
    assert not any("s3cret" in path.read_text() for path in (tmp_path / "kept").iterdir())
    for wrong in ("", "two words", "a\nb", "ü"):
        file.write_text(wrong)
        with pytest.raises(UsageError):
            read_token(file)
    with pytest.raises(UsageError):
        read_token(tmp_path / "none")


@pytest.mark.parametrize(
    "base",
    [
        "", "fhir", "ftp://example.org", "https://", "https://user:pw@example.org/fhir",
        "https://example.org/fhir?access_token=x", "https://example.org/fhir#x", "https://[",
    ],
)  # fmt: skip
def test_addresses_that_are_none_or_hold_secrets_are_refused(base: str) -> None:
    """Before anything is asked, without showing the address."""
    with pytest.raises(UsageError) as caught:
        Server(base, SCT)
    assert "pw" not in str(caught.value)


def test_a_token_does_not_travel_unencrypted() -> None:
    """Except to this machine."""
    with pytest.raises(UsageError, match="unencrypted"):
        Server("http://example.org/fhir", SCT, token="x")
    Server("http://localhost/fhir", SCT, token="x")
    Server("https://example.org/fhir", SCT, token="x")


def test_wrong_options_and_wrong_use(double: Double, tmp_path: Path) -> None:
    """Options are looked at; a server is opened before it is asked; a cache must be a folder."""
    for wrong in ({"at_once": 0}, {"timeout": "long"}, {"token": "x"}, {"server": ""}):
        with pytest.raises(BridlewayError):
            sources.load(options(double, **wrong), tmp_path, RECORDED)
    with pytest.raises(ValueError, match="with"):
        Server(double.base, SCT).lookup(TYPE_1)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cache"):
        Server(double.base, SCT, cache=tmp_path / "file")


def test_other_systems_may_have_many_roots(double: Double, tmp_path: Path) -> None:
    """Only of SNOMED CT a code without parents is known to be retired."""
    usual = double.lookup
    double.lookup = lambda code: usual(DIABETES if code == "E11" else ROOT)  # type: ignore[method-assign]
    made = sources.load(
        options(double, system="http://hl7.org/fhir/sid/icd-10", withheld=["X"]),
        tmp_path,
        ["E11", "Mr Smith"],
    )
    assert made.parents("E11") == (DISEASE,)
    assert made.roots == (DISEASE,)
    assert made.withheld == frozenset()
