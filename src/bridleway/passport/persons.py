"""Who is who: which certified accounts belong to one natural person.

Two accounts are one person if they share an id, a name (written alike up to Unicode form, case
and spacing, at whatever organisation) or a public key, also by way of a third account.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache

from bridleway.keys.people import held_role
from bridleway.model.passport import PersonCertificate


def node_of(person: str) -> str:
    """Return the organisation of a person id `node/person`."""
    return person.partition("/")[0]


@lru_cache(maxsize=4096)
def natural_name(name: str) -> str:
    """Return a name as compared between organisations: NFKC, caseless, unseen characters gone."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


class Persons:
    """The certified accounts that a node knows. people: key id -> certificate."""

    def __init__(self, people: Mapping[str, PersonCertificate]) -> None:
        self._by_key = people
        self._parent: dict[tuple[str, str], tuple[str, str]] = {}
        for certificate in people.values():
            account = ("id", certificate.id)
            self._join(account, ("key", certificate.public_key.lower()))
            name = natural_name(certificate.name)
            if name:
                self._join(account, ("name", name))

    def _root(self, mark: tuple[str, str]) -> tuple[str, str]:
        parent = self._parent.setdefault(mark, mark)
        while parent != mark:
            self._parent[mark] = self._parent[parent]
            mark, parent = parent, self._parent[parent]
        return mark

    def _join(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        self._parent[self._root(one)] = self._root(other)

    def natural(self, person: str) -> tuple[str, str]:
        """Return a mark that is equal for all accounts of one natural person."""
        return self._root(("id", person))

    def accounts(self, persons: Collection[str]) -> frozenset[str]:
        """Return every account of the natural persons behind these accounts."""
        marks = {self.natural(person) for person in persons}
        known = {c.id for c in self._by_key.values() if self.natural(c.id) in marks}
        return frozenset(known | set(persons))

    def signed_in_role(self, person: str, key_id: str, role: str, on: date) -> bool:
        """Tell whether this key is this person's, who held the role on that day."""
        certificate = self._by_key.get(key_id)
        return (
            certificate is not None
            and certificate.id == person
            and held_role(certificate, role, on)
        )

    def active(self, on: date) -> frozenset[str]:
        """Return the accounts that hold any role on a day."""
        return frozenset(
            c.id for c in self._by_key.values() if any(held_role(c, r, on) for r in c.roles)
        )

    def holders(self, node: str, role: str, on: date) -> frozenset[str]:
        """Return the accounts of an organisation that hold a role on a day."""
        return frozenset(
            c.id for c in self._by_key.values() if c.node == node and held_role(c, role, on)
        )
