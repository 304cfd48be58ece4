"""Extracts of FHIR sources at the node that holds them: made, measured, and put on record.

What is settled once over a whole source (who is held back, what each code becomes) is kept here,
bound to passport, policy and data version, and serves every job: two jobs whose cuts differed could
be subtracted from each other. It names what is rare, and never leaves.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridleway.documents import read_yaml
from bridleway.errors import Gap, Refused
from bridleway.extract.write import checksums
from bridleway.fhir import evidence, members
from bridleway.fhir.bulk import request as requests
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.codes import sources as hierarchies
from bridleway.fhir.policy import Policy
from bridleway.fhir.report import write_papers
from bridleway.fhir.report.shared import for_asker
from bridleway.fhir.run import Given, Order, Settled, anonymise
from bridleway.fhir.settled import settled_from_json, settled_to_json
from bridleway.fhir.single import Single, de_identified
from bridleway.fhir.weigh import NAMES
from bridleway.keys.files import write_private
from bridleway.keys.people import held_role
from bridleway.model.canonical import canonical_json, digest_of
from bridleway.model.passport import Passport
from bridleway.passport.fhir_extracts import PLAIN_EXPORT, FhirRecipe

if TYPE_CHECKING:
    from bridleway.node.node import Node

FORMAT = "ndjson"
KEPT_SECONDS = 7 * 24 * 3600  # that the node keeps what it handed over; the same can be made again
SUMS = "SHA256SUMS"
_SCHEME = "fhir://"
_LISTED = "fhir.yaml"

Progress = Callable[[float, str], None]
Stopped = Callable[[], bool]


@dataclass(frozen=True)
class Wanted:
    """One job: who asks, under which passport, for what of which source.

    first_by, first_at: who asked for the same before anybody, and when, which is what its record
    tells: it is made once.
    """

    asker: str
    passport: Passport
    question: str
    recipe: FhirRecipe
    source: str
    versions: Mapping[str, str]
    request: Mapping[str, Any] | None
    first_by: str
    first_at: str


def require_plain_role(node: Node, asker: str, recipe: FhirRecipe) -> None:
    """Raise Refused unless somebody who asks for resources as they are holds the second permission.

    The source's own node certifies who may, and from when until when.
    """
    if not recipe.plain:
        return
    person = node.register.person(asker)
    if person.node != node.id or not held_role(person, PLAIN_EXPORT, node.now().date()):
        raise Refused(
            f"Resources as they are go only to people to whom '{node.id}' has given the role "
            f"{PLAIN_EXPORT} for today.",
            f"Its controller can give it: bridleway person add {node.id} NAME --role "
            f"{PLAIN_EXPORT} --from DAY --until DAY.",
            code=PLAIN_EXPORT,
            where=node.id,
        )


def types_of(wanted: Wanted) -> ExportRequest:
    """Return what of the source a job holds: never more types than its recipe lists."""
    if wanted.request is None:
        return ExportRequest("system", wanted.recipe.types)
    asked = requests.from_json(wanted.request)
    more = sorted(set(asked.types) - set(wanted.recipe.types))
    if more:
        raise Refused(
            f"The passport opens no resources of type {', '.join(more)}.",
            f"It opens {', '.join(wanted.recipe.types)}.",
            code="types",
        )
    return asked


@contextmanager
def made(
    node: Node,
    wanted: Wanted,
    progress: Progress = lambda share, phrase: None,
    stopped: Stopped = lambda: False,
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Make what is wanted in a folder that is gone afterwards; yield it and what to tell of it."""
    require_plain_role(node, wanted.asker, wanted.recipe)
    request = types_of(wanted)
    path = place_of(node, wanted.source)
    kept = node.folder / "fhir"
    kept.mkdir(mode=0o700, exist_ok=True)
    policy = wanted.recipe.policy or evidence.AS_IT_IS
    day = _as_of(node, wanted.source)
    key = _key(node, wanted.passport, wanted.source, policy)
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        target = Path(folder) / "out"
        order = Order(
            source=path,
            target=target,
            policy=policy,
            secret=node._own_secret("fhir names", wanted.passport.id),
            name=f"{node.id}.{wanted.source}",
            as_of=day,
            hierarchies=_hierarchies(node, wanted.source, policy),
            by_type=True,
            request=request,
            people=members.released(path, request),
            settled=_kept(kept, key),
        )
        outcome = anonymise(order, progress, stopped)
        _keep(kept, key, outcome.settled)
        (target / "rejected.jsonl").unlink()  # it names the places of what was held back
        report = for_asker(outcome.report, policy.people.k)
        write_papers(report, target)
        told = _told(node, wanted, report)
        for name, body in evidence.resources(told, report).items():
            (target / name).write_bytes(canonical_json(body) + b"\n")
        (target / SUMS).write_text(checksums(target), encoding="utf-8")
        yield target, _answer(wanted, report, policy)


def one(node: Node, passport: Passport, source: str, policy: Policy, resource: Any) -> Any:
    """Return one resource or Bundle as a policy lets it leave, without its other resources.

    Raises Refused where no export has settled yet what codes become, and for what may not leave.
    """
    settled = _kept(node.folder / "fhir", _key(node, passport, source, policy))
    if settled is None:
        raise Refused(
            "What codes become is not settled for this data version yet.",
            "Export once; then single resources follow the same cut.",
            code="not-settled",
        )
    # Under the exports' own key, anybody's id could be turned into that person's pseudonym.
    secret = node._own_secret("fhir single names", passport.id)
    order = Single(policy, secret, f"{node.id}.{source}", _as_of(node, source), settled)
    return de_identified(order, resource)


def _key(node: Node, passport: Passport, source: str, policy: Policy) -> str:
    """Return what a cut is bound to: passport, policy and data version."""
    declared = node.holdings.version(source)
    return digest_of(
        {
            "passport": passport.id,
            "policy": policy.digest,
            "k": policy.people.k,
            "version": "" if declared is None else declared.version,
        }
    )


def place_of(node: Node, source: str) -> Path:
    """Return the folder of a FHIR source. Raises Gap where the source is none."""
    url = node.holdings.address(source)
    if not url.startswith(_SCHEME):
        raise Gap(
            f"'{node.id}.{source}' is no FHIR source, and the passport's recipe is for one.",
            f"Add it as one: bridleway source add {node.id} {source} fhir://FOLDER",
            code="no-fhir",
        )
    return (node.holdings.base / url.removeprefix(_SCHEME)).absolute()


def _as_of(node: Node, source: str) -> date:
    """Return the day of the data version: the same job on the same data takes the same ages."""
    declared = node.holdings.version(source)
    return date.fromisoformat(str(declared.at)[:10]) if declared else node.now().date()


def _hierarchies(node: Node, source: str, policy: Policy) -> dict[str, Given]:
    """Load the hierarchies that the controller lists beside the catalogue, and ICD-10.

    hierarchies/fhir.yaml: `snomed: {from: rf2, folder: SnomedCT_Edition}`, and so on.
    """
    found: dict[str, Given] = {}
    if policy.language != "bridleway":
        return found
    folder = node.holdings.catalogue_path(source).parent / "hierarchies"
    if (folder / _LISTED).is_file():
        listed = read_yaml(node.holdings.hierarchy(source, _LISTED), _LISTED).value
        for name, options in listed.items() if isinstance(listed, dict) else ():
            found[NAMES.get(str(name).lower(), str(name))] = hierarchies.given(options, folder)
    found.setdefault(NAMES["icd-10"], hierarchies.load({"from": "icd10"}, folder))
    return found


def _kept(folder: Path, key: str) -> Settled | None:
    path = folder / f"{key.rpartition(':')[2]}.settled.json"
    return settled_from_json(json.loads(path.read_bytes())) if path.is_file() else None


def _keep(folder: Path, key: str, settled: Settled) -> None:
    path = folder / f"{key.rpartition(':')[2]}.settled.json"
    if not path.exists():
        write_private(path, canonical_json(settled_to_json(settled)))


def _told(node: Node, wanted: Wanted, report: Mapping[str, Any]) -> evidence.Told:
    return evidence.Told(
        job=digest_of({"passport": wanted.passport.digest, "request": wanted.request or {},
                       "versions": dict(wanted.versions)}),
        node=node.id,
        asker=wanted.first_by,
        passport=wanted.passport.id,
        passport_digest=wanted.passport.digest,
        question=wanted.question,
        at=wanted.first_at,
        plain=wanted.recipe.plain,
    )  # fmt: skip


def _answer(wanted: Wanted, report: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    """Return what a receipt tells of a job: counts as texts, as receipts hold no fractions."""
    told: Sequence[str] = ("read", "written", "not_asked_for")
    return {
        "policy": policy.name,
        "policy_digest": policy.digest,
        "first_asked_by": wanted.first_by,
        "first_asked_at": wanted.first_at,
        **{name: report["resources"][name] for name in told},
        "rejected": dict(report["resources"]["rejected"]),
        "held_back": report["patients"]["held_back"],
        "smallest_class": report["patients"]["after"]["smallest"],
    }
