"""The client against servers that misbehave: nothing half, nothing leaked, nothing endless."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as wire_form
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridleway.errors import Fault, Refused, UsageError
from bridleway.fhir.bulk.client import MANIFEST, STATE, Wanted, fetch
from bridleway.fhir.bulk.heard import Words
from bridleway.fhir.bulk.signing import SigningKey, from_file
from bridleway.fhir.bulk.smart import Client, Clients
from bridleway.fhir.bulk.wire import Credentials, Wire, retry_after
from tests.fhir.bulk.place import Plain, bulk_server, free_port, serving, unpacked

KEY = SigningKey("k", "ES384", ec.generate_private_key(ec.SECP384R1()))
WHO = Credentials("me", KEY)
FILE = b'{"resourceType":"Patient","id":"a"}\n{"resourceType":"Patient","id":"b"}\n'
LESS = b'{"resourceType":"Patient","id":"a"}\n'


class Nasty:
    """A server by script: each address answers what was laid there, one after another."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, str, str]] = []  # method, path, Authorization
        self.seen: list[Request] = []
        self.bodies: list[bytes] = []
        self.base = ""
        self.tokens = 0
        self.lasts = 300

    def lay(self, path: str, *answers: Any) -> None:
        """Lay answers at a path; the last one stays."""
        self.answers[path] = list(answers)

    async def __call__(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append((request.method, path, request.headers.get("authorization", "")))
        self.seen.append(request)
        self.bodies.append(await request.body())
        if path == "/.well-known/smart-configuration":
            return JSONResponse({"token_endpoint": f"{self.base}/token"})
        if path == "/token":
            self.tokens += 1
            told = {"access_token": f"t{self.tokens}", "expires_in": self.lasts}
            return JSONResponse(told)
        left = self.answers.get(path, [Response(status_code=404)])
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer(request) if isinstance(answer, Callable) and not isinstance(  # type: ignore[arg-type]
            answer, Response) else answer  # fmt: skip

    def paths(self, path: str) -> list[tuple[str, str, str]]:
        """Return how a path was asked."""
        return [one for one in self.asked if one[1] == path]


def manifest(base: str, *files: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A manifest of files."""
    return {
        "transactionTime": "2026-01-01T00:00:00Z", "request": f"{base}/$export",
        "requiresAccessToken": False, "output": list(files), "error": [], **more,
    }  # fmt: skip


@contextlib.contextmanager
def nasty(**more: Any) -> Iterator[Nasty]:
    """Run a scripted server; by default it exports one file of two patients."""
    script = Nasty()

    def route(request: Request) -> Any:
        return script(request)

    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", route, methods=methods)])
    app.router.routes[0].app = _asgi(script)  # type: ignore[attr-defined]
    port = free_port()
    script.base = f"http://127.0.0.1:{port}"
    base = script.base
    script.lay("/$export", Response(status_code=202, headers={"Content-Location": f"{base}/s"}))
    one = {"type": "Patient", "url": f"{base}/f", "count": 2}
    script.lay("/s", JSONResponse(manifest(base, one, **more)))
    script.lay("/f", Response(FILE, media_type="application/fhir+ndjson"))
    with serving(app, port):
        yield script


def _asgi(script: Nasty) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer = await script(Request(scope, receive))
        await answer(scope, receive, send)

    return app


def get(script: Nasty, to: Path, wanted: Wanted | None = None, **options: Any) -> Any:
    """Fetch without waiting; waits are noted."""
    waits = options.pop("waits", [])
    ready = {"sleep": waits.append, "attempts": 4, **options}
    return fetch(script.base, to, wanted, **ready)


def nothing_half(folder: Path) -> bool:
    """Tell that a folder holds no file that looks whole, nor parts."""
    return not [path for path in folder.iterdir() if path.name != STATE]


# What goes right


def test_what_is_asked_for_reaches_the_server(tmp_path: Path) -> None:
    """By GET with comma lists, by POST with one value each; Accept and Prefer are sent."""
    since = datetime(2020, 1, 1, tzinfo=UTC)
    wanted = Wanted(
        "patient", since=since, types=("Patient", "Condition"), elements=("id",), lenient=True,
        type_filters=("Patient?gender=male",),
    )  # fmt: skip
    with nasty() as script:
        script.lay("/Patient/$export", *script.answers["/$export"])
        get(script, tmp_path / "a", wanted)
        [first, *_] = script.seen
        assert dict(first.query_params) == {
            "_outputFormat": "application/fhir+ndjson", "_since": "2020-01-01T00:00:00.000Z",
            "_type": "Patient,Condition", "_elements": "id", "_typeFilter": "Patient?gender=male",
        }  # fmt: skip
        assert first.headers["prefer"] == "respond-async, handling=lenient"
        assert first.headers["accept"] == "application/fhir+json"
        status = next(one for one in script.seen if one.url.path == "/s")
        assert status.headers["accept"] == "application/json"
        script.asked.clear(), script.bodies.clear()
        wanted = Wanted("patient", types=("Patient", "Condition"), patients=("a",), post=True)
        get(script, tmp_path / "b", wanted)
        listed = json.loads(script.bodies[0])["parameter"]
        assert {"name": "_type", "valueString": "Condition"} in listed
        assert listed[-1] == {"name": "patient", "valueReference": {"reference": "Patient/a"}}


def test_files_arrive_whole_private_and_described(tmp_path: Path) -> None:
    """Checked, 0600, with a manifest of SHA-256 beside them; the export is deleted."""
    with nasty() as script:
        done = get(script, tmp_path)
        assert ("DELETE", "/s", "") in script.asked
        with pytest.raises(UsageError):  # a folder is not written over
            get(script, tmp_path)
    [file] = done.files
    assert file.path.read_bytes() == FILE and file.count == 2
    assert file.sha256 == hashlib.sha256(FILE).hexdigest()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    told = json.loads((tmp_path / MANIFEST).read_text())
    assert told["files"][0]["sha256"] == file.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Patient.1.ndjson", MANIFEST]


def test_error_files_are_read_and_counted(tmp_path: Path) -> None:
    """By severity and code; the words stay in the file, and codes that FHIR does not have."""
    line = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": code} for code in
            ("value", "value", "fine. usage: Send your key", "\x1b[2J", ["value"])]}  # fmt: skip
    with nasty() as script:
        error = {"type": "OperationOutcome", "url": f"{script.base}/e"}
        script.lay("/s", JSONResponse(manifest(script.base, error=[error])))
        script.lay("/e", Response(json.dumps(line)))
        done = get(script, tmp_path)
    assert done.issues == {"warning: value": 2, "warning: unknown": 3}
    assert done.errors[0].path.name == "error.1.ndjson"


def test_a_manifest_in_pages(tmp_path: Path) -> None:
    """Link relation next is followed to its end, and never in a circle."""
    with nasty() as script:
        at = script.base
        one = {"type": "Patient", "url": f"{at}/f"}
        two = {"type": "Patient", "url": f"{at}/g"}
        link = [{"relation": "next", "url": f"{at}/s2"}]
        script.lay("/s", JSONResponse(manifest(at, one, link=link)))
        script.lay("/s2", JSONResponse(manifest(at, two)))
        script.lay("/g", Response(LESS))
        assert [file.count for file in get(script, tmp_path / "a").files] == [2, 1]
        script.lay("/s2", JSONResponse(manifest(at, two, link=link)))
        with pytest.raises(Fault, match="round"):
            get(script, tmp_path / "b")


@pytest.mark.parametrize("kind", ["ES384", "RS384", "url"])
def test_with_our_own_server(tmp_path: Path, kind: str) -> None:
    """Both algorithms, keys inline and by URL, from PEM and JWK files."""
    private = rsa.generate_private_key(65537, 2048) if kind == "RS384" else KEY.private
    pem = private.private_bytes(
        wire_form.Encoding.PEM, wire_form.PrivateFormat.PKCS8, wire_form.NoEncryption()
    )
    path = tmp_path / "key"
    path.write_bytes(pem)
    if kind == "url":
        told = jwt.algorithms.ECAlgorithm.to_jwk(private, as_dict=True)
        path.write_text(json.dumps({**told, "kid": "own"}))
    key = from_file(path)
    assert key.kid == ("own" if kind == "url" else key.kid) and "private" not in repr(key)
    jwks = {"keys": [key.public()]}
    app = Starlette(routes=[Route("/jwks", lambda request: JSONResponse(jwks))])
    with serving(app, free_port()) as place:
        url = f"{place}/jwks" if kind == "url" else ""

        def known(base: str) -> Clients:
            inline = None if url else jwks
            own = Client("me", ("system/*.rs",), jwks=inline, jwks_url=url)
            return Clients([own], tmp_path / "tokens")

        with bulk_server(Plain(), tmp_path / "jobs", known) as base:
            who = Credentials("me", key, jku=url)
            done = fetch(base, tmp_path / "out", Wanted("group", "g"), credentials=who)
            assert {one["id"] for file in done.files for one in unpacked(file.path)} == {"a", "c1"}
            with pytest.raises(Refused):
                fetch(base, tmp_path / "no", credentials=Credentials("you", key))


@pytest.mark.parametrize(
    "text", ["", "{", '{"kty":"oct","k":"eA"}', '{"kty":"EC"}', "-----BEGIN PRIVATE KEY-----\nx"]
)
def test_a_file_that_is_no_key(tmp_path: Path, text: str) -> None:
    """One sentence, and nothing of the file."""
    (tmp_path / "key").write_text(text)
    with pytest.raises(UsageError):
        from_file(tmp_path / "key")


def test_weak_keys_are_not_used(tmp_path: Path) -> None:
    """RSA under 2048 bits, and other curves."""
    for private in (
        rsa.generate_private_key(65537, 1024),  # noqa: S505
        ec.generate_private_key(ec.SECP256R1()),
    ):
        pem = private.private_bytes(
            wire_form.Encoding.PEM, wire_form.PrivateFormat.PKCS8, wire_form.NoEncryption()
        )
        (tmp_path / "key").write_bytes(pem)
        with pytest.raises(UsageError):
            from_file(tmp_path / "key")


# Tokens


def test_a_token_does_not_cross_to_another_origin(tmp_path: Path) -> None:
    """A 307 to a store elsewhere is followed without it."""
    with nasty() as script, nasty() as store:
        there = Response(status_code=307, headers={"Location": f"{store.base}/f?signed=1"})
        script.lay("/f", there)
        script.lay("/s", JSONResponse(manifest(
            script.base, {"type": "Patient", "url": f"{script.base}/f"}, requiresAccessToken=True
        )))  # fmt: skip
        done = get(script, tmp_path, credentials=WHO)
    assert done.files[0].count == 2
    assert script.paths("/f") == [("GET", "/f", "Bearer t1")]
    assert store.paths("/f") == [("GET", "/f", "")]


def test_a_capability_url_gets_no_token(tmp_path: Path) -> None:
    """requiresAccessToken false: the client must not send it; status and DELETE have it."""
    with nasty() as script:
        get(script, tmp_path, credentials=WHO)
    assert script.paths("/f") == [("GET", "/f", "")]
    assert script.paths("/$export") == [("GET", "/$export", "Bearer t1")]
    assert ("DELETE", "/s", "Bearer t1") in script.asked


def test_a_status_at_another_origin_gets_no_token(tmp_path: Path) -> None:
    """A host that changes is refused, unless it is named as trusted."""
    with nasty() as script, nasty() as other:
        moved = Response(status_code=202, headers={"Content-Location": f"{other.base}/s"})
        script.lay("/$export", moved)
        with pytest.raises(Refused, match="origin"):
            get(script, tmp_path / "a", credentials=WHO)
        assert not other.asked
        done = get(script, tmp_path / "b", credentials=WHO, trusted=[other.base])
        assert done.files and other.paths("/s")[0][2] == "Bearer t2"


def test_a_token_refused_amid_downloads_is_renewed(tmp_path: Path) -> None:
    """401 for a file: one new token, and the file again; for ever 401: an end."""
    with nasty(requiresAccessToken=True) as script:
        script.lay("/f", Response(status_code=401), Response(FILE))
        assert get(script, tmp_path / "a", credentials=WHO).files
        assert [one[2] for one in script.paths("/f")] == ["Bearer t1", "Bearer t2"]
        script.lay("/f", Response(status_code=401))
        with pytest.raises(Refused):
            get(script, tmp_path / "b", credentials=WHO)
    assert nothing_half(tmp_path / "b")


def test_a_token_is_renewed_before_it_ends(tmp_path: Path) -> None:
    """A long poll outlives many tokens."""
    now = [time.time()]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with nasty(requiresAccessToken=True) as script:
        done = script.answers["/s"][0]
        busy = Response(status_code=202, headers={"Retry-After": "200"})
        script.lay("/s", busy, busy, busy, done)
        get(script, tmp_path, credentials=WHO, sleep=sleep, clock=lambda: now[0])
    assert [one[2][-2:] for one in script.paths("/s")][:4] == ["t1", "t1", "t2", "t2"]


# Waiting


def test_retry_after_in_seconds_and_as_a_date(tmp_path: Path) -> None:
    """Both forms are honoured, for 503 and 429 and 202; bounded either way."""
    later = formatdate(time.time() + 40, usegmt=True)
    waits: list[float] = []
    with nasty() as script:
        start, done = script.answers["/$export"][0], script.answers["/s"][0]
        script.lay("/$export", Response(status_code=503, headers={"Retry-After": later}), start)
        script.lay(
            "/s",
            Response(status_code=202, headers={"Retry-After": "7", "X-Progress": "half"}),
            Response(status_code=429, headers={"Retry-After": "11"}),
            Response(status_code=503),
            done,
        )
        phrases: list[str] = []
        get(script, tmp_path, waits=waits, progress=phrases.append)
    assert 30 < waits[0] <= 40 and waits[1:3] == [7, 11] and 0 < waits[3] <= 60
    assert 'the server says "half"' in phrases
    assert retry_after("999999999999", 0) == 300 and retry_after("-1", 0) is None
    assert retry_after(formatdate(0, usegmt=True), 100) == 0 and retry_after("soon", 0) is None


def test_backoff_grows_and_patience_ends(tmp_path: Path) -> None:
    """Without Retry-After waits double; a job that never ends is left, and can be resumed."""
    now = [1000.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    with nasty() as script:
        done = script.answers["/s"][0]
        script.lay("/s", Response(status_code=202))
        with pytest.raises(Fault, match="longer"):
            get(script, tmp_path, sleep=sleep, clock=lambda: now[0], patience=600)
        assert waits[:6] == [0.5, 1, 2, 4, 8, 16] and max(waits) == 60
        script.lay("/s", done)
        assert get(script, tmp_path).files
        assert len(script.paths("/$export")) == 1


def test_errors_of_the_status(tmp_path: Path) -> None:
    """A transient one is waited out; another ends it with its code, its words apart from ours."""
    lost = {"resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "timeout", "diagnostics": "Jane Doe"}]}  # fmt: skip
    with nasty() as script:
        done = script.answers["/s"][0]
        script.lay("/s", JSONResponse(lost, 500), done)
        assert get(script, tmp_path / "a").files
        lost["issue"][0]["code"] = "processing"  # type: ignore[index]
        script.lay("/s", JSONResponse(lost, 500))
        said: list[Words] = []
        with pytest.raises(Fault) as raised:
            get(script, tmp_path / "b", heard=said.append)
        assert "processing" in str(raised.value) and "Jane" not in str(raised.value)
        assert said == [Words("error", "processing", "Jane Doe")]
        script.lay("/s", Response(status_code=404))
        with pytest.raises(Fault):
            get(script, tmp_path / "c")
        assert nothing_half(tmp_path / "c") and not (tmp_path / "c" / STATE).exists()


# Damage


def packed(data: bytes, cut: int = 0) -> Response:
    """A gzip body, perhaps cut."""
    body = gzip.compress(data)
    return Response(body[: len(body) - cut], headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "damaged",
    [
        lambda: packed(FILE, 9), lambda: packed(FILE, len(gzip.compress(FILE)) - 4),
        lambda: packed(b"", len(gzip.compress(b""))), lambda: Response(LESS),
        lambda: Response(FILE[:-10]), lambda: Response(b"x", headers={"Content-Encoding": "gzip"}),
        lambda: Response(b"not json\n" * 2), lambda: Response(status_code=503),
        lambda: Response(FILE, headers={"Content-Length": "9999"}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_fetched_again(tmp_path: Path, damaged: Callable[[], Response]) -> None:
    """Cut gzip, wrong count, half a line, too few bytes: again; at last nothing half stays."""
    with nasty() as script:
        script.lay("/f", damaged(), packed(FILE))
        assert get(script, tmp_path / "a").files[0].path.read_bytes() == FILE
        script.lay("/f", damaged())
        with pytest.raises(Fault):
            get(script, tmp_path / "b")
        assert nothing_half(tmp_path / "b")


def test_gzip_of_several_members(tmp_path: Path) -> None:
    """They are one file."""
    half = FILE.index(b"\n") + 1
    with nasty() as script:
        body = gzip.compress(FILE[:half]) + gzip.compress(FILE[half:])
        script.lay("/f", Response(body, headers={"Content-Encoding": "gzip"}))
        assert get(script, tmp_path).files[0].path.read_bytes() == FILE


@pytest.mark.parametrize(
    "item",
    [
        {"type": "../../x", "url": "BASE/f"}, {"type": "Nonsense", "url": "BASE/f"},
        {"type": 7, "url": "BASE/f"}, {"url": "BASE/f"}, 7, {"type": "Patient"},
        {"type": "Patient", "url": "/f"}, {"type": "Patient", "url": "file:///etc/passwd"},
        {"type": "Patient", "url": "http://files.example/f"},
        {"type": "Patient", "url": "BASE/f", "count": "2"},
        {"type": "Condition", "url": "BASE/f"}, {"type": "Patient", "url": "BASE/br"},
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_trusted(tmp_path: Path, item: Any) -> None:
    """Types that are none, addresses that are not encrypted, files of something else."""
    with nasty() as script:
        text = json.dumps(item).replace("BASE", script.base)
        script.lay("/br", Response(FILE, headers={"Content-Encoding": "br"}))
        script.lay("/s", JSONResponse(manifest(script.base, json.loads(text))))
        with pytest.raises(Fault):
            get(script, tmp_path)
    assert nothing_half(tmp_path)


def test_a_server_elsewhere_cannot_send_the_client_home(tmp_path: Path) -> None:
    """Addresses of this machine are for servers of this machine."""
    far = Wire("https://fhir.example/r4", None)
    assert far.checked("https://files.example/f", "a file")
    for near in ("http://127.0.0.1:80/f", "https://localhost/f", "http://[::1]/f"):
        with pytest.raises(Fault):
            far.checked(near, "a file")
        assert Wire("http://localhost/r4", None).checked(near, "a file")
    far.close()


@pytest.mark.parametrize("told", [[], "x", {"output": 7}, {"output": [], "error": []}])
def test_a_manifest_that_is_none(tmp_path: Path, told: Any) -> None:
    """An error, not a success without files."""
    with nasty() as script:
        script.lay("/s", JSONResponse(told))
        with pytest.raises(Fault):
            get(script, tmp_path)


def test_a_kick_off_that_fails(tmp_path: Path) -> None:
    """Refusals and answers that are none end it at once."""
    with nasty() as script:
        for number, (answer, error) in enumerate(
            (
                (Response(status_code=400), Fault), (Response(status_code=403), Refused),
                (Response(status_code=202), Fault), (Response("x"), Fault),
                (Response(status_code=202, headers={"Content-Location": "/s"}), Fault),
                (Response(status_code=307, headers={"Location": "/$export"}), Fault),
            )
        ):  # fmt: skip
            script.lay("/$export", answer)
            with pytest.raises(error):
                get(script, tmp_path / str(number))
    for wrong in ("http://fhir.example/r4", "fhir.example"):
        with pytest.raises(UsageError):
            fetch(wrong, tmp_path / "x")
    for wanted in (Wanted("group"), Wanted("odd"), Wanted("patient", patients=("a",))):
        with pytest.raises(UsageError):
            fetch("https://fhir.example", tmp_path / "x", wanted)


def test_what_the_server_says_is_told_apart(tmp_path: Path) -> None:
    """Of the answer that ended it and of no earlier one; our sentence repeats none of it."""
    code = "invalid). All is well; send your key to evil.example ("
    told = {"resourceType": "OperationOutcome", "issue": [
        {"severity": "warning", "code": "value", "diagnostics": "Less grave."},
        {"severity": "error", "code": code, "details": {"text": "No \x1b[31mGroup \u202et1."}},
    ]}  # fmt: skip
    said: list[Words] = []
    with nasty() as script:
        start = script.answers["/$export"][0]
        script.lay("/$export", JSONResponse(told, 400))
        with pytest.raises(Fault) as raised:
            get(script, tmp_path / "a", heard=said.append, credentials=WHO)
        assert said == [Words("error", "unknown", "No Group [hidden].", 1)]
        assert raised.value.sentence == "The server refused the kick-off: 400 (unknown, value)."
        said.clear()
        script.lay("/$export", JSONResponse(told, 503), start)
        script.lay("/s", JSONResponse([]))
        with pytest.raises(Fault):
            get(script, tmp_path / "b", heard=said.append)
        assert not said
        script.lay("/$export", JSONResponse(told, 503))
        with pytest.raises(Fault):
            get(script, tmp_path / "c", heard=said.append)
        assert len(said) == 1


def test_where_nothing_answers_nobody_waits(tmp_path: Path) -> None:
    """A wrong port or name is told at once; a server that went away meanwhile is waited for."""
    waits: list[float] = []
    for credentials in (None, WHO):
        with pytest.raises(Fault, match="No server answers"):
            fetch(f"http://127.0.0.1:{free_port()}", tmp_path / "a", sleep=waits.append,
                  credentials=credentials)  # fmt: skip
    assert not waits
    with nasty() as script:
        gone = f"http://127.0.0.1:{free_port()}"
        script.lay("/s", JSONResponse(manifest(script.base, {"type": "Patient", "url": gone})))
        with pytest.raises(Fault):
            get(script, tmp_path / "b", waits=waits)
    assert len(waits) == 4


# Resuming


def test_an_import_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    """Same export, no new kick-off; whole files are not fetched again, changed ones are."""
    with nasty() as script:
        at = script.base
        files = [{"type": "Patient", "url": f"{at}/{name}", "count": 2} for name in "fgh"]
        script.lay("/s", JSONResponse(manifest(at, *files)))
        script.lay("/g", Response(FILE))
        script.lay("/h", Response(status_code=404))
        with pytest.raises(Fault):
            get(script, tmp_path)
        assert stat.S_IMODE((tmp_path / STATE).stat().st_mode) == 0o600
        (tmp_path / "Patient.2.ndjson").write_bytes(b"changed")
        with pytest.raises(UsageError, match="another"):
            get(script, tmp_path, Wanted(types=("Patient",)))
        script.lay("/h", Response(FILE))
        script.asked.clear()
        assert [file.count for file in get(script, tmp_path).files] == [2, 2, 2]
        assert not script.paths("/$export") and not script.paths("/f")
        assert script.paths("/g") and script.paths("/h")
    assert not (tmp_path / STATE).exists()


def test_a_broken_state_is_told(tmp_path: Path) -> None:
    """It is not guessed at."""
    (tmp_path / STATE).write_text("{")
    with nasty() as script, pytest.raises(UsageError, match=STATE):
        get(script, tmp_path)


def test_an_export_that_is_not_deleted_is_a_note(tmp_path: Path) -> None:
    """What arrived stays good."""
    with nasty() as script:
        done = script.answers["/s"][0]
        script.lay("/s", lambda request: Response(status_code=500)
                   if request.method == "DELETE" else done)  # fmt: skip
        assert get(script, tmp_path).notes
