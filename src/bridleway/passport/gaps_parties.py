"""Who takes part: controllers, flows and gateways, the linker, named people, users, recipients."""

from __future__ import annotations

from bridleway import references
from bridleway.errors import nearest
from bridleway.passport.document import (
    at,
    controllers_of,
    flows_of,
    map_at,
    node_of,
    records_at,
    sources_of,
    text_at,
    texts_at,
)
from bridleway.passport.gaps_touch import flows_with_only_weak_gateways
from bridleway.passport.gaps_view import Findings, View


def controller_rules(view: View) -> Findings:
    """Each source has exactly one controller among the parties, and each party a source."""
    sources = sources_of(view.body)
    owners: dict[str, list[str]] = {}
    for number, party in records_at(view.body, "parties", "controllers"):
        for index, source in enumerate(texts_at(party, "sources")):
            owners.setdefault(source, []).append(text_at(party, "id"))
            if source not in sources:
                yield view.gap(
                    f"'{source}' is not under data.sources.{nearest(source, sources)}",
                    "List it there with its fields, or take it out here.",
                    "parties", "controllers", number, "sources", index,
                )  # fmt: skip
    for source, number in sources.items():
        named = owners.get(source, [])
        if not named:
            yield view.gap(
                f"No controller is named for '{source}'.",
                "Add it to the sources of its controller under parties.controllers.",
                "data", "sources", number, "id",
            )  # fmt: skip
        elif len(named) > 1:
            yield view.gap(
                f"'{source}' has more than one controller: {', '.join(named)}.",
                "Name the one that decides; joint controllers sign through one of them.",
                "parties", "controllers",
            )  # fmt: skip
    yield from _twice(view, "controller", "parties", "controllers")
    yield from _twice(view, "source", "data", "sources")


def _twice(view: View, what: str, *path: str) -> Findings:
    seen: set[str] = set()
    for number, row in records_at(view.body, *path):
        name = text_at(row, "id")
        if name and name in seen:
            yield view.gap(f"The {what} '{name}' is there twice.", "Keep one.", *path, number)
        seen.add(name)


def id_rules(view: View) -> Findings:
    """Ids are not used twice in one list."""
    for what, path in (
        ("question", ("questions",)),
        ("risk", ("risks", "sharing")),
        ("risk", ("risks", "not_sharing")),
        ("hazard", ("hazards",)),
        ("scrutiny answer", ("scrutiny",)),
        ("safeguard", ("safeguards",)),
    ):
        yield from _twice(view, what, *path)


def gateway_rules(view: View) -> Findings:
    """Every source-to-recipient flow claims a power to share, and not a weak one alone."""
    known, usable = references.gateways(), references.load("legal_gateways").data
    powers = {*usable["usable_as_gateway"], *usable["weak_alone"], "no_disclosure"}
    flows, claimed = flows_of(view.body), set()
    controllers, recipients = (
        controllers_of(view.body),
        texts_at(view.body, "outputs", "recipients"),
    )
    for number, row in records_at(view.body, "lawfulness", "gateways"):
        here = ("lawfulness", "gateways", number)
        gateway = known.get(text_at(row, "id"))
        for end, names in (("from", list(controllers)), ("to", recipients)):
            name = text_at(row, end)
            if name and names and name not in names:
                what = "a controller with sources" if end == "from" else "under outputs.recipients"
                yield view.gap(
                    f"'{name}' is not {what} of this passport.{nearest(name, names)}",
                    f"Write one of {', '.join(names)}.",
                    *here, end,
                )  # fmt: skip
        if gateway is None:
            continue
        claimed.add((text_at(row, "from"), text_at(row, "to")))
        if gateway.kind == "prohibition":
            yield view.warning(
                f"'{gateway.id}' ({gateway.label}) forbids disclosure; it is no power to share.",
                "Stop until a named lawyer's advice is logged.",
                *here, "id",
            )  # fmt: skip
        if gateway.kind not in powers:
            yield view.gap(
                f"'{gateway.id}' is no power to share: {gateway.kind_in_words}.",
                "Claim a gateway that says a body may or must disclose.",
                *here, "id",
            )  # fmt: skip
        elif gateway.id == "own-data":
            yield view.warning(
                f"'own-data' claims that {text_at(row, 'from')} and {text_at(row, 'to')} are one "
                "organisation or person.",
                "If they are two, claim the power by which one may disclose to the other.",
                *here, "id",
            )  # fmt: skip
        elif gateway.id == "no-person-in-data" and "personal" in view.touched:
            yield view.gap(
                f"'no-person-in-data' cannot hold: {view.touched.reasons['personal']}.",
                "Claim a gateway for personal data.",
                *here, "id",
            )  # fmt: skip
    for flow in flows:
        if flow not in claimed:
            yield view.gap(
                f"No gateway is claimed for what goes from {flow[0]} to {flow[1]}.",
                f"Add a row under lawfulness.gateways: id, from: {flow[0]}, to: {flow[1]}, why.",
                "lawfulness", "gateways",
            )  # fmt: skip
    for sender, to in flows_with_only_weak_gateways(view.body):
        if at(view.body, "roles", "adviser-legal") is None:
            yield view.gap(
                f"Only weak gateways are claimed for what goes from {sender} to {to}.",
                "Add a stronger one, or name a lawyer as roles.adviser-legal.",
                "lawfulness", "gateways",
            )  # fmt: skip


def linker_rules(view: View) -> Findings:
    """The linker neither asks, receives, approves nor holds a source of the question."""
    linker = text_at(view.body, "linker")
    if not linker:
        return
    roles = map_at(view.body, "roles")
    guardian, author = text_at(roles, "caldicott-guardian"), text_at(roles, "author")
    users = [user for _, user in records_at(view.body, "users")]
    askers = {node_of(author), *(node_of(text_at(u, "person")) for u in users),
              *(text_at(u, "node") for u in users)}  # fmt: skip
    for clash, why in (
        (linker in map(node_of, sources_of(view.body)), "holds a source"),
        (linker in controllers_of(view.body), "is a controller, which approves"),
        (bool(guardian) and linker == node_of(guardian), "approves through its guardian"),
        (linker in texts_at(view.body, "outputs", "recipients"), "receives the answer"),
        (linker in askers, "asks"),
    ):
        if clash:
            yield view.gap(
                f"The linker '{linker}' also {why}.",
                "Name a node that neither asks, receives, approves nor holds a source.",
                "linker",
            )


def people_rules(view: View) -> Findings:
    """Named people are known, hold their role today, and keep apart what must be apart."""
    roles = map_at(view.body, "roles")
    author = text_at(roles, "author")
    for role, person in roles.items():
        if role != "author" and person == author and author:
            finding = view.gap if role == "caldicott-guardian" else view.warning
            yield finding(
                f"The author is also named as {role}: nobody advises on their own passport.",
                "Name another person.",
                "roles", role,
            )  # fmt: skip
        if isinstance(person, str):
            yield from _known(view, person, role, "roles", role)
    checker = text_at(view.body, "outputs", "checker")
    if checker and checker == author:
        yield view.gap("The author checks their own outputs.", "Name a second person.",
                       "outputs", "checker")  # fmt: skip
    yield from _known(view, checker, "", "outputs", "checker")
    yield from _known(view, text_at(view.body, "review", "owner"), "", "review", "owner")
    yield from _author_is_no_controller(view, author)
    for number, user in records_at(view.body, "users"):
        if text_at(user, "person"):
            yield from _known(view, text_at(user, "person"), "", "users", number, "person")
        elif not (text_at(user, "role") and text_at(user, "node")):
            yield view.gap("This user is neither a person nor a role at a node.",
                           "Write person: node/person, or role and node.",
                           "users", number)  # fmt: skip
        node = node_of(text_at(user, "person")) or text_at(user, "node")
        recipients = texts_at(view.body, "outputs", "recipients")
        if node and recipients and node not in recipients:
            yield view.gap(
                f"People of '{node}' may ask, but '{node}' may not receive the answer.",
                "Add it to outputs.recipients with its gateways, or take the user out.",
                "users", number,
            )  # fmt: skip


def _known(view: View, person: str, role: str, *path: str | int) -> Findings:
    if view.people is None or "/" not in person:
        return
    known = view.people.get(person)
    if known is None:
        yield view.gap(
            f"'{person}' is not known here.{nearest(person, view.people)}",
            "Add them with `bridleway person add`, or correct the id.",
            *path,
        )
        return
    if not role:
        return
    dates = known.roles.get(role)
    today = view.now.isoformat()
    if dates is None and role == "author":
        return
    if dates is None or not dates[0][:10] <= today <= dates[1][:10]:
        yield view.gap(
            f"'{person}' does not hold the role {role} today.",
            f"Name someone who does, or have {node_of(person)} certify the role.",
            *path,
        )


def _author_is_no_controller(view: View, author: str) -> Findings:
    for number, party in records_at(view.body, "parties", "controllers"):
        node = text_at(party, "id")
        signers = [
            person.id
            for person in (view.people or {}).values()
            if person.node == node and "controller" in person.roles
        ]
        if author and signers == [author]:
            yield view.gap(
                f"Only the author could sign as controller of '{node}', and an author never "
                "approves their own passport.",
                f"Have {node} certify another person as controller.",
                "parties", "controllers", number,
            )  # fmt: skip
        elif author in signers:
            yield view.warning(
                f"The author is also a controller of '{node}'; their signature will not count.",
                "Ask another controller to sign.",
                "parties", "controllers", number,
            )  # fmt: skip


def setting_rules(view: View) -> Findings:
    """A setting that is new to the software asks for a security lead's advice."""
    code, known = text_at(view.body, "setting", "code"), references.codes("own_terms", "settings")
    if code and code not in known and not text_at(view.body, "roles", "security"):
        yield view.warning(
            f"The setting '{code}' is new.{nearest(code, known)}",
            f"Name a security lead as roles.security, or write one of {', '.join(known)}.",
            "setting", "code",
        )  # fmt: skip
